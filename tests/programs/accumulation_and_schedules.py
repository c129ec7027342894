"""Gradient accumulation, clipping, warm restarts, plateaus, early stopping, frozen layers."""

import copy
import warnings

import torch
from torch import nn
from torch.optim import lr_scheduler as S

torch.manual_seed(151)
x = torch.randn(64, 8)
y = x @ torch.randn(8, 1) + 0.1 * torch.randn(64, 1)
model = nn.Sequential(nn.Linear(8, 16), nn.PReLU(), nn.Linear(16, 1))
for p in model[0].parameters():
    p.requires_grad_(False)
optimizer = torch.optim.SGD(
    filter(lambda p: p.requires_grad, model.parameters()), lr=0.05, momentum=0.5, weight_decay=1e-3
)
plateau = S.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=0.05)
best, kept, waited = float("inf"), None, 0
for epoch in range(30):
    optimizer.zero_grad()
    for part_x, part_y in zip(x.chunk(4), y.chunk(4)):
        loss = nn.functional.mse_loss(model(part_x), part_y) / 4
        loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0, norm_type=2)
    optimizer.step()
    with torch.no_grad():
        total = nn.functional.mse_loss(model(x), y).item()
    plateau.step(total)
    if epoch % 5 == 0:
        lr = optimizer.param_groups[0]["lr"]
        print(f"epoch {epoch} loss {total:.4f} norm {norm.item():.3f} lr {lr:.4f}")
    if total < best - 1e-3:
        best, kept, waited = total, copy.deepcopy(model.state_dict()), 0
    else:
        waited += 1
        if waited == 3:
            print("stopped early")
            break
model.load_state_dict(kept)
print(f"best {best:.4f} frozen {model[0].weight.grad is None} slope {model[1].weight.item():.4f}")


def rates(make, steps=8):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = make(optimizer)
    out = []
    for _ in range(steps):
        optimizer.step()
        out.append(round(optimizer.param_groups[0]["lr"], 5))
        schedule.step()
    return out


warnings.simplefilter("ignore")
for name, make in {
    "lambda": lambda o: S.LambdaLR(o, lambda e: 0.95**e),
    "multistep": lambda o: S.MultiStepLR(o, [2, 5], 0.1),
    "polynomial": lambda o: S.PolynomialLR(o, 6, 2.0),
    "warm restarts": lambda o: S.CosineAnnealingWarmRestarts(o, 3, 2),
    "cyclic": lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=2, mode="triangular2"),
    "one cycle": lambda o: S.OneCycleLR(o, 0.2, total_steps=9),
    "sequential": lambda o: S.SequentialLR(
        o, [S.ConstantLR(o, 0.5, 2), S.ExponentialLR(o, 0.8)], [3]
    ),
    "chained": lambda o: S.ChainedScheduler([S.LinearLR(o, 0.5, total_iters=3), S.StepLR(o, 2)]),
}.items():
    print(name, rates(make))
