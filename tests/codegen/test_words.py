"""Builder's words against NumPy's functions: every kind, scalars and vectors, edges of values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code needs llvmlite")

from bital.codegen.scalar import Builder, Reg
from bital.codegen.target import host, named
from tests.codegen.written import DTYPES, Written

FLOATS = ("f32", "f64")
SIGNED = ("i8", "i16", "i32", "i64")
INTEGERS = (*SIGNED, "u8")
LANES = pytest.mark.parametrize("lanes", [1, 4, 16])

#: word -> its kinds, NumPy's function
UNARY = {
    "neg": (FLOATS + INTEGERS, np.negative),
    "abs": (FLOATS + INTEGERS, np.abs),
    "sqrt": (FLOATS, np.sqrt),
    "floor": (FLOATS, np.floor),
    "ceil": (FLOATS, np.ceil),
    "trunc": (FLOATS, np.trunc),
    "rint": (FLOATS, np.rint),
    "isnan": (FLOATS, np.isnan),
    "invert": ((*INTEGERS, "i1"), np.invert),
}
BINARY = {
    "add": (FLOATS + INTEGERS, np.add),
    "sub": (FLOATS + INTEGERS, np.subtract),
    "mul": (FLOATS + INTEGERS, np.multiply),
    "div": (FLOATS, np.divide),
    "copysign": (FLOATS, np.copysign),
    "maximum": (FLOATS + INTEGERS, np.maximum),
    "minimum": (FLOATS + INTEGERS, np.minimum),
    "lt": (FLOATS + INTEGERS, np.less),
    "le": (FLOATS + INTEGERS, np.less_equal),
    "gt": (FLOATS + INTEGERS, np.greater),
    "ge": (FLOATS + INTEGERS, np.greater_equal),
    "eq": ((*FLOATS, *INTEGERS, "i1"), np.equal),
    "ne": ((*FLOATS, *INTEGERS, "i1"), np.not_equal),
    "both": ((*INTEGERS, "i1"), np.bitwise_and),
    "either": ((*INTEGERS, "i1"), np.bitwise_or),
    "xor": ((*INTEGERS, "i1"), np.bitwise_xor),
}
CASES = [
    pytest.param(word, kind, id=f"{word}-{kind}")
    for table in (UNARY, BINARY)
    for word, (kinds, _) in table.items()
    for kind in kinds
]


def edges(kind: str) -> np.ndarray:
    """Values where something may go wrong, and some others."""
    dtype = np.dtype(DTYPES[kind])
    rng = np.random.default_rng(3)
    if kind == "i1":
        return np.array([False, True, True, False])
    if kind in FLOATS:
        limits = np.finfo(dtype)
        special = [0, 0.5, 1, 1.5, 2.5, 2**23 + 1, 2**31, 1e20, np.inf, limits.max, limits.tiny]
        special += [limits.smallest_subnormal, *rng.normal(0, 10, 5)]
        return np.array([np.nan, *special, *(-np.array(special))], dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    some = rng.integers(low, high, 6, dtype)
    return np.array([low, low + 1, 0, 1, 2, 7, high - 1, high, *some], dtype)


def pairs(kind: str) -> list[np.ndarray]:
    """Every value at an edge with every other."""
    return [a.ravel() for a in np.meshgrid(edges(kind), edges(kind))]


def same(got: np.ndarray, want: np.ndarray) -> None:
    """Equal to the bit, but for what kind of NaN it is."""
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    if got.dtype.kind == "f":
        there = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[there]), np.signbit(want[there]))


@LANES
@pytest.mark.parametrize(("word", "kind"), CASES)
def test_words(word, kind, lanes):
    unary = word in UNARY
    function = (UNARY if unary else BINARY)[word][1]
    operands = [edges(kind)] if unary else pairs(kind)
    if word in ("maximum", "minimum") and not host().is_x86:  # of two zeros it takes x86's
        fine = (operands[0] != 0) | (operands[1] != 0)
        operands = [x[fine] for x in operands]
    written = Written(lambda b, *xs: getattr(b, word)(*xs), (kind,) * len(operands), lanes)
    with np.errstate(all="ignore"):
        same(written(*operands), function(*operands))


@LANES
@pytest.mark.parametrize("kind", FLOATS)
def test_fma_rounds_once(kind, lanes):
    x, y = (a[np.isfinite(a)] for a in np.random.default_rng(2).normal(size=(2, 50)))
    x, y = x.astype(DTYPES[kind]), y.astype(DTYPES[kind])
    got = Written(lambda b, x, y: b.fma(x, y, b.neg(b.mul(x, y))), (kind, kind), lanes)(x, y)
    assert np.abs(got).max() > 0  # what rounding the product left out
    if kind == "f32":
        exact = x.astype(np.float64) * y
        same(got, (exact - (x * y)).astype(np.float32))


@pytest.mark.skipif(not host().is_x86, reason="only x86 has processors without fma")
@LANES
@pytest.mark.parametrize("kind", FLOATS)
def test_fma_without_an_instruction_for_it(kind, lanes):
    fma = Written(lambda b, *xyz: b.fma(*xyz), (kind,) * 3, lanes, named("x86-64-v2"))
    rng, dtype = np.random.default_rng(3), DTYPES[kind]
    x, y = rng.normal(size=(2, 300)).astype(dtype)
    z = np.append(rng.normal(size=200), -x[200:] * y[200:]).astype(dtype)  # 100 nearly cancel
    exact = [Fraction(a) * Fraction(b) + Fraction(c) for a, b, c in np.stack([x, y, z], 1).tolist()]
    same(fma(x, y, z), np.array([float(number) for number in exact]).astype(dtype))
    x, y = pairs(kind)
    z = np.resize([0, -0.0, 1, np.inf, -np.inf, np.nan], len(x)).astype(dtype)
    with np.errstate(all="ignore"):
        twice = (x.astype(np.float64) * y + z).astype(dtype)
    got, limits = fma(x, y, z), np.finfo(dtype)
    np.testing.assert_allclose(got, twice, rtol=limits.eps, atol=limits.tiny)
    same(np.signbit(got[twice == 0]), np.signbit(twice[twice == 0]))


@LANES
@pytest.mark.parametrize("kind", [*FLOATS, *INTEGERS])
def test_remainders_have_the_sign_of_the_first(kind, lanes):
    x, y = pairs(kind)
    # the processor stops at 0, and at the least integer by -1
    fine = (y != 0) & ~((x == np.min(x)) & (y == DTYPES[kind](-1))) if kind in SIGNED else y != 0
    x, y = x[fine], y[fine]
    with np.errstate(all="ignore"):
        same(Written(lambda b, x, y: b.rem(x, y), (kind, kind), lanes)(x, y), np.fmod(x, y))


@LANES
@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("word", ["shl", "shr"])
def test_shifts(word, kind, lanes):
    bits = 8 * DTYPES[kind]().nbytes
    x, count = (a.ravel() for a in np.meshgrid(edges(kind), np.arange(bits, dtype=DTYPES[kind])))
    function = np.left_shift if word == "shl" else np.right_shift
    same(Written(lambda b, *xs: getattr(b, word)(*xs), (kind, kind), lanes)(x, count),
         function(x, count))  # fmt: skip


@LANES
@pytest.mark.parametrize("kind", [*FLOATS, *INTEGERS])
def test_a_choice_takes_the_value_as_it_is(kind, lanes):
    x, y = pairs(kind)
    choose = np.random.default_rng(0).random(len(x)) < 0.5
    got = Written(lambda b, c, x, y: b.select(c, x, y), ("i1", kind, kind), lanes)(choose, x, y)
    same(got, np.where(choose, x, y))


@LANES
@pytest.mark.parametrize("to", [*FLOATS, *INTEGERS, "i1"])
@pytest.mark.parametrize("kind", [*FLOATS, *INTEGERS, "i1"])
def test_casts(kind, to, lanes):
    x = edges(kind)
    if kind in FLOATS and to in INTEGERS:
        x = x[(x > (-1 if to == "u8" else -128)) & (x < 128)]
    with np.errstate(all="ignore"):
        want = x.astype(DTYPES[to])
    same(Written(lambda b, x: b.cast(x, to), (kind,), lanes)(x), want)


@LANES
@pytest.mark.parametrize("to", INTEGERS)
@pytest.mark.parametrize("kind", FLOATS)
def test_casts_beyond_the_range(kind, to, lanes):
    torch = pytest.importorskip("torch", reason="PyTorch says what such a cast gives")
    if not host().is_x86:
        pytest.skip("what such a cast gives is the processor's choice")
    far = [127, 128, 255, 300, -129, -300, 32768, 65543, 2.0**31 + 5, 2.0**32 + 5, 2.0**63, 1e20]
    x = np.array(far + [-v for v in far] + [np.nan, np.inf, -np.inf], DTYPES[kind])
    want = torch.from_numpy(x).to(getattr(torch, np.dtype(DTYPES[to]).name)).numpy()
    same(Written(lambda b, x: b.cast(x, to), (kind,), lanes)(x), want)


@LANES
@pytest.mark.parametrize(("kind", "to"), [("f32", "i32"), ("i64", "f64"), ("i16", "f16")])
def test_bits_are_kept(kind, to, lanes):
    x = edges(kind)
    got = Written(lambda b, x: b.bits(x, to), (kind,), lanes)(x)
    np.testing.assert_array_equal(got.view(x.dtype), x)


@LANES
def test_a_scalar_meets_a_vector(lanes):
    x = edges("f32")
    with np.errstate(all="ignore"):
        got = Written(lambda b, x: b.sub(b.const("f32", 3), x), ("f32",), lanes)(x)
        same(got, np.float32(3) - x)
        got = Written(lambda b, x: b.add(x, b.lane(x, 0)), ("f32",), lanes)(x)
        first = np.repeat(x[::lanes], lanes)[: len(x)]
        same(got, x + first)


@pytest.mark.parametrize("lanes", [2, 4, 16])
def test_words_across_lanes(lanes):
    x = np.random.default_rng(1).integers(-99, 99, 4 * lanes).astype(np.int32)
    rows = x.reshape(-1, lanes)
    for word, of in (("add", np.sum), ("maximum", np.max), ("minimum", np.min)):
        got = Written(lambda b, x, w=word: b.splat(b.across(w, x), lanes), ("i32",), lanes)(x)
        np.testing.assert_array_equal(got.reshape(-1, lanes)[:, 0], of(rows, axis=1))
    x = (np.arange(4 * lanes) == lanes + 1).astype(np.bool_)
    got = Written(lambda b, x: b.splat(b.any(x), lanes), ("i1",), lanes)(x)
    np.testing.assert_array_equal(got.reshape(-1, lanes)[:, 0], [False, True, False, False])


@pytest.mark.parametrize("lanes", [2, 8])
def test_lanes_joined_and_counted(lanes):
    def twice(b: Builder, x: Reg) -> Reg:
        whole = b.join([x, b.neg(x)])
        return b.add(b.lane(whole, lanes), b.iota("f32", lanes))

    x = np.arange(3 * lanes, dtype=np.float32) + 1
    got = Written(twice, ("f32",), lanes)(x)
    np.testing.assert_array_equal(got, np.repeat(-x[::lanes], lanes) + np.tile(np.arange(lanes), 3))


@LANES
def test_memory_under_a_mask_and_by_offsets(lanes):
    def turned(b: Builder, x: Reg) -> Reg:
        """The lanes in reverse order but for the last, which is 7."""
        room = b.alloca("f32", lanes)
        b.store(b.const("f32", 7, lanes), room)
        places = b.sub(b.const("i64", lanes - 1, lanes), b.iota("i64", lanes))
        few = b.mask_below(lanes - 1, lanes) if lanes > 1 else None
        b.scatter(x, room, places, few)
        got = b.gather(room, "f32", places, few)
        return b.add(b.load(room, "f32", 0, lanes, few), b.mul(got, b.const("f32", 0)))

    x = np.arange(2 * lanes, dtype=np.float32)
    want = x.reshape(2, lanes)[:, ::-1].copy()
    if lanes > 1:
        want[:, 0], want[:, -1] = 7, 0
    np.testing.assert_array_equal(Written(turned, ("f32",), lanes)(x), want.ravel())


@LANES
def test_a_branch_is_taken_where_a_lane_asks_for_it(lanes):
    def write(b: Builder, x: Reg) -> Reg:
        large = b.gt(x, b.const("f32", 100))
        branch = b.when(b.any(large))
        (less,) = b.outlined("tenth", lambda b, x: [b.mul(x, b.const("f32", 0.1))], x)
        return branch.end([b.select(large, less, x)], [x])[0]

    x = np.array([1, 2, 3, 1000, 5, 6, 7, 8] + [9] * 40 + [200], np.float32)
    want = np.where(x > 100, x * np.float32(0.1), x)
    same(Written(write, ("f32",), lanes)(x), want)


def test_a_wrong_word_is_found():
    with pytest.raises(AssertionError):
        same(Written(lambda b, x: b.mul(x, x), ("f32",), 4)(edges("f32")), edges("f32"))
    with pytest.raises(AssertionError):
        same(np.zeros(3, np.float32), -np.zeros(3, np.float32))
