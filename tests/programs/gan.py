"""A generative adversarial network on a one-dimensional mixture: two updates a step."""

import torch
from torch import nn

torch.manual_seed(4)
torch.set_default_dtype(torch.float64)


def real(count):
    side = torch.randint(0, 2, (count, 1)).to(torch.float64)
    return 4 * side - 2 + 0.3 * torch.randn(count, 1)


generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
discriminator = nn.Sequential(nn.Linear(1, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
opt_g = torch.optim.Adam(generator.parameters(), lr=5e-3, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(discriminator.parameters(), lr=5e-3, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)

for step in range(61):
    fake = generator(torch.randn(64, 3))
    loss_d = criterion(discriminator(real(64)), ones) + criterion(
        discriminator(fake.detach()), zeros
    )
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()

    for p in discriminator.parameters():
        p.requires_grad_(False)
    loss_g = criterion(discriminator(fake), ones)
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    for p in discriminator.parameters():
        p.requires_grad_(True)
    if step % 20 == 0:
        print(
            f"{step:3d} D {loss_d.item():.5f} G {loss_g.item():.5f} mean {fake.mean().item():.4f}"
        )

with torch.no_grad():
    made = generator(torch.randn(500, 3))
print(f"made {made.mean().item():.4f} +- {made.std().item():.4f}", made.dtype)
