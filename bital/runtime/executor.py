"""Executor: from a trace to its plan and its results; the plan cache.

Room: runtime. A cut computes the key of the trace (its code, which results somebody still holds,
which inputs nobody else holds), finds or makes the plan, runs it and hands the results to the
values that live on. It installs itself as the way a trace is run.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` wraps it in enums: 10 µs a cut
import os
import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from sys import getrefcount
from typing import Any

import numpy as np
from numpy._core.umath import _extobj_contextvar, _make_extobj

from bital.base import config
from bital.base.lines import BY_LINES, allocator
from bital.ir import trace as ir
from bital.ir.meta import Meta
from bital.ir.op import Spec
from bital.ir.prefix import UNKNOWN, Prefix, tree
from bital.ir.trace import PARAM, Trace, Value
from bital.runtime import log
from bital.runtime.budget import budget
from bital.runtime.families import families
from bital.runtime.memory import keep_freed_memory
from bital.runtime.plan import Plan, hooks

#: how many references `map(getrefcount, ...)` finds to what only the list or dictionary that it
#: walks over holds; a buffer in a list is held by its value, too
_UNHELD = list(map(getrefcount, [object()]))[0]
_UNSHARED = _UNHELD + 1


def _whole(buf: np.ndarray) -> bool:
    """Whether a buffer is no window on another's memory, and without gaps."""
    return buf.base is None and buf.flags.forc


class Ending:
    """How a trace was run that ended at a place in the tree of programs, to be run so again.

    That depends on how many references there are to its results, its inputs and their buffers
    (`counts`, in this order). `held` takes the wanted results out of all, `others` what is left of
    them; `whole` and `windows` are the buffers that nobody else has, by their places among those
    of all inputs. Where the plan is native, `looks` is what tells this sooner and what it is given.
    """

    __slots__ = ("plan", "counts", "held", "others", "whole", "windows", "looks")

    def __init__(
        self, plan: Plan, counts: list[int], results: int, picks: list[int], whole: list[int],
        windows: list[int],
    ) -> None:  # fmt: skip
        self.plan, self.counts = plan, counts
        self.held = _taker(picks)
        self.others = _taker(sorted({*range(results)}.difference(picks)))
        self.whole, self.windows = whole, windows
        self.looks: tuple[Callable[[int, int], int], int, array] | None = None

    def fits(self, values: list[Value], inputs: dict[Value, int], arrays: list) -> bool:
        """Whether a trace of these is to be run in the same way."""
        looks = self.looks
        if looks is not None:
            unchanged, noted, _ = looks
            objects = [*values, *inputs, *arrays]
            if len(objects) != len(self.counts) or not unchanged(id(objects), noted):
                return False
        elif counts_of(values, inputs, arrays) != self.counts or not self._owned(arrays):
            return False
        elif self.plan.at_once is not None:
            self._look(self.plan.at_once, [*values, *inputs, *arrays], len(arrays))
        return not self.windows or not any(_whole(arrays[k]) for k in self.windows)

    def _owned(self, arrays: list) -> bool:
        """Whether buffers that are to be whole are."""
        native = self.plan.at_once is not None  # which looks at strides itself
        owned = [arrays[k] for k in self.whole]
        return all(a.base is None and (native or a.flags.forc) for a in owned)

    def _look(self, native: Any, objects: list, inputs: int) -> None:
        """Let compiled code look from now on; a list of all that it looks at refers to it, too."""
        first = len(objects) - inputs
        whole = {first + k for k in self.whole}
        wanted = [2 * (n - _UNHELD + 2) + (k in whole) for k, n in enumerate(self.counts)]
        note = array("q", [len(wanted), *wanted])
        noted, _ = note.buffer_info()
        unchanged = native.unchanged
        if unchanged is not None and unchanged(id(objects), noted):
            self.looks = unchanged, noted, note


def counts_of(values: list[Value], inputs: dict[Value, int], arrays: list) -> list[int]:
    """How many references there are to results, to inputs and to their buffers."""
    return [*map(getrefcount, values), *map(getrefcount, inputs), *map(getrefcount, arrays)]


