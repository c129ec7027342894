"""One call made by PyTorch and by bital, and every difference between the two.

Compared are the structure of the result, dtypes, shapes, values, what requires gradients, the
gradients for a random cotangent (the second ones too, in order 2), and arguments written to.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.attention

from bital import torch as bital
from tests.parity.databases.translate import Missing, Translator, leaves
from tests.parity.harness import dtype_name, flatten, random_like
from tests.tolerance import as_good, difference, limits

#: dtype -> the one its true result is found in
_WIDER = {
    torch.float32: torch.float64,
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}


@dataclass
class Call:
    """A function of PyTorch and its arguments.

    order    how many derivatives are compared
    process  what outputs go through before they are differentiated, PyTorch's function
    only_processed  compare processed outputs, where the raw ones are not unique
    values   whether the numbers are defined at all
    indices  whether integers that come with other numbers are: the places of equal elements
    name     the key of tolerances
    """

    fn: Callable
    args: tuple
    kwargs: dict
    order: int = 1
    process: Callable | None = None
    only_processed: bool = False
    values: bool = True
    indices: bool = True
    name: str = ""


@dataclass
class Seen:
    """A tensor of a result: its numbers, as an array that holds them all, and what it says."""

    values: np.ndarray
    dtype: str
    requires_grad: bool


@dataclass
class Outcome:
    """What a call did under one of the two."""

    error: BaseException | None = None
    form: Any = None
    outputs: list[Seen] = field(default_factory=list)
    given: list[Seen | None] = field(default_factory=list)
    grads: list[Seen | None] = field(default_factory=list)
    grads2: list[Seen | None] = field(default_factory=list)


def see(t: Any) -> Seen | None:
    """What is compared of a tensor; types that NumPy lacks in ones that hold their numbers."""
    if t is None:
        return None
    name = dtype_name(t)
    asks = bool(t.requires_grad)
    t = _dense(t.detach())
    if name == "bfloat16":
        t = t.detach().float()
    elif name == "complex32":
        t = t.detach().to(torch.complex64 if isinstance(t, torch.Tensor) else bital.complex64)
    return Seen(np.array(t.numpy(force=True)), name, asks)


def _dense(t: Any) -> Any:
    """A tensor of any layout as a dense one."""
    return t if str(t.layout) == "torch.strided" else t.to_dense()


def run(lib: Any, fn: Callable, args: tuple, kwargs: dict, call: Call, process: Any) -> Outcome:
    """The call under `lib` (PyTorch or bital), with that library's objects."""
    got = Outcome()
    given: list = []
    flatten(lib, [list(args), kwargs], given)
    lib.manual_seed(0)
    with warnings.catch_warnings(), _differentiable(lib, call):
        warnings.simplefilter("ignore")
        try:
            result = fn(*args, **kwargs)
            got.given = [see(t) for t in given]
            needed = call.order or call.only_processed
            processed = process(result) if process is not None and needed else result
            found: list = []
            got.form = flatten(lib, processed if call.only_processed else result, found)
            got.outputs = [see(t) for t in found]  # type: ignore[misc]
            if call.order:
                _differentiate(lib, call, given, processed, got)
        except Exception as error:
            got.error = error
    return got


def _differentiable(lib: Any, call: Call) -> Any:
    """Where second derivatives are wanted: PyTorch's kernel of attention that has them."""
    if lib is not torch or call.order < 2:
        return nullcontext()
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def _differentiate(lib: Any, call: Call, given: list, processed: Any, got: Outcome) -> None:
    found: list = []
    flatten(lib, processed, found)
    inputs = [t for t in given if t.requires_grad]
    outputs = [_dense(t) for t in found if t.requires_grad]
    if not inputs or not outputs:
        return
    rng = np.random.default_rng(0)
    cotangents = [random_like(lib, rng, out) for out in outputs]
    second = call.order > 1
    grads = lib.autograd.grad(outputs, inputs, cotangents, create_graph=second, allow_unused=True)
    got.grads = [see(g) for g in grads]
    # drawn for all, since the two may differ in which of them depend on anything
    drawn = [(g, random_like(lib, rng, g)) for g in grads if g is not None] if second else []
    again = [(g, cotangent) for g, cotangent in drawn if g.requires_grad]
    if again:
        twice = lib.autograd.grad(
            [g for g, _ in again], inputs, [c for _, c in again], allow_unused=True
        )
        got.grads2 = [see(g) for g in twice]


def compare(call: Call) -> list[str]:
    """Every difference between bital and PyTorch, as readable lines."""
    args, kwargs = leaves((call.args, call.kwargs))
    translate = Translator()
    try:
        fn = translate(call.fn)
        ours_args, ours_kwargs = translate(args), translate(kwargs)
        process = translate(call.process) if call.process is not None else None
    except Missing as error:
        return [str(error)]
    theirs = run(torch, call.fn, args, kwargs, call, call.process)
    if theirs.error is not None and call.order > 1:  # PyTorch has no second derivative here
        return compare(replace(call, order=1))
    ours = run(bital, fn, ours_args, ours_kwargs, call, process)
    return differences(call, ours, theirs, lambda: _truth(call))


