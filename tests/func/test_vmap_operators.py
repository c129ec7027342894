"""vmap of an operator is a loop over examples, in value and in gradient; without PyTorch.

The batched arguments and those shared by all examples are tried in turn, and twice nested.
"""

import itertools

import numpy as np
import pytest

from bital import torch
from bital.ir.op import REGISTRY

F = torch.nn.functional


def _pick(x):
    return x.argmax(-1, keepdim=True)


#: name -> (function, shapes of its floating arguments for one example)
CASES = {
    "add_broadcast": (lambda a, b: a + b, [(3, 1), (4,)]),
    "where": (lambda a, b: torch.where(a > 0, a, b), [(3, 4), ()]),
    "pow": (lambda a, b: a.abs() ** b, [(3,), (3,)]),
    "sum": (lambda a: a.sum(), [(3, 4)]),
    "sum_dim": (lambda a: a.sum((0, -1), keepdim=True), [(3, 4, 2)]),
    "sum_no_axes": (lambda a: a.sum(()), [(3, 4)]),
    "sum_number": (lambda a: a.sum(), [()]),
    "mean": (lambda a: a.mean(-1), [(3, 4)]),
    "var": (lambda a: a.var(0, correction=0), [(3, 4)]),
    "std": (lambda a: a.std(), [(3, 4)]),
    "norm": (lambda a: torch.linalg.vector_norm(a, 3, dim=1), [(3, 4)]),
    "logsumexp": (lambda a: a.logsumexp(0), [(3, 4)]),
    "prod": (lambda a: a.prod(), [(3, 4)]),
    "prod_dim": (lambda a: a.prod(1), [(3, 4)]),
    "amax": (lambda a: a.amax((0, 1)), [(3, 4)]),
    "max": (lambda a: a.max(1)[0] + a.max(1)[1], [(3, 4)]),
    "argmax_flat": (lambda a: a.flatten()[a.argmax()], [(3, 4)]),
    "median": (lambda a: a.median(), [(5,)]),
    "softmax": (lambda a: a.softmax(0) + a.log_softmax(-1), [(3, 4)]),
    "cumsum": (lambda a: a.cumsum(1) + a.cumprod(0) + a.logcumsumexp(-1), [(3, 4)]),
    "cummax": (lambda a: a.cummax(0)[0], [(3, 4)]),
    "sort": (lambda a: a.sort(0, descending=True)[0], [(3, 4)]),
    "topk": (lambda a: a.topk(2, 1)[0], [(3, 4)]),
    "kthvalue": (lambda a: a.kthvalue(2, 0)[0], [(3, 4)]),
    "mm": (lambda a, b: a @ b, [(3, 4), (4, 2)]),
    "mm_turned": (lambda a, b: a.t() @ b.t(), [(4, 3), (2, 4)]),
    "mv": (lambda a, b: a @ b, [(3, 4), (4,)]),
    "vm": (lambda a, b: a @ b, [(4,), (4, 3)]),
    "dot": (lambda a, b: a @ b, [(4,), (4,)]),
    "bmm": (lambda a, b: a @ b, [(2, 3, 4), (2, 4, 3)]),
    "fold": (lambda a, b: a @ b, [(2, 3, 4), (4, 3)]),
    "outer": (torch.outer, [(3,), (4,)]),
    "addmm": (torch.addmm, [(2,), (3, 4), (4, 2)]),
    "baddbmm": (torch.baddbmm, [(2, 3, 2), (2, 3, 4), (2, 4, 2)]),
    "linear": (F.linear, [(3, 4), (2, 4), (2,)]),
    "linear_vector": (F.linear, [(4,), (2, 4), (2,)]),
    "linear_batches": (F.linear, [(2, 3, 4), (2, 4), (2,)]),
    "einsum": (lambda a, b: torch.einsum("ij,kj->ki", a, b), [(3, 4), (2, 4)]),
    "transpose": (lambda a: a.t().reshape(-1) * 2, [(3, 4)]),
    "permute_add": (lambda a: a.permute(2, 0, 1) + 1, [(3, 4, 2)]),
    "slice": (lambda a: a[1:, ::2] * a[0, 0], [(3, 4)]),
    "unfold": (lambda a: a.unfold(0, 2, 1).sum(-1), [(5,)]),
    "expand": (lambda a: a.expand(3, 4) * 2, [(4,)]),
    "repeat": (lambda a: a.repeat(2, 1, 2), [(3, 4)]),
    "flip": (lambda a: a.flip(0, 1).roll(1, 0), [(3, 4)]),
    "tril": (lambda a: a.tril(-1) + a.triu(1), [(3, 3)]),
    "diagonal": (lambda a: a.diagonal() + torch.diag_embed(a).sum(0), [(3, 3)]),
    "pad": (lambda a: F.pad(a, (1, 2, 0, 1), value=2.0), [(3, 4)]),
    "pad_reflect": (lambda a: F.pad(a, (1, 1), mode="reflect"), [(2, 4)]),
    "cat": (lambda a, b: torch.cat([a, b], 1), [(3, 4), (3, 2)]),
    "stack": (lambda a, b: torch.stack([a, b], -1), [(3,), (3,)]),
    "split": (lambda a: a.split([1, 3], 1)[1] * 2, [(3, 4)]),
    "gather": (lambda a: a.gather(1, _pick(a)), [(3, 4)]),
    "take_along": (lambda a: torch.take_along_dim(a, _pick(a), 1), [(3, 4)]),
    "scatter": (lambda a, b: a.scatter(1, _pick(a), b), [(3, 4), (3, 1)]),
    "scatter_add": (lambda a, b: a.scatter_add(1, _pick(a), b), [(3, 4), (3, 1)]),
    "index": (lambda a: a[_pick(a)[:, 0]], [(3, 3)]),
    "index_list": (lambda a: a[[0, 2]], [(3, 4)]),
    "index_select": (lambda a: a.index_select(1, torch.tensor([2, 0])), [(3, 4)]),
    "index_add": (lambda a, b: a.index_add(0, torch.tensor([2, 0]), b), [(3, 4), (2, 4)]),
    "index_put": (lambda a, b: a.index_put((torch.tensor([1, 0]),), b), [(3, 4), (2, 4)]),
    "masked_fill": (lambda a: a.masked_fill(a > 0, 0.5), [(3, 4)]),
    "write": (lambda a, b: _written(a, b), [(3, 4), (4,)]),
    "embedding": (lambda w: F.embedding(torch.tensor([0, 2, 2]), w, padding_idx=0), [(3, 4)]),
    "embedding_picked": (lambda w: F.embedding(_pick(w), w), [(3, 3)]),
    "layer_norm": (lambda a, w, b: F.layer_norm(a, (4,), w, b), [(3, 4), (4,), (4,)]),
    "group_norm": (lambda a, w, b: F.group_norm(a, 2, w, b), [(2, 4, 3), (4,), (4,)]),
    "batch_norm": (
        lambda a, w, b: F.batch_norm(a, None, None, w, b, True),
        [(3, 2, 4), (2,), (2,)],
    ),
    "batch_norm_eval": (
        lambda a, w: F.batch_norm(a, torch.zeros(2), torch.ones(2), w),
        [(3, 2, 4), (2,)],
    ),
    "rms_norm": (lambda a, w: F.rms_norm(a, (4,), w), [(3, 4), (4,)]),
    "conv1d": (lambda a, w, b: F.conv1d(a, w, b, padding=1), [(2, 2, 5), (3, 2, 3), (3,)]),
    "conv2d": (
        lambda a, w, b: F.conv2d(a, w, b, stride=2, groups=2),
        [(2, 4, 5, 5), (4, 2, 3, 3), (4,)],
    ),
    "conv2d_single": (F.conv2d, [(2, 4, 4), (3, 2, 3, 3)]),
    "conv_transpose": (
        lambda a, w, b: F.conv_transpose2d(a, w, b, stride=2),
        [(2, 2, 3, 3), (2, 3, 2, 2), (3,)],
    ),
    "max_pool": (lambda a: F.max_pool2d(a, 2), [(2, 4, 4)]),
    "max_pool_overlap": (lambda a: F.max_pool2d(a, 3, 1), [(1, 2, 5, 5)]),
    "avg_pool": (lambda a: F.avg_pool2d(a, 2), [(1, 2, 4, 4)]),
    "adaptive_pool": (lambda a: F.adaptive_avg_pool2d(a, 2), [(2, 5, 5)]),
    "interpolate": (lambda a: F.interpolate(a, scale_factor=2, mode="bilinear"), [(1, 2, 3, 3)]),
    "mse": (F.mse_loss, [(3, 4), (3, 4)]),
    "smooth_l1": (F.smooth_l1_loss, [(3, 4), (3, 4)]),
    "bce_logits": (
        lambda a, b: F.binary_cross_entropy_with_logits(a, b.sigmoid(), reduction="sum"),
        [(3, 4), (3, 4)],
    ),
    "cross_entropy": (lambda a: F.cross_entropy(a, _pick(a)[:, 0].add(1) % 4), [(3, 4)]),
    "cross_entropy_ignored": (
        lambda a: F.cross_entropy(a, torch.tensor([1, -100, 2]), torch.arange(1.0, 5.0)),
        [(3, 4)],
    ),
    "cross_entropy_single": (lambda a: F.cross_entropy(a, torch.tensor(1)), [(4,)]),
    "cross_entropy_deep": (
        lambda a: F.cross_entropy(a, torch.tensor([[0, 1], [2, 0]]), reduction="none"),
        [(2, 3, 2)],
    ),
    "attention": (F.scaled_dot_product_attention, [(2, 3, 4), (2, 5, 4), (2, 5, 4)]),
    "det": (lambda a: torch.linalg.det(a) + torch.linalg.slogdet(a)[1], [(3, 3)]),
    "inv": (lambda a: torch.linalg.inv(a + 3 * torch.eye(3)), [(3, 3)]),
    "solve": (lambda a, b: torch.linalg.solve(a + 3 * torch.eye(3), b), [(3, 3), (3, 2)]),
    "cholesky": (lambda a: torch.linalg.cholesky(a @ a.t() + torch.eye(3)), [(3, 3)]),
    "svdvals": (lambda a: torch.linalg.svdvals(a), [(3, 4)]),
    "matrix_exp": (torch.matrix_exp, [(3, 3)]),
    "fft": (lambda a: torch.fft.irfft(torch.fft.rfft(a) * 2), [(2, 6)]),
    "complex": (lambda a, b: torch.view_as_real(torch.complex(a, b).exp()), [(3,), (3,)]),
    "cdist": (lambda a, b: torch.cdist(a, b), [(3, 4), (2, 4)]),
    "lstm": (
        lambda a: torch.lstm(a, (torch.ones(1, 2, 3),) * 2, _lstm(), True, 1, 0.0, False, False,
                             False)[0],
        [(4, 2, 2)],
    ),
}  # fmt: skip


