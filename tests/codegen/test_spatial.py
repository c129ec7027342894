"""Programs with convolutions and pooling: compiled and interpreted they give the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from bital import torch
from bital.base import config
from bital.codegen import native
from bital.runtime import executor

F = torch.nn.functional


@pytest.fixture
def plans(monkeypatch):
    """The plans that are compiled."""
    found = []
    init = native.Native.__init__

    def watched(self, *args):
        init(self, *args)
        found.append(self)

    monkeypatch.setattr(native.Native, "__init__", watched)
    return found


def left(plans):
    """Why plans leave instructions to NumPy."""
    return [reason for plan in plans for _, reason in plan.generated.program.opaque]


def results(program, *inputs):
    """What a program gives and the gradients of its inputs, as arrays."""
    tensors = [torch.tensor(a, requires_grad=True) for a in inputs]
    out = program(*tensors)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    (out * weight).sum().backward()
    return [t.detach().numpy().copy() for t in (out, *[t.grad for t in tensors])]


def check(program, *inputs):
    """Compiled before its first run a program gives what NumPy gives."""
    runs = []
    for how in ("never", "always"):
        executor.cache.plans.clear()
        executor.tree.clear()
        with config.override(compile=how):
            runs.append(results(program, *inputs))
    expected, got = runs
    for a, b in zip(got, expected):
        size = np.abs(b[np.isfinite(b)]).max(initial=0)
        assert np.allclose(a, b, rtol=1e-4, atol=2e-5 * max(size, 1), equal_nan=True)


def normal(seed, *shape, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


small = st.integers(1, 3)


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 2), groups=st.integers(1, 2), ins=small, outs=small, kernel=small,
    stride=small, padding=st.integers(0, 2), dilation=st.integers(1, 2), more=st.integers(0, 6),
    transposed=st.booleans(), biased=st.booleans(),
)  # fmt: skip
def test_convolutions(
    axes, groups, ins, outs, kernel, stride, padding, dilation, more, transposed, biased
):
    size = max(1, dilation * (kernel - 1) + 1 - 2 * padding) + more
    if transposed:
        # at least one place must be left of the result
        size = max(size, (2 * padding - dilation * (kernel - 1)) // stride + 2)
        w = normal(1, groups * ins, outs, *[kernel] * axes)
    else:
        w = normal(1, groups * outs, ins, *[kernel] * axes)
    x, bias = normal(2, 2, groups * ins, *[size] * axes), normal(3, groups * outs)
    fn = getattr(F, f"conv{'_transpose' * transposed}{axes}d")
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def program(x, w, *bias):
        return F.relu(fn(x * 2, w, *bias, **options))

    check(program, *((x, w, bias) if biased else (x, w)))


@settings(max_examples=12, deadline=None)
@given(
    kernel=small, stride=small, padded=st.booleans(), ceil=st.booleans(), more=st.integers(0, 9),
    mean=st.booleans(), counted=st.booleans(),
)  # fmt: skip
def test_pooling(kernel, stride, padded, ceil, more, mean, counted):
    padding = kernel // 2 if padded else 0
    x = normal(1, 2, 3, kernel + more, kernel + more + 4)

    def program(x):
        x = F.relu(x)
        if mean:
            return F.avg_pool2d(x, kernel, stride, padding, ceil, counted)
        return F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)

    check(program, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_is_native_throughout(plans, dtype):
    """Two convolutions of each kind of step, pooling, ends of one window: nothing is left over."""
    x = normal(0, 4, 3, 16, 16, dtype=dtype)
    w = [normal(k, 8, c, 3, 3, dtype=dtype) for k, c in enumerate((3, 8, 1))]

    def program(x, a, b, c):
        x = F.max_pool2d(F.relu(F.conv2d(x, a, padding=1)), 2)
        x = F.relu(F.conv2d(x, b, stride=2, padding=1))
        x = F.avg_pool2d(F.conv2d(x, c, padding=1, groups=8), 2)
        return F.adaptive_avg_pool2d(x, 1).flatten(1) * F.adaptive_max_pool2d(x, 1).flatten(1)

    check(program, x, *w)
    assert plans and not left(plans)


def test_what_has_no_kernel_is_left_to_numpy(plans):
    x, w = normal(0, 2, 3, 5, 5, 5), normal(1, 4, 3, 2, 2, 2)
    check(F.conv3d, x, w)
    patches = normal(2, 6, 3, 4, 4)
    check(lambda x, w: F.conv2d(x, w, stride=4), normal(3, 2, 3, 16, 16), patches)
    assert any("more than two axes" in reason for reason in left(plans))
    assert any("large steps" in reason for reason in left(plans))


def test_operands_that_do_not_lie_in_order():
    """Transposed, repeated and cut out operands, and one that is both."""
    x, w = normal(0, 12, 8, 3, 4), normal(1, 3, 3, 4, 5)

    def program(x, w):
        y = F.conv2d(x.permute(3, 2, 0, 1)[:, :, ::2], w.transpose(0, 2).transpose(2, 3)[:, :3])
        square = y[:1, :3, :2, :2].sum(1, keepdim=True)
        square = square.expand(3, 3, 2, 2)
        return y.sum() + F.conv2d(square, square)

    check(program, x, w)


def test_operands_that_are_one_number():
    def program(x, w):
        y = F.conv2d(torch.ones(1, 3, 6, 6) * 2, w) + F.conv2d(x, torch.full((4, 3, 2, 2), 0.5))
        return F.max_pool2d(y, 2) + F.avg_pool2d(torch.ones(1, 4, 5, 5), 2)

    check(program, normal(0, 2, 3, 6, 6), normal(1, 4, 3, 2, 2))


def test_inputs_in_order_are_not_copied(plans):
    x, w = normal(0, 2, 1, 8, 8), normal(1, 4, 1, 3, 3)
    check(lambda x, w: F.conv2d(x, w), x, w)
    nodes = [n for plan in plans for call in plan.calls for n in call.group.nodes]
    assert nodes and not [n for n in nodes if n.attrs[:1] == ("copy",)]
