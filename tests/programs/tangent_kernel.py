"""The neural tangent kernel of a network, and curvature by products with Jacobians."""

import torch
import torch.nn as nn
from torch.func import functional_call, hessian, jacrev, jvp, linearize, vjp, vmap

torch.manual_seed(5)
net = nn.Sequential(nn.Linear(2, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 1))
params = {name: p.detach() for name, p in net.named_parameters()}
train = torch.randn(12, 2)
target = (train[:, 0] * train[:, 1]).sin()
test = torch.randn(5, 2)


def predict(params, x):
    return functional_call(net, params, (x,)).squeeze(-1)


def kernel(a, b):
    ja = vmap(jacrev(predict), (None, 0))(params, a)
    jb = vmap(jacrev(predict), (None, 0))(params, b)
    return sum(torch.einsum("np,mp->nm", ja[k].flatten(1), jb[k].flatten(1)) for k in ja)


k = kernel(train, train)
print("symmetric", torch.allclose(k, k.T, atol=1e-4), "trace", f"{k.trace():.3f}")
print("largest eigenvalues", [round(v, 2) for v in torch.linalg.eigvalsh(k)[-3:].tolist()])

weights = torch.linalg.solve(k + 1e-1 * torch.eye(len(train)), target - predict(params, train))
guess = predict(params, test) + kernel(test, train) @ weights
print("kernel regression", [round(v, 3) for v in guess.tolist()])


def loss(params):
    return (predict(params, train) - target).square().mean()


value, pull = vjp(loss, params)
(gradient,) = pull(torch.ones_like(value))
size = sum(g.square().sum() for g in gradient.values())
direction = {name: -g / size.sqrt() for name, g in gradient.items()}
_, slope = jvp(loss, (params,), (direction,))
print(f"loss {value:.4f}, slope downhill {slope:.4f}, norm of the gradient {size.sqrt():.4f}")


def curvature(v):
    """v^T H v by forward over reverse mode."""
    (hv,) = jvp(lambda p: vjp(loss, p)[1](torch.ones(()))[0], (params,), (v,))[1:]
    return sum((hv[name] * v[name]).sum() for name in v)


bend = curvature(direction)
print(f"curvature downhill {bend:.4f}, best step {-slope / bend:.4f}")

output, push = linearize(lambda p: predict(p, test), params)
moved = {name: p + 0.05 * direction[name] for name, p in params.items()}
gap = (predict(moved, test) - output - 0.05 * push(direction)).abs().max()
print("linear model is close:", bool(gap < 1e-2))

by_x = vmap(hessian(lambda x: predict(params, x)))(test)
print("laplacians", [round(v, 3) for v in by_x.diagonal(dim1=1, dim2=2).sum(-1).tolist()])
