"""Trace: what a thread has recorded since the last cut. record() is the hot path.

Room: ir. A trace is code: tuples (spec, operand, …) where an operand is the number of an earlier
instruction, ~k for input k, or PARAM + k for run-time scalar k. Each thread has its own trace,
found by `local.trace`; it also carries the thread's gradient mode, so that an operation looks up
one thread-local only. Running a trace belongs to the runtime room, which sets `hooks.run`. What
operators of one or two tensors record is written out in `bital.tensor.recorders`.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from bital.base import config
from bital.base.dtype import default
from bital.ir.meta import Meta
from bital.ir.op import Spec
from bital.ir.prefix import UNKNOWN, Prefix, tree

#: operand numbers from here on are run-time scalars
PARAM = 1 << 30
_next_epoch = itertools.count().__next__


class Value:
    """The result of one instruction, never changed: ready (`buf`) or pending in a `trace`.

    `buf` is a NumPy array of meta's shape, any strides; `shared` says that somebody outside may
    hold its memory, in which case operations on it run at once. While it is pending, `number` is
    that of its instruction. Made by `given` and by recording: a call of `__init__` would cost
    more than all the rest.
    """

    __slots__ = ("meta", "buf", "trace", "shared", "number")

    meta: Meta
    buf: Any  # an array, or None while pending
    trace: Trace | None
    shared: bool
    number: int

    def __repr__(self) -> str:
        return f"<Value {self.meta} {'pending' if self.buf is None else 'ready'}>"


def given(meta: Meta, array: Any) -> Value:
    """A value that is ready: an array, or the scalar that NumPy's arithmetic makes of no axes."""
    if array.__class__ is not np.ndarray:  # compiled code reads it as one
        array = np.asarray(array)
    value = Value()
    value.meta, value.buf, value.trace, value.shared = meta, array, None, False
    return value


def new_value(trace: Trace) -> Value:
    """A value that is pending in a trace, of no number yet."""
    value = Value()
    value.trace, value.buf, value.shared = trace, None, False
    return value


class Trace:
    """One thread's record since its last cut; cutting empties it, the object stays.

    While what is recorded is known, `prefix` is where the code stands in the tree of programs;
    when it no longer is, `prefix` is UNKNOWN and `tail` the code. `values`, `inputs`, `tail` and
    `params` are replaced, never cleared, so that whoever runs them may keep them. `lock` is held
    while they are run: another thread that needs a value of this trace runs a copy of it meanwhile
    recorded (see runtime.executor). Recording itself takes no lock.
    """

    __slots__ = ("tail", "values", "inputs", "params", "prefix", "learning", "epoch", "spare",
                 "lines", "room", "period", "lock", "grad", "inference", "updated", "depth",
                 "levels", "tapes", "forwards")  # fmt: skip

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tail: list[tuple] = []
        self.lines: dict[int, tuple] = {}  # instruction number -> the user's line, where kept
        self.period = 0  # the room that fits whole repeats of a loop without a natural cut
        self.spare: list[Value] = []  # pending ones that nobody knows, to be used again
        self.learning = False  # whether the tree is to take in what is recorded
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
        if self.tail:
            self.tail = []
        if self.lines:
            self.lines = {}
        self.values: list[Value] = []  # the results that somebody may hold, in order
        self.inputs: dict[Value, int] = {}  # the values from outside, and ~k for the k-th
        self.params: list[Any] = []
        self.prefix = tree.root
        self.epoch = _next_epoch()  # differs from that of every other trace
        # bytes that the trace may still take, beside what `prefix` says that it has
        self.room = -1 if config.eager else config.trace_max_bytes

    @property
    def code(self) -> list[tuple]:
        """The instructions."""
        prefix = self.prefix
        return self.tail if prefix is UNKNOWN else prefix.code()

    @property
    def length(self) -> int:
        """How many instructions there are."""
        prefix = self.prefix
        return len(self.tail) if prefix is UNKNOWN else prefix.number + 1

    def spec_of(self, number: int) -> Any:
        """What the instruction of that number is an instance of."""
        at = self.prefix
        if at is UNKNOWN:
            return self.tail[number][0]
        while at.number > number:
            at = at.parent  # type: ignore[assignment]
        return at.spec

    @property
    def left(self) -> int:
        """The room that is left; negative where the trace is to be cut."""
        return self.room - self.prefix.spent

    def leave(self) -> None:
        """Go on beside the tree of known programs."""
        prefix = self.prefix
        if prefix is not UNKNOWN:
            self.room -= prefix.spent
            self.tail = prefix.code()
            self.prefix = UNKNOWN

    def number(self, value: Value) -> int:
        """The number of a value as an operand; one from outside becomes the next input."""
        if value.trace is self:
            return value.number
        inputs = self.inputs
        number = inputs.get(value)
        if number is None:
            if value.buf is None:
                ready(value)
            if value.shared:
                hooks.touch(self, value)
            number = inputs[value] = ~len(inputs)
        return number

    def known(self, value: Value) -> int | None:
        """The number of a value that this trace has one for."""
        return value.number if value.trace is self else self.inputs.get(value)

    def take(self, step: Prefix, *params: Any) -> Value:
        """Record the instruction, of one result, that is known to follow."""
        if params:
            self.params += params
        self.prefix = step
        spare, spec = self.spare, step.spec
        if spare:  # `pending`, without a call
            value = spare.pop()
        else:
            value = Value()
            value.trace, value.buf, value.shared = self, None, False
        value.meta, value.number = spec.out, step.number
        self.values.append(value)
        if self.room < step.spent or hooks.keep_lines or spec.op.fallible:
            after(self, spec)
        return value

    def take_many(self, step: Prefix, last: Prefix) -> tuple[Value, ...]:
        """Record the instruction that is known to follow, and what takes its results apart."""
        self.prefix = last
        first = step.number + 1
        made = tuple([self.pending(m, first + k) for k, m in enumerate(step.spec.out)])
        if self.room < last.spent or hooks.keep_lines or step.spec.op.fallible:
            after(self, step.spec)
        return made

    def pending(self, meta: Meta, number: int) -> Value:
        """The result of an instruction, yet to be computed."""
        spare = self.spare
        value = spare.pop() if spare else new_value(self)
        value.meta, value.number = meta, number
        self.values.append(value)
        return value

    def follow(self, instruction: tuple) -> None:
        """Take in one more instruction."""
        prefix = self.prefix
        if prefix is not UNKNOWN:
            step = prefix.then(instruction, self.learning)
            if step is not UNKNOWN:
                self.prefix = step
                return
            self.leave()
        self.tail.append(instruction)
        self.room -= getattr(instruction[0], "cost", 0)

    def add(self, spec: Spec, instruction: tuple) -> Value:
        """Record an instruction with one result."""
        value = self.pending(spec.out, self.length)
        self.follow(instruction)
        if self.left < 0 or hooks.keep_lines or spec.op.fallible:
            after(self, spec)
        return value


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

    def __init__(self) -> None:  # the class's own would be slow to read
        self.keep_lines = False  # a log or a view wants the user's line of every instruction
        self.looks = 0  # how often somebody asked for the array of a value


