"""Stream by itself: seeds, states, copies, and that draws do not depend on how they are cut."""

import copy
import pickle
import threading

import numpy as np
import pytest

from bital.streams import DEFAULT_SEED, Stream
from bital.streams.mt19937 import BLOCK_WORDS, Engine


def test_seeds():
    assert Stream().initial_seed() == DEFAULT_SEED
    stream = Stream(5)
    assert stream.manual_seed(-1) is stream
    assert stream.initial_seed() == 2**64 - 1
    assert stream.manual_seed(np.int64(7)).initial_seed() == 7
    drawn = stream.seed()
    assert drawn == stream.initial_seed()
    assert drawn != stream.seed()


def test_only_the_low_32_bits_of_a_seed_matter():
    assert np.array_equal(Stream(3).uniform(9), Stream(3 + 2**32).uniform(9))


@pytest.mark.parametrize("copied", [Stream.clone, copy.deepcopy,
                                    lambda s: pickle.loads(pickle.dumps(s))])  # fmt: skip
@pytest.mark.parametrize("drawn", [0, 1, 623, 624, 625, 2000])
def test_copies_go_on_alike_and_alone(copied, drawn):
    stream = Stream(11)
    stream.uniform(drawn)
    stream.normal(3)
    other = copied(stream)
    assert np.array_equal(other.get_state(), stream.get_state())
    assert np.array_equal(other.normal(4), stream.normal(4))
    place = stream.get_state()
    other.uniform(1000)
    assert np.array_equal(stream.get_state(), place)


def test_seeding_forgets_the_kept_normal_number():
    stream = Stream(1)
    first = stream.normal(1)
    stream.manual_seed(1)
    assert stream.normal(1) == first


@pytest.mark.parametrize("cut", [1, 2, 7, 100, 623, 624, 625, 1248, 1249])
def test_words_do_not_depend_on_the_cut(cut):
    whole, pieces = Engine(), Engine()
    whole.seed(1)
    pieces.seed(1)
    words = whole.words(3 * BLOCK_WORDS + 50).copy()
    made = [pieces.words(min(cut, words.size - at)).copy() for at in range(0, words.size, cut)]
    assert np.array_equal(np.concatenate(made), words)
    assert all(np.array_equal(a, b) for a, b in zip(pieces.place(), whole.place(), strict=True))


def test_words_are_numpys():
    engine = Engine()
    engine.seed(42)
    theirs = np.random.RandomState(42).randint(0, 2**32, 2000, dtype=np.uint32)
    assert np.array_equal(engine.words(2000), theirs)


def test_results_are_fresh():
    """Writing to a result must not reach the words that are still to come."""
    stream, other = Stream(2), Stream(2)
    for draw in (
        lambda s: s.random_int(5, np.uint32, 0, 2**27),
        lambda s: s.random_full(5, np.int32),
        lambda s: s.uniform(5),
        lambda s: s.permutation(5),
    ):
        draw(stream)[:] = 0
        draw(other)
    assert np.array_equal(stream.uniform(700), other.uniform(700))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 64, 65, 66, 5000])
def test_permutation_holds_every_number(n):
    assert np.array_equal(np.sort(Stream(n).permutation(n)), np.arange(n))


def test_nothing_drawn_costs_nothing():
    stream = Stream(0)
    place = stream.get_state()
    for draw in (stream.uniform, stream.normal, stream.random_int, stream.random_full,
                 stream.permutation, stream.bernoulli, stream.exponential, stream.geometric,
                 stream.cauchy, stream.log_normal):  # fmt: skip
        assert draw(0, high=3).size == 0 if draw == stream.random_int else draw(0).size == 0
    assert stream.multinomial(np.ones((0, 3), np.float32), 2).shape == (0, 2)
    assert np.array_equal(stream.get_state(), place)


def test_warns_where_a_dtype_has_gaps():
    with pytest.warns(UserWarning, match=r"out of bounds \[-\(2\^11\), 2\^11\]"):
        Stream(0).random_int(3, np.float16, 0, 5000)


def test_threads_share_a_stream():
    """Together they draw the numbers that one would have drawn."""
    stream, parts = Stream(8), []
    work = [threading.Thread(target=lambda: parts.append(stream.random_full(6240, np.int32)))
            for _ in range(4)]  # fmt: skip
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    together = np.sort(np.concatenate(parts))
    assert np.array_equal(together, np.sort(Stream(8).random_full(4 * 6240, np.int32)))
