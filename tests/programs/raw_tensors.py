"""A two-layer network on raw tensors: forward pass, backward and update written by hand."""

import torch

torch.manual_seed(0)
x = torch.randn(64, 20)
y = torch.sin(x[:, :3]).cumsum(1)
w1 = (torch.randn(20, 32) / 20**0.5).requires_grad_()
b1 = torch.zeros(32, requires_grad=True)
w2 = (torch.randn(32, 3) / 32**0.5).requires_grad_()
b2 = torch.zeros(3, requires_grad=True)
parameters = [w1, b1, w2, b2]

for step in range(101):
    hidden = (x @ w1 + b1).clamp(min=0)
    loss = ((hidden @ w2 + b2 - y) ** 2).mean()
    if step % 25 == 0:
        print(f"step {step:3d} loss {loss.item():.5f}")
    loss.backward()
    with torch.no_grad():
        for p in parameters:
            p -= 0.1 * p.grad
            p.grad = None

with torch.no_grad():
    error = ((x @ w1 + b1).relu() @ w2 + b2 - y).abs()
print("mean error", round(error.mean().item(), 4), "largest", round(error.max().item(), 4))
print("weights", [round(p.norm().item(), 4) for p in parameters])
