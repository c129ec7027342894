"""Stream against the real PyTorch, draw by draw and in mixtures."""

import random

import numpy as np
import pytest

from bital.streams import Stream
from tests.streams.table import EACH, IDS, SIZES, assert_same, numpy_dtype, to_numpy


@pytest.fixture(scope="module")
def foreign(oracle):
    """The draws for which this PyTorch takes one word to seed a stream of MKL's (on Intel
    processors), instead of two words a number."""

    def words_for(fill: str) -> int:
        generator = oracle.Generator().manual_seed(0)
        getattr(oracle.empty(10), fill)(0.5, generator=generator)
        return int(generator.get_state().numpy()[16:24].view(np.uint64)[0])

    names = {fill for fill in ("bernoulli_", "exponential_") if words_for(fill) != 20}
    if "exponential_" in names:
        names |= {draw.name for draw, _ in EACH if draw.name.startswith("multinomial")}
    return names


@pytest.mark.parametrize(("draw", "dtype"), EACH, ids=IDS)
def test_draw(oracle, foreign, draw, dtype):
    if draw.name in foreign:
        pytest.skip("this PyTorch draws these numbers from MKL's stream")
    for n in SIZES:
        generator, stream = oracle.Generator().manual_seed(100 + n), Stream(100 + n)
        theirs = to_numpy(oracle, draw.theirs(oracle, generator, n, getattr(oracle, dtype)))
        ours = draw.ours(stream, n, numpy_dtype(dtype))
        assert_same(ours, theirs, draw.exact, f"n = {n}")
        if draw.exact:
            assert np.array_equal(stream.get_state(), generator.get_state().numpy()), n


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63, 2**64 - 1])
def test_mixture(oracle, foreign, seed):
    """Any order of draws leaves both at the same place, and a state goes both ways at any time."""
    order = random.Random(seed)
    generator, stream = oracle.Generator().manual_seed(seed), Stream(seed)
    for _ in range(60):
        draw, dtype = order.choice([each for each in EACH if each[0].name not in foreign])
        n = order.choice(SIZES)
        theirs = to_numpy(oracle, draw.theirs(oracle, generator, n, getattr(oracle, dtype)))
        ours = draw.ours(stream, n, numpy_dtype(dtype))
        assert_same(ours, theirs, draw.exact, f"{draw.name} {dtype} {n}")
        state = generator.get_state().numpy()
        # Only the kept normal number (bytes 5024 to 5032) may differ in its last places.
        assert np.array_equal(np.delete(stream.get_state(), np.s_[5024:5032]),
                              np.delete(state, np.s_[5024:5032]))  # fmt: skip
        action = order.randrange(4)
        if action == 0:
            stream = Stream(3).set_state(state)
            assert np.array_equal(stream.get_state(), state)
        elif action == 1:
            generator = oracle.Generator()
            generator.set_state(oracle.from_numpy(stream.get_state()))
        elif action == 2:
            stream = stream.clone()


def test_uniform_of_many_bounds(oracle):
    """Both sides multiply and add with a single rounding."""
    bounds = random.Random(5)
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        for _ in range(20):
            low = bounds.uniform(-10, 10)
            high = low + bounds.choice([0.0, 1e-3, 0.1, 1.0, 77.7])
            generator, stream = oracle.Generator().manual_seed(9), Stream(9)
            theirs = oracle.empty(999, dtype=getattr(oracle, dtype))
            theirs.uniform_(low, high, generator=generator)
            ours = stream.uniform(999, numpy_dtype(dtype), low, high)
            assert_same(ours, to_numpy(oracle, theirs), True, f"{dtype} [{low}, {high})")


def test_dropout_keeps_what_bernoulli_says(oracle, foreign):
    if "bernoulli_" in foreign:
        pytest.skip("this PyTorch draws Bernoulli trials from MKL's stream")
    oracle.manual_seed(4)
    kept = oracle.nn.functional.dropout(oracle.ones(500), 0.3).numpy() != 0
    assert np.array_equal(kept, Stream(4).bernoulli(500, np.bool_, 1 - 0.3))


@pytest.mark.parametrize("size", [(7, 5), (1, 20), (20, 1)])
def test_normal_of_broadcast_tensors(oracle, size):
    rows, columns = size
    mean = np.linspace(-1, 1, rows, dtype=np.float32).reshape(rows, 1)
    std = np.linspace(0, 2, columns, dtype=np.float64)
    generator, stream = oracle.Generator().manual_seed(2), Stream(2)
    theirs = oracle.normal(
        oracle.from_numpy(mean), oracle.from_numpy(std), generator=generator
    ).numpy()
    assert_same(stream.normal_with(mean, std), theirs, True, "")


