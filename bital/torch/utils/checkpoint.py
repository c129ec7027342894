"""Checkpointing: what a part of a program computed is not kept but computed again in backward."""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import bital.torch as torch
from bital.autograd.engine import running
from bital.autograd.function import Function
from bital.autograd.saved import saved_tensors_hooks
from bital.base.errors import missing_attribute
from bital.tensor.node import raise_modified

__getattr__ = missing_attribute("torch.utils.checkpoint")

_early_stop: list[bool | None] = [None]
_debug: list[bool | None] = [None]


class CheckpointError(RuntimeError):
    """What was computed again is not what was computed first."""


class _StopRecomputation(Exception):
    """Everything that backward needs has been computed again."""


@contextlib.contextmanager
def _setting(cell: list, value: Any) -> Iterator[None]:
    before, cell[0] = cell[0], value
    try:
        yield
    finally:
        cell[0] = before


def set_checkpoint_early_stop(enable: bool) -> Any:
    """Whether, in the block, computing again is to stop where nothing further is needed."""
    return _setting(_early_stop, enable)


def set_checkpoint_debug_enabled(enabled: bool | None) -> Any:
    """Set `debug` for all checkpoints in the block; None leaves it to each."""
    return _setting(_debug, enabled)


class DefaultDeviceType:
    """The device whose random state is kept beside the CPU's; bital has no other."""

    _default_device_type = "cpu"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Keep the name."""
        DefaultDeviceType._default_device_type = device

    @staticmethod
    def get_device_type() -> str:
        """The name that was kept."""
        return DefaultDeviceType._default_device_type


def detach_variable(inputs: tuple) -> tuple:
    """The tensors detached, requiring gradients as before; other things as they are."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: ",
            type(inputs).__name__,
        )
    return tuple(
        x.detach().requires_grad_(x.requires_grad) if isinstance(x, torch.Tensor) else x
        for x in inputs
    )


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn where no input requires a gradient."""
    if not any(x.requires_grad for x in inputs if isinstance(x, torch.Tensor)):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
        )


def noop_context_fn() -> tuple[Any, Any]:
    """Contexts that do nothing, for computing and for computing again."""
    return contextlib.nullcontext(), contextlib.nullcontext()


class _Surroundings:
    """The random state and the autocast mode in which a function ran first, to run it again."""

    def __init__(self, preserve_rng_state: bool) -> None:
        self.rng_state = torch.get_rng_state() if preserve_rng_state else None
        self.autocast = {
            "enabled": torch.is_autocast_enabled("cpu"),
            "dtype": torch.get_autocast_dtype("cpu"),
            "cache_enabled": torch.is_autocast_cache_enabled(),
        }

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        kept = self.rng_state is not None
        with torch.random.fork_rng(enabled=kept), torch.amp.autocast("cpu", **self.autocast):
            if kept:
                torch.set_rng_state(self.rng_state)
            with torch.enable_grad():
                yield


class CheckpointFunction(Function):
    """The reentrant way: the function runs without a graph, and again, with one, in backward."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable, preserve_rng_state: bool, *args: Any) -> Any:
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.surroundings = _Surroundings(preserve_rng_state)
        ctx.inputs = [None if isinstance(x, torch.Tensor) else x for x in args]
        ctx.places = [i for i, x in enumerate(args) if isinstance(x, torch.Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with torch.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if running.run is not None and running.run.needed is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or "
                "passing an `inputs` parameter to .backward(). To resolve this error, you can "
                "either set use_reentrant=False, or call .backward() without passing the `inputs` "
                "argument."
            )
        inputs = list(ctx.inputs)
        for i, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[i] = tensor
        detached = detach_variable(tuple(inputs))
        with ctx.surroundings.again():
            outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, torch.Tensor) else outputs
        pairs = [
            (out, g)
            for out, g in zip(outputs, grads, strict=True)
            if isinstance(out, torch.Tensor) and out.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary"
            )
        torch.autograd.backward([out for out, _ in pairs], [g for _, g in pairs])
        found = [x.grad if isinstance(x, torch.Tensor) else None for x in detached]
        return (None, None, *found)


class _Holder:
    """What a node keeps in place of a tensor: a place for it when it has been computed again."""

    __slots__ = ("value", "__weakref__")

    def __init__(self) -> None:
        self.value: Any = None


def _looks(x: Any) -> dict[str, Any]:
    return {"shape": x.shape, "dtype": x.dtype, "device": x.device}


