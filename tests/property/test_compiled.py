"""Random steps of training loops: interpreted, compiled and, where it is installed, under PyTorch.

    python -m tests.property.test_compiled [SECONDS] [SEED]

plays for as long as one likes and prints the shortest step of every kind of disagreement.
"""

import random
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bital import torch
from bital.runtime.plan import interpreted
from tests.property.compare import Disagreement
from tests.property.search import Game, search
from tests.property.steps import Step

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True, scope="module", params=["whole", "in chunks"])
def chunks(request):
    """Small tensors are worked on in one piece; here once also in as many as large ones are."""
    from bital.codegen import kernel
    from bital.plan import fuse

    with pytest.MonkeyPatch.context() as patch:
        if request.param == "in chunks":
            patch.setattr(kernel, "_CHUNK_NS", 30)
            patch.setattr(fuse, "_SPLIT_ELEMS", 48)
        yield


def drawn(pick, smooth: bool, length: int) -> Step:
    """A random step; what its lines would do is tried out without native code."""
    with interpreted(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = Step(pick, torch, smooth)
        for _ in range(length):
            step.add()
        step.probe.clear()
    return step


def compare(step: Step, oracle) -> None:
    """Run a step both ways, and under PyTorch unless that refuses it."""
    from tests.compiled import both

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with both(exact=not step.smooth):
            ours = step.run(torch)
        if oracle is None:
            return
        try:
            theirs = step.run(oracle)
        except Exception:
            return
    for mine, true in zip(ours, theirs, strict=True):
        for k, (a, b) in enumerate(zip(mine, true, strict=True)):
            scale = 0.0
            if step.smooth:
                scale = 1e-4 * max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0.0))
            if a.shape != b.shape or not np.allclose(a, b, rtol=scale, atol=scale, equal_nan=True):
                raise Disagreement(f"result {k} is {a.tolist()} for {b.tolist()}\n{step.text()}")


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.integers(2, 16))
def test_exact_steps(data, length):
    compare(drawn(lambda choices: data.draw(st.sampled_from(choices)), False, length), real())


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.integers(2, 12))
def test_smooth_steps(data, length):
    compare(drawn(lambda choices: data.draw(st.sampled_from(choices)), True, length), real())


def real():
    """PyTorch where it is installed, else None."""
    try:
        import torch as oracle
    except ImportError:
        return None
    return None if "bital" in oracle.__version__ else oracle


def complaint(step: Step) -> str | None:
    """What goes wrong with a step, or None."""
    try:
        compare(step, real())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def play(dice: random.Random) -> Game:
    """A random step, smooth or exact."""
    step = drawn(dice.choice, dice.random() < 0.25, dice.randint(2, 16))
    return Game([step.lines], step.text, lambda: complaint(step))


if __name__ == "__main__":
    search(play)
