"""Gaussian process regression: Cholesky factors, hyperparameters by gradients, predictions."""

import math

import torch
from torch import nn

torch.manual_seed(131)
torch.set_default_dtype(torch.float64)
x = torch.linspace(0, 1, 25).unsqueeze(1)
y = torch.sin(6 * x).squeeze(1) + 0.1 * torch.randn(25)


class GP(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_length = nn.Parameter(torch.tensor(-1.0))
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.log_noise = nn.Parameter(torch.tensor(-2.0))

    def kernel(self, a, b):
        distance = torch.cdist(a / self.log_length.exp(), b / self.log_length.exp())
        return (2 * self.log_scale).exp() * torch.exp(-0.5 * distance**2)

    def evidence(self):
        k = self.kernel(x, x) + (2 * self.log_noise).exp() * torch.eye(len(x))
        factor = torch.linalg.cholesky(k)
        alpha = torch.cholesky_solve(y.unsqueeze(1), factor).squeeze(1)
        half = factor.diagonal().log().sum()
        return -0.5 * y @ alpha - half - 0.5 * len(x) * math.log(2 * math.pi)

    @torch.no_grad()
    def predict(self, new):
        k = self.kernel(x, x) + (2 * self.log_noise).exp() * torch.eye(len(x))
        factor = torch.linalg.cholesky(k)
        cross = self.kernel(x, new)
        mean = cross.T @ torch.cholesky_solve(y.unsqueeze(1), factor)
        v = torch.linalg.solve_triangular(factor, cross, upper=False)
        return mean.squeeze(1), self.kernel(new, new).diagonal() - v.pow(2).sum(0)


gp = GP()
optimizer = torch.optim.Adam(gp.parameters(), lr=0.05)
for step in range(41):
    loss = -gp.evidence()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} evidence {-loss.item():.4f}")
mean, variance = gp.predict(torch.tensor([[0.25], [0.5], [1.5]]))
print("mean", [round(v, 3) for v in mean.tolist()])
print("deviation", [round(v, 3) for v in variance.sqrt().tolist()])
print("length", round(gp.log_length.exp().item(), 3), "noise", round(gp.log_noise.exp().item(), 3))
print("determinant", round(torch.logdet(gp.kernel(x[:4], x[:4]) + 0.1 * torch.eye(4)).item(), 4))