class _Frame:
    """One checkpoint: what its nodes wait for, and how that is computed again."""

    def __init__(
        self, again: Callable[[], None], args: tuple, early_stop: bool, compare: bool
    ) -> None:
        self.again, self.early_stop, self.compare = again, early_stop, compare
        self.versions = [(x, x._version) for x in args if isinstance(x, torch.Tensor)]
        self.holders: list[weakref.ref[_Holder]] = []
        self.looks: list[dict[str, Any]] = []
        self.complete = False

    def keep(self, x: Any) -> _Holder:
        holder = _Holder()
        self.holders.append(weakref.ref(holder))
        self.looks.append(_looks(x))
        return holder

    def give(self, holder: _Holder) -> Any:
        if holder.value is None:
            self.compute()
        value, holder.value = holder.value, None
        return value

    def compute(self) -> None:
        """Run the function again and fill the holders that are still waited for."""
        for x, version in self.versions:
            if x._version != version:
                raise_modified(x._meta, x._edge, x._version, version)
        again: list[dict[str, Any]] = []

        def fill(x: Any) -> Any:
            place = len(again)
            again.append(_looks(x))
            if place >= len(self.holders):
                if not self.complete:  # backward inside of the function itself
                    return x
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation "
                    "than during the original forward pass.\n"
                )
            holder = self.holders[place]()
            if holder is not None:
                holder.value = x.detach()
            if self.early_stop and len(again) == len(self.holders):
                raise _StopRecomputation
            return x

        with contextlib.suppress(_StopRecomputation), saved_tensors_hooks(fill, lambda x: x):
            self.again()
        self.check(again)

    def check(self, again: list[dict[str, Any]]) -> None:
        if self.complete and len(again) != len(self.holders):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original forward and recomputation.\nNumber of tensors saved during forward: "
                f"{len(self.holders)}\nNumber of tensors saved during recomputation: "
                f"{len(again)}.\n"
            )
        if not self.compare:
            return
        wrong = [
            f"tensor at position {i}:\nsaved metadata: {before}\nrecomputed metadata: {now}\n"
            for i, (before, now) in enumerate(zip(self.looks, again, strict=False))
            if before != now and self.holders[i]() is not None
        ]
        if wrong:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have "
                f"different metadata than during the forward pass.\n{''.join(wrong)}.\n"
            )


def _without_reentry(
    function: Callable,
    preserve: bool,
    context_fn: Callable,
    compare: bool,
    early_stop: bool,
    args: tuple,
    kwargs: dict,
) -> Any:
    """The way by hooks: nodes keep holders, which the first one asked for fills."""
    forward_context, recompute_context = context_fn()
    if not torch.is_grad_enabled():
        return function(*args, **kwargs)
    surroundings = _Surroundings(preserve)

    def again() -> None:
        with surroundings.again(), recompute_context:
            function(*args, **kwargs)

    frame = _Frame(again, args, early_stop, compare)
    with saved_tensors_hooks(frame.keep, frame.give), forward_context:
        result = function(*args, **kwargs)
    frame.complete = True
    return result


def _warn_of_default(name: str) -> None:
    warnings.warn(
        f"{name}: the use_reentrant parameter should be passed explicitly. Starting in PyTorch "
        f"2.9, calling checkpoint without use_reentrant will raise an exception. "
        "use_reentrant=False is recommended, but if you need to preserve the current default "
        "behavior, you can pass use_reentrant=True. Refer to docs for more details on the "
        "differences between the two variants.",
        stacklevel=3,
    )


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose intermediate results are computed again in backward.

    With `use_reentrant` the whole function is a node of its own, and keywords are not taken. By
    default the random stream is put back for the second time (`preserve_rng_state`). `context_fn`
    gives contexts for both times; `determinism_check` compares what both times keep ("default")
    or not ("none"); `early_stop` ends the second time where nothing further is needed.
    """
    if use_reentrant is None:
        _warn_of_default("torch.utils.checkpoint")
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError(
                "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
            )
        return CheckpointFunction.apply(function, preserve, *args)
    debug = debug if _debug[0] is None else _debug[0]
    if debug and context_fn is not noop_context_fn:
        raise ValueError("debug=True is incompatible with non-default context_fn")
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"determinism_check should be one of ['default', 'none'], but got {determinism_check}"
        )
    early_stop = early_stop if _early_stop[0] is None else _early_stop[0]
    compare = determinism_check == "default"
    return _without_reentry(function, preserve, context_fn, compare, early_stop, args, kwargs)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A sequence of functions, or a Sequential, applied in checkpoints of equal length.

    The last segment, with what is left over, is not checkpointed.
    """
    if use_reentrant is None:
        _warn_of_default("torch.utils.checkpoint.checkpoint_sequential")
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if isinstance(functions, torch.nn.Sequential):
        functions = list(functions.children())

    def part(start: int, end: int) -> Callable:
        def forward(x: Any) -> Any:
            for function in functions[start:end]:
                x = function(x)
            return x

        return forward

    length = len(functions) // segments
    end = 0
    for start in range(0, length * (segments - 1), length):
        end = start + length
        input = checkpoint(
            part(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return part(end, len(functions))(input)
