"""A normalising flow of affine coupling layers (RealNVP) fits two rings of points."""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal

torch.manual_seed(21)


class Coupling(nn.Module):
    def __init__(self, mask, hidden=24):
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 4))

    def forward(self, x):
        kept = x * self.mask
        s, t = self.net(kept).chunk(2, dim=1)
        s = torch.tanh(s) * (1 - self.mask)
        t = t * (1 - self.mask)
        return kept + (1 - self.mask) * (x * s.exp() + t), s.sum(1)

    def inverse(self, z):
        kept = z * self.mask
        s, t = self.net(kept).chunk(2, dim=1)
        s = torch.tanh(s) * (1 - self.mask)
        t = t * (1 - self.mask)
        return kept + (1 - self.mask) * ((z - t) * (-s).exp())


class Flow(nn.Module):
    def __init__(self, depth=4):
        super().__init__()
        masks = [torch.tensor([k % 2, 1 - k % 2], dtype=torch.float32) for k in range(depth)]
        self.layers = nn.ModuleList(Coupling(m) for m in masks)
        self.base = MultivariateNormal(torch.zeros(2), torch.eye(2))

    def log_prob(self, x):
        total = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            total = total + change
        return self.base.log_prob(x) + total

    def sample(self, count):
        z = self.base.sample((count,))
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z


angle = 2 * math.pi * torch.rand(256)
radius = 1 + 0.1 * torch.randn(256)
points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
flow = Flow()
optimizer = torch.optim.Adam(flow.parameters(), lr=0.01)
for step in range(41):
    loss = -flow.log_prob(points).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} nats {loss.item():.4f}")
with torch.no_grad():
    made = flow.sample(200)
    z = points
    for layer in flow.layers:
        z, _ = layer(z)
    for layer in reversed(flow.layers):
        z = layer.inverse(z)
print("inverse error below 1e-4", (z - points).abs().max().item() < 1e-4)
print("radius", f"{made.norm(dim=1).mean().item():.3f}")
