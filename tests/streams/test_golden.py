"""Stream against stored numbers of PyTorch's CPU generator; PyTorch is not needed.

`tests/golden/make_streams.py` wrote them, in one run through all draws without reseeding.
"""

import numpy as np
import pytest

from bital.streams import Stream
from tests.golden.make_streams import FILE, SEED, SIZES
from tests.streams.table import EACH, IDS, assert_same, numpy_dtype


@pytest.fixture(scope="module")
def stored():
    with np.load(FILE) as file:
        return dict(file)


def without_kept(state: np.ndarray) -> np.ndarray:
    """A state less the kept normal number, which may differ in its last places."""
    return np.delete(state, np.s_[5024:5032])


def test_one_run(stored):
    stream = Stream(SEED)
    assert np.array_equal(stream.get_state(), stored["state before"])
    for n in SIZES:
        for (draw, dtype), name in zip(EACH, IDS, strict=True):
            theirs = stored[f"{name}-{n}"]
            ours = draw.ours(stream, n, numpy_dtype(dtype))
            if ours.dtype.name == "bfloat16":  # stored by its bits
                theirs = theirs.view(ours.dtype)
            assert_same(ours, theirs, draw.exact, name)
        assert np.array_equal(
            without_kept(stream.get_state()), without_kept(stored[f"state after {n}"])
        )
    stream.normal(3)
    assert np.array_equal(
        without_kept(stream.get_state()), without_kept(stored["state with a kept number"])
    )


def test_states_come_back_unchanged(stored):
    names = [name for name in stored if name.startswith("state")]
    assert len(names) == len(SIZES) + 2
    for name in names:
        assert np.array_equal(Stream(1).set_state(stored[name]).get_state(), stored[name])


def test_goes_on_from_a_stored_state(stored):
    stream = Stream(1).set_state(stored[f"state after {SIZES[0]}"])
    theirs = stored[f"{IDS[0]}-{SIZES[1]}"]
    assert np.array_equal(stream.uniform(SIZES[1]), theirs)
