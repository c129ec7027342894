"""Optimizer: groups of parameters, their state, saving it, and the hooks around `step`.

The end of `step` is where an iteration ends, so what was recorded since the last one is run there.
"""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import numpy as np

import bital.torch as torch
from bital.autograd.mode import set_mode
from bital.ir.trace import end_iteration, given, local
from bital.ops.sparse import SparseTensor
from bital.tensor.tensor import write
from bital.torch.utils.hooks import RemovableHandle

ParamsT = Iterable[Any]

_global_optimizer_pre_hooks: dict[int, Callable] = OrderedDict()
_global_optimizer_post_hooks: dict[int, Callable] = OrderedDict()

_HOOK_TABLES = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


class _RequiredParameter:
    """The default of an option that has none."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()


def _use_grad_for_differentiable(step: Callable) -> Callable:
    """Let `step` record gradients where the option `differentiable` asks for it, else not."""

    @functools.wraps(step)
    def with_mode(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        trace = local.trace
        before = trace.grad
        set_mode(trace, self.defaults.get("differentiable", False))
        try:
            return step(self, *args, **kwargs)
        finally:
            set_mode(trace, before)

    return with_mode


def _number(x: Any) -> Any:
    """A tensor of one element as a number, where an operation takes only numbers."""
    return x.item() if isinstance(x, torch.Tensor) else x


def _scalar(value: float) -> Any:
    """A tensor of the dtype in which counts and products of numbers are kept as state."""
    wide = torch.get_default_dtype() == torch.float64
    return torch.tensor(value, dtype=torch.float64 if wide else torch.float32)


def _add(registry: Any, hook: Callable, prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle.to(registry, hook)
    if prepend:
        registry.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before every step of every optimizer."""
    return _add(_global_optimizer_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after every step of every optimizer."""
    return _add(_global_optimizer_post_hooks, hook)


#: whole numbers up to this one are float32's, too
_EXACT = 1 << 24


def _rounded(value: float, t: Any) -> float:
    """The number as the tensor's dtype, float32 or float64, has it."""
    # NumPy's scalars take 8 µs where the caches have been emptied by a run
    if t._meta.dtype is not torch.float32 or (value.is_integer() and abs(value) <= _EXACT):
        return value
    return float(np.float32(value))


class KnownNumbers:
    """What the one-element tensors of a state hold, known without looking at them.

    To look at a tensor would end the trace that is being recorded. A number is kept beside each
    tensor and trusted while it is the same tensor at the same version; when somebody else wrote
    to it, or put another in its place, the tensor is read.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, int, float]] = {}  # id -> tensor, its version, its value
        # what was advanced last, and to what: parameters mostly count alike
        self._advanced: tuple = None, None, 0.0, None

    def get(self, t: Any) -> float:
        """What the tensor holds."""
        known = self._known.get(id(t))
        if known is not None and known[1] == t._storage.version:
            return known[2]
        return t.item()

    def note(self, t: Any, value: float) -> None:
        """The tensor was just made to hold `value`."""
        # holding the tensor keeps its id from being given to another
        self._known[id(t)] = (t, t._storage.version, value)

    def advance(self, step: Any) -> float:
        """Add one to the tensor `step` and return what it is then."""
        known, storage, meta = self._known.get(id(step)), step._storage, step._meta
        # `get`, without a call: this is done for every parameter
        trusted = known is not None and known[1] == storage.version
        before = known[2] if trusted else step.item()  # type: ignore[index]
        last, last_meta, count, value = self._advanced
        if before != last or meta is not last_meta:
            count = _rounded(before + 1.0, step)
            # no constant: the next step has another one
            array = np.asarray(count, meta.np)
            value = given(meta, array.reshape(meta.shape) if meta.ndim else array)
            self._advanced = before, meta, count, value
        old = storage.value
        if step._view is None and old.meta is meta and not old.shared and not storage.apart:
            storage.value = value  # `write`, without a call
            storage.version += 1
        else:
            write(step, value, local.trace)
        self._known[id(step)] = step, storage.version, count
        return count

    def scale(self, t: Any, factor: float) -> float:
        """Multiply the tensor by `factor` and return what it is then."""
        return self.put(t, self.get(t) * _rounded(factor, t))

    def put(self, t: Any, value: float) -> float:
        """Make the tensor hold `value`; returns it as the tensor's dtype rounds it."""
        value = _rounded(value, t)
        t.fill_(value)
        self.note(t, value)
        return value


class Optimizer:
    """The base of all optimizers.

    `params` is an iterable of tensors, of (name, tensor) pairs, or of dictionaries with the key
    "params" and options of their own; `defaults` are the options of those that have none.
    """

    _optimizer_step_pre_hooks: dict[int, Callable]
    _optimizer_step_post_hooks: dict[int, Callable]
    _optimizer_state_dict_pre_hooks: dict[int, Callable]
    _optimizer_state_dict_post_hooks: dict[int, Callable]
    _optimizer_load_state_dict_pre_hooks: dict[int, Callable]
    _optimizer_load_state_dict_post_hooks: dict[int, Callable]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        for table in _HOOK_TABLES:
            setattr(self, table, OrderedDict())
        self._patch_step_function()
        if isinstance(params, torch.Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                f"dicts, but got {torch.typename(params)}"
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._numbers = KnownNumbers()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for table in _HOOK_TABLES:
            self.__dict__.setdefault(table, OrderedDict())
        self._numbers = KnownNumbers()
        self._patch_step_function()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines.append(f"\nParameter Group {i}\n")
            lines += [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
        return f"{type(self).__name__} ({''.join(lines)})"

    # ---- step and its hooks

    @staticmethod
    def profile_hook_step(func: Callable) -> Callable:
        """`func`, a step, with the hooks around it and the end of the iteration after it."""

        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self = args[0]
            if _global_optimizer_pre_hooks or self._optimizer_step_pre_hooks:
                args, kwargs = self._run_step_pre_hooks(func, args, kwargs)
            result = func(*args, **kwargs)
            end_iteration("optimizer.step")
            for hooks in (self._optimizer_step_post_hooks, _global_optimizer_post_hooks):
                for hook in hooks.values():
                    hook(self, args, kwargs)
            return result

        wrapper.hooked = True  # type: ignore[attr-defined]
        return wrapper

    def _run_step_pre_hooks(self, func: Callable, args: tuple, kwargs: dict) -> tuple[Any, Any]:
        for hooks in (_global_optimizer_pre_hooks, self._optimizer_step_pre_hooks):
            for hook in hooks.values():
                changed = hook(self, args, kwargs)
                if changed is None:
                    continue
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"{func} must return None or a tuple of (new_args, new_kwargs), but got "
                        f"{changed}."
                    )
                args, kwargs = changed
        return args, kwargs

    def _patch_step_function(self) -> None:
        """Wrap the step of this optimizer's class, once: subclasses write a bare `step`."""
        step = type(self).step
        if not getattr(step, "hooked", False):
            type(self).step = self.profile_hook_step(step)  # type: ignore[method-assign]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; `closure` computes the loss anew and returns it."""
        raise NotImplementedError

    @staticmethod
    def _closure_loss(closure: Callable[[], Any] | None) -> Any:
        """What `closure` returns, called with gradients on; None without one."""
        if closure is None:
            return None
        with torch.enable_grad():
            return closure()

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new ones."""
        return _add(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _add(self._optimizer_step_post_hooks, hook)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take the gradients away, or with `set_to_none=False` fill them with zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                if set_to_none:
                    param._grad = None
                elif param.grad is not None:
                    grad = param.grad
                    if grad.grad_fn is not None:
                        grad.detach_()
                    else:
                        grad.requires_grad_(False)
                    grad.zero_()

    # ---- groups of parameters

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dictionary with "params" and options.

        Raises TypeError for what is no tensor, ValueError for a tensor that is no leaf or that
        another group has.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        self._take_params(param_group)
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        params = param_group["params"]
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error",
                stacklevel=3,
            )
        named = "param_names" in param_group
        for group in self.param_groups:
            if named != ("param_names" in group):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param "
                    f"group {'with' if named else 'without'} names to the optimizer"
                )
            if not set(params).isdisjoint(group["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def _take_params(self, param_group: dict[str, Any]) -> None:
        """Make `param_group["params"]` a list of tensors, and a list of names if they have any."""
        params = param_group["params"]
        if isinstance(params, torch.Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        names = [item[0] for item in params if isinstance(item, tuple)]
        if names:
            if len(names) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
            params = [item[1] for item in params]
        for param in params:
            if not isinstance(param, torch.Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    + torch.typename(param)
                )
            leaf = param.is_leaf or param.retains_grad
            if not (leaf or self.defaults.get("differentiable")):
                raise ValueError("can't optimize a non-leaf Tensor")
        param_group["params"] = params
        if names:
            param_group["param_names"] = names

    # ---- saving and loading

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, parameters replaced by their numbers; tensors are shared."""
        for pre_hook in self._optimizer_state_dict_pre_hooks.values():
            pre_hook(self)
        numbers: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            for i, param in enumerate(group["params"], start):
                numbers.setdefault(id(param), i)
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            start += len(packed["params"])
            groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, torch.Tensor) else key: value
            for key, value in self.state.items()
        }
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for post_hook in self._optimizer_state_dict_post_hooks.values():
            changed = post_hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state and the options of `state_dict`; floating point state takes its
        parameter's dtype.

        Raises ValueError where the number of groups or of their parameters differs.
        """
        state_dict = state_dict.copy()
        for pre_hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = pre_hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(self.param_groups) != len(saved_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        by_number: dict[int, tuple[Any, dict]] = {}
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            if len(group["params"]) != len(saved["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    "optimizer's group"
                )
            for number, param in zip(saved["params"], group["params"], strict=True):
                by_number[number] = (param, saved)
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        state: defaultdict[Any, Any] = defaultdict(dict)
        for number, value in state_dict["state"].items():
            if number in by_number:
                param, saved = by_number[number]
                state[param] = _fit(value, param, saved, None)
            else:
                state[number] = value  # not of a parameter: kept as it is
        self.__setstate__({"state": state, "param_groups": saved_groups})
        for post_hook in self._optimizer_load_state_dict_post_hooks.values():
            post_hook(self)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> Any:
        """Call `hook(optimizer)` before `state_dict` collects the state."""
        return _add(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> Any:
        """Call `hook(optimizer, state_dict)` after; what it returns is used instead."""
        return _add(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> Any:
        """Call `hook(optimizer, state_dict)` before loading; what it returns is loaded instead."""
        return _add(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> Any:
        """Call `hook(optimizer)` after the state was loaded."""
        return _add(self._optimizer_load_state_dict_post_hooks, hook, prepend)


class PerParameter(Optimizer):
    """An optimizer that updates every parameter by itself.

    A subclass makes a parameter's first state, whose "step" counts its updates, and updates it.
    """

    #: options that older releases did not save, and their values then
    _later_options: dict[str, Any] = {
        "foreach": None, "maximize": False, "differentiable": False, "capturable": False,
    }  # fmt: skip
    #: numbers that older releases did not save as tensors
    _scalars: tuple[str, ...] = ("step",)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self._later_options.items():
                group.setdefault(name, value)
            for param in group["params"]:
                own = self.state.get(param, {})
                for name in self._scalars:
                    if name in own and not isinstance(own[name], torch.Tensor):
                        own[name] = _scalar(float(own[name]))

    #: what a sparse gradient is refused with, after the class's name; None where it is not
    _refuses_sparse: str | None = "does not support sparse gradients"

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first update."""
        raise NotImplementedError

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        """Update one parameter; `count` is the number of its updates, this one included."""
        raise NotImplementedError

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the closure's loss."""
        loss = None if closure is None else self._closure_loss(closure)
        states = self.state
        for group in self.param_groups:
            update, capturable = self._updater(group), group.get("capturable")
            for param in group["params"]:
                grad = param._grad
                if grad is None and (grad := param.grad) is None:  # which may warn
                    continue
                if grad.__class__ is SparseTensor and self._refuses_sparse:
                    raise RuntimeError(f"{type(self).__name__} {self._refuses_sparse}")
                state = states[param]
                if not state:
                    state.update(self._init_state(param, group))
                if capturable:
                    _refuse_capturable()
                update(param, grad, state)
        return loss

    def _updater(self, group: dict[str, Any]) -> Callable[[Any, Any, dict[str, Any]], None]:
        """What updates a parameter of a group, by its gradient and its state, in one step."""
        return lambda param, grad, state: self._update_one(param, grad, state, group)

    def _update_one(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """Count the update, and do it with the signs and numbers that the formulas are made for."""
        count = self._numbers.advance(state["step"])
        if group["maximize"]:
            grad = -grad
        decay = group.get("weight_decay", 0)
        if decay != 0:
            if group.get("decoupled_weight_decay"):
                param.mul_(1 - group["lr"] * decay)
            elif isinstance(decay, torch.Tensor) and decay.requires_grad:
                grad = grad.addcmul(param.clone(), decay)
            else:
                grad = grad.add(param, alpha=_number(decay))
        if param.dtype.is_complex:  # both parts are numbers of their own
            state = {
                name: torch.view_as_real(each) if each.is_complex() else each
                for name, each in state.items()
            }
            param, grad = torch.view_as_real(param), torch.view_as_real(grad)
        self._update(param, grad, state, count, group)


def _zeros(param: Any, *names: str) -> dict[str, Any]:
    """A state's first tensors, of the parameter's shape and memory order."""
    return {name: torch.zeros_like(param, memory_format=torch.preserve_format) for name in names}


def _refuse_capturable() -> None:
    """PyTorch's error for `capturable`, which is for devices that bital has not."""
    raise AssertionError(
        "If capturable=True, params and state_steps must be on supported devices: "
        "['cuda', 'xpu', 'hpu', 'privateuseone', 'xla']."
    )


def _check_not_negative(lr: Any, **values: float) -> None:
    """The errors of a learning rate and of other values, named by their keywords."""
    _check_one_element("lr", lr, None, False)
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")
    for name, value in values.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name} value: {value}")


def _check_betas(betas: Any) -> None:
    for index in (0, 1):
        if not 0.0 <= betas[index] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {betas[index]}")


def _fit(value: Any, param: Any, group: dict[str, Any], key: Any) -> Any:
    """Loaded state, its tensors in the dtype of their parameter (a `step` keeps its own)."""
    if isinstance(value, torch.Tensor):
        if key == "step":
            if group.get("capturable") or group.get("fused"):
                return value.to(dtype=torch.float32, device=param.device)
            return value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)
    if isinstance(value, dict):
        return {k: _fit(v, param, group, k) for k, v in value.items()}
    if isinstance(value, Iterable):
        return type(value)(_fit(v, param, group, None) for v in value)  # type: ignore[call-arg]
    return value


def _check_one_element(name: str, value: Any, foreach: Any, capturable: bool) -> None:
    """The errors of a number that is given as a tensor."""
    if not isinstance(value, torch.Tensor):
        return
    if foreach and not capturable:
        raise ValueError(
            f"{name} as a Tensor is not supported for capturable=False and foreach=True"
        )
    if value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element")


def _check_fused(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """The errors of options that exclude each other; what they choose is the same here."""
    if not fused:
        return
    if differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