def _taker(places: list[int]) -> Callable[[list], Iterable]:
    """What takes the items at those places out of a list."""
    if len(places) > 1:
        return itemgetter(*places)
    return itemgetter(slice(places[0], places[0] + 1) if places else slice(0))  # as a list


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
                for old, gone in by_use[: len(by_use) // 2 + 1]:
                    del self.plans[old]
                    gone.compiler.leave()
                tree.clear()  # which holds plans, too
            plan.used = self.hits
            self.plans[key] = plan
            families.join(plan.compiler)


cache = PlanCache()


def _after_fork() -> None:
    """A forked child has one thread: nobody else holds the lock there."""
    cache.lock = threading.Lock()
    budget.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run(trace: Trace, reason: str) -> None:
    """Run what `trace` has recorded and empty it; a copy of it if it is another thread's."""
    with trace.lock:
        if trace is not ir.local.trace:
            _run_foreign(trace, reason)
            return
        step = trace.prefix
        if step.number == 0 and _is_tiny(step) and len(trace.values) == 1:
            _run_tiny(trace, step)
        elif step.number >= 0 or trace.tail:
            prefix, code, values, inputs = trace.prefix, trace.tail, trace.values, trace.inputs
            params, lines, room = trace.params, trace.lines, trace.room
            try:
                trace.empty()
                trace.learning, trace.spare = _execute(
                    code, values, inputs, params, lines, reason, prefix
                )
            except KeyboardInterrupt:
                if values:  # it came before the run: all is still to be done
                    trace.prefix, trace.tail, trace.values, trace.inputs = (
                        prefix, code, values, inputs,
                    )  # fmt: skip
                    trace.params, trace.lines, trace.room = params, lines, room
                raise


#: elements up to which one known instruction is run without a plan
_TINY_ELEMS = 64


def _is_tiny(step: Prefix) -> bool:
    """Whether a trace of this one instruction is quicker run than looked up."""
    tiny = step.tiny
    if tiny is None:
        spec = step.spec
        tiny = step.tiny = (
            isinstance(spec, Spec) and spec.op.elementwise and type(spec.out) is Meta
            and spec.out.numel <= _TINY_ELEMS and not spec.op.fallible
        )  # fmt: skip
    return tiny and not log.enabled and not hooks.watch and config.compile == "hot"


def _run_tiny(trace: Trace, step: Prefix) -> None:
    """Run the one instruction that is recorded; it overwrites nothing."""
    params = trace.params
    arrays = [value.buf for value in trace.inputs]
    spec, *refs = step.instruction
    args = [params[r - PARAM] if r >= PARAM else arrays[~r] for r in refs]
    (value,) = trace.values
    token = _extobj_contextvar.set(_IGNORE)
    try:
        value.buf = np.asarray(spec.fn(*args), spec.out.np)
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):  # after which it is still to be done
            value.trace = None
            trace.empty()
        raise
    finally:
        _extobj_contextvar.reset(token)
    value.trace = None
    try:
        trace.empty()
    except KeyboardInterrupt:
        trace.empty()
        raise
    trace.learning, trace.spare = True, []


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
) -> tuple[bool, list[Value]]:
    """Run a trace that stands at `prefix` in the tree of programs, or a copy of one (None).

    Its code is that of the prefix, and `code` where it is UNKNOWN. Returns whether the program was
    known, and the values that nobody holds.
    """
    arrays = [value.buf for value in inputs]
    ending: Any = None if prefix is None else prefix.ending
    known = ending is not None and ending.fits(values, inputs, arrays)
    if not known:
        own, counts = prefix is not None, counts_of(values, inputs, arrays)
        if prefix is not None and prefix is not UNKNOWN:
            code = prefix.code()
        results, given = len(values), len(inputs)
        picks = [k for k in range(results) if counts[k] > _UNHELD or not own]
        givers, owners = counts[results : results + given], counts[results + given :]
        # nobody but this trace knows the value, and nobody but the value its memory
        loose = [
            k for k, value in enumerate(inputs)
            if own and givers[k] == _UNHELD and owners[k] == _UNSHARED and not value.shared
        ]  # fmt: skip
        whole = [k for k in loose if _whole(arrays[k])]
        donated = set(whole)
        windows = [k for k in loose if k not in donated]
        key = (
            tuple(code),
            tuple([values[k].number for k in picks]),
            tuple([k in donated for k in range(len(arrays))]),
        )
        plan = cache.plans.get(key)
        known = plan is not None
        if plan is None:
            plan = Plan(code, key[1], key[2])
            cache.add(key, plan)
        ending = Ending(plan, counts, results, picks, whole, windows)
        if known and prefix is not None and prefix is not UNKNOWN:
            prefix.ending = ending
    plan = ending.plan
    if known:
        cache.hits = plan.used = cache.hits + 1
    if log.enabled:
        code = code or prefix.code()  # type: ignore[union-attr]
        plan.compiler.lines = lines
        log.cut(code, inputs, plan.held, lines, reason, known)
    held, others = ending.held(values), list(ending.others(values))
    _run_into(held, plan, arrays, params, lines, (values, inputs))
    return known, others


