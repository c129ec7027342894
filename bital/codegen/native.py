"""Native: a compiled plan, from the disk or generated now.

Room: codegen. What was compiled before is loaded without lowering anything: on the disk is all that
a run needs. What people look at is generated again when they do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bital.codegen import background, cache, jit, llvm, threads
from bital.codegen.form import Form
from bital.codegen.runner import runner
from bital.ir.task import Task

if TYPE_CHECKING:
    from bital.codegen.generate import Generated
    from bital.codegen.module import Call


class Native:
    """A compiled plan: `run(arrays, params)` as Plan's."""

    def __init__(self, task: Task) -> None:
        begin = perf_counter()
        self.task = task
        key = cache.key_of_plan(task)
        form, self.library = (_stored(key) if key else None) or self._made(key)
        self.bounds = bounds = task.bounds  # of the size that changes, if one does
        if bounds is not None:
            bounds.least, bounds.most, left_out = form.bounds
            bounds.left_out.update(left_out)
        #: that it works in, beside inputs and results
        self.nbytes = form.arena_bytes + (form.arena_unit * bounds.hint if bounds else 0)
        self._regions = form.first_param
        self.empty = not form.results
        #: native runs so far, and their nanoseconds
        self.clock = [0, 0]
        #: numbers for compiled code (see module), for each run that is going on at a time
        self.tables: list[Any] = []
        self.run = runner(form, self.library, task.code, bounds, self.clock, self.tables)
        #: that it took to make
        self.seconds = perf_counter() - begin

    @functools.cached_property
    def generated(self) -> Generated:
        """What the trace becomes, for people: nothing of it is kept until they look."""
        return self._generate()

    @property
    def calls(self) -> list[Call]:
        """Its kernels as they are called, in order."""
        return self.generated.calls

    @property
    def text(self) -> str:
        """The LLVM IR."""
        return self.generated.text

    def cycles(self) -> list[int]:
        """Per region (see module) the processor's cycles so far, all threads' runs together."""
        return [sum(clocks) for clocks in zip(*[t[1 : self._regions] for t in self.tables])]

    def _generate(self, use: Callable[[str], object] = lambda part: None) -> Generated:
        return _generator()(self.task, use)

    def _made(self, key: bytes | None) -> tuple[Form, jit.Library]:
        """Generated now; compiled where the disk has nothing of the text either."""
        pool = background.offer(threads.address)  # LLVM is loaded for it, while text is written
        with jit.Building() as building:
            try:
                generated = self._generate(building.add)
                library = building.library()
            finally:
                pool.cancel()
        packed = generated.form._replace(texts=[key.hex() for key in library.keys]).pack()
        if key:
            cache.put(key, [packed])
        return Form.unpack(packed), library


def _generator() -> type[Generated]:
    """What generates; a fork waits while it is imported, since a child would wait for that."""
    with llvm.seat():
        from bital.codegen.generate import Generated
    return Generated


def _stored(key: bytes) -> tuple[Form, jit.Library] | None:
    """What the disk has of a plan, without generating anything."""
    packed = cache.get(key)
    if packed is None:
        return None
    form = Form.unpack(packed[0])
    library = jit.stored([*map(bytes.fromhex, form.texts)])
    return None if library is None else (form, library)
