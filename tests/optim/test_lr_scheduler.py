"""Schedulers: the rates of twenty epochs, their state, their errors."""

import copy

import pytest

from tests.both import same

SCHEDULES = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.5**epoch),
    "LambdaLR per group": lambda s, o: s.LambdaLR(o, [lambda e: 0.5**e, lambda e: 1 / (e + 1)]),
    "StepLR": lambda s, o: s.StepLR(o, 3, gamma=0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 7, 7], gamma=0.3),
    "ConstantLR": lambda s, o: s.ConstantLR(o, factor=0.5, total_iters=4),
    "LinearLR": lambda s, o: s.LinearLR(o, start_factor=0.2, total_iters=6),
    "LinearLR down": lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=9),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, T_max=6, eta_min=0.01),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=22),
    "OneCycleLR linear": lambda s, o: s.OneCycleLR(
        o, [1.0, 2.0], epochs=2, steps_per_epoch=11, anneal_strategy="linear", three_phase=True
    ),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.95),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, total_iters=8, power=1.5),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.1, [0.5, 0.7], step_size_up=3),
    "CyclicLR halved": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 2, 4, mode="triangular2"),
    "CyclicLR exp": lambda s, o: s.CyclicLR(
        o, 0.1, 0.5, 3, mode="exp_range", gamma=0.9, cycle_momentum=False
    ),
    "CyclicLR own": lambda s, o: s.CyclicLR(
        o, 0.1, 0.5, 3, scale_fn=lambda x: 1 / x, scale_mode="cycle"
    ),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.ExponentialLR(o, 0.9), s.StepLR(o, 3)], [4, 9]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.5, total_iters=4), s.ExponentialLR(o, 0.9)]
    ),
    "OneCycleLR plain": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=22, cycle_momentum=False),
}

PLATEAUS = [
    {},
    {"patience": 1, "factor": 0.5},
    {"patience": 1, "cooldown": 2},
    {"patience": 0, "mode": "max", "threshold_mode": "abs", "threshold": 0.05},
    {"patience": 0, "min_lr": [0.05, 0.2]},
]

ERRORS = {
    "no optimizer": lambda s, o: s.StepLR(3, 1),
    "lambdas": lambda s, o: s.LambdaLR(o, [abs]),
    "linear start": lambda s, o: s.LinearLR(o, start_factor=0),
    "linear end": lambda s, o: s.LinearLR(o, end_factor=2),
    "constant": lambda s, o: s.ConstantLR(o, factor=2),
    "plateau factor": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "plateau mode": lambda s, o: s.ReduceLROnPlateau(o, mode="x"),
    "plateau threshold": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="x"),
    "plateau min_lr": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[1]),
    "cycle steps": lambda s, o: s.OneCycleLR(o, 1.0),
    "cycle total": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=-1),
    "cycle epochs": lambda s, o: s.OneCycleLR(o, 1.0, epochs=0, steps_per_epoch=1),
    "cycle pct": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=5, pct_start=2),
    "cycle anneal": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=5, anneal_strategy="x"),
    "cycle max_lr": lambda s, o: s.OneCycleLR(o, [1.0, 2.0, 3.0], total_steps=5),
    "multiplier": lambda s, o: s.MultiplicativeLR(o, 3),
    "restarts T_0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "restarts T_mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 1.5),
    "restarts eta_min": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 1, "a"),
    "restarts epoch": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2).step(-1),
    "cyclic mode": lambda s, o: s.CyclicLR(o, 0.1, 0.5, mode="x"),
    "cyclic base_lr": lambda s, o: s.CyclicLR(o, [0.1], 0.5),
    "no schedulers": lambda s, o: s.SequentialLR(o, [], []),
    "nothing chained": lambda s, o: s.ChainedScheduler([]),
    "milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 2)], [1, 2]),
    "no scheduler": lambda s, o: s.SequentialLR(o, [3], []),
    "plateau in a sequence": lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
    "another optimizer": lambda s, o: s.ChainedScheduler([s.StepLR(o, 2)], 7),
    "base": lambda s, o: s.LRScheduler(o),
}


def optimizer(t, kind="SGD"):
    groups = [{"params": [t.nn.Parameter(t.ones(1))]},
              {"params": [t.nn.Parameter(t.ones(1))], "lr": 0.4}]  # fmt: skip
    if kind == "Adam":
        return t.optim.Adam(groups, lr=0.1)
    return t.optim.SGD(groups, lr=0.1, momentum=0.9)


def options(opt):
    names = ("lr", "initial_lr", "momentum", "betas", "max_lr", "min_lr")
    return [[group.get(name) for name in names] for group in opt.param_groups]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_twenty_epochs(name, kind, torch, oracle):
    def program(t):
        opt = optimizer(t, kind)
        schedule = SCHEDULES[name](t.optim.lr_scheduler, opt)
        seen = [options(opt)]
        for _ in range(20):
            opt.step()
            schedule.step()
            seen.append((options(opt), schedule.get_last_lr()))
        state = schedule.state_dict()
        state["milestones"] = repr(state.get("milestones"))
        return seen, state

    same(program, torch, oracle)


