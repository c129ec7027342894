"""Plan: how a trace is run: by the interpreter, one NumPy call per instruction, or natively.

Room: runtime. A plan is made from a trace's code once and kept under its key. It leaves out what
nobody can see, knows when each intermediate dies, and writes results into buffers that die where
the primitive allows it. The first run walks over the steps; a plan seen again is linked into one
Python function, which does the same calls without the walking; one seen often is compiled (see
runtime.compile).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

import numpy as np

from bital.base.lines import worth_it
from bital.ir.meta import Meta
from bital.ir.op import Spec
from bital.ir.trace import PARAM, Pick
from bital.runtime import blas
from bital.runtime.compile import Compiler

#: the run on which a plan is linked
LINK_AT = 2
#: steps up to which a plan that was broken off is done again; Ctrl-C waits for longer ones
_BRIEF = 16


class Step:
    """One instruction as it is run."""

    __slots__ = ("spec", "fn", "refs", "number", "pick", "out_from", "dead")

    def __init__(self, spec: Spec | Pick, refs: tuple[int, ...], number: int) -> None:
        self.spec = spec
        self.pick = spec.k if isinstance(spec, Pick) else None  # it takes one of several results
        self.fn: Callable = _picker(spec.k) if isinstance(spec, Pick) else spec.fn
        self.refs, self.number = refs, number
        #: the operand whose buffer takes the result; per result one or None where there are several
        self.out_from: int | tuple[int | None, ...] | None = None
        self.dead: tuple[int, ...] = ()  # results and inputs that nothing needs after this step

    def taken(self) -> tuple[int | None, ...]:
        """The operands whose buffers take results."""
        return self.out_from if isinstance(self.out_from, tuple) else (self.out_from,)


class _Hooks:
    """What a profiler sets: who is told of every step; plans are then walked through.

    `interpreted` counts those who want no native code: they want to see every step, or the same
    bits from every run.
    """

    def __init__(self) -> None:  # the class's own would be slow to read
        self.watch: Callable[..., None] | None = None
        #: told of every native run while a profiler watches: the code, its cycles before, the times
        self.kernels: Callable[..., None] | None = None
        self.interpreted = 0


hooks = _Hooks()


@contextmanager
def interpreted() -> Iterator[None]:
    """Within the block nothing runs as native code: the first run's bits are those of all."""
    hooks.interpreted += 1
    try:
        yield
    finally:
        hooks.interpreted -= 1


