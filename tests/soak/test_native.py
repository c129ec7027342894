"""Compiled plans over many iterations and many shapes: memory and compiling are bounded."""

import gc
from pathlib import Path

import pytest

from bital.base import config
from bital.runtime.budget import Budget
from bital.runtime.executor import cache
from tests.soak.test_memory import by_hand, by_optimizer, settle

pytest.importorskip("llvmlite")


def resident() -> int:
    """Bytes of memory that the process holds."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("only Linux tells")
    gc.collect()
    return int(statm.read_text().split()[1]) * 4096


def natives() -> int:
    return sum(plan.compiler.native is not None for plan in cache.plans.values())


@pytest.mark.slow
@pytest.mark.parametrize("make", [by_hand, by_optimizer])
def test_a_hundred_thousand_native_iterations(torch, make):
    settle()
    iterate = make(torch)
    for _ in range(2000):
        iterate()
    before = resident()
    for _ in range(100_000):
        iterate()
    assert natives() >= 1
    assert resident() - before < 4_000_000


def many_shapes(torch, shapes: range, times: int) -> None:
    for n in shapes:
        x = torch.ones(n)
        for _ in range(times):
            ((x * 2 + 1).tanh() * x).sum().item()


@pytest.mark.slow
@pytest.mark.parametrize("times", [4, 14])
def test_ten_thousand_shapes(torch, times):
    settle()
    many_shapes(torch, range(1, 3000), times)
    before = resident()
    many_shapes(torch, range(3000, 10_000), times)
    assert len(cache.plans) <= config.plan_cache
    assert natives() < 100
    assert resident() - before < 40_000_000


class Compiler:
    """As much of a plan's way to native code as the budget sees."""

    def __init__(self) -> None:
        self.clock, self.cancelled = [0, 0], False

    def cancel(self) -> None:
        self.cancelled = True


def test_the_first_plans_are_free_and_native_runs_pay_for_more():
    budget = Budget()
    plans = [Compiler() for _ in range(100)]
    admitted = []
    for plan in plans:
        if budget.admits(plan, 3):
            admitted.append(plan)
            budget.ends(plan, plan)
    assert len(admitted) == 64
    late = Compiler()
    assert not budget.admits(late, 11)
    admitted[0].clock[0] = 50
    assert budget.admits(late, 19)
    assert not budget.admits(Compiler(), 99) and budget.admits(Compiler(), 100)


def test_what_does_not_come_back_loses_its_place():
    budget = Budget()
    plans = [Compiler() for _ in range(32)]
    assert all(budget.admits(plan, 3) for plan in plans)
    late = Compiler()
    assert not budget.admits(late, 3)
    for _ in range(600):
        budget.runs(plans[1])
    assert budget.admits(late, 11)
    assert plans[0].cancelled and not plans[1].cancelled


def test_forgotten_code_goes_on_paying():
    budget = Budget()
    plans = [Compiler() for _ in range(64)]
    for plan in plans:
        assert budget.admits(plan, 3)
        budget.ends(plan, plan)
    plans[0].clock[0] = 100
    budget.forgets(plans[0])
    assert [budget.admits(Compiler(), 3) for _ in range(3)] == [True, True, False]