def _run_into(
    held: Sequence[Value], plan: Plan, arrays: list, params: list, lines: dict,
    recorded: tuple[list[Value], dict[Value, int]],
) -> None:  # fmt: skip
    """Run a plan and hand its results to the values; Ctrl-C waits until they have them.

    What was `recorded` is cleared: nobody else holds inputs, and nothing is left to be done.
    """
    try:
        for each in recorded:
            each.clear()
        at_once = plan.at_once
        if at_once is None or hooks.interpreted:
            _run_apart(held, plan, arrays, params, lines)
        elif at_once(arrays, params, held):
            plan.runs += 1
        else:
            del arrays[plan.inputs :]
            _run_apart(held, plan, arrays, params, lines)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and any(
            v.buf is None and v.trace is not None for v in held
        ):  # it came before the run
            for each in recorded:
                each.clear()
            del arrays[plan.inputs :]
            _run_apart(held, plan, arrays, params, lines)
        _give_up(held)
        raise


def _run_apart(held: Iterable[Value], plan: Plan, arrays: list, params: list, lines: dict) -> None:
    """The same where running and handing out are two steps, in which an instruction may fail."""
    again = list(arrays) if plan.brief else None
    interrupts = None if plan.brief else _Interrupts()
    # without NumPy's warnings; PyTorch has none for overflow or division by zero
    token = _extobj_contextvar.set(_IGNORE)
    before = allocator.set(BY_LINES) if plan.by_lines else None
    try:
        _hand_out(held, plan.run(arrays, params))
    except BaseException as error:
        if again is not None and isinstance(error, KeyboardInterrupt):
            _hand_out(held, plan.interpret(again, params))  # it has overwritten nothing
            raise
        _give_up(held)
        _explain(error, lines)
        raise
    finally:
        _extobj_contextvar.reset(token)
        if before is not None:
            allocator.reset(before)
        if interrupts is not None:
            interrupts.deliver()


def _give_up(held: Iterable[Value]) -> None:
    """Let values that got no array be of no trace: to look at them is an error."""
    for value in held:
        if value.buf is None:
            value.trace = None


def _hand_out(held: Iterable[Value], results: list) -> None:
    """Give values their arrays."""
    for value, result in zip(held, results):
        if value.buf is None:
            whole = type(result) is np.ndarray
            value.buf = result if whole else np.asarray(result, value.meta.np)
            value.trace = None


def _explain(error: BaseException, lines: dict) -> None:
    """Add the user's line that recorded the failing instruction."""
    line = lines.get(getattr(error, "instruction", -1))
    if line is not None:
        error.add_note(f'recorded at File "{line[0]}", line {line[1]}, in {line[2]}')


class _Interrupts:
    """Holds Ctrl-C back while a plan runs, which cannot be done again, and delivers it then."""

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
