"""Autocast: operators that choose the precision of their arguments while it is on.

Room: ops. The functions listed here are put behind wrappers, in bital's modules and in the
program's own, when a thread first turns autocast on; until then nothing of it is ever met. A
wrapper looks at its thread's mode, casts tensors as PyTorch's lists for the CPU say, and calls the
function with the mode off. What only bital has no kernel of its own for is cast with its parts.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from bital.base.device import device
from bital.base.dtype import bfloat16, dtype, float16, float32
from bital.ops.api import NAMESPACES
from bital.tensor.dispatch import cast
from bital.tensor.node import AccumulateGrad
from bital.tensor.tensor import Tensor

#: the devices that PyTorch knows autocast for, and what it casts to there
DEVICES = {
    "cpu": bfloat16, "cuda": float16, "xpu": float16, "mps": float16, "hpu": bfloat16,
    "mtia": float16, "xla": bfloat16, "ipu": float16, "maia": bfloat16, "privateuseone": float16,
}  # fmt: skip

#: per namespace, what computes in lower precision on the CPU
LOWER = {
    "torch": "addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
    "conv_transpose3d einsum lstm matmul mm prelu rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell",
    "nn.functional": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "linear prelu scaled_dot_product_attention",
    "linalg": "matmul vecdot",
}
#: and what computes in float32
FULL = {
    "torch": "binary_cross_entropy_with_logits cdist cholesky cholesky_inverse cholesky_solve "
    "cosine_embedding_loss ctc_loss geqrf gru gru_cell grid_sampler grid_sampler_2d "
    "grid_sampler_3d hinge_embedding_loss inverse kl_div lstm_cell lu lu_solve "
    "margin_ranking_loss nanquantile orgqr ormqr pinverse poisson_nll_loss polar prod qr quantile "
    "stft svd trace triangular_solve triplet_margin_loss view_as_complex",
    "nn.functional": "adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy "
    "binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy ctc_loss "
    "fractional_max_pool2d fractional_max_pool3d grid_sample hinge_embedding_loss huber_loss "
    "kl_div l1_loss linear_cross_entropy margin_ranking_loss max_pool3d max_unpool1d "
    "max_unpool2d max_unpool3d mse_loss multi_margin_loss multilabel_margin_loss nll_loss pad "
    "poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss",
    "linalg": "cholesky cholesky_ex cond eig eigh eigvals eigvalsh householder_product inv inv_ex "
    "lstsq matrix_rank qr solve svd svdvals tensorinv tensorsolve",
    "fft": "fft fft2 fftn hfft ifft ifft2 ifftn ihfft irfft irfft2 irfftn rfft rfft2 rfftn",
}
#: and what takes the widest of its arguments' dtypes
PROMOTED = {"torch": "cat concat concatenate index_copy stack"}


class _Mode(threading.local):
    def __init__(self) -> None:
        self.on = False  # on the CPU, the only device there is
        self.dtypes = dict(DEVICES)
        self.enabled = dict.fromkeys(DEVICES, False)
        self.caching = True
        self.nesting = 0
        #: id of a parameter -> it, and what it was cast to
        self.cache: dict[int, tuple[Tensor, Tensor]] = {}


_mode = _Mode()


def _cast(t: Tensor, target: dtype) -> Tensor:
    """The tensor in `target`; a parameter is cast once in a region."""
    if t._meta.dtype is target:
        return t
    parameter = _mode.caching and t._view is None and type(t._edge) is AccumulateGrad
    if not parameter or target is float32:
        return cast(t, target)
    known = _mode.cache.get(id(t))
    if known is None or known[1]._meta.dtype is not target:
        known = _mode.cache[id(t)] = (t, cast(t, target))
    return known[1]


def _is_narrow(x: Any) -> bool:
    """Whether autocast may cast it: a float of at most 32 bits."""
    return isinstance(x, Tensor) and x._meta.dtype in (float32, bfloat16, float16)


def _mapped(x: Any, fn: Callable) -> Any:
    """An argument with `fn` of each tensor that may be cast; sequences are looked into."""
    if _is_narrow(x):
        return fn(x)
    if x.__class__ is list or x.__class__ is tuple:
        return type(x)([fn(t) if _is_narrow(t) else t for t in x])
    return x


def _lower(args: tuple) -> dtype | None:
    return _mode.dtypes["cpu"]


def _contracts(equation: Any, *_: Any, **__: Any) -> bool:
    """Whether an einsum adds up over an axis that two operands have, so that it is a product."""
    if not isinstance(equation, str):
        return True
    given, arrow, result = equation.replace(" ", "").partition("->")
    operands = given.split(",")
    shared = {c for c in given if c.isalpha() and sum(c in each for each in operands) > 1}
    return bool(shared - set(result) if arrow else shared)


def _full(args: tuple) -> dtype:
    return float32


def _widest(args: tuple) -> dtype | None:
    """float32 where an argument is, else None: nothing is cast."""
    flat = [t for x in args for t in (x if isinstance(x, (list, tuple)) else (x,))]
    dtypes = {t._meta.dtype for t in flat if _is_narrow(t)}
    if float32 in dtypes:
        return float32
    if dtypes - {_mode.dtypes["cpu"]}:
        raise RuntimeError("Unexpected floating ScalarType in at::autocast::prioritize")
    return None


#: where the arguments decide whether there is anything to choose
_CONDITIONS: dict[str, Callable[..., bool]] = {
    "einsum": _contracts,
    "max_pool3d": lambda *args, return_indices=False, **_: not return_indices,
    "pad": lambda input, pad, mode="constant", value=None: mode in ("reflect", "replicate"),
}


def _wrapped(fn: Callable, policy: Callable[[tuple], dtype | None]) -> Callable:
    condition = _CONDITIONS.get(fn.__name__)

    @functools.wraps(fn)
    def choosing(*args: Any, **kwargs: Any) -> Any:
        if not _mode.on or kwargs.get("out") is not None:
            return fn(*args, **kwargs)
        if condition is not None and not condition(*args, **kwargs):
            return fn(*args, **kwargs)
        target = policy(args)
        if target is not None:

            def to_target(t: Tensor) -> Tensor:
                return _cast(t, target)

            args = tuple([_mapped(a, to_target) for a in args])
            kwargs = {k: _mapped(v, to_target) for k, v in kwargs.items()}
        _mode.on = False
        try:
            return fn(*args, **kwargs)
        finally:
            _mode.on = True

    return choosing


_install_lock = threading.Lock()
_installed = False


def _install() -> None:
    """Put the wrappers in place of the functions, wherever a module or Tensor names them."""
    global _installed
    with _install_lock:
        if _installed:
            return
        wrappers: dict[int, Callable] = {}
        for table, policy in ((LOWER, _lower), (FULL, _full), (PROMOTED, _widest)):
            for place, names in table.items():
                for name in names.split():
                    found = [NAMESPACES.get(place, {}).get(name)]
                    found.append(Tensor.__dict__.get(name) if place == "torch" else None)
                    for fn in found:
                        while fn is not None and id(fn) not in wrappers:
                            wrappers[id(fn)] = _wrapped(fn, policy)
                            fn = getattr(fn, "__wrapped__", None)  # without `out`
        for module in list(sys.modules.values()):
            if isinstance(module, types.ModuleType):
                _replace(module.__dict__, wrappers)
        for names_of in NAMESPACES.values():
            _replace(names_of, wrappers)
        for name, value in list(vars(Tensor).items()):
            if id(value) in wrappers:
                setattr(Tensor, name, wrappers[id(value)])
        _installed = True


def _replace(names: dict[str, Any], wrappers: dict[int, Callable]) -> None:
    for name, value in list(names.items()):
        if id(value) in wrappers:
            names[name] = wrappers[id(value)]
        elif value.__class__ is dict and value is not names and name != "__builtins__":
            for key, each in list(value.items()):  # a table of functions
                if id(each) in wrappers:
                    value[key] = wrappers[id(each)]


# ---- the state, as PyTorch's functions tell and set it


def _check_device(device_type: str) -> None:
    if device_type not in DEVICES:
        device(device_type)  # raises for what is no device at all
        raise RuntimeError(
            "unknown device type for autocast in get_autocast_dispatch_key_from_device_type"
        )


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on in this thread for a device; without one, for "cuda"."""
    device_type = device_type or "cuda"
    _check_device(device_type)
    return _mode.enabled[device_type]


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Turn autocast on or off in this thread for a device; with one argument, for "cuda"."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    _check_device(device_type)
    _mode.enabled[device_type] = bool(enabled)
    if device_type == "cpu":
        _mode.on = bool(enabled)
        if enabled and not _installed:
            _install()


