"""Parametrizations: symmetric, orthogonal and spectrally normalised weights under training."""

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, a):
        return a.triu()


torch.manual_seed(53)
layer = nn.Linear(4, 4)
parametrize.register_parametrization(layer, "weight", Symmetric())
print("symmetric", torch.allclose(layer.weight, layer.weight.T), list(layer.state_dict()))
turn = parametrizations.orthogonal(nn.Linear(4, 4))
spectral = parametrizations.spectral_norm(nn.Linear(4, 4))
weighted = parametrizations.weight_norm(nn.Linear(4, 4))
x, y = torch.randn(32, 4), torch.randn(32, 4)
model = nn.Sequential(layer, turn, spectral, weighted)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(21):
    with parametrize.cached():
        loss = (model(x) - y).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    print("still symmetric", torch.allclose(layer.weight, layer.weight.T))
    print("still orthogonal", torch.allclose(turn.weight @ turn.weight.T, torch.eye(4), atol=1e-4))
    model.eval()
    print("spectral norm", round(torch.linalg.matrix_norm(spectral.weight, 2).item(), 2))
parametrize.remove_parametrizations(layer, "weight")
print("removed", [name for name, _ in layer.named_parameters()], type(layer).__name__)
