"""op_db: what PyTorch's operators give for the samples of its own tests, and what they refuse."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from bital import torch as bital
from tests.parity.databases.call import Call, compare, compare_errors, run
from tests.parity.databases.entry import Entry, records
from tests.parity.databases.translate import Missing, OtherDevice, Translator, leaves

#: how many samples are run of the first dtype, of every other, and for second derivatives;
#: more are thinned out evenly
FIRST, OTHERS, SECOND = 100, 6, 6
#: how many samples the method, the in-place variant, `out=` and each alias are run with
VARIANTS = 3

#: the dtypes that are run, the one that gets most samples first
DTYPES = (
    "float32", "float64", "bfloat16", "float16", "int64", "int32", "uint8", "bool", "complex64",
    "complex128",
)  # fmt: skip

_CUDA = "compiles CUDA source while it runs"
LEFT_OUT = {
    "jiterator_unary": _CUDA,
    "jiterator_binary": _CUDA,
    "jiterator_4inputs_with_extra_args": _CUDA,
    "jiterator_binary_return_by_ref": _CUDA,
    "jiterator_2inputs_2outputs": _CUDA,
    "torch.ops.aten._flash_attention_forward": "PyTorch has it for CUDA only",
    "torch.ops.aten._efficient_attention_forward": "PyTorch has it for CUDA only",
    "nn.functional.batch_norm.without_cudnn": "PyTorch has it for CUDA only",
    "torch._scaled_mm": "8-bit floats",
    "torch._scaled_mm_v2": "8-bit floats",
    "chalf": "complex32, which NumPy has not",
}

#: dtypes in which PyTorch's own results are no such numbers: exp([[0.1]]) is -1e30 there
GARBAGE = {"matrix_exp": ("bfloat16", "float16")}

#: entries whose numbers are whatever the memory held
UNDEFINED = (
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
    "resize_", "resize_as_",
)  # fmt: skip

#: entries whose gradient PyTorch's own gradcheck finds wrong: it is not compared
WRONG_GRADIENT = ("as_strided_scatter",)

#: entries of which PyTorch does not define which of equal elements comes first
TIES = ("sort", "argsort", "msort", "topk", "kthvalue")

#: entries that give complex32, which bital has not
HALF_COMPLEX = ("complex", "view_as_complex")

#: entries whose second derivatives PyTorch's own tests expect to be wrong: zeros, or NaN at zero
FIRST_ORDER = (
    "linalg.norm.subgradients_at_zero",
    "nn.functional.linear_cross_entropy.chunked",
    "nn.functional.linear_cross_entropy.chunked_none",
)

#: entries that leave zeros in some `out` under PyTorch
NO_OUT = ("fft.ihfftn",)

#: entries whose results are unique only up to a sign, a phase or an order: what PyTorch's own
#: tests make of them first is compared
UP_TO_A_SIGN = (
    "linalg.eig", "linalg.eigh", "linalg.svd", "svd", "svd_lowrank", "pca_lowrank", "geqrf",
)  # fmt: skip


#: what is said of them in docs/coverage.md
_NOTES = (
    (UNDEFINED, "the numbers are whatever the memory held"),
    (WRONG_GRADIENT, "PyTorch's gradient fails its own gradcheck; bital's is the true one"),
    (TIES, "the order of equal elements is not defined"),
    (HALF_COMPLEX, "not for float16, which gives complex32"),
    (FIRST_ORDER, "without second derivatives, which PyTorch's own tests expect to be wrong"),
    (NO_OUT, "without `out`, in which PyTorch leaves zeros"),
    (UP_TO_A_SIGN, "vectors up to a sign or phase, as PyTorch's own tests compare them"),
)


@functools.cache
def table() -> dict[str, Any]:
    """PyTorch's own records by their full names."""
    found = records("common_methods_invocations", "op_db")
    return {info.full_name: info for info in found}


def entries() -> dict[str, Entry]:
    """Every entry of op_db, in its order."""
    return {name: _entry(name, info) for name, info in table().items()}


def _entry(name: str, info: Any) -> Entry:
    return Entry(
        name,
        _area(name),
        functools.partial(_values, info),
        functools.partial(_errors, info),
        LEFT_OUT.get(name),
        next((why for names, why in _NOTES if name in names), None),
    )


def _area(name: str) -> str:
    for area in ("nn.functional", "linalg", "fft", "special", "masked", "signal.windows", "sparse"):
        if name.startswith(f"{area}."):
            return area
    return "torch"


def _dtypes(info: Any) -> list[str]:
    claimed = {str(d).removeprefix("torch.") for d in info.supported_dtypes("cpu")}
    if info.full_name in HALF_COMPLEX:
        claimed.discard("float16")
    return [d for d in DTYPES if d in claimed.difference(GARBAGE.get(info.full_name, ()))]


def _thin(samples: list, most: int) -> list:
    """At most so many of the samples, evenly spread."""
    if len(samples) <= most:
        return samples
    return [samples[i * len(samples) // most] for i in range(most)]


def _samples(info: Any, dtype: str, grad: bool) -> list:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=grad))


