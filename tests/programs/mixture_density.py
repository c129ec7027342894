"""A mixture density network: MixtureSameFamily over what the network predicts."""

import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

torch.manual_seed(61)
t = torch.rand(200, 1)
x = t + 0.3 * torch.sin(2 * torch.pi * t) + 0.05 * torch.randn(200, 1)
net = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 9))


def mixture(x):
    logits, mean, scale = net(x).chunk(3, dim=-1)
    return MixtureSameFamily(
        Categorical(logits=logits), Normal(mean, nn.functional.softplus(scale) + 0.01)
    )


optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for step in range(81):
    loss = -mixture(x).log_prob(t.squeeze(-1)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    m = mixture(torch.tensor([[0.1], [0.5], [0.9]]))
    print("means", [round(v, 3) for v in m.mean.tolist()])
    print("deviations", [round(v, 3) for v in m.stddev.tolist()])
    print("cdf", [round(v, 3) for v in m.cdf(torch.tensor([0.5])).tolist()])
    print("samples", tuple(m.sample((5,)).shape))
