"""Bayesian linear regression by variational inference: ELBO, KL divergences, posteriors."""

import torch
from torch import distributions as D
from torch import nn

torch.manual_seed(59)
x = torch.linspace(-1, 1, 40)
y = 1.5 * x - 0.5 + 0.2 * torch.randn(40)
prior = D.Independent(D.Normal(torch.zeros(2), torch.ones(2)), 1)
location = nn.Parameter(torch.zeros(2))
log_scale = nn.Parameter(torch.full((2,), -1.0))
log_noise = nn.Parameter(torch.tensor(0.0))
optimizer = torch.optim.Adam([location, log_scale, log_noise], lr=0.05)
for step in range(61):
    posterior = D.Independent(D.Normal(location, log_scale.exp()), 1)
    w = posterior.rsample((16,))
    mean = w[:, :1] * x + w[:, 1:]
    fit = D.Normal(mean, log_noise.exp()).log_prob(y).sum(-1).mean()
    kl = D.kl_divergence(posterior, prior)
    loss = kl - fit
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step} elbo {-loss.item():.3f} kl {kl.item():.4f}")
print("slope", f"{location[0].item():.3f} +- {log_scale[0].exp().item():.3f}")
print("noise", f"{log_noise.exp().item():.3f}")

a = torch.stack([x, torch.ones_like(x)], 1)
exact = torch.linalg.solve(a.T @ a / 0.04 + torch.eye(2), a.T @ y / 0.04)
print("exact", [round(v, 3) for v in exact.tolist()])
gamma = D.Gamma(torch.tensor([2.0]), torch.tensor([3.0]))
print(
    "gamma",
    gamma.mean.item(),
    round(gamma.log_prob(torch.tensor([0.5])).item(), 4),
    round(gamma.entropy().item(), 4),
)
print("beta to uniform", round(D.kl_divergence(D.Beta(2.0, 3.0), D.Beta(1.0, 1.0)).item(), 4))
