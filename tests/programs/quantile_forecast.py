"""A forecast of quantiles by a temporal convolution, with several heads and losses."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(157)
t = torch.arange(400).float()
series = (
    torch.sin(t / 8) + 0.3 * torch.sin(t / 3) + (0.05 + 0.15 * (t % 50 > 25)) * torch.randn(400)
)
windows = series.unfold(0, 25, 3)
x, y = windows[:, :24].unsqueeze(1), windows[:, 24:]
levels = torch.tensor([0.1, 0.5, 0.9])


class CausalConv(nn.Conv1d):
    def __init__(self, inside, outside, kernel, dilation):
        super().__init__(inside, outside, kernel, dilation=dilation)
        self.reach = (kernel - 1) * dilation

    def forward(self, x):
        return super().forward(F.pad(x, (self.reach, 0)))


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for k in range(3):
            layers += [CausalConv(1 if not k else 12, 12, 3, 2**k), nn.ELU(), nn.Dropout1d(0.05)]
        self.body = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({"quantiles": nn.Linear(12, 3), "rises": nn.Linear(12, 1)})

    def forward(self, x):
        last = self.body(x)[..., -1]
        return {name: head(last) for name, head in self.heads.items()}


def pinball(predicted, true):
    error = true - predicted
    return torch.maximum(levels * error, (levels - 1) * error).mean()


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
rises = (y > x[:, :, -1]).float()
for step in range(41):
    out = model(x)
    loss = pinball(out["quantiles"], y) + 0.1 * F.binary_cross_entropy_with_logits(
        out["rises"], rises
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.5f}")
model.eval()
with torch.no_grad():
    out = model(x)
    inside = ((y >= out["quantiles"][:, :1]) & (y <= out["quantiles"][:, 2:])).float().mean()
print("inside the band", round(inside.item(), 2), "windows", tuple(windows.shape))
print("quantiles of the data", [round(v, 3) for v in torch.quantile(series, levels).tolist()])
