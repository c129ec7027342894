"""Ten small networks trained at once by vmap, each on a bootstrap sample of its own."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

torch.manual_seed(3)
MEMBERS, POINTS = 10, 64


def make_net():
    layers = [nn.Linear(1, 24), nn.Tanh(), nn.Dropout(0.05), nn.Linear(24, 24), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(24, 1))


x = torch.linspace(-2, 2, POINTS).unsqueeze(1)
y = torch.sin(2.5 * x) + 0.1 * torch.randn(POINTS, 1)
chosen = torch.randint(0, POINTS, (MEMBERS, POINTS))

nets = [make_net() for _ in range(MEMBERS)]
base = nets[0]
params, buffers = stack_module_state(nets)
params = {name: p.detach() for name, p in params.items()}
velocity = {name: torch.zeros_like(p) for name, p in params.items()}


def loss(params, buffers, x, y):
    return F.mse_loss(functional_call(base, (params, buffers), (x,)), y)


step = vmap(grad_and_value(loss), in_dims=(0, 0, 0, 0), randomness="different")
for epoch in range(150):
    grads, losses = step(params, buffers, x[chosen], y[chosen])
    for name, g in grads.items():
        velocity[name] = 0.9 * velocity[name] + g
        params[name] = params[name] - 0.03 * velocity[name]
    if epoch % 30 == 0 or epoch == 149:
        print(f"epoch {epoch}: mean loss {losses.mean():.3f}, worst {losses.max():.3f}")

base.eval()
grid = torch.linspace(-3, 3, 7).unsqueeze(1)
predictions = vmap(lambda p, b: functional_call(base, (p, b), (grid,)), in_dims=0)(params, buffers)
for point, mean, spread in zip(grid[:, 0], predictions.mean(0)[:, 0], predictions.std(0)[:, 0]):
    print(f"x {point:+.1f}: {mean:+.2f} +- {spread:.2f}")
inside, outside = predictions.std(0)[2:5].mean(), predictions.std(0)[[0, -1]].mean()
print("more certain where there is data:", bool(inside < outside))
