"""GradScaler: a loss is scaled up so that gradients of float16 do not vanish."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import bital.torch as torch
from bital.torch.amp.autocast_mode import warn_of_old_name


class OptState(Enum):
    """How far an optimizer is in an iteration."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _refresh_per_optimizer_state() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


def _require(value: Any, caller: str, name: str) -> Any:
    if value is None:
        raise AssertionError(
            f"Attempted {caller} but {name} is None.  This may indicate your script did not use "
            "scaler.scale(loss or outputs) earlier in the iteration."
        )
    return value


class GradScaler:
    """Scales losses, and skips steps whose gradients are not finite.

    The scale begins at `init_scale`; it is multiplied by `backoff_factor` after a skipped step,
    and by `growth_factor` after `growth_interval` good ones in a row. A scaler for "cuda", which
    bital has not, is disabled with a warning; one that is not `enabled` does nothing.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if device == "cuda" and enabled and not torch.cuda.is_available():
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Any = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Any = None
        self._per_optimizer_states: Any = defaultdict(_refresh_per_optimizer_state)

    def scale(self, outputs: Any) -> Any:
        """A tensor, or each one of an iterable of tensors, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, torch.Tensor):
            if self._scale is None:
                self._scale = torch.full((), self._init_scale, dtype=torch.float32)
                self._growth_tracker = torch.full((), self._init_growth_tracker, dtype=torch.int32)
            return outputs * self._scale
        if not isinstance(outputs, Iterable):
            raise ValueError("outputs must be a Tensor or an iterable of Tensors")
        scaled = map(self.scale, outputs)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(scaled)  # type: ignore[call-arg]
        return scaled

    @torch.no_grad()
    def _unscale_grads(self, optimizer: Any, inverse: Any) -> Any:
        """Divide the gradients by the scale; 1 where one was not finite, else 0; None without any.

        Raises ValueError for gradients of float16, which would lose what scaling kept.
        """
        found = None
        for group in optimizer.param_groups:
            for param in group["params"]:
                grad = param.grad
                if grad is None:
                    continue
                if grad.dtype == torch.float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                bad = grad.isfinite().all().logical_not()
                found = bad if found is None else found | bad
                grad.mul_(inverse)
        return None if found is None else found.float()

    def unscale_(self, optimizer: Any) -> None:
        """Divide an optimizer's gradients by the scale, to look at or clip them before `step`."""
        if not self._enabled:
            return
        _require(self._scale, "unscale_", "_scale")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        found = self._unscale_grads(optimizer, self._scale.double().reciprocal().float())
        state["found_inf_per_device"] = {} if found is None else {self._scale.device: found}
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Step where all gradients are finite, else do not; returns what the step returns."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        _require(self._scale, "step", "_scale")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        found = state["found_inf_per_device"].values()
        if not found:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None
        if not sum(v.item() for v in found):
            result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    @torch.no_grad()
    def update(self, new_scale: Any = None) -> None:
        """Set the scale for the next iteration: to `new_scale`, or by what the steps met."""
        if not self._enabled:
            return
        _require(self._scale, "update", "_scale")
        if isinstance(new_scale, float):
            self._scale.fill_(new_scale)
        elif new_scale is not None:
            if new_scale.numel() != 1 or new_scale.requires_grad:
                raise AssertionError(
                    "new_scale should be a float or a 1-element torch.cuda.FloatTensor or "
                    "torch.FloatTensor with requires_grad=False."
                )
            self._scale.copy_(new_scale)
        else:
            self._follow()
        self._per_optimizer_states = defaultdict(_refresh_per_optimizer_state)

    def _follow(self) -> None:
        """Shrink the scale where a step met what is not finite; grow it after enough good ones."""
        found = [
            v
            for state in self._per_optimizer_states.values()
            for v in state["found_inf_per_device"].values()
        ]
        if not found:
            raise AssertionError("No inf checks were recorded prior to update.")
        good = self._growth_tracker.item() + 1
        if sum(v.item() for v in found):
            self._scale.mul_(self._backoff_factor)
            good = 0
        elif good == self._growth_interval:
            grown = self._scale * self._growth_factor
            if grown.isfinite():
                self._scale.copy_(grown)
            good = 0
        self._growth_tracker.fill_(good)

    def get_scale(self) -> float:
        """The scale, 1.0 where disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by to grow."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Change what the scale is multiplied by to grow."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by to shrink."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Change what the scale is multiplied by to shrink."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row let the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Change how many good steps in a row let the scale grow."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        tracker = self._growth_tracker
        return self._init_growth_tracker if tracker is None else tracker.item()

    def _found_inf_per_device(self, optimizer: Any) -> dict[Any, Any]:
        """What `unscale_` found of an optimizer's gradients in this iteration."""
        return self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]

    def is_enabled(self) -> bool:
        """Whether the scaler does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale, its factors and its count of good steps; nothing where disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, "
                    "or at the end after scaler.update()."
                )
            state["_init_scale"] = self.get_scale()
            state["_init_growth_tracker"] = self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state


def deprecated_for(device: str) -> type[GradScaler]:
    """`torch.cuda.amp.GradScaler` and `torch.cpu.amp.GradScaler`, which warn that they are old."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        warn_of_old_name(device, "GradScaler", f"'{device}', args...")
        GradScaler.__init__(self, device, *args, **kwargs)

    body: dict[str, Callable] = {"__init__": __init__}
    return type("GradScaler", (GradScaler,), body)
