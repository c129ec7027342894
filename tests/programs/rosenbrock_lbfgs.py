"""The Rosenbrock valley under several optimizers; LBFGS with its line search gets there."""

import torch


def rosenbrock(p):
    x, y = p
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def descend(make, steps):
    p = torch.tensor([-1.2, 1.0], dtype=torch.double, requires_grad=True)
    optimizer = make([p])

    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(p)
        loss.backward()
        return loss

    for _ in range(steps):
        loss = optimizer.step(closure)
    return p.detach(), loss.item()


for name, make, steps in (
    ("SGD", lambda ps: torch.optim.SGD(ps, lr=1e-3, momentum=0.9, nesterov=True), 100),
    ("Adam", lambda ps: torch.optim.Adam(ps, lr=0.05), 100),
    ("Rprop", lambda ps: torch.optim.Rprop(ps, lr=0.01), 60),
    ("Adadelta", lambda ps: torch.optim.Adadelta(ps, lr=1.0), 60),
    ("ASGD", lambda ps: torch.optim.ASGD(ps, lr=1e-3), 60),
    ("LBFGS", lambda ps: torch.optim.LBFGS(ps, line_search_fn="strong_wolfe"), 3),
):
    p, loss = descend(make, steps)
    print(f"{name:8s} x {p[0].item():.5f} y {p[1].item():.5f} loss {loss:.6f}")
hessian = torch.autograd.functional.hessian(rosenbrock, torch.ones(2, dtype=torch.double))
print("hessian at the end", hessian.tolist())
