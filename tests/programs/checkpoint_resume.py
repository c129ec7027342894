"""Training is saved half-way and resumed in new objects: the losses go on as before."""

import io
import os
import tempfile

import torch
from torch import nn


def build():
    torch.manual_seed(83)
    model = nn.Sequential(
        nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=True)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    return model, optimizer, scheduler


def train(model, optimizer, scheduler, steps):
    losses = []
    for _ in range(steps):
        x = torch.randn(20, 5)
        loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(round(loss.item(), 4))
    return losses


path = os.path.join(tempfile.mkdtemp(), "checkpoint.pt")
parts = build()
first = train(*parts, 5)
names = ("model", "optimizer", "scheduler")
torch.save(
    {**{n: p.state_dict() for n, p in zip(names, parts)}, "rng": torch.get_rng_state(), "step": 5},
    path,
)
straight = train(*parts, 5)

resumed = build()
checkpoint = torch.load(path, weights_only=True)
for name, part in zip(names, resumed):
    print(name, part.load_state_dict(checkpoint[name]))
torch.set_rng_state(checkpoint["rng"])
again = train(*resumed, 5)
print("first", first)
print("straight", straight)
print("resumed the same", again == straight, "step", checkpoint["step"])

buffer = io.BytesIO()
shared = torch.arange(6.0)
torch.save({"whole": shared, "part": shared[2:4]}, buffer)
buffer.seek(0)
loaded = torch.load(buffer)
loaded["whole"][2] = 100
print("storage still shared", loaded["part"].tolist())
missing = resumed[0].load_state_dict({"0.weight": torch.zeros(16, 5)}, strict=False)
print("missing", len(missing.missing_keys), "unexpected", missing.unexpected_keys)
