"""The walk along a plan's steps: operands of every kind, conditions, layouts, clocks."""

import ctypes
from sys import getrefcount

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bital.codegen import jit, threads
from bital.codegen.divide import ATTRIBUTES
from bital.codegen.module import _array, _quarter
from bital.codegen.target import host
from bital.codegen.walk import SEGMENT, TYPES

# adds the number at its first operand to chunk's place of its second
ADD = """
define internal void @add(ptr %args, i64 %chunk) #0 {
  %from = load ptr, ptr %args
  %to.at = getelementptr ptr, ptr %args, i64 1
  %to = load ptr, ptr %to.at
  %place = getelementptr double, ptr %to, i64 %chunk
  %x = load double, ptr %from
  %y = load double, ptr %place
  %z = fadd double %x, %y
  store double %z, ptr %place
  ret void
}
"""
FIRST_SCALAR = 4  # in the table, after `walk` and three clocks


def segment(steps, operands, inputs=(), movers=(), chunks=(), scalars=False, in_a_row=1):
    """The function of these steps; None is a condition. Every kernel is ADD.

    Strides of inputs may grow with the first of the `scalars`.

    Where there are chunks, each step runs them all, some in a row: (first argument, number of the
    chunk).
    """
    fn = "null" if chunks else "@add"
    words = [f"ptr {'null' if c is None else fn}, i64 {c or 0}, i64 {n}, i64 1" for c, n in steps]
    size = 8 * FIRST_SCALAR if scalars else 0
    arrays = ", ".join(f"ptr @{n}" for n in ("inputs0", "steps0", "operands0", "movers", "chunks"))
    text = "".join([
        TYPES, ADD,
        _array("movers", "mover", [f"i64 {8 * p}, i64 {b}, i64 {d}" for p, b, d in movers]),
        _array("chunks", "chunk", [
            f"ptr null, i64 {in_a_row}, i64 0",
            *[f"ptr @add, i64 {first}, i64 {own}" for first, own in chunks],
        ]),
        _array("inputs0", "input", [
            f"i64 {n}, i64 {a}, i64 {s}, i64 {sum(more)}" for n, a, s, *more in inputs
        ]),
        _array("operands0", "operand", [f"i64 {b}, i32 {i}, i32 {m}" for b, i, m in operands]),
        _array("steps0", "step", words),
        f"@stretch0 = internal constant %stretch {{ {arrays}, i64 {len(inputs)}, i64 {len(steps)}, "
        f"i64 8, i64 8, i64 {size} }}\n",
        SEGMENT.substitute(number=0),
        ATTRIBUTES,
    ])  # fmt: skip
    library = jit.build(text)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_size_t, ctypes.c_size_t)

    def run(arrays, scalars=()):
        table = (ctypes.c_int64 * (FIRST_SCALAR + len(scalars)))(threads.address("walk"))
        for k, scalar in enumerate(scalars, FIRST_SCALAR):
            kind = ctypes.c_double if isinstance(scalar, float) else ctypes.c_int64
            kind.from_buffer(table, 8 * k).value = scalar
        wrong = function(library.address("segment0"))(id(arrays), ctypes.addressof(table))
        return wrong, table[1:FIRST_SCALAR]

    return run


def test_operands_are_items_of_the_list_and_scalars_of_the_table():
    run = segment(
        [(1, 2), (3, 2)], [(8, 0, -1), (0, 1, -1), (8 * FIRST_SCALAR, -1, -1), (8, 1, -1)]
    )
    arrays = [np.array([1.0, 2.0]), np.zeros(5)]
    wrong, cycles = run(arrays, (10.0,))
    assert not wrong and arrays[1].tolist() == [2, 10, 10, 10, 0]
    assert not host().is_x86 or (cycles[0] > 0 and cycles[1] > 0 and cycles[2] == 0)