def get_autocast_dtype(device_type: str) -> dtype:
    """What autocast casts to on a device."""
    _check_device(device_type)
    return _mode.dtypes[device_type]


def set_autocast_dtype(device_type: str, target: dtype) -> None:
    """Change what autocast casts to on a device."""
    _check_device(device_type)
    _mode.dtypes[device_type] = target


def is_autocast_cache_enabled() -> bool:
    """Whether parameters are cast once in a region."""
    return _mode.caching


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether parameters are to be cast once in a region."""
    _mode.caching = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the cast parameters."""
    _mode.cache.clear()


def autocast_increment_nesting() -> int:
    """Note that a region begins; returns how many are open."""
    _mode.nesting += 1
    return _mode.nesting


def autocast_decrement_nesting() -> int:
    """Note that a region ends; returns how many are open."""
    _mode.nesting -= 1
    return _mode.nesting


def is_autocast_cpu_enabled() -> bool:
    """Whether autocast is on in this thread on the CPU."""
    return _mode.enabled["cpu"]


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Turn autocast on or off in this thread on the CPU."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> dtype:
    """What autocast casts to on the CPU."""
    return _mode.dtypes["cpu"]


def set_autocast_cpu_dtype(target: dtype) -> None:
    """Change what autocast casts to on the CPU."""
    _mode.dtypes["cpu"] = target


def get_autocast_gpu_dtype() -> dtype:
    """What autocast would cast to on a GPU."""
    return _mode.dtypes["cuda"]


def set_autocast_gpu_dtype(target: dtype) -> None:
    """Change what autocast would cast to on a GPU."""
    _mode.dtypes["cuda"] = target


__all__ = [
    "autocast_decrement_nesting", "autocast_increment_nesting", "clear_autocast_cache",
    "get_autocast_cpu_dtype", "get_autocast_dtype", "get_autocast_gpu_dtype",
    "is_autocast_cache_enabled", "is_autocast_cpu_enabled", "is_autocast_enabled",
    "set_autocast_cache_enabled", "set_autocast_cpu_dtype", "set_autocast_cpu_enabled",
    "set_autocast_dtype", "set_autocast_enabled", "set_autocast_gpu_dtype",
]  # fmt: skip