def _values(info: Any, dtypes: tuple[str, ...] | None) -> list[str]:
    claimed = _dtypes(info)
    wrong: dict[str, str] = {}  # each difference once, with where it was seen first
    for dtype in claimed:
        if dtypes is not None and dtype not in dtypes:
            continue
        first = dtype == claimed[0]
        for label, call in _calls(info, dtype, first):
            for line in compare(call):
                wrong.setdefault(line, f"{dtype} {label}")
    return [f"{line}\n      in {where}" for line, where in wrong.items()]


def _calls(info: Any, dtype: str, first: bool) -> Iterator[tuple[str, Call]]:
    differentiable = info.supports_autograd and info.full_name not in WRONG_GRADIENT
    grad = differentiable and getattr(torch, dtype) in info.supported_backward_dtypes("cpu")
    samples = _samples(info, dtype, grad)
    twice = 0
    if grad and info.supports_gradgrad and dtype in ("float64", "complex128"):
        twice = 0 if info.full_name in FIRST_ORDER else SECOND
    for n, sample in enumerate(_thin(samples, FIRST if first else OTHERS)):
        arguments = (sample.input, *sample.args)
        yield _label(sample), _call(info, info.op, arguments, sample, 2 if n < twice else int(grad))
    if first:
        yield from _variants(info, samples)


def _call(info: Any, fn: Callable, args: tuple, sample: Any, order: int) -> Call:
    return Call(
        fn,
        args,
        sample.kwargs,
        order,
        sample.output_process_fn_grad,
        only_processed=info.full_name in UP_TO_A_SIGN,
        values=info.full_name not in UNDEFINED,
        indices=info.full_name not in TIES or not _has_ties(sample),
        name=f"op_db/{info.full_name}",
    )


def _has_ties(sample: Any) -> bool:
    if sample.kwargs.get("stable"):
        return False
    return sample.input.numel() != sample.input.unique().numel()


#: operators below PyTorch's functions, whose `out` has other names
_ATEN = (torch._ops.OpOverload, torch._ops.OpOverloadPacket)


def _variants(info: Any, samples: list) -> Iterator[tuple[str, Call]]:
    """The other spellings of an operator: method, in place, its aliases, and `out=`."""
    spelled = [("method", info.method_variant, 0)]
    spelled += [(f"alias {each.name}", each.op, 0) for each in info.aliases]
    if info.inplace_variant is not None:
        order = int(info.supports_inplace_autograd)
        spelled += [("in place", functools.partial(_written, info.inplace_variant), order)]
    if info.supports_out and info.full_name not in NO_OUT and not isinstance(info.op, _ATEN):
        spelled += [("out=", functools.partial(_into, info.op), 0)]
    few = _thin(samples, VARIANTS)
    for label, fn, order in spelled:
        for sample in few if fn is not None else ():
            args = (sample.input, *sample.args)
            yield f"{label} {_label(sample)}", _call(info, fn, args, sample, order)


def _written(fn: Callable, input: Any, *args: Any, **kwargs: Any) -> Any:
    """An in-place method on a copy of its tensor."""
    return fn(input.clone(), *args, **kwargs)


def _into(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    """A function writing into tensors that fit its results."""
    args, kwargs = _without_grad((args, kwargs))
    expected = fn(*args, **kwargs)
    several = isinstance(expected, (tuple, list))
    out = tuple(t.clone().zero_() for t in expected) if several else expected.clone().zero_()
    fn(*args, out=out, **kwargs)
    return out


def _without_grad(x: Any) -> Any:
    if isinstance(x, (list, tuple)) and type(x).__name__ != "Size":
        return type(x)([_without_grad(i) for i in x])
    if isinstance(x, dict):
        return {key: _without_grad(value) for key, value in x.items()}
    return x.detach() if hasattr(x, "detach") else x


def _label(sample: Any) -> str:
    text = sample.summary().removeprefix("SampleInput").replace(', device="cpu"', "")
    text = text.replace(", broadcasts_input=False", "").replace(", name=''", "")
    return text if len(text) < 300 else text[:300] + "…"


def _errors(info: Any) -> list[str | None]:
    """For each error input of PyTorch's tests: what is wrong with our error, or None."""
    if info.error_inputs_func is None:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = list(info.error_inputs("cpu"))
    return [_error(info, each.sample_input) for each in inputs]


def _error(info: Any, sample: Any) -> str | None:
    call = _call(info, info.op, (sample.input, *sample.args), sample, 0)
    args, kwargs = leaves((call.args, call.kwargs))
    translate = Translator()
    try:
        fn, ours_args, ours_kwargs = translate(call.fn), translate(args), translate(kwargs)
    except Missing as error:
        return str(error)
    except OtherDevice:
        return None
    theirs = run(torch, call.fn, args, kwargs, call, None)
    ours = run(bital, fn, ours_args, ours_kwargs, call, None)
    if theirs.error is None and ours.error is None:
        return None  # an error of other devices, or of checks that this build leaves out
    line = compare_errors(ours.error, theirs.error)
    return f"{line}\n      in {_label(sample)}" if line else None
