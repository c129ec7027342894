"""Executor: from a trace to its plan and its results; the plan cache.

Room: runtime. A cut computes the key of the trace (its code, which results somebody still holds,
which inputs nobody else holds), finds or makes the plan, runs it and hands the results to the
values that live on. It installs itself as the way a trace is run.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` wraps it in enums: 10 µs a cut
import os
import threading
from collections.abc import Iterable
from sys import getrefcount

import numpy as np
from numpy._core.umath import _extobj_contextvar, _make_extobj

from bital.base import config
from bital.base.dtype import float32
from bital.ir import trace as ir
from bital.ir.meta import meta_of
from bital.ir.prefix import UNKNOWN, Prefix, tree
from bital.ir.trace import Trace, Value, given
from bital.runtime import log
from bital.runtime.memory import keep_freed_memory
from bital.runtime.plan import Plan


def _holders(values: Iterable[Value]) -> list[int]:
    """For every value of a trace, how many references there are to it."""
    return list(map(getrefcount, values))


def _owners(arrays: list[np.ndarray], k: int) -> int:
    """How many references there are to a buffer in a list."""
    buf = arrays[k]
    return getrefcount(buf)


def _alone() -> tuple[int, int]:
    """What the two count for a value that only its trace knows."""
    values = [given(meta_of((), float32), np.zeros(()))]
    return _holders(values)[0], _owners([values[0].buf], 0)


_UNHELD, _UNSHARED = _alone()


def _writable(arrays: list[np.ndarray], k: int) -> bool:
    """Whether array k, which a value and the list hold, is whole and its value's own."""
    buf = arrays[k]
    if getrefcount(buf) != _UNSHARED or buf.base is not None:
        return False
    flags = buf.flags
    return flags.c_contiguous or flags.f_contiguous


class Ending:
    """How a trace was run that ended at a place in the tree of programs, to be run so again.

    `holders` and `givers` count the references to its results and its inputs, on which depends
    which results are wanted (`picks`) and which inputs may be overwritten.
    """

    __slots__ = ("plan", "holders", "givers", "picks", "unheld", "donated")

    def __init__(
        self, plan: Plan, holders: list[int], givers: list[int], picks: list[int],
        donated: tuple[bool, ...],
    ) -> None:  # fmt: skip
        self.plan, self.holders, self.givers, self.picks = plan, holders, givers, picks
        # the inputs that nobody else holds, and whether their memory may be overwritten
        self.unheld = [k for k, count in enumerate(givers) if count == _UNHELD]
        self.donated = [donated[k] for k in self.unheld]

    def fits(self, holders: list[int], givers: list[int], arrays: list) -> bool:
        """Whether a trace that ended at the same place is to be run in the same way."""
        if holders != self.holders or givers != self.givers:
            return False
        return [_writable(arrays, k) for k in self.unheld] == self.donated


