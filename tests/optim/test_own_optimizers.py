"""Optimizers and schedulers that programs write themselves, and what they do with PyTorch's."""

import copy
import pickle

from tests.both import same


def problem(t):
    net = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 1))
    x = t.randn(8, 3)
    return net, x, x.sum(1, keepdim=True)


def loss_of(net, x, y):
    return ((net(x) - y) ** 2).mean()


def lion(t):
    class Lion(t.optim.Optimizer):
        def __init__(self, params, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.0):
            super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

        @t.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with t.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    p.data.mul_(1 - group["lr"] * group["weight_decay"])
                    state = self.state[p]
                    if len(state) == 0:
                        state["exp_avg"] = t.zeros_like(p)
                    beta1, beta2 = group["betas"]
                    mean = state["exp_avg"]
                    update = mean * beta1 + p.grad * (1 - beta1)
                    p.add_(t.sign(update), alpha=-group["lr"])
                    mean.mul_(beta2).add_(p.grad, alpha=1 - beta2)
            return loss

    return Lion


def test_lion(torch, oracle):
    def program(t):
        net, x, y = problem(t)
        opt = lion(t)(net.parameters(), weight_decay=0.1)
        schedule = t.optim.lr_scheduler.CosineAnnealingLR(opt, 5)
        seen = []
        for _ in range(6):
            opt.zero_grad()
            loss = loss_of(net, x, y)
            loss.backward()
            opt.step()
            schedule.step()
            seen.append(loss.detach())
        return seen, opt.state_dict(), repr(opt)

    same(program, torch, oracle, order=2)


def test_sharpness_aware_minimization(torch, oracle):
    """Two gradients a step: at the parameters, and where the loss is higher nearby."""

    def program(t):
        net, x, y = problem(t)
        base = t.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        seen = []
        for _ in range(4):
            loss_of(net, x, y).backward()
            norm = t.stack([p.grad.norm() for p in net.parameters()]).norm()
            moves = []
            with t.no_grad():
                for p in net.parameters():
                    moves.append(p.grad * (0.05 / (norm + 1e-12)))
                    p.add_(moves[-1])
            base.zero_grad()
            loss = loss_of(net, x, y)
            loss.backward()
            with t.no_grad():
                for p, move in zip(net.parameters(), moves, strict=True):
                    p.sub_(move)
            base.step()
            base.zero_grad()
            seen.append(loss.detach())
        return seen, net.state_dict()

    same(program, torch, oracle, order=2)


def test_lookahead(torch, oracle):
    """An optimizer around another one, whose groups and state it shares."""

    def program(t):
        class Lookahead(t.optim.Optimizer):
            def __init__(self, base, k=2, alpha=0.5):
                self.base, self.k, self.alpha, self.count = base, k, alpha, 0
                self.param_groups = base.param_groups
                self.defaults = base.defaults
                self.state = base.state
                self.slow = [[p.detach().clone() for p in g["params"]] for g in base.param_groups]

            def step(self, closure=None):
                loss = self.base.step(closure)
                self.count += 1
                if self.count % self.k == 0:
                    for group, slow in zip(self.param_groups, self.slow, strict=True):
                        for p, s in zip(group["params"], slow, strict=True):
                            s.add_(p.detach() - s, alpha=self.alpha)
                            p.data.copy_(s)
                return loss

            def zero_grad(self, set_to_none=True):
                self.base.zero_grad(set_to_none)

        net, x, y = problem(t)
        opt = Lookahead(t.optim.Adam(net.parameters(), lr=0.05))
        for _ in range(6):
            opt.zero_grad()
            loss_of(net, x, y).backward()
            opt.base.step() if opt.count < 0 else opt.step()
        return net.state_dict(), opt.base.state_dict()

    same(program, torch, oracle, order=2)


def test_layers_thaw(torch, oracle):
    """A layer is frozen, and joins later with a rate of its own."""

    def program(t):
        net, x, y = problem(t)
        for p in net[0].parameters():
            p.requires_grad_(False)
        opt = t.optim.AdamW(filter(lambda p: p.requires_grad, net.parameters()), lr=0.05)
        for k in range(6):
            if k == 3:
                for p in net[0].parameters():
                    p.requires_grad_(True)
                opt.add_param_group({"params": net[0].parameters(), "lr": 0.01})
            opt.zero_grad()
            loss_of(net, x, y).backward()
            t.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            for group in opt.param_groups:
                group["lr"] *= 0.9
        return net.state_dict(), opt.state_dict()

    same(program, torch, oracle, order=2)


def test_own_schedule(torch, oracle):
    def program(t):
        class Warmup(t.optim.lr_scheduler.LRScheduler):
            def __init__(self, optimizer, steps, last_epoch=-1):
                self.steps = steps
                super().__init__(optimizer, last_epoch)

            def get_lr(self):
                return [base * min(1, (self.last_epoch + 1) / self.steps) for base in self.base_lrs]

        opt = t.optim.SGD([t.ones(1, requires_grad=True)], lr=0.4)
        schedule = Warmup(opt, 4)
        seen = [schedule.get_last_lr()]
        for _ in range(5):
            opt.step()
            schedule.step()
            seen.append(schedule.get_last_lr())
        return seen, schedule.state_dict()

    same(program, torch, oracle)


def test_pickled(torch):
    """An optimizer with a scheduler is pickled without its parameters' hooks or the wrapper."""
    p = torch.nn.Parameter(torch.ones(2))
    opt = torch.optim.Adam([p], lr=0.1)
    torch.optim.lr_scheduler.StepLR(opt, 1)
    p.grad = torch.ones(2)
    opt.step()
    again = pickle.loads(pickle.dumps(opt))
    assert again.param_groups[0]["lr"] == 0.1
    q = again.param_groups[0]["params"][0]
    q.grad, p.grad = torch.ones(2), torch.ones(2)
    again.step()
    copied = copy.deepcopy(opt)
    opt.step()
    assert (
        torch.equal(p, q)
        and copied.state_dict()["param_groups"] == opt.state_dict()["param_groups"]
    )
