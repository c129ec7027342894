"""PyTorch's table of operators under transforms: jvp as PyTorch's, vmap and its gradient as loops.

One sample of every sixth entry in float64; `EVERY=1` in the environment takes all entries.
`OTHERWISE` names what is known to be different.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's own tests import it")

import torch

from bital import torch as bital
from tests.parity.databases import operators
from tests.parity.databases.translate import Missing, Translator, leaves

STEP = 1 if os.environ.get("EVERY") else 6
TABLE = {
    name: info
    for name, info in list(operators.table().items())[::STEP]
    if name not in operators.LEFT_OUT
    and name not in operators.UNDEFINED
    and "float64" in operators._dtypes(info)
}
FORWARD = [n for n, i in TABLE.items() if i.supports_autograd and i.supports_forward_ad]

_WINNERS = "PyTorch's own gradient depends on which of equal indices it meets last"
_TRIANGLE = "PyTorch's derivative takes the tangent of what the operator does not read"
OTHERWISE = {
    "jvp": {
        "cholesky": _TRIANGLE,
        "cholesky_inverse": _TRIANGLE,
        "linalg.cholesky": _TRIANGLE,
        "linalg.cholesky_ex": _TRIANGLE,
        "linalg.eigh": _TRIANGLE,
        "linalg.slogdet": "PyTorch's tangent is a ZeroTensor, which cannot be compared",
        "nextafter": "PyTorch passes the tangent on; there is no such derivative",
        "nn.functional.max_unpool1d": _WINNERS,
        "nn.functional.max_unpool2d": _WINNERS,
        "nn.functional.max_unpool3d": _WINNERS,
        "triangular_solve": _TRIANGLE,
    },
    "vmap": {
        "argwhere": "the shape depends on values",
        "linspace.tensor_overload": "the ends are numbers",
        "logspace.tensor_overload": "the ends are numbers",
        "nonzero_static": "the places are found at once, of one tensor",
        "repeat_interleave": "the shape depends on values",
    },
}


def _tensors(lib: Any, x: Any, found: list) -> list:
    if isinstance(x, lib.Tensor):
        found.append(x)
    elif isinstance(x, (list, tuple)):
        for each in x:
            _tensors(lib, each, found)
    elif isinstance(x, dict):
        for each in x.values():
            _tensors(lib, each, found)
    return found


def _with(lib: Any, x: Any, new: Any, wanted: Callable) -> Any:
    """x with its wanted tensors replaced, in order."""
    if isinstance(x, lib.Tensor):
        return next(new) if wanted(x) else x
    if isinstance(x, (list, tuple)) and not isinstance(x, lib.Size):
        items = [_with(lib, each, new, wanted) for each in x]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    if isinstance(x, dict):
        return {key: _with(lib, each, new, wanted) for key, each in x.items()}
    return x


class Case:
    """One sample under one library: its tensors, and a function of them giving tensors."""

    def __init__(self, lib: Any, fn: Any, args: Any, process: Any, wanted: Callable) -> None:
        self.lib, self.fn, self.args, self.process, self.wanted = lib, fn, args, process, wanted
        self.inputs = [t for t in _tensors(lib, args, []) if wanted(t)]

    def __call__(self, *inputs: Any) -> tuple:
        args, kwargs = _with(self.lib, self.args, iter(inputs), self.wanted)
        self.lib.manual_seed(0)
        return tuple(_tensors(self.lib, self.process(self.fn(*args, **kwargs)), []))


def _cases(name: str, grad: bool) -> tuple[Case, Case]:
    info = TABLE[name]
    torch.manual_seed(0)
    samples = info.sample_inputs("cpu", torch.float64, requires_grad=grad)
    sample = list(itertools.islice(samples, 2))[-1]
    args = leaves(((sample.input, *sample.args), sample.kwargs))
    process = sample.output_process_fn_grad if grad else lambda x: x
    translate = Translator()
    try:
        ours = (translate(info.op), translate(args), translate(process))
    except Missing as error:
        pytest.skip(str(error))

    def wanted(t: Any) -> bool:
        return t.requires_grad if grad else t.dtype.is_floating_point or t.dtype.is_complex

    return Case(bital, *ours, wanted), Case(torch, info.op, args, process, wanted)


def _plain(t: Any) -> np.ndarray:
    if str(t.dtype) == "torch.bfloat16":
        t = t.float()
    return t.detach().numpy(force=True)


def _close(ours: Any, expected: np.ndarray) -> None:
    size = np.abs(expected[np.isfinite(expected)]).max(initial=1e-3)
    np.testing.assert_allclose(_plain(ours), expected, 1e-5, 1e-8 * size)


def _directions(case: Case) -> list:
    rng = np.random.default_rng(0)
    made = []
    for t in case.inputs:
        drawn = np.asarray(rng.standard_normal(t.shape))
        if t.dtype.is_complex:
            drawn = drawn + 1j * np.asarray(rng.standard_normal(t.shape))
        made.append(drawn.astype(_plain(t).dtype))
    return made


def _jvp(case: Case) -> list[tuple[Any, Any]]:
    """Pairs of results and tangents, of floating and complex ones."""
    made = [case.lib.from_numpy(np.array(d)) for d in _directions(case)]
    inputs = tuple(t.detach().clone() for t in case.inputs)
    found = zip(*case.lib.func.jvp(case, inputs, tuple(made)), strict=True)
    return [(o, t) for o, t in found if o.dtype.is_floating_point or o.dtype.is_complex]


@pytest.mark.parity
@pytest.mark.parametrize("name", [n for n in FORWARD if n not in OTHERWISE["jvp"]])
def test_jvp(name: str) -> None:
    ours, theirs = _cases(name, True)
    if not theirs.inputs:
        pytest.skip("nothing to differentiate")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = _jvp(theirs)
        except (RuntimeError, NotImplementedError) as error:
            pytest.skip(f"PyTorch: {error}")
        found = _jvp(ours)
    for mine, true in zip(found, expected, strict=True):
        for a, b in zip(mine, true, strict=True):
            _close(a, _plain(b))


def _refused_by_torch(case: Case, inputs: list) -> bool:
    try:
        case.lib.vmap(case, randomness="same")(*inputs)
    except Exception:
        return True
    return False


def _total(case: Case, inputs: tuple) -> Any:
    """A number that depends on each of the results' elements."""
    total = bital.zeros((), dtype=bital.float64)
    for out in case(*inputs):
        if out.dtype.is_complex:
            out = bital.view_as_real(out)
        if out.dtype.is_floating_point:
            weights = bital.arange(out.numel(), dtype=out.dtype).cos() + 1.5
            total = total + (out * weights.reshape(out.shape)).sum()
    return total


