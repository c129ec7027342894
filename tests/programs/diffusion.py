"""A denoising diffusion model of points on an S-curve: noise schedule, training, sampling."""

import math

import torch
from torch import nn

torch.manual_seed(139)
STEPS = 20
beta = torch.linspace(1e-3, 0.2, STEPS)
alpha = 1 - beta
alpha_bar = torch.cumprod(alpha, 0)


class Denoiser(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, width), nn.SiLU())
        self.inside = nn.Linear(2, width)
        self.body = nn.Sequential(
            nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2)
        )

    def forward(self, x, t):
        frequencies = torch.exp(-math.log(100) * torch.arange(4) / 4)
        angle = t.unsqueeze(1).float() * frequencies
        embedding = torch.cat([angle.sin(), angle.cos()], dim=1)
        return self.body(self.inside(x) + self.time(embedding))


t = 3 * math.pi * (torch.rand(200) - 0.5)
points = torch.stack([t.sin(), t.sign() * (t.cos() - 1)], 1)
model = Denoiser()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
ema = [p.detach().clone() for p in model.parameters()]
for step in range(61):
    k = torch.randint(0, STEPS, (200,))
    noise = torch.randn_like(points)
    mixed = (
        alpha_bar[k].sqrt().unsqueeze(1) * points + (1 - alpha_bar[k]).sqrt().unsqueeze(1) * noise
    )
    loss = nn.functional.mse_loss(model(mixed, k), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for kept, p in zip(ema, model.parameters()):
            kept.lerp_(p, 0.1)
    if step % 15 == 0:
        print(f"step {step} loss {loss.item():.4f}")


@torch.inference_mode()
def sample(count):
    x = torch.randn(count, 2)
    for k in reversed(range(STEPS)):
        e = model(x, torch.full((count,), k))
        x = (x - beta[k] / (1 - alpha_bar[k]).sqrt() * e) / alpha[k].sqrt()
        if k:
            x = x + beta[k].sqrt() * torch.randn_like(x)
    return x


made = sample(100)
print(
    "mean",
    [round(v, 2) for v in made.mean(0).tolist()],
    "spread",
    [round(v, 2) for v in made.std(0).tolist()],
)
print("average norm", round(sum(p.norm().item() for p in ema), 3))