class Plan:
    """The steps of a trace, for the results `held` and the inputs that may be overwritten."""

    def __init__(self, code: list[tuple], held: tuple[int, ...], donated: tuple[bool, ...]) -> None:
        self.held = held
        self.inputs = len(donated)
        self.runs = 0
        self.used = 0  # when the cache last gave it out
        self.linked: Callable | None = None
        self.native: Callable | None = None
        #: where all of it is native: (arrays, params, values) -> whether it ran and gave the values
        #: their arrays, which Ctrl-C cannot divide
        self.at_once: Callable | None = None
        self.compiler = Compiler(code, held, donated)
        #: it is soon over and overwrites no input: broken off, it is done again
        self.brief = not any(donated) and sum(_needed(code, held)) <= _BRIEF

    @functools.cached_property
    def steps(self) -> list[Step]:
        """What the interpreter does; of a family's plans it may do none."""
        compiler = self.compiler
        return _steps(compiler.code, compiler.held, compiler.donated)

    @functools.cached_property
    def by_lines(self) -> bool:
        """Whether NumPy's arrays are to begin with lines of the cache."""
        outs = [spec.out for spec, *_ in self.compiler.code if isinstance(spec, Spec)]
        metas = [m for out in outs for m in (out if isinstance(out, tuple) else (out,))]
        return worth_it(m.nbytes for m in metas)

    def run(self, arrays: list[np.ndarray], params: list) -> list:
        """The held results, in order. `arrays` is emptied so that inputs can die early."""
        self.runs += 1
        native = self.native
        if not hooks.interpreted:
            if native is None:
                native = self.native = self.compiler.step(self.runs, arrays, params)
                self.at_once = getattr(native, "at_once", None)
            if native is not None:
                results = native(arrays, params) or self.compiler.again(arrays, params)
                if results is not None:
                    return results
        elif native is not None and hooks.kernels is not None:
            return self._watched(arrays, params)
        if self.compiler.state == "compiling":
            with blas.alone():
                return self._by_numpy(arrays, params)
        return self._by_numpy(arrays, params)

    def _by_numpy(self, arrays: list[np.ndarray], params: list) -> list:
        """A run of the interpreter, or of what its steps were linked to."""
        linked = self.linked
        if linked is None and self.runs >= LINK_AT:
            linked = self.linked = link(self)
        if linked is not None and hooks.watch is None:
            return linked(arrays, params)
        return self.interpret(arrays, params, hooks.watch)

    def _watched(self, arrays: list[np.ndarray], params: list) -> list:
        """A native run, of whose kernels the profiler is told."""
        native = self.compiler.native
        before, begin = native.cycles(), perf_counter_ns()
        results = native.run(arrays, params) or self.compiler.again(arrays, params)
        if results is None:
            return self.interpret(arrays, params, hooks.watch)
        hooks.kernels(native, before, begin, perf_counter_ns())  # type: ignore[misc]
        return results

    def interpret(
        self, arrays: list[np.ndarray], params: list, watch: Callable[..., None] | None = None
    ) -> list:
        """Run step by step: the reference that everything faster is held against.

        `watch(step, result, begin)` is told of each step after it ran, with `perf_counter_ns()`
        before it.
        """
        env: dict[int, Any] = {~k: a for k, a in enumerate(arrays)}
        arrays.clear()
        for step in self.steps:
            args = [params[r - PARAM] if r >= PARAM else env[r] for r in step.refs]
            begin = 0 if watch is None else perf_counter_ns()
            try:
                out = step.out_from
                if out is None:
                    env[step.number] = step.fn(*args)
                elif isinstance(out, tuple):
                    buffers = tuple(None if r is None else env[r] for r in out)
                    env[step.number] = step.fn(*args, out=buffers)
                else:
                    env[step.number] = step.fn(*args, out=env[out])
            except Exception as error:
                error.instruction = step.number  # type: ignore[attr-defined]
                raise
            if watch is not None:
                watch(step, env[step.number], begin)
            del args
            for r in step.dead:
                del env[r]
        return [env[n] for n in self.held]


def _steps(code: list[tuple], held: tuple[int, ...], donated: tuple[bool, ...]) -> list[Step]:
    needed = _needed(code, held)
    steps = []
    for number, (spec, *refs) in enumerate(code):
        if needed[number]:
            steps.append(Step(spec, tuple(refs), number))
    _assign_lifetimes(steps, code, held, donated)
    return steps


def _picker(k: int) -> Callable:
    return lambda results: results[k]


def _needed(code: list[tuple], held: tuple[int, ...]) -> list[bool]:
    """Which instructions lead to a held result."""
    needed = [False] * len(code)
    for n in held:
        needed[n] = True
    for n in range(len(code) - 1, -1, -1):
        if needed[n]:
            for r in code[n][1:]:
                if 0 <= r < PARAM:
                    needed[r] = True
    return needed


def _assign_lifetimes(
    steps: list[Step], code: list[tuple], held: tuple[int, ...], donated: tuple[bool, ...]
) -> None:
    """Find, per step, what dies after it and whose buffer its result may take.

    A result may share memory with an operand (a window); such values form a family with the owner
    of the memory as its root, and the buffer can be reused only when the whole family is dead.
    """
    root: dict[int, int] = {~k: ~k for k in range(len(donated))}
    for step in steps:
        spec = code[step.number][0]
        shares = isinstance(spec, Pick) or spec.op.alias
        root[step.number] = root[step.refs[0]] if shares else step.number
    last: dict[int, int] = {}
    family_last: dict[int, int] = {}
    for position, step in enumerate(steps):
        for r in step.refs:
            if r < PARAM:
                last[r] = position
                family_last[root[r]] = position
    for n in held:
        last[n] = family_last[root[n]] = len(steps)
    for position, step in enumerate(steps):
        dead = {r for r in step.refs if r < PARAM and last[r] == position}
        if step.number not in last:
            dead.add(step.number)
        step.dead = tuple(dead)
        step.out_from = _reusable(step, position, code, root, family_last, donated)