@pytest.mark.parity
@pytest.mark.parametrize("name", [n for n in TABLE if n not in OTHERWISE["vmap"]])
def test_vmap(name: str) -> None:
    grad = bool(TABLE[name].supports_autograd)
    ours, theirs = _cases(name, grad)
    if not ours.inputs:
        pytest.skip("no floating tensors")
    rows = [[t.detach() for t in ours.inputs], [t.detach() * 0.9 for t in ours.inputs]]
    stacked = [bital.stack(pair) for pair in zip(*rows, strict=True)]
    functions = [ours]
    if grad:
        which = tuple(range(len(stacked)))
        functions.append(bital.func.grad(lambda *inputs: _total(ours, inputs), which))
    for f in functions:
        try:
            loop = [f(*[t.clone() for t in row]) for row in rows]
        except Exception as error:
            pytest.skip(f"alone: {error}")
        try:
            found = bital.vmap(f, randomness="same")(*[t.clone() for t in stacked])
        except RuntimeError as error:
            made = [torch.from_numpy(_plain(t).copy()) for t in stacked]
            if "vmap" in str(error).lower() and _refused_by_torch(theirs, made):
                pytest.skip(f"PyTorch has no vmap of it either: {error}")
            raise
        for mine, each in zip(found, zip(*loop, strict=True), strict=True):
            _close(mine, np.stack([_plain(t) for t in each]))