local = _Local()
hooks = _Hooks()


def record(trace: Trace, spec: Spec, a: Value, b: Value | None = None) -> Value:
    """Record one instruction with one or two operands and one result."""
    if b is None:
        return trace.add(spec, (spec, trace.number(a)))
    return trace.add(spec, (spec, trace.number(a), trace.number(b)))


def record_many(
    trace: Trace, spec: Spec, values: list[Value], params: tuple = ()
) -> Value | tuple[Value, ...]:
    """Record one instruction with any number of operands, scalars and results."""
    operands, inputs = [], trace.inputs
    for v in values:
        number = v.number if v.trace is trace else inputs.get(v)
        if number is None:
            if v.buf is None or v.shared:
                number = trace.number(v)
            else:  # the same, without a call
                number = inputs[v] = ~len(inputs)
        operands.append(number)
    if params:
        first = PARAM + len(trace.params)
        operands += range(first, first + len(params))
        trace.params += params
    instruction = (spec, *operands)
    step = trace.prefix.likely
    known = step.instruction == instruction
    if type(spec.out) is not tuple:
        return trace.take(step) if known else trace.add(spec, instruction)
    if known:
        last = step
        for _ in spec.out:
            last = last.likely
        if last.number == step.number + len(spec.out):
            return trace.take_many(step, last)
    number = trace.length
    trace.follow(instruction)
    outs = []
    for k, meta in enumerate(spec.out):
        outs.append(trace.pending(meta, trace.length))
        trace.follow((_pick(k), number))
    if trace.left < 0 or hooks.keep_lines or spec.op.fallible:
        after(trace, spec)
    return tuple(outs)


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


def after(trace: Trace, spec: Spec) -> None:
    """Off the hot path: keep the user's line where asked for, cut where the trace is full."""
    if hooks.keep_lines or spec.op.fallible:
        trace.lines[trace.length - 1] = user_line()
    if trace.left >= 0:
        return
    if config.eager or trace.length < 2:
        hooks.run(trace, "at once")
        return
    if not trace.period:
        trace.period = _repeating_room(trace)
    period = trace.period
    hooks.run(trace, "bound")
    trace.room = period or trace.room


#: operations of a piece of a loop that nothing cuts: more is compiled no better
_PIECE_OPS = 256


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
            repeats = min(config.trace_max_bytes // max(cost, 1), _PIECE_OPS // p)
            return cost * max(1, repeats) - 1
    return 0


def user_line() -> tuple[str, int, str]:
    """File, line and function of the innermost frame that is not bital's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        package = frame.f_globals.get("__package__")
        if package not in _own_packages:
            if not package or package.partition(".")[0] != "bital":
                return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
            _own_packages.add(package)
        frame = frame.f_back
    return "<unknown>", 0, "<unknown>"


def place_of(line: tuple[str, int, str]) -> str:
    """A line as a log shows it: its file from the working directory on, if it lies below."""
    try:
        folder = os.path.join(os.getcwd(), "")
    except OSError:  # it is no more
        folder = ""
    return f"{line[0].removeprefix(folder)}:{line[1]}"


#: those of bital's packages that were met, since a look-up is quicker than taking names apart
_own_packages: set[str] = set()


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


def forget_programs() -> None:
    """Begin the tree of known programs anew, as when specs have lost their validity."""
    tree.clear()
    local.trace.leave()
    local.trace.spare = []


default.forget.append(forget_programs)


def flush(reason: str) -> None:
    """Run what this thread has recorded."""
    trace = local.trace
    if trace.length:
        trace.period = 0
        hooks.run(trace, reason)


def end_iteration(reason: str) -> None:
    """An iteration ended: `optimizer.step()` returned, or the updating no_grad block did."""
    trace = local.trace
    trace.updated = False
    trace.period = 0
    if trace.prefix.number >= 0 or trace.tail:
        hooks.run(trace, reason)
