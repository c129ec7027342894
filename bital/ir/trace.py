"""Trace: what a thread has recorded since the last cut. record() is the hot path.

Room: ir. A trace is code: tuples (spec, operand, …) where an operand is the number of an earlier
instruction, ~k for input k, or PARAM + k for run-time scalar k. Each thread has its own trace,
found by `local.trace`; it also carries the thread's gradient mode, so that an operation looks up
one thread-local only. Running a trace belongs to the runtime room, which sets `hooks.run`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from bital.base import config
from bital.ir.meta import Meta
from bital.ir.op import Spec

#: operand numbers from here on are run-time scalars
PARAM = 1 << 30
_new = object.__new__


class Value:
    """The result of one instruction, never changed: ready (`buf`) or pending in a `trace`.

    `buf` is a NumPy array of meta's shape, any strides; `shared` says that somebody outside may
    hold its memory, in which case operations on it run at once.
    """

    __slots__ = ("meta", "buf", "trace", "shared")

    def __init__(self, meta: Meta, trace: Trace | None, buf: np.ndarray | None = None) -> None:
        self.meta = meta
        self.trace = trace
        self.buf: Any = buf  # an array, or None while pending
        self.shared = False

    def __repr__(self) -> str:
        return f"<Value {self.meta} {'pending' if self.buf is None else 'ready'}>"


class Trace:
    """One thread's record since its last cut; cutting empties it, the object stays.

    `code`, `refs` and `params` are replaced, never cleared, so that whoever runs them may keep
    them. `lock` is held while they are run: another thread that needs a value of this trace runs
    a copy of it meanwhile recorded (see runtime.executor). Recording itself takes no lock.
    """

    __slots__ = ("code", "refs", "inputs", "params", "lines", "room", "period", "lock", "grad",
                 "inference", "updated", "depth", "levels", "tapes",
                 "forwards")  # fmt: skip

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.period = 0  # the room that fits whole repeats of a loop without a natural cut
        self.grad: Any = True
        self.inference = False
        self.updated = False  # a leaf was written in place under no_grad
        self.depth = 0  # how many no_grad blocks are open
        self.levels: tuple = ()  # the calls of vmap that are running, the innermost last
        self.tapes = 0  # how many function transforms are differentiating
        self.forwards = 0  # how many derivatives in forward mode are being recorded
        self.empty()

    def empty(self) -> None:
        """Begin afresh after a cut."""
        self.code: list[tuple] = []
        self.refs: dict[Value, int] = {}  # every value of this trace: instruction number or ~input
        self.inputs = 0
        self.params: list[Any] = []
        self.lines: dict[int, tuple] = {}  # instruction number -> the user's line, where kept
        self.room = -1 if config.eager else config.trace_max_bytes

    def bind(self, value: Value) -> int:
        """Number a value from outside this trace as its next input."""
        if value.buf is None:
            ready(value)
        if value.shared:
            hooks.touch(self, value)
        number = ~self.inputs
        self.inputs += 1
        self.refs[value] = number
        return number


class _ForwardOnly:
    """The gradient mode of no_grad while a derivative in forward mode is recorded.

    PyTorch's no_grad does not hold for that mode, so operations are recorded, and their nodes
    marked as of no use backward.
    """

    def __bool__(self) -> bool:
        return True


FORWARD_ONLY = _ForwardOnly()


class _Local(threading.local):
    def __init__(self) -> None:
        self.trace = Trace()


class _Hooks:
    """What higher rooms give: how a trace is run, and what is to be done about shared memory."""

    run: Callable[[Trace, str], None]
    touch: Callable[[Trace, Value], None]
    keep_lines = False  # a log or a view wants the user's line of every instruction
    looks = 0  # how often somebody asked for the array of a value


local = _Local()
hooks = _Hooks()


def record(trace: Trace, spec: Spec, a: Value, b: Value | None = None) -> Value:
    """Record one instruction with one or two operands and one result."""
    refs = trace.refs
    i = refs.get(a)
    if i is None:
        i = trace.bind(a)
    code = trace.code
    if b is None:
        instruction: tuple = (spec, i)
    else:
        j = refs.get(b)
        if j is None:
            j = trace.bind(b)
        instruction = (spec, i, j)
    out = _new(Value)  # Value(spec.out, trace) without the call
    out.meta, out.trace, out.buf, out.shared = spec.out, trace, None, False
    refs[out] = len(code)
    code.append(instruction)
    room = trace.room = trace.room - spec.cost
    if room < 0 or hooks.keep_lines:
        _after(trace, spec)
    return out


def record_scalar(trace: Trace, spec: Spec, a: Value, scalar: Any) -> Value:
    """Record one instruction on a value and a run-time scalar."""
    i = trace.refs.get(a)
    if i is None:
        i = trace.bind(a)
    params = trace.params
    params.append(scalar)
    code = trace.code
    out = _new(Value)  # Value(spec.out, trace) without the call
    out.meta, out.trace, out.buf, out.shared = spec.out, trace, None, False
    trace.refs[out] = len(code)
    code.append((spec, i, PARAM + len(params) - 1))
    room = trace.room = trace.room - spec.cost
    if room < 0 or hooks.keep_lines:
        _after(trace, spec)
    return out


def record_many(
    trace: Trace, spec: Spec, values: list[Value], params: tuple = ()
) -> Value | tuple[Value, ...]:
    """Record one instruction with any number of operands, scalars and results."""
    refs = trace.refs
    instruction: list = [spec]
    for value in values:
        i = refs.get(value)
        instruction.append(trace.bind(value) if i is None else i)
    for scalar in params:
        trace.params.append(scalar)
        instruction.append(PARAM + len(trace.params) - 1)
    code = trace.code
    if type(spec.out) is tuple:
        number = len(code)
        code.append(tuple(instruction))
        outs = []
        for k, meta in enumerate(spec.out):
            out = Value(meta, trace)
            refs[out] = len(code)
            code.append((_pick(k), number))
            outs.append(out)
        result: Value | tuple[Value, ...] = tuple(outs)
    else:
        out = _new(Value)  # Value(spec.out, trace) without the call
        out.meta, out.trace, out.buf, out.shared = spec.out, trace, None, False
        result = out
        refs[result] = len(code)
        code.append(tuple(instruction))
    room = trace.room = trace.room - spec.cost
    if room < 0 or hooks.keep_lines or spec.op.fallible:
        _after(trace, spec)
    return result


class Pick:
    """The pseudo-instruction that takes result `k` of an instruction with several results."""

    __slots__ = ("k",)

    def __init__(self, k: int) -> None:
        self.k = k

    def __repr__(self) -> str:
        return f"result {self.k}"


_PICKS: list[Pick] = []


def _pick(k: int) -> Pick:
    while len(_PICKS) <= k:
        _PICKS.append(Pick(len(_PICKS)))
    return _PICKS[k]


def _after(trace: Trace, spec: Spec) -> None:
    """Off the hot path: keep the user's line where asked for, cut where the trace is full."""
    if hooks.keep_lines or spec.op.fallible:
        trace.lines[len(trace.code) - 1] = user_line()
    if trace.room >= 0:
        return
    if config.eager or len(trace.code) < 2:
        hooks.run(trace, "at once")
        return
    if not trace.period:
        trace.period = _repeating_room(trace)
    period = trace.period
    hooks.run(trace, "bound")
    trace.room = period or trace.room


