"""k-means and a Gaussian mixture by expectation maximisation, without gradients."""

import math

import torch

torch.manual_seed(149)
centres = torch.tensor([[0.0, 0.0], [4.0, 1.0], [1.0, 5.0]])
truth = torch.arange(150) % 3
points = centres[truth] + torch.randn(150, 2) * torch.tensor([0.6, 0.9])


def k_means(x, k, rounds=8):
    c = x[torch.randperm(len(x))[:k]]
    for r in range(rounds):
        distance = torch.cdist(x, c)
        nearest = distance.argmin(dim=1)
        c = torch.stack([x[nearest == j].mean(dim=0) for j in range(k)])
        if r % 3 == 0:
            print(f"round {r} cost {distance.min(1).values.pow(2).sum().item():.3f}")
    return c, nearest


c, nearest = k_means(points, 3)
order = c[:, 0].argsort()
print("centres", [[round(v, 2) for v in row] for row in c[order].tolist()])
print("sizes", torch.bincount(nearest)[order].tolist())

mean, weight = c.clone(), torch.full((3,), 1 / 3)
covariance = torch.eye(2).repeat(3, 1, 1)
for step in range(10):
    factor = torch.linalg.cholesky(covariance)
    shifted = torch.linalg.solve_triangular(
        factor, (points.unsqueeze(0) - mean.unsqueeze(1)).mT, upper=False
    )
    log = -0.5 * shifted.pow(2).sum(1) - factor.diagonal(dim1=-2, dim2=-1).log().sum(
        -1, keepdim=True
    )
    log = log - math.log(2 * math.pi) + weight.log().unsqueeze(1)
    total = log.logsumexp(0)
    r = (log - total).exp()
    count = r.sum(1)
    mean = r @ points / count.unsqueeze(1)
    apart = points.unsqueeze(0) - mean.unsqueeze(1)
    covariance = torch.einsum("kn,kni,knj->kij", r, apart, apart) / count[
        :, None, None
    ] + 1e-4 * torch.eye(2)
    weight = count / len(points)
    if step % 3 == 0:
        print(f"em {step} log-likelihood {total.sum().item():.3f}")
print("weights", [round(v, 3) for v in weight[order].tolist()])
confused = torch.zeros(3, 3, dtype=torch.long).index_put_(
    (truth, r.argmax(0)), torch.tensor(1), accumulate=True
)
print("confusion rows", confused.sum(1).tolist(), "largest", confused.max(1).values.tolist())
values, counts = torch.unique(points.round(), dim=0, return_counts=True)
print(
    "cells",
    len(values),
    "fullest",
    counts.max().item(),
    "median",
    points.median(0).values.round(decimals=3).tolist(),
)
