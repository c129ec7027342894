"""Averages of weights, statistics of batch normalisation, and the schedule that goes with them."""

import copy

import pytest

from tests.both import same


def network(t):
    return t.nn.Sequential(t.nn.Linear(3, 4), t.nn.BatchNorm1d(4), t.nn.Linear(4, 1))


AVERAGES = {
    "default": lambda s: {},
    "buffers": lambda s: {"use_buffers": True},
    "ema": lambda s: {"avg_fn": s.get_ema_avg_fn(0.9)},
    "ema multi": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.9), "use_buffers": True},
    "swa": lambda s: {"avg_fn": s.get_swa_avg_fn(), "use_buffers": False},
    "swa multi": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn(), "use_buffers": True},
    "own": lambda s: {"avg_fn": lambda a, p, n: (a + p * n) / (n + 1)},
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averaged_model(name, torch, oracle):
    def program(t):
        m = network(t)
        averaged = t.optim.swa_utils.AveragedModel(m, **AVERAGES[name](t.optim.swa_utils))
        x = t.randn(6, 3)
        opt = t.optim.SGD(m.parameters(), lr=0.1)
        for _ in range(4):
            opt.zero_grad()
            m(x).square().mean().backward()
            opt.step()
            averaged.update_parameters(m)
        state = copy.deepcopy(averaged.state_dict())
        t.optim.swa_utils.update_bn([x, (x * 2, None)], averaged)
        return state, averaged.state_dict(), averaged.eval()(x), averaged.module[1].momentum

    same(program, torch, oracle, order=1)


SCHEDULES = [
    {"swa_lr": 0.05},
    {"swa_lr": [0.05, 0.2], "anneal_epochs": 3, "anneal_strategy": "linear"},
    {"swa_lr": 0.5, "anneal_epochs": 0},
    {"swa_lr": 0.5, "anneal_strategy": "x"},
    {"swa_lr": 0.5, "anneal_epochs": -1},
    {"swa_lr": [0.5]},
]


@pytest.mark.parametrize("options", SCHEDULES, ids=str)
def test_swalr(options, torch, oracle):
    def program(t):
        groups = [{"params": [t.ones(1, requires_grad=True)]},
                  {"params": [t.ones(1, requires_grad=True)], "lr": 0.4}]  # fmt: skip
        opt = t.optim.SGD(groups, lr=0.1)
        schedule = t.optim.swa_utils.SWALR(opt, **options)
        seen = [schedule.get_last_lr()]
        for _ in range(6):
            opt.step()
            schedule.step()
            seen.append(schedule.get_last_lr())
        return seen, schedule.state_dict()

    same(program, torch, oracle)


@pytest.mark.parametrize("make", ["get_ema_avg_fn", "get_ema_multi_avg_fn"])
def test_errors(make, torch, oracle):
    same(lambda t: getattr(t.optim.swa_utils, make)(1.5), torch, oracle)


def test_one_way_of_averaging(torch, oracle):
    same(lambda t: t.optim.swa_utils.AveragedModel(network(t), None, abs, abs), torch, oracle)