def _reusable(
    step: Step,
    position: int,
    code: list[tuple],
    root: dict[int, int],
    family_last: dict[int, int],
    donated: tuple[bool, ...],
) -> int | tuple[int | None, ...] | None:
    """The operand whose buffer the step's result may take: it is whole, alike, and dies here."""
    spec = code[step.number][0]
    if isinstance(spec, Pick) or spec.op.out is None:
        return None

    def free(operand: int, out: Meta) -> bool:
        r = step.refs[operand]
        if r >= PARAM or root[r] != r or family_last[r] != position:
            return False
        if spec.metas[operand] is not out or _shared_by_another(step, r, root):
            return False
        return donated[~r] if r < 0 else code[r][0].op.fresh

    if spec.op.out == "each":
        found = tuple(
            step.refs[k]
            if out.ndim and step.refs.count(step.refs[k]) == 1 and free(k, out)
            else None
            for k, out in enumerate(spec.out)
        )
        return found if any(r is not None for r in found) else None
    if type(spec.out) is not Meta or not spec.out.ndim:
        return None
    operands = range(1 if spec.op.out == "first" else len(step.refs))
    # the youngest first: it is in this core's cache, where an input may lie in another's too, and
    # writing to that one was measured to cost up to 20 times as much
    for operand in sorted(operands, key=lambda k: -step.refs[k]):
        if free(operand, spec.out):
            return step.refs[operand]
    return None


def _shared_by_another(step: Step, r: int, root: dict[int, int]) -> bool:
    """Whether another operand of this step reads the same memory through a window."""
    return any(q != r and q < PARAM and root[q] == r for q in step.refs)


def link(plan: Plan) -> Callable[[list, list], list]:
    """The plan as one Python function: locals instead of a dictionary, no loop."""
    numbers: dict[int, int] = {}  # of the instructions, by their lines
    names: dict[str, Any] = {"numbers": numbers}
    lines = ["def run(arrays, params):", "    try:"]
    if plan.inputs:
        lines.append(f"        {', '.join(_name(~k) for k in range(plan.inputs))}, = arrays")
    lines.append("        arrays.clear()")
    for step in plan.steps:
        name = _name(step.number)
        if step.pick is not None:
            lines.append(f"        {name} = {_name(step.refs[0])}[{step.pick}]")
        else:
            names[f"f{step.number}"] = step.fn
            args = [f"params[{r - PARAM}]" if r >= PARAM else _name(r) for r in step.refs]
            taken = ["None" if r is None else _name(r) for r in step.taken()]
            if isinstance(step.out_from, tuple):
                args.append(f"out=({', '.join(taken)},)")
            elif step.out_from is not None:
                args.append(f"out={taken[0]}")
            elif _ARRAYS_OF_NO_AXES and _gives_scalars(step):
                args.append("out=...")
            lines.append(f"        {name} = f{step.number}({', '.join(args)})")
            numbers[len(lines)] = step.number
        gone = [r for r in step.dead if r not in step.taken()]
        if gone:
            lines.append(f"        {' = '.join(_name(r) for r in gone)} = None")
    lines += [
        f"        return [{', '.join(_name(n) for n in plan.held)}]",
        "    except Exception as error:",
        "        error.instruction = numbers.get(error.__traceback__.tb_lineno)",
        "        raise",
    ]
    exec(compile("\n".join(lines), "<bital plan>", "exec"), names)
    return names["run"]


def _takes_ellipsis() -> bool:
    """Whether NumPy's functions give arrays, not scalars, by `out=...` (from 2.3 on)."""
    try:
        return isinstance(np.negative(np.zeros(()), out=...), np.ndarray)
    except TypeError:
        return False


_ARRAYS_OF_NO_AXES = _takes_ellipsis()


def _gives_scalars(step: Step) -> bool:
    """Whether a step is a NumPy function whose result has no axes: an array costs it less."""
    if not isinstance(step.fn, np.ufunc) or isinstance(step.spec, Pick):
        return False
    out = step.spec.out
    return type(out) is Meta and not out.ndim


def _name(r: int) -> str:
    return f"v{r}" if r >= 0 else f"i{~r}"
