"""Chains of views: places, values, and what a write through the last of them does to the rest."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.compare import metadata, step, values
from tests.property.program import Program, Side, overlaps

OPTIONS = settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture,
                           HealthCheck.large_base_example],
)  # fmt: skip


class Chain(Program):
    """Only views of what is there, and now and then a write through one of them."""

    def line(self) -> str:
        tensors = self.side.tensors()
        if not tensors:
            shape = self.pick([(2, 3, 4), (6,), (3, 4), (2, 2, 2, 3), (1, 5), (4, 1, 3)])
            count = 1
            for n in shape:
                count *= n
            line = f"{self.name()} = torch.arange({count}, dtype=torch.float64).reshape({shape})"
        else:
            line = self.pick([self.view, self.view, self.view, self.view, self.fill])()
        self.lines.append(line)
        return line

    def some(self) -> str:
        """Mostly the newest tensor, so that chains grow long."""
        tensors = self.side.tensors()
        return self.pick([tensors[-1], tensors[-1], tensors[-1], *tensors])

    def fill(self) -> str:
        a = self.some()
        if overlaps(self.side.names[a]):
            a = self.target()
        return self.pick([f"{a}.mul_(2)", f"{a}[{self.index(a)}] = -1", f"{a}.add_(1)",
                          f"{a}.copy_({a} + 3)"])  # fmt: skip


@pytest.mark.parity
@OPTIONS
@given(data=st.data(), count=st.integers(2, 12))
def test_chains_of_views(torch, oracle, data, count):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = Side(torch), Side(oracle)
        program = Chain(data, theirs)
        for _ in range(count):
            step(program, program.line(), ours, theirs)
            metadata(program, ours, theirs)
        values(program, ours, theirs)


@pytest.mark.parity
@OPTIONS
@given(data=st.data(), count=st.integers(2, 8))
def test_gradients_through_chains_of_views(torch, oracle, data, count):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = Side(torch), Side(oracle)
        program = Chain(data, theirs)
        start = "x = torch.arange(12, dtype=torch.float64).reshape(3, 4).requires_grad_()"
        for line in (start, "t0 = x * 2"):
            program.lines.append(line)
            step(program, line, ours, theirs)
        for _ in range(count):
            step(program, program.line(), ours, theirs)
        last = theirs.tensors()[-1]
        for line in (f"({last} * {last}).sum().backward()",):
            program.lines.append(line)
            step(program, line, ours, theirs)
        metadata(program, ours, theirs)
        values(program, ours, theirs)
