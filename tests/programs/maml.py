"""Model-agnostic meta-learning on sine waves: gradients through an inner gradient step."""

import math

import torch
import torch.nn.functional as F

torch.manual_seed(41)


def init():
    shapes = [(20, 1), (20,), (20, 20), (20,), (1, 20), (1,)]
    return [
        (torch.randn(s) * (1 / math.sqrt(s[1])) if len(s) > 1 else torch.zeros(s)).requires_grad_()
        for s in shapes
    ]


def forward(x, p):
    h = F.relu(F.linear(x, p[0], p[1]))
    h = F.relu(F.linear(h, p[2], p[3]))
    return F.linear(h, p[4], p[5])


def task():
    amplitude, phase = 0.5 + 4 * torch.rand(()), math.pi * torch.rand(())
    return lambda x: amplitude * torch.sin(x + phase)


def adapt(params, x, y, rate=0.02):
    loss = F.mse_loss(forward(x, params), y)
    grads = torch.autograd.grad(loss, params, create_graph=True)
    return [p - rate * g for p, g in zip(params, grads)]


params = init()
optimizer = torch.optim.Adam(params, lr=5e-3)
for step in range(16):
    total = 0.0
    for _ in range(4):
        wave = task()
        x, x2 = 10 * torch.rand(10, 1) - 5, 10 * torch.rand(10, 1) - 5
        fast = adapt(params, x, wave(x))
        total = total + F.mse_loss(forward(x2, fast), wave(x2))
    optimizer.zero_grad()
    (total / 4).backward()
    optimizer.step()
    if step % 5 == 0:
        print(f"meta step {step} loss {total.item() / 4:.4f}")
wave = task()
x = torch.linspace(-5, 5, 20).unsqueeze(1)
before = F.mse_loss(forward(x, params), wave(x))
after = F.mse_loss(forward(x, adapt(params, x, wave(x))), wave(x))
print(f"before {before.item():.4f} after {after.item():.4f}")
