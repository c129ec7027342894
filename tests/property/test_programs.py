"""Random programs, line for line under bital and PyTorch, and under bital lazily and at once."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bital.base import config
from tests.property.compare import metadata, step, values
from tests.property.program import Program, Side

LINES = 14
OPTIONS = settings(
    max_examples=120, deadline=None, derandomize=True, database=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture,
                           HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip


def quiet(run):
    """Run without the warnings that strange programs cause."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run()


@pytest.mark.parity
@OPTIONS
@given(data=st.data(), count=st.integers(2, LINES))
def test_torch_after_every_line(torch, oracle, data, count):
    def run():
        ours, theirs = Side(torch), Side(oracle)
        program = Program(data, theirs)
        for _ in range(count):
            step(program, program.line(), ours, theirs)
            metadata(program, ours, theirs)
            values(program, ours, theirs)

    quiet(run)


@pytest.mark.parity
@OPTIONS
@given(data=st.data(), count=st.integers(4, 2 * LINES), numpy=st.booleans())
def test_torch_at_the_end(torch, oracle, data, count, numpy):
    def run():
        ours, theirs = Side(torch), Side(oracle)
        program = Program(data, theirs, numpy)
        for _ in range(count):
            step(program, program.line(), ours, theirs)
        metadata(program, ours, theirs)
        values(program, ours, theirs)

    quiet(run)


@OPTIONS
@given(data=st.data(), count=st.integers(4, 2 * LINES))
def test_lazy_and_eager_are_equal_to_the_bit(torch, data, count):
    def run():
        lazy, eager = Side(torch), Side(torch)
        program = Program(data, lazy)
        for _ in range(count):
            line = program.line()
            here = lazy.run(line)
            with config.override(eager=True):
                flush(torch, eager)
                there = eager.run(line)
            flush(torch, eager)
            assert here == there, f"{lazy.error!r} for {eager.error!r}\n\n{program.text()}"
        metadata(program, lazy, eager)
        values(program, lazy, eager, bitwise=True)

    quiet(run)


def flush(torch, side: Side) -> None:
    """Force every tensor of a side to have its value now."""
    for name in side.tensors():
        side.names[name].tolist()