@pytest.mark.parametrize("given", PLATEAUS, ids=str)
def test_plateau(given, torch, oracle):
    def program(t):
        opt = optimizer(t)
        schedule = t.optim.lr_scheduler.ReduceLROnPlateau(opt, **given)
        first = schedule.state_dict()
        seen = []
        for metric in (1, 0.9, 0.9, t.tensor(0.95), 0.8, 0.8, 0.8, 0.8, 0.79999, 0.81, 0.7, 0.9):
            schedule.step(metric)
            seen.append((schedule.get_last_lr(), schedule.num_bad_epochs, schedule.in_cooldown))
        return first, seen, schedule.state_dict()

    same(program, torch, oracle)


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, torch, oracle):
    same(lambda t: ERRORS[name](t.optim.lr_scheduler, optimizer(t)), torch, oracle)


def test_resuming_without_initial_lr(torch):
    with pytest.raises(KeyError, match="param 'initial_lr' is not specified in param_groups"):
        torch.optim.lr_scheduler.StepLR(optimizer(torch), 2, last_epoch=3)


def test_too_many_steps(torch, oracle):
    def program(t):
        opt = optimizer(t)
        schedule = t.optim.lr_scheduler.OneCycleLR(opt, 1.0, total_steps=3)
        for _ in range(5):
            opt.step()
            schedule.step()

    same(program, torch, oracle)


@pytest.mark.parametrize("name", SCHEDULES)
def test_saved_and_loaded(name, torch, oracle):
    def program(t):
        opt = optimizer(t)
        schedule = SCHEDULES[name](t.optim.lr_scheduler, opt)
        for _ in range(5):
            opt.step()
            schedule.step()
        state, opt_state = copy.deepcopy((schedule.state_dict(), opt.state_dict()))
        opt = optimizer(t)
        schedule = SCHEDULES[name](t.optim.lr_scheduler, opt)
        opt.load_state_dict(opt_state)
        schedule.load_state_dict(state)
        seen = []
        for _ in range(5):
            opt.step()
            schedule.step()
            seen.append(options(opt))
        return seen

    same(program, torch, oracle)


@pytest.mark.parametrize(
    "name", ["StepLR", "LinearLR", "CosineAnnealingLR", "ExponentialLR", "PolynomialLR"]
)
def test_a_given_epoch_uses_the_closed_form(name, torch, oracle):
    def program(t):
        opt = optimizer(t)
        schedule = SCHEDULES[name](t.optim.lr_scheduler, opt)
        opt.step()
        seen = []
        for epoch in (3, 9, 1):
            schedule.step(epoch)
            seen.append(options(opt))
        return seen

    same(program, torch, oracle)


@pytest.mark.parametrize("mult", [1, 2])
def test_restarts_at_fractions_of_epochs(mult, torch, oracle):
    def program(t):
        opt = optimizer(t)
        schedule = t.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 3, mult)
        seen = []
        for epoch in (0.25, 2.5, 3, 4.75, 9, 21.5, 1):
            schedule.step(epoch)
            seen.append((options(opt), schedule.T_cur, schedule.T_i, schedule.last_epoch))
        schedule.step()
        return seen, options(opt)

    same(program, torch, oracle)


RESUMED = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.5**e, last_epoch=3),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.9, last_epoch=3),
    "StepLR": lambda s, o: s.StepLR(o, 2, last_epoch=3),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [4, 6], last_epoch=3),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.5, total_iters=5, last_epoch=3),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.5, total_iters=6, last_epoch=3),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9, last_epoch=3),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 8, last_epoch=3),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 6, last_epoch=3),
    "WarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, last_epoch=3),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 3, last_epoch=3),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=12, last_epoch=3),
}


@pytest.mark.parametrize("name", RESUMED)
def test_resumed(name, torch, oracle):
    def program(t):
        opt = optimizer(t)
        for group in opt.param_groups:
            group.update(initial_lr=0.2, max_lr=1.0, min_lr=0.001)
            group.update(max_momentum=0.95, base_momentum=0.85)
        schedule = RESUMED[name](t.optim.lr_scheduler, opt)
        seen = [options(opt)]
        for _ in range(5):
            opt.step()
            schedule.step()
            seen.append(options(opt))
        return seen, schedule.last_epoch

    same(program, torch, oracle)


def test_tensor_rates_stay_the_same_tensor(torch):
    rate = torch.tensor(0.5)
    opt = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)
    opt.step()
    schedule.step()
    assert opt.param_groups[0]["lr"] is rate and rate.item() == 0.25


def test_warnings(torch):
    opt = optimizer(torch)
    schedule = torch.optim.lr_scheduler.StepLR(opt, 2)
    with pytest.warns(UserWarning, match="before `optimizer.step\\(\\)`"):
        schedule.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        schedule.get_lr()
    with pytest.warns(UserWarning, match="epoch parameter"):
        schedule.step(5)
