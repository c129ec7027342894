"""Budget: which plans are compiled, so that ever changing programs cause no storm of compiling.

Room: runtime. Only so many plans are on their way to native code at a time; one that does not come
back loses its place. The first ones are compiled for nothing, each further one when native runs or
its own runs have paid for it: where shapes are met a few times only, compiling stops. Runs are
counted and nothing is timed, so that a program's plans become native at the same runs every time.
"""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakSet

#: plans on their way at a time, and runs of other plans until one that is away loses its place
_PLACES, _AWAY = 32, 512
#: plans that are compiled for nothing, native runs that pay for another one, and its own that do
_FREE, _RUNS, _OWN = 64, 50, 100


class Budget:
    """What has been spent and earned; `waiting` tells when those on their way were last run."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: dict[Any, int] = {}
        self.now = 0
        self.spent = 0
        self.natives: WeakSet[Any] = WeakSet()
        self.past_runs = 0  # of native code that is no more

    def admits(self, compiler: Any, run: int) -> bool:
        """Whether a plan may be compiled at its `run`; it then has a place until it is native."""
        with self.lock:
            self.now += 1
            if len(self.waiting) >= _PLACES:
                away = min(self.waiting, key=self.waiting.__getitem__)
                if self.now - self.waiting[away] < _AWAY:
                    return False
                del self.waiting[away]
                away.cancel()
            runs = self.past_runs + sum(native.clock[0] for native in self.natives)
            if self.spent >= _FREE + runs // _RUNS and run < _OWN:
                return False
            self.spent += 1
            self.waiting[compiler] = self.now
            return True

    def runs(self, compiler: Any) -> None:
        """A plan on its way is run."""
        with self.lock:
            self.now += 1
            if compiler in self.waiting:
                self.waiting[compiler] = self.now

    def ends(self, compiler: Any, native: Any = None) -> None:
        """A plan is on its way no longer; `native` is its code if it has become native."""
        with self.lock:
            self.waiting.pop(compiler, None)
            if native is not None:
                self.natives.add(native)

    def forgets(self, native: Any) -> None:
        """Native code leaves with its plan; the runs it had go on counting."""
        with self.lock:
            if native in self.natives:
                self.natives.discard(native)
                self.past_runs += native.clock[0]

    def after_fork(self) -> None:
        """In a child nobody holds the lock."""
        self.lock = threading.Lock()


budget = Budget()
