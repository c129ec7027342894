"""The state of modules as a flat dictionary: `state_dict`, `load_state_dict` and their hooks."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

import bital.torch as torch
from bital.torch.nn.modules._hooks import _add
from bital.torch.nn.parameter import Parameter
from bital.torch.utils.hooks import RemovableHandle

#: the key, after the module's prefix, of what get_extra_state returned
_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` found: keys that were missing, keys it did not expect."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class StatefulModule:
    """The part of Module that saves and loads its parameters and buffers."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    # hooks of these three are kept with a flag: (hook, called by the public rules?)
    _state_dict_hooks: dict[int, tuple[Callable, bool]]
    _load_state_dict_pre_hooks: dict[int, tuple[Callable, bool]]
    _state_dict_pre_hooks: dict[int, Callable]
    _load_state_dict_post_hooks: dict[int, Callable]

    #: the version of a class's saved form, kept in `state_dict()._metadata`
    _version: int = 1

    def get_extra_state(self) -> Any:
        """What to save besides parameters and buffers; a subclass that needs it defines it."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called: "
            f"{type(self).__name__} defines set_extra_state without get_extra_state, or called it."
        )

    def set_extra_state(self, state: Any) -> None:
        """Take what `get_extra_state` had given when the module was saved."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called: "
            f"{type(self).__name__} defines get_extra_state without set_extra_state, or called it."
        )

    def _defines(self, name: str) -> bool:
        """Whether the class has its own method in place of the one above."""
        return getattr(type(self), name) is not getattr(StatefulModule, name)

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before the module's state is collected."""
        return _add(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after the module's state was
        collected; the hook may change `state_dict` in place and must return None."""
        return _add(self._state_dict_hooks, (hook, True))

    def _register_state_dict_hook(self, hook: Callable) -> RemovableHandle:
        """As `register_state_dict_post_hook`, but the hook may return another dictionary."""
        return _add(self._state_dict_hooks, (hook, False))

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)` before the module loads its state."""
        return _add(self._load_state_dict_pre_hooks, (hook, True))

    def _register_load_state_dict_pre_hook(
        self, hook: Callable, with_module: bool = False
    ) -> RemovableHandle:
        """As the public method; without `with_module` the hook is called without the module."""
        return _add(self._load_state_dict_pre_hooks, (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after the module loaded its state; the hook may
        change the two lists in place."""
        return _add(self._load_state_dict_post_hooks, hook)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Put what this module itself holds into `destination`."""
        saved = itertools.chain(
            self._parameters.items(),
            (item for item in self._buffers.items()
             if item[0] not in self._non_persistent_buffers_set),
        )  # fmt: skip
        for name, tensor in saved:
            if tensor is not None:
                destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if self._defines("get_extra_state"):
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """All parameters and persistent buffers under their full names, sharing their memory.

        Tensors are detached unless `keep_vars`. Keys are put into `destination` if given, each
        after `prefix`. The result's `_metadata` holds the version of every module.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead: destination, prefix "
                "and keep_vars of state_dict.",
                FutureWarning,
                stacklevel=2,
            )
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook, public in self._state_dict_hooks.values():
            returned = hook(self, destination, prefix, local_metadata)
            if returned is None:
                continue
            if public:
                raise RuntimeError("state_dict post-hook must return None")
            destination = returned
        return destination

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict, strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Load what this module itself holds; submodules have their own turn.

        Appends to the three lists; raises nothing for what it finds in `state_dict`.
        """
        for hook, with_module in self._load_state_dict_pre_hooks.values():
            call = functools.partial(hook, self) if with_module else hook
            call(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                 error_msgs)  # fmt: skip
        buffers = {n: b for n, b in self._buffers.items()
                   if n not in self._non_persistent_buffers_set}  # fmt: skip
        local = {n: t for n, t in {**self._parameters, **buffers}.items() if t is not None}
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, tensor in local.items():
            key = prefix + name
            if key in state_dict:
                self._load_tensor(name, tensor, key, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        if self._defines("set_extra_state"):
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    head, dot, _ = key[len(prefix) :].partition(".")
                    if head not in (self._modules if dot else local):
                        unexpected_keys.append(key)

    def _load_tensor(
        self, name: str, tensor: Any, key: str, loaded: Any, assign: bool, error_msgs: list[str]
    ) -> None:
        """Copy `loaded` into the parameter or buffer `tensor`, or put it in its place."""
        if not isinstance(loaded, torch.Tensor):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
                f"object from checkpoint but received {type(loaded)}"
            )
            return
        if tensor.dim() == 0 and tuple(loaded.shape) == (1,):
            loaded = loaded[0]  # very old files kept scalars as vectors of one element
        if loaded.shape != tensor.shape:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {loaded.shape} from "
                f"checkpoint, the shape in current model is {tensor.shape}."
            )
            return
        try:
            with torch.no_grad():
                if not assign:
                    tensor.copy_(loaded)
                elif not isinstance(tensor, Parameter):
                    setattr(self, name, loaded)
                elif isinstance(loaded, Parameter):
                    setattr(self, name, loaded.requires_grad_(tensor.requires_grad))
                else:
                    setattr(self, name, Parameter(loaded, requires_grad=tensor.requires_grad))
        except Exception as error:
            error_msgs.append(
                f'While {"assigning" if assign else "copying"} the parameter named "{key}", whose '
                f"dimensions in the model are {tensor.size()} and whose dimensions in the "
                f"checkpoint are {loaded.size()}, an exception occurred : {error.args}."
            )

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the tensors of `state_dict` into this module and its submodules.

        With `assign` they take the places of the module's own. Returns the missing and the
        unexpected keys; with `strict` either is an error. Raises RuntimeError with all that did
        not fit, TypeError where `state_dict` is no mapping.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)  # hooks may change it
        if metadata is not None:
            state_dict._metadata = metadata  # type: ignore[attr-defined]
        missing_keys: list[str] = []
        unexpected_keys: list[str] = []
        error_msgs: list[str] = []

        def load(module: StatefulModule, entries: Any, prefix: str) -> None:
            local_metadata = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(
                entries, prefix, local_metadata, True, missing_keys, unexpected_keys, error_msgs
            )
            for name, child in module._modules.items():
                if child is not None:
                    below = f"{prefix}{name}."
                    load(child, {k: v for k, v in entries.items() if k.startswith(below)}, below)
            incompatible = _IncompatibleKeys(missing_keys, unexpected_keys)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, incompatible) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not "
                        "expected to return new values, if incompatible_keys need to be modified, "
                        "it should be done inplace."
                    )

        load(self, state_dict, "")
        if strict:
            quoted = {
                "Missing": ", ".join(f'"{key}"' for key in missing_keys),
                "Unexpected": ", ".join(f'"{key}"' for key in unexpected_keys),
            }
            error_msgs[:0] = [f"{k} key(s) in state_dict: {v}. " for k, v in quoted.items() if v]
        if error_msgs:
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}".format(
                    type(self).__name__, "\n\t".join(error_msgs)
                )
            )
        return _IncompatibleKeys(missing_keys, unexpected_keys)