def differences(
    call: Call, ours: Outcome, theirs: Outcome, truth: Callable[[], Outcome | None]
) -> list[str]:
    """What differs between two outcomes; `truth` gives what both are held against in doubt."""
    if theirs.error is not None or ours.error is not None:
        line = compare_errors(ours.error, theirs.error)
        return [line] if line else []
    wrong = _compare_outputs(call, ours, theirs)
    if not wrong:
        return wrong
    true = truth()
    return _compare_outputs(call, ours, theirs, true) if true is not None else wrong


def compare_errors(ours: BaseException | None, theirs: BaseException | None) -> str | None:
    """What is wrong with our error, or with having or lacking one; None where both agree."""
    if theirs is None:
        return f"raised {type(ours).__name__}: {ours}"
    text = f"PyTorch raises {type(theirs).__name__}: {theirs}"
    if ours is None:
        return f"raised nothing; {text}"
    if isinstance(ours, NotImplementedError) and not isinstance(theirs, NotImplementedError):
        return f"NotImplementedError: {ours}; {text}"
    if isinstance(ours, type(theirs)):
        return None
    return f"raised {type(ours).__name__}: {ours}; {text}"


def _truth(call: Call) -> Outcome | None:
    """What PyTorch computes in the widest types, or None where there are none to widen."""
    widened: list[torch.dtype] = []
    args, kwargs = widen((call.args, call.kwargs), widened)
    if not widened:
        return None
    truth = run(torch, call.fn, args, kwargs, call, call.process)
    return None if truth.error is not None else truth


def widen(x: Any, found: list[torch.dtype]) -> Any:
    """PyTorch's arguments in the widest types; appends to `found` the types that were not."""
    if isinstance(x, torch.Tensor) and x.dtype in _WIDER:
        found.append(x.dtype)
        return x.detach().to(_WIDER[x.dtype]).requires_grad_(x.requires_grad)
    if isinstance(x, torch.dtype):
        return _WIDER.get(x, x)
    if isinstance(x, torch.Size):
        return x
    if isinstance(x, (list, tuple)):
        items = [widen(i, found) for i in x]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    return {k: widen(v, found) for k, v in x.items()} if isinstance(x, dict) else x


def _compare_outputs(
    call: Call, ours: Outcome, theirs: Outcome, truth: Outcome | None = None
) -> list[str]:
    if ours.form != theirs.form:
        return [f"returned {ours.form} for {theirs.form}"]
    wrong = []
    for n, (mine, true) in enumerate(zip(ours.outputs, theirs.outputs, strict=True)):
        for word, a, b in (
            ("dtype", mine.dtype, true.dtype),
            ("shape", mine.values.shape, true.values.shape),
            ("requires_grad", mine.requires_grad, true.requires_grad),
        ):
            if a != b:
                wrong.append(f"output {n}: {word} {a} for {b}")
    if wrong or not call.values:
        return wrong
    if not call.indices:
        ours, theirs = _without_indices(ours), _without_indices(theirs)
    low = _lowest(theirs.outputs)
    for order, what in enumerate(_PARTS):
        lists = [getattr(o, what) for o in (ours, theirs, truth or theirs)]
        wrong = _compare_lists(call, what, *lists, max(order - 1, 0), low, truth is not None)
        if wrong:
            return wrong
    return []


def _without_indices(got: Outcome) -> Outcome:
    """The outcome without the places of elements, and the gradients, which follow them."""
    return Outcome(outputs=[out for out in got.outputs if out.dtype != "int64"])


#: what is compared of an outcome, in this order
_PARTS = ("outputs", "given", "grads", "grads2")


def _lowest(outputs: list[Seen]) -> str | None:
    """The least precise type among outputs, which gradients are compared by; None for others."""
    dtypes = {out.dtype for out in outputs}
    return next((name for name in ("bfloat16", "float16", "complex32") if name in dtypes), None)


def _compare_lists(
    call: Call, what: str, ours: list, theirs: list, truth: list, order: int, low: str | None,
    forgiving: bool,
) -> list[str]:  # fmt: skip
    if order == 2 and len(ours) != len(theirs):
        ours, theirs = ours or [None] * len(theirs), theirs or [None] * len(ours)
    if len(ours) != len(theirs):
        return [f"{what}: {len(ours)} of them for {len(theirs)}"]
    wrong = []
    for n, (mine, true) in enumerate(zip(ours, theirs, strict=True)):
        if order == 2:  # what is not there is zero
            mine, true = mine or _zeros(true), true or _zeros(mine)
        if mine is None or true is None:
            if mine is not true:
                wrong.append(f"{what} {n}: {_brief(mine)} for {_brief(true)}")
            continue
        if mine.values.shape != true.values.shape or mine.dtype != true.dtype:
            wrong.append(f"{what} {n}: {_brief(mine)} for {_brief(true)}")
            continue
        dtype = low or true.dtype
        line = difference(mine.values, true.values, *limits(dtype, call.name, order))
        if line and forgiving and n < len(truth) and truth[n] is not None:
            if as_good(mine.values, true.values, truth[n].values, dtype, order):
                line = None
        wrong += [f"{what} {n}: {line}"] if line else []
    return wrong


def _zeros(like: Seen | None) -> Seen | None:
    return like and Seen(np.zeros_like(like.values), like.dtype, False)


def _brief(x: Seen | None) -> str:
    return "None" if x is None else f"{x.dtype}{x.values.shape}"