WRONG = [
    ("rand(3, dtype=T.int32)", lambda s: s.uniform(3, np.int32)),
    ("randn(3, dtype=T.bool)", lambda s: s.normal(3, np.bool_)),
    ("empty(3).uniform_(2, 1)", lambda s: s.uniform(3, np.float32, 2, 1)),
    ("empty(3, dtype=T.half).uniform_(0, 1e6)", lambda s: s.uniform(3, np.float16, 0, 1e6)),
    ("empty(3, dtype=T.half).uniform_(-60000, 60000)",
     lambda s: s.uniform(3, np.float16, -60000, 60000)),
    ("empty(3).normal_(0, -1)", lambda s: s.normal(3, np.float32, 0, -1)),
    ("normal(T.zeros(2), T.tensor([1.0, -1.0]))",
     lambda s: s.normal_with(np.zeros(2, np.float32), np.array([1, -1], np.float32))),
    ("empty(3).log_normal_(0, 0)", lambda s: s.log_normal(3, np.float32, 0, 0)),
    ("empty(3).exponential_(0)", lambda s: s.exponential(3, np.float32, 0)),
    ("empty(3, dtype=T.int64).exponential_()", lambda s: s.exponential(3, np.int64)),
    ("empty(3).cauchy_(0, 0)", lambda s: s.cauchy(3, np.float32, 0, 0)),
    ("empty(3, dtype=T.int64).cauchy_()", lambda s: s.cauchy(3, np.int64)),
    ("empty(3).geometric_(1.0)", lambda s: s.geometric(3, np.float32, 1.0)),
    ("empty(3, dtype=T.bool).geometric_(0.5)", lambda s: s.geometric(3, np.bool_, 0.5)),
    ("empty(3).bernoulli_(1.5)", lambda s: s.bernoulli(3, np.float32, 1.5)),
    ("bernoulli(T.tensor([1, 0]))", lambda s: s.bernoulli(2, np.int64, np.array([1, 0]))),
    ("randint(5, 5, (2,))", lambda s: s.random_int(2, np.int64, 5, 5)),
    ("randint(0, 300, (2,), dtype=T.uint8)", lambda s: s.random_int(2, np.uint8, 0, 300)),
    ("randint(0, 70000, (2,), dtype=T.half)", lambda s: s.random_int(2, np.float16, 0, 70000)),
    ("randint(-1, 2, (2,), dtype=T.uint16)", lambda s: s.random_int(2, np.uint16, -1, 2)),
    ("randint(0, 3, (2,), dtype=T.complex64)", lambda s: s.random_int(2, np.complex64, 0, 3)),
    ("empty(2, dtype=T.uint64).random_(1, None)", lambda s: s.random_int(2, np.uint64, 1)),
    ("empty(2, dtype=T.int32).random_(-(2**63), None)",
     lambda s: s.random_int(2, np.int32, -(2**63))),
    ("empty(2, dtype=T.uint16).random_()", lambda s: s.random_full(2, np.uint16)),
    ("randperm(-1)", lambda s: s.permutation(-1)),
    ("randperm(300, dtype=T.uint8)", lambda s: s.permutation(300, np.uint8)),
    ("randperm(3000, dtype=T.half)", lambda s: s.permutation(3000, np.float16)),
    ("randperm(4, dtype=T.bool)", lambda s: s.permutation(4, np.bool_)),
    ("multinomial(T.zeros(4), 3)", lambda s: s.multinomial(np.zeros(4, np.float32), 3)),
    ("multinomial(T.tensor([0.1, -1]), 1)",
     lambda s: s.multinomial(np.array([0.1, -1], np.float32), 1)),
    ("multinomial(T.tensor([0.1, -1]), 2, True)",
     lambda s: s.multinomial(np.array([0.1, -1], np.float32), 2, True)),
    ("multinomial(T.ones(4), 0)", lambda s: s.multinomial(np.ones(4, np.float32), 0)),
    ("multinomial(T.ones(4), 5)", lambda s: s.multinomial(np.ones(4, np.float32), 5)),
    ("multinomial(T.ones(4, dtype=T.int32), 1)",
     lambda s: s.multinomial(np.ones(4, np.int32), 1)),
    ("multinomial(T.ones(4, 1, 1), 1)", lambda s: s.multinomial(np.ones((4, 1, 1)), 1)),
    ("poisson(T.tensor([-1.0]))", lambda s: s.poisson(np.array([-1.0], np.float32))),
    ("poisson(T.tensor([1]))", lambda s: s.poisson(np.array([1]))),
    ("Generator().manual_seed(2**64)", lambda s: s.manual_seed(2**64)),
    ("Generator().manual_seed(-(2**63) - 1)", lambda s: s.manual_seed(-(2**63) - 1)),
    ("Generator().manual_seed(1.5)", lambda s: s.manual_seed(1.5)),
    ("Generator().manual_seed(True)", lambda s: s.manual_seed(True)),
    ("Generator().set_state(T.zeros(3, dtype=T.uint8))",
     lambda s: s.set_state(np.zeros(3, np.uint8))),
    ("Generator().set_state(T.zeros(5056))", lambda s: s.set_state(np.zeros(5056))),
    ("Generator().set_state(T.zeros(5056, dtype=T.uint8))",
     lambda s: s.set_state(np.zeros(5056, np.uint8))),
]  # fmt: skip


@pytest.mark.parametrize(("call", "ours"), WRONG, ids=[call for call, _ in WRONG])
def test_error(oracle, call, ours):
    """The class of PyTorch's error, and its message."""
    with pytest.raises(Exception) as theirs:
        eval(f"T.{call}", {"T": oracle})
    with pytest.raises(theirs.type) as raised:
        ours(Stream(0))
    assert raised.type is theirs.type
    assert str(raised.value) == str(theirs.value).split("\n")[0]
