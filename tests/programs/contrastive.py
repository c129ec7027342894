"""Contrastive learning (NT-Xent) of augmented views, then a triplet margin and a linear probe."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(101)
centres = 2 * torch.randn(5, 12)
kinds = torch.arange(60) % 5
points = centres[kinds] + 0.3 * torch.randn(60, 12)


def augment(x):
    return x * (1 + 0.1 * torch.randn_like(x)) + 0.2 * torch.randn_like(x)


def nt_xent(a, b, temperature=0.5):
    z = F.normalize(torch.cat([a, b]), dim=1)
    similarity = z @ z.T / temperature
    similarity.fill_diagonal_(float("-inf"))
    n = len(a)
    positives = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(similarity, positives)


encoder = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 8))
projector = nn.Linear(8, 4, bias=False)
optimizer = torch.optim.AdamW(
    [{"params": encoder.parameters()}, {"params": projector.parameters(), "lr": 0.02}], lr=0.01
)
for step in range(41):
    loss = nt_xent(projector(encoder(augment(points))), projector(encoder(augment(points))))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.4f}")

triplet = nn.TripletMarginLoss(margin=1.0)
z = encoder(points)
positive, negative = z.roll(5, 0), z.roll(1, 0)
print(f"triplet {triplet(z, positive, negative).item():.4f}")
print(f"cosine {nn.CosineEmbeddingLoss()(z, positive, torch.ones(60)).item():.4f}")
probe = nn.Linear(8, 5)
lbfgs = torch.optim.LBFGS(probe.parameters(), max_iter=20)
features = z.detach()


def closure():
    lbfgs.zero_grad()
    loss = F.cross_entropy(probe(features), kinds) + 1e-2 * probe.weight.pow(2).sum()
    loss.backward()
    return loss


lbfgs.step(closure)
print("probe right", (probe(features).argmax(1) == kinds).sum().item())
