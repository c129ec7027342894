"""Random training loops: interpreted, compiled on one thread and on two, and under PyTorch.

    python -m tests.property.test_loops [SECONDS] [SEED]

plays for as long as one likes and prints the shortest loop of every kind of disagreement.
"""

import random
import traceback
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bital import torch
from bital.base import config
from tests.plan.sound import Sound
from tests.property.compare import Disagreement
from tests.property.loops import Loop
from tests.property.search import Game, search
from tests.property.test_compiled import real

pytest.importorskip("llvmlite")

#: iterations: the third run of a plan begins to compile it, here the fifth one is native
TIMES = 16
LIMITS = {"float32": 2e-3, "float64": 1e-8}


@contextmanager
def eager_compiler(chunks: bool):
    """Plans are native early, and where `chunks` in as many pieces as large ones have."""
    from bital.codegen import generate, kernel, module, products, split, steps
    from bital.plan import fuse
    from bital.runtime import budget, compile, executor, families

    fresh = budget.Budget()
    with pytest.MonkeyPatch.context() as patch, config.override(cache=False):
        for place in (compile, families, executor):
            patch.setattr(place, "budget", fresh)
        patch.setattr(compile, "SWITCH", 5)
        patch.setattr(compile, "_say", fail)
        patch.setattr(generate, "Fusion", Sound)
        patch.setattr(steps, "Fusion", Sound)
        if chunks:
            patch.setattr(kernel, "_CHUNK_NS", 30)
            patch.setattr(fuse, "_SPLIT_ELEMS", 48)
            patch.setattr(module, "_TOGETHER_NS", 0)
            patch.setattr(split, "CYCLES_PER_NS", 0.01)
            patch.setattr(products, "_MEETING", 0)
            patch.setattr(products, "_SHORTEST", 8)
        forget()
        yield
        forget()


def fail(error: Exception) -> None:
    """A plan could not be compiled."""
    raise error


def forget() -> None:
    """What is known of programs."""
    from bital.codegen import split
    from bital.runtime import executor, families

    split.split.cache_clear()
    executor.cache.plans.clear()
    executor.tree.clear()
    families.families.clear()
    torch.zeros(2).neg().tolist()  # this thread's trace begins in the new tree


def compiled(loop: Loop, chunks: bool, threads: int) -> list[np.ndarray]:
    """What the loop gives with native code."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with eager_compiler(chunks):
            return loop.run(torch, TIMES)
    finally:
        torch.set_num_threads(before)


def compare(loop: Loop, oracle, chunks: bool) -> None:
    """Run the loop in all ways."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with config.override(compile="never"):
            interpreted = loop.run(torch, TIMES)
        one, two = compiled(loop, chunks, 1), compiled(loop, chunks, 2)
        sides = {"interpreted": interpreted}
        if oracle is not None:
            sides["PyTorch"] = loop.run(oracle, TIMES)
    if any(a.tobytes() != b.tobytes() for a, b in zip(one, two, strict=True)):
        raise Disagreement(f"two threads, chunks {chunks}\n{loop.dtype} {loop.text()}")
    limit = LIMITS[loop.dtype]
    for name, side in sides.items():
        for k, (a, b) in enumerate(zip(one, side, strict=True)):
            scale = limit * max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0.0))
            if a.shape != b.shape or not np.allclose(a, b, rtol=limit, atol=scale, equal_nan=True):
                gap = np.abs(a - b).max() if a.shape == b.shape else "shape"
                raise Disagreement(
                    f"{name}: result {k} of {len(one)}, {gap}, chunks {chunks}\n"
                    f"{loop.dtype} {loop.text()}"
                )


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.integers(1, 6), st.booleans())
def test_loops(data, length, chunks):
    compare(Loop(lambda choices: data.draw(st.sampled_from(choices)), length), real(), chunks)


def complaint(loop: Loop, chunks: bool) -> str | None:
    """What goes wrong with a loop, or None."""
    try:
        compare(loop, real(), chunks)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {where.name}: {error}"
    return None


def play(dice: random.Random) -> Game:
    """A random loop, cut in chunks or not."""
    loop, chunks = Loop(dice.choice, dice.randint(1, 9)), dice.random() < 0.7
    return Game([loop.lines, loop.before], loop.text, lambda: complaint(loop, chunks))


if __name__ == "__main__":
    search(play)
