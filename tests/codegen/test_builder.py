"""Builder: what it writes, and what it need not write."""

import numpy as np
import pytest

from bital.codegen.scalar import Builder, Reg
from tests.codegen.written import Written

SOME, OTHER = Reg("%some", "i64"), Reg("%other", "i64")
LEAST = -(2**63)


@pytest.mark.parametrize(
    ("word", "x", "y", "expected"),
    [
        ("add", 3, 4, "7"),
        ("sub", 3, 4, "-1"),
        ("mul", 3, -4, "-12"),
        ("add", SOME, 0, "%some"),
        ("add", 0, SOME, "%some"),
        ("sub", SOME, 0, "%some"),
        ("mul", SOME, 1, "%some"),
        ("mul", 1, SOME, "%some"),
        ("mul", SOME, 0, "0"),
        ("mul", 0, SOME, "0"),
        ("sub", SOME, SOME, "0"),
        ("add", LEAST, -1, str(2**63 - 1)),
        ("mul", LEAST, 2, "0"),
        ("maximum", 3, -4, "3"),
        ("minimum", 3, -4, "-4"),
    ],
)
def test_what_is_known_takes_no_instruction(word, x, y, expected):
    b = Builder()
    assert getattr(b, word)(b.index(x), b.index(y)).name == expected
    assert not b.lines


@pytest.mark.parametrize(
    ("word", "x", "y"),
    [("sub", 0, SOME), ("add", SOME, 1), ("mul", SOME, -1), ("sub", SOME, OTHER)],
)
def test_what_is_not_known_is_written(word, x, y):
    b = Builder()
    assert getattr(b, word)(b.index(x), b.index(y)).name == "%v1"
    assert len(b.lines) == 1


def test_constants_of_sums_go_into_addresses():
    b = Builder()
    row = b.add(SOME, b.index(3))
    places = [
        b.at(Reg("%p", "ptr"), "f32", b.add(b.mul(row, b.index(10)), b.sub(OTHER, b.index(k))))
        for k in (0, 16)
    ]
    for place in places:
        b.store(b.const("f32", 0), place)
    words = [line.split(" = ")[-1].split() for line in b.written()]
    assert [w[0] for w in words] == [
        "mul", "add", "getelementptr", "getelementptr", "getelementptr", "store", "store",
    ]  # fmt: skip
    assert [w[-1] for w in words[3:5]] == [str(4 * 30), str(4 * 14)]


def test_a_sum_is_written_where_it_was_made_and_only_if_needed():
    b = Builder()
    needed, needless = b.add(SOME, b.index(1)), b.add(SOME, b.index(2))
    loop = b.loop(0, OTHER)
    b.store(needed, Reg("%p", "ptr"))
    loop.end()
    assert b.written()[0].endswith("add i64 %some, 1")
    assert not any(f"{needless.name} =" in line for line in b.written())


def test_what_a_block_has_computed_is_not_taken_for_another():
    b = Builder()
    first = b.mul(SOME, OTHER)
    assert b.mul(SOME, OTHER) == first
    branch = b.when(b.eq(SOME, OTHER))
    within = b.splat(SOME, 4)
    assert b.splat(SOME, 4) == within
    branch.end((), ())
    assert b.splat(SOME, 4) != within


def test_floats_and_vectors_are_never_folded():
    b = Builder()
    zero, one = b.const("f32", 0), b.const("f32", 1)
    x, v = Reg("%x", "f32"), Reg("%v", "i64", 4)
    for value in (b.add(x, zero), b.mul(x, one), b.mul(v, b.index(0)), b.add(v, b.index(0))):
        assert value.name.startswith("%v")
    assert len(b.lines) == 4


def test_a_single_turn_is_no_loop():
    b = Builder()
    for begin, end, step in ((0, 1, 1), (5, 6, 1), (0, 7, 8)):
        loop = b.loop(begin, end, step, SOME)
        assert (loop.index.name, loop.values) == (str(begin), [SOME])
        assert loop.end(Reg("%other", "i64")) == [Reg("%other", "i64")]
    assert not b.lines
    for begin, end, step in ((0, 2, 1), (0, 0, 1), (1, 0, 1), (0, 9, 8)):
        b.loop(begin, end, step).end()
    assert sum(" phi " in line for line in b.lines) == 4


def test_pointers_go_round_a_loop():
    pytest.importorskip("llvmlite")

    def squares(b, x):
        """x once, and then the sum of 1, 4 and 9, found by a pointer."""
        room = b.alloca("f32", 3 * x.lanes)
        for k in range(3):
            b.store(b.splat(b.const("f32", (k + 1) ** 2), x.lanes), room, k * x.lanes)
        loop = b.loop(0, 3, 1, room, x)
        pointer, total = loop.values
        total = b.add(total, b.load(pointer, "f32", 0, x.lanes))
        return loop.end(b.at(pointer, "f32", x.lanes), total)[1]

    values = np.arange(16, dtype=np.float32)
    assert np.array_equal(Written(squares, ("f32",), 8)(values), values + 14)