def _written(a, b):
    out = a + 0 * b
    out[1] = b
    out[:, 2:].mul_(2)
    return out.t()


def _lstm():
    return [torch.full(s, 0.3) for s in ((12, 2), (12, 3), (12,), (12,))]


def _inputs(shapes, lead):
    rng = np.random.default_rng(0)
    return [torch.tensor(rng.standard_normal((*lead, *s)), dtype=torch.float64) for s in shapes]


@pytest.fixture(autouse=True)
def _in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _weighed(f):
    """A number that depends on every element of the result differently."""

    def scalar(*xs):
        out = f(*xs)
        return (out * torch.arange(1.0, out.numel() + 1).cos().reshape(out.shape)).sum()

    return scalar


def _patterns(count):
    for pattern in itertools.product((True, False), repeat=count):
        if any(pattern):
            yield pattern


def _close(ours, expected):
    np.testing.assert_allclose(ours.detach().numpy(), expected.detach().numpy(), 1e-9, 1e-9)


@pytest.mark.parametrize("name", CASES)
def test_is_a_loop(name):
    f, shapes = CASES[name]
    gradient = torch.func.grad(_weighed(f), tuple(range(len(shapes))))
    for pattern in _patterns(len(shapes)):
        xs = [x if p else x[0] for x, p in zip(_inputs(shapes, (3,)), pattern)]
        dims = tuple(0 if p else None for p in pattern)
        rows = [[x[k] if p else x for x, p in zip(xs, pattern)] for k in range(3)]
        _close(torch.vmap(f, dims)(*xs), torch.stack([f(*row) for row in rows]))
        found = torch.vmap(gradient, dims)(*xs)
        for ours, each in zip(found, zip(*[gradient(*row) for row in rows]), strict=True):
            _close(ours, torch.stack(each))


@pytest.mark.parametrize("name", CASES)
def test_nested_with_an_argument_each(name):
    f, shapes = CASES[name]
    xs = _inputs(shapes, (2,))
    if len(xs) == 1:
        xs = [torch.stack([xs[0], xs[0] * 0.9], 1)]
        inner, outer, pick = (0,), (0,), lambda i, j: [xs[0][i, j]]
    else:
        inner = (0, *[None] * (len(xs) - 1))
        outer = (None, *[0] * (len(xs) - 1))
        pick = lambda i, j: [xs[0][j], *[x[i] for x in xs[1:]]]  # noqa: E731
    found = torch.vmap(torch.vmap(f, inner), outer)(*xs)
    for i, j in itertools.product(range(2), repeat=2):
        _close(found[i, j], f(*pick(i, j)))


def test_most_operators_take_all_examples_at_once():
    ways = [op.batch.__name__ for op in REGISTRY.values() if op.impl is not None]
    # rare ones, which are declared when they are first used, loop
    assert ways.count("looped") < len(ways) // 3
