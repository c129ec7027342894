"""A physics-informed network solves u'' = -sin(x), u(0) = u(pi) = 0, by second derivatives."""

import math

import torch
from torch import nn

torch.manual_seed(17)
torch.set_default_dtype(torch.float64)
net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
for layer in net:
    if isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def derivative(y, x):
    return torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)[0]


edges = torch.tensor([[0.0], [math.pi]])
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for step in range(61):
    x = (torch.rand(40, 1) * math.pi).requires_grad_()
    u = net(x)
    residual = derivative(derivative(u, x), x) + torch.sin(x)
    loss = residual.pow(2).mean() + 10 * net(edges).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step:2d} loss {loss.item():.5f}")

fine = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=15, line_search_fn="strong_wolfe")
points = torch.linspace(0, math.pi, 50).unsqueeze(1).requires_grad_()


def closure():
    fine.zero_grad()
    u = net(points)
    residual = derivative(derivative(u, points), points) + torch.sin(points)
    loss = residual.pow(2).mean() + 10 * net(edges).pow(2).mean()
    loss.backward()
    return loss


for _ in range(2):
    print(f"lbfgs {fine.step(closure).item():.6f}")
with torch.no_grad():
    print(f"largest error {(net(points) - torch.sin(points)).abs().max().item():.4f}")