def _repeating_room(trace: Trace) -> int:
    """The room that makes following traces end where this one's repeats end, or 0.

    A loop that nothing cuts repeats its instructions; cutting after whole repeats makes every
    piece the same program, so that its plan is found again.
    """
    specs = [instruction[0] for instruction in trace.code]
    n = len(specs)
    last = specs[-1]
    for p in range(1, n // 2 + 1):
        if specs[n - 1 - p] is last and specs[n - p :] == specs[n - 2 * p : n - p]:
            cost = sum(s.cost if isinstance(s, Spec) else 0 for s in specs[n - p :])
            repeats = max(1, config.trace_max_bytes // max(cost, 1))
            return cost * repeats - 1
    return 0


def user_line() -> tuple[str, int, str]:
    """File, line and function of the innermost frame that is not bital's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        package = frame.f_globals.get("__package__") or ""
        if package.partition(".")[0] != "bital":
            return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back
    return "<unknown>", 0, "<unknown>"


def ready(value: Value) -> np.ndarray:
    """The array of a value, computed now if it was pending."""
    hooks.looks += 1
    if value.buf is None:
        trace = value.trace
        if trace is None:
            raise RuntimeError(
                "this tensor has no value: the operation that should have computed it failed"
            )
        hooks.run(trace, "a value is needed")
    return value.buf


def flush(reason: str) -> None:
    """Run what this thread has recorded."""
    trace = local.trace
    if trace.code:
        trace.period = 0
        hooks.run(trace, reason)


def end_iteration(reason: str) -> None:
    """An iteration ended: `optimizer.step()` returned, or the updating no_grad block did."""
    trace = local.trace
    trace.updated = False
    trace.period = 0
    if trace.code:
        hooks.run(trace, reason)
