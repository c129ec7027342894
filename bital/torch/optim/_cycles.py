"""Schedulers whose rates go up and down again, momentum the other way.

Room: torch. `torch.optim.lr_scheduler` has them.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

from bital.torch.optim._scheduler import LRScheduler, _per_group, _require_optimizer, _set
from bital.torch.optim.optimizer import Optimizer


class _Cycling(LRScheduler):
    """What the two share: momentum, or the first of `betas`, that goes along."""

    use_beta1: bool

    def _check_momentum(self) -> None:
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        self.use_beta1 = "betas" in defaults

    def _begin_momentum(self, tops: list, bases: list) -> None:
        for group, top, base in zip(self.optimizer.param_groups, tops, bases, strict=True):
            self._set_momentum(group, top)
            group["max_momentum"] = top
            group["base_momentum"] = base

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_Cycling):
    """The rate from `base_lr` to `max_lr` in `step_size_up` steps and back (Smith 2015).

    Call `step` after every batch. The height of a cycle stays ("triangular"), is halved each
    time ("triangular2") or shrinks by `gamma` each step ("exp_range"); or it is scaled by
    `scale_fn` of the cycle's number, or of the step with `scale_mode` "iterations".
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:
        _require_optimizer(optimizer)
        self.optimizer = optimizer
        base_lrs = _per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for lr, group in zip(base_lrs, optimizer.param_groups, strict=True):
                _set(group, "lr", lr)
        self.max_lrs = _per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._check_momentum()
            self.base_momentums = _per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = _per_group("max_momentum", optimizer, max_momentum)
            if last_epoch == -1:
                self._begin_momentum(self.max_momentums, self.base_momentums)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """How high a cycle is: of its number, or of the step."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            return self.gamma**x
        return 1.0 if self.mode == "triangular" else 1 / 2.0 ** (x - 1)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        rising = x <= self.step_ratio
        height = x / self.step_ratio if rising else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            groups = self.optimizer.param_groups
            limits = zip(groups, self.base_momentums, self.max_momentums, strict=True)
            for group, base, top in limits:
                self._set_momentum(group, top - (top - base) * height * scale)
        limits = zip(self.base_lrs, self.max_lrs, strict=True)  # type: ignore[assignment]
        return [base + (top - base) * height * scale for base, top in limits]  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of a function only an object's attributes are saved."""
        state = super().state_dict()
        fn = state.pop("_scale_fn_custom")
        plain = fn is None or isinstance(fn, types.FunctionType)
        state["_scale_fn_custom"] = None if plain else dict(fn.__dict__)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; a function stays that of this scheduler."""
        fn = self._scale_fn_custom
        super().load_state_dict(state_dict)
        if state_dict["_scale_fn_custom"] is not None:
            fn.__dict__.update(state_dict["_scale_fn_custom"])
        self._scale_fn_custom = fn


class OneCycleLR(_Cycling):
    """The rate up to `max_lr`, then far down, momentum the other way (Smith and Topin 2017).

    The cycle has `total_steps` steps, or `epochs` * `steps_per_epoch`; call `step` after every
    batch. It starts from max_lr / div_factor, rises for `pct_start` of it, and ends at the start
    / final_div_factor; with `three_phase` it first falls back to the start.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        _require_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = self._count_steps(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = self._phases(pct_start, three_phase)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_func_type = anneal_strategy
        peaks = _per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["initial_lr"] = peak / div_factor
                group["max_lr"] = peak
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._check_momentum()
            tops = _per_group("max_momentum", optimizer, max_momentum)
            bases = _per_group("base_momentum", optimizer, base_momentum)
            if last_epoch == -1:
                self._begin_momentum(tops, bases)
        super().__init__(optimizer, last_epoch)

    @staticmethod
    def _count_steps(total: Any, epochs: Any, steps_per_epoch: Any) -> int:
        parts = {"total_steps": total}
        if total is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "You must define either total_steps OR (epochs AND steps_per_epoch)"
                )
            parts = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        for name, value in parts.items():
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"Expected positive integer {name}, but got {value}")
        return math.prod(parts.values())

    def _phases(self, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
        """Where each phase ends, and between which of a group's entries it leads."""

        def phase(end: float, lr: tuple[str, str], momentum: tuple[str, str]) -> dict[str, Any]:
            return {
                "end_step": end, "start_lr": lr[0], "end_lr": lr[1],
                "start_momentum": momentum[0], "end_momentum": momentum[1],
            }  # fmt: skip

        top, base = "max_momentum", "base_momentum"
        rise = phase(float(pct_start * self.total_steps) - 1, ("initial_lr", "max_lr"), (top, base))
        last = self.total_steps - 1
        if not three_phase:
            return [rise, phase(last, ("max_lr", "min_lr"), (base, top))]
        back = float(2 * pct_start * self.total_steps) - 2
        return [
            rise,
            phase(back, ("max_lr", "initial_lr"), (base, top)),
            phase(last, ("initial_lr", "min_lr"), (top, top)),
        ]

    def _anneal(self, start: float, end: float, pct: float) -> float:
        """From `start` at pct 0 to `end` at pct 1."""
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * pct) + 1)
        return (end - start) * pct + start

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"Tried to step {step} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        begin = 0.0
        phase = self._schedule_phases[-1]
        for phase in self._schedule_phases:
            if step <= phase["end_step"]:
                break
            if phase is not self._schedule_phases[-1]:
                begin = phase["end_step"]
        pct = (step - begin) / (phase["end_step"] - begin)
        lrs = []
        for group in self.optimizer.param_groups:
            lrs.append(self._anneal(group[phase["start_lr"]], group[phase["end_lr"]], pct))
            if self.cycle_momentum:
                start, end = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, self._anneal(start, end, pct))
        return lrs
