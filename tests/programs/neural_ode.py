"""A neural ordinary differential equation: Runge-Kutta steps, gradients through the solver."""

import torch
from torch import nn

torch.manual_seed(31)
true_a = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
times = torch.linspace(0, 2, 21)


def rk4(f, y, times):
    path = [y]
    for t0, t1 in zip(times[:-1], times[1:]):
        h = t1 - t0
        k1 = f(t0, y)
        k2 = f(t0 + h / 2, y + h / 2 * k1)
        k3 = f(t0 + h / 2, y + h / 2 * k2)
        k4 = f(t1, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(y)
    return torch.stack(path)


with torch.no_grad():
    truth = rk4(lambda t, y: (y**3) @ true_a.T, torch.tensor([[1.0, 0.0]]), times)


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 2))
        for m in self.net:
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        return self.net(y**3)


field = Field()
optimizer = torch.optim.RMSprop(field.parameters(), lr=5e-3)
for step in range(26):
    optimizer.zero_grad()
    loss = (rk4(field, truth[0], times) - truth).abs().mean()
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        print(f"iteration {step:2d} loss {loss.item():.5f}")
print("end", [round(v, 3) for v in rk4(field, truth[0], times)[-1, 0].tolist()])
