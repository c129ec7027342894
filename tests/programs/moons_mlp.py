"""Two interleaved half moons told apart by an nn.Module, with mini-batches and a schedule."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def moons(count):
    angle = torch.rand(count) * math.pi
    kind = torch.randint(0, 2, (count,))
    side = 1 - 2 * kind
    points = torch.stack([torch.cos(angle) * side + kind, torch.sin(angle) * side + 0.5 * kind], 1)
    return points + 0.1 * torch.randn(count, 2), kind


class Classifier(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
        )
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.body(x))


torch.manual_seed(7)
points, kinds = moons(400)
train, valid = random_split(TensorDataset(points, kinds), [300, 100])
loader = DataLoader(train, batch_size=50, shuffle=True)
model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)
criterion = nn.CrossEntropyLoss()
print(model)
for epoch in range(8):
    model.train()
    total = 0.0
    for x, t in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
    schedule.step()
    model.eval()
    with torch.no_grad():
        x, t = valid[:]
        right = (model(x).argmax(1) == t).sum().item()
    lr = schedule.get_last_lr()[0]
    print(f"epoch {epoch} loss {total / len(train):.4f} right {right} lr {lr:.4f}")
print("parameters", sum(p.numel() for p in model.parameters()))
