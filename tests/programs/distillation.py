"""A small student learns from a larger teacher's softened scores and true labels."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(97)
x = torch.randn(128, 10)
y = (x[:, :5].pow(2).sum(1) > x[:, 5:].pow(2).sum(1)).long()


def train(model, loss_of, steps, lr):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(x))
        loss.backward()
        optimizer.step()
    return loss.item()


teacher = nn.Sequential(
    nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
)
print(f"teacher loss {train(teacher, lambda out: F.cross_entropy(out, y), 60, 5e-3):.4f}")
teacher.eval()
for p in teacher.parameters():
    p.requires_grad = False
soft = teacher(x)
print("teacher needs no gradient", soft.requires_grad)

T, alpha = 2.0, 0.7


def distill(out):
    kl = F.kl_div(F.log_softmax(out / T, 1), F.softmax(soft / T, 1), reduction="batchmean") * T * T
    return alpha * kl + (1 - alpha) * F.cross_entropy(out, y)


student = nn.Sequential(nn.Linear(10, 8), nn.Hardswish(), nn.Linear(8, 2))
plain = copy.deepcopy(student)
print(f"distilled {train(student, distill, 60, 1e-2):.4f}")
print(f"plain {train(plain, lambda out: F.cross_entropy(out, y), 60, 1e-2):.4f}")
with torch.no_grad():
    agree = (student(x).argmax(1) == soft.argmax(1)).float().mean().item()
print(f"student agrees with teacher {agree:.2f}")