class PlanCache:
    """Plans by key, bounded: those not used for longest leave first."""

    def __init__(self) -> None:
        self.plans: dict[tuple, Plan] = {}
        self.hits = 0
        self.misses = 0
        self.lock = threading.Lock()

    def add(self, key: tuple, plan: Plan) -> None:
        """Keep a new plan; where there are too many, the older half goes."""
        with self.lock:
            self.misses += 1
            if len(self.plans) >= config.plan_cache:
                by_use = sorted(self.plans.items(), key=lambda entry: entry[1].used)
                for old, _ in by_use[: len(by_use) // 2 + 1]:
                    del self.plans[old]
                tree.clear()  # which holds plans, too
            plan.used = self.hits
            self.plans[key] = plan


cache = PlanCache()


def _after_fork() -> None:
    """A forked child has one thread: nobody else holds the lock there."""
    cache.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run(trace: Trace, reason: str) -> None:
    """Run what `trace` has recorded and empty it; a copy of it if it is another thread's."""
    with trace.lock:
        if trace is not ir.local.trace:
            _run_foreign(trace, reason)
            return
        code, values, inputs, prefix = trace.code, trace.values, trace.inputs, trace.prefix
        params, lines = trace.params, trace.lines
        trace.empty()
        if code:
            trace.learning = _execute(code, values, inputs, params, lines, reason, prefix)


def _run_foreign(trace: Trace, reason: str) -> None:
    """Another thread needs a value: run what its owner has recorded so far, changing nothing.

    The owner goes on recording meanwhile and will run the whole again; values that are ready by
    then keep what they have.
    """
    code = list(trace.code)
    values = [v for v in list(trace.values) if v.buf is None and v.number < len(code)]
    if code:
        inputs, params = dict(trace.inputs), list(trace.params)
        _execute(code, values, inputs, params, dict(trace.lines), f"{reason} by another thread")


def _execute(
    code: list,
    values: list[Value],
    inputs: dict[Value, int],
    params: list,
    lines: dict,
    reason: str,
    prefix: Prefix | None = None,
) -> bool:
    """Run a trace that stands at `prefix` in the tree of programs, or a copy of one (None).

    True where the program was known.
    """
    holders, givers = _holders(values), _holders(inputs)
    ending = prefix.ending if prefix is not None else None
    arrays = [value.buf for value in inputs]
    if ending is not None and ending.fits(holders, givers, arrays):
        plan, known = ending.plan, True
        values = [values[k] for k in ending.picks]
    else:
        own = prefix is not None
        # nobody but this trace knows the value, and nobody but the value its memory
        donated = tuple([
            own and count == _UNHELD and not value.shared and _writable(arrays, k)
            for k, (value, count) in enumerate(zip(inputs, givers))
        ])  # fmt: skip
        picks = [k for k, count in enumerate(holders) if count > _UNHELD or not own]
        values = [values[k] for k in picks]
        held = tuple([v.number for v in values])
        key = (tuple(code), held, donated)
        plan = cache.plans.get(key)
        known = plan is not None
        if plan is None:
            plan = Plan(code, held, donated)
            cache.add(key, plan)
        elif prefix is not None and prefix is not UNKNOWN:
            prefix.ending = Ending(plan, holders, givers, picks, donated)
    if known:
        cache.hits = plan.used = cache.hits + 1
    if log.enabled:
        log.cut(code, inputs, plan.held, lines, reason, known)
    inputs.clear()
    try:
        results = _run_quietly(plan, arrays, params)
    except Exception as error:
        for value in values:
            if value.buf is None:
                value.trace = None
        _explain(error, lines)
        raise
    for value, result in zip(values, results):
        if value.buf is None:
            value.buf = result if type(result) is np.ndarray else np.asarray(result, value.meta.np)
            value.trace = None
    return known


def _run_quietly(plan: Plan, arrays: list, params: list) -> list:
    """Run the plan without NumPy's warnings; PyTorch has none for overflow or division by zero."""
    token = _extobj_contextvar.set(_IGNORE)
    try:
        if not plan.overwrites:
            return plan.run(arrays, params)
        interrupts = _Interrupts()
        try:
            return plan.run(arrays, params)
        finally:
            interrupts.deliver()
    finally:
        _extobj_contextvar.reset(token)


def _explain(error: Exception, lines: dict) -> None:
    """Add the user's line that recorded the failing instruction."""
    line = lines.get(getattr(error, "instruction", -1))
    if line is not None:
        error.add_note(f'recorded at File "{line[0]}", line {line[1]}, in {line[2]}')


class _Interrupts:
    """Holds Ctrl-C back while buffers are being overwritten, and delivers it afterwards."""

    __slots__ = ("previous", "pending")

    def __init__(self) -> None:
        self.pending = False
        self.previous = None
        if (
            threading.get_ident() == _MAIN
            and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
        ):
            self.previous = _signal.signal(_signal.SIGINT, self._note)

    def _note(self, *_: object) -> None:
        self.pending = True

    def deliver(self) -> None:
        if self.previous is not None:
            _signal.signal(_signal.SIGINT, self.previous)
            if self.pending:
                raise KeyboardInterrupt


_MAIN = threading.main_thread().ident
# np.errstate(all="ignore"), at a tenth of its cost
_IGNORE = _make_extobj(all="ignore")


def touch(trace: Trace, value: Value) -> None:
    """An operation met memory that somebody outside may hold: run it at once while that is so."""
    if still_shared(value):
        trace.room = -1
    else:
        value.shared = False


def still_shared(value: Value) -> bool:
    """Whether anything but `value` refers to its memory: an exported array, DLPack, a window."""
    owner = value.buf
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return owner.base is not None or getrefcount(owner) > 3


ir.hooks.run = run
ir.hooks.touch = touch
keep_freed_memory()