@pytest.mark.parametrize("scalar", [3, 3.0])
def test_operands_are_moved_by_a_scalar(scalar):
    movers = [(FIRST_SCALAR, 8, int(isinstance(scalar, float)))]
    run = segment([(1, 2)], [(0, 0, -1), (8, 1, 0)], movers=movers)
    arrays = [np.array([1.0]), np.zeros(6)]
    assert not run(arrays, (scalar,))[0] and arrays[1].tolist() == [0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("holds", [False, True])
def test_a_condition_that_does_not_hold_ends_the_walk(holds):
    steps = [(1, 2), (None, 1), (1, 2)]
    run = segment(steps, [(0, 0, -1), (0, 1, -1), (0, 2, -1), (0, 0, -1), (8, 1, -1)])
    arrays = [np.array([1.0]), np.zeros(2), np.array([holds])]
    assert run(arrays)[0] == (not holds) and arrays[1].tolist() == [1, float(holds)]


def test_inputs_laid_out_otherwise_are_refused():
    run = segment([(1, 2)], [(0, 0, -1), (0, 1, -1)], inputs=[(0, 0, 24), (0, 1, 8), (1, 0, 8)])
    ones, out = np.ones((2, 3)), np.zeros(1)
    assert run([ones, out])[0] == 0 and out[0] == 1
    assert run([np.ones((3, 2)).T, out])[0] == 1 and out[0] == 1
    assert run([ones, np.zeros(2)[::2]])[0] == 1


def test_strides_may_grow_with_a_size():
    run = segment(
        [(1, 2)], [(0, 0, -1), (0, 1, -1)], inputs=[(0, 0, 8, 16), (0, 1, 8, 0)], scalars=True
    )
    out = np.zeros(1)
    for n in (1, 2, 4):
        assert run([np.ones((3, 2 * n + 1)), out], (n,))[0] == 0
        assert run([np.ones((3, 2 * n)), out], (n,))[0] == 1


def test_kernels_run_side_by_side():
    operands = [(0, -2, -1), (0, 0, -1), (0, 1, -1), (8, 0, -1), (8, 1, -1)]
    run = segment([(3, 5)], operands, chunks=[(1, 0), (3, 0), (3, 1)])
    arrays = [np.array([1.0, 2.0]), np.zeros(4)]
    wrong, cycles = run(arrays)
    assert not wrong and arrays[1].tolist() == [1, 2, 2, 0] and not any(cycles[1:])


def test_some_chunks_follow_one_another():
    # the second sum of a track is made of the first
    places = [(0, 0, -1), (0, 1, -1), (0, 1, -1), (16, 1, -1), (8, 1, -1), (16, 1, -1)]
    run = segment(
        [(2, 7)], [(0, -2, -1), *places], chunks=[(1, 0), (3, 0), (1, 1), (5, 1)], in_a_row=2
    )
    arrays = [np.array([1.0]), np.zeros(4)]
    assert not run(arrays)[0]
    assert arrays[1].tolist() == [1, 1, 1, 1]


def test_there_may_be_no_steps():
    assert segment([], [])([])[0] == 0


def test_kernels_side_by_side_are_cut_in_quarters():
    assert [_quarter(c, 8) for c in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [_quarter(c, 3) for c in range(3)] == [0, 1.5, 3]
    assert _quarter(0, 1) == 1.5  # as much before as after it


def test_references_are_counted_as_python_does():
    unchanged = threads.unchanged()
    assert unchanged is not None
    array = np.zeros(4)
    items = [object(), array[1:], array]
    counts = [getrefcount(items[k]) - 1 for k in range(3)]

    def seen(whole):
        note = [2 * count + (k == whole) for k, count in enumerate(counts)]
        words = (ctypes.c_int64 * 4)(len(note), *note)
        return unchanged(id(items), ctypes.addressof(words))

    assert [seen(whole) for whole in (-1, 2)] == [1, 1]
    assert not seen(1), "a window on another's memory"
    again = items[0]
    assert not seen(-1), "somebody holds it again"
    del again
    assert seen(-1)
