"""torch.func: per-sample gradients, an ensemble in one call, Jacobians both ways, Hessians."""

import copy

import torch
from torch import nn
from torch.func import (
    functional_call,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)

torch.manual_seed(67)
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
x, y = torch.randn(6, 3), torch.randint(0, 2, (6,))
params = {k: v.detach() for k, v in model.named_parameters()}


def loss_of_one(params, x, y):
    out = functional_call(model, params, (x.unsqueeze(0),))
    return nn.functional.cross_entropy(out, y.unsqueeze(0))


each = vmap(grad(loss_of_one), in_dims=(None, 0, 0))(params, x, y)
print({k: tuple(v.shape) for k, v in each.items()})
loss = nn.functional.cross_entropy(model(x), y)
whole = torch.autograd.grad(loss, list(model.parameters()))
print(
    "mean of each is the whole",
    all(torch.allclose(each[k].mean(0), g, atol=1e-6) for k, g in zip(each, whole)),
)
norms = torch.stack([g.flatten(1).norm(dim=1) for g in each.values()]).norm(dim=0)
print("norms", [round(v, 4) for v in norms.tolist()])

ensemble = [nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)) for _ in range(3)]
stacked, buffers = stack_module_state(ensemble)
base = copy.deepcopy(ensemble[0])
together = vmap(lambda p, b, x: functional_call(base, (p, b), (x,)), in_dims=(0, 0, None))(
    stacked, buffers, x
)
print("ensemble", tuple(together.shape), torch.allclose(together[1], ensemble[1](x), atol=1e-6))


def f(v):
    return torch.stack([v.sin().sum(), (v**2).prod()])


v = torch.tensor([0.3, 1.2, -0.7])
print("jacobians agree", torch.allclose(jacrev(f)(v), jacfwd(f)(v), atol=1e-6))
print("jacobian", [[round(e, 4) for e in row] for row in jacrev(f)(v).tolist()])
print("hessian", [[round(e, 4) for e in row] for row in hessian(lambda v: f(v).prod())(v).tolist()])
value, pull = vjp(f, v)
print("vjp", [round(e, 4) for e in pull(torch.ones(2))[0].tolist()])
print("jvp", [round(e, 4) for e in jvp(f, (v,), (torch.ones(3),))[1].tolist()])
print("nested", [round(e, 4) for e in vmap(grad(grad(lambda t: t**4)))(v).tolist()])
