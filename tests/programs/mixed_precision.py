"""Autocast to bfloat16 and a gradient scaler around an ordinary training loop."""

import torch
from torch import nn

torch.manual_seed(89)
model = nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 4))
x, y = torch.randn(64, 16), torch.randint(0, 4, (64,))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=4)
for step in range(9):
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        out = model(x)
        loss = nn.functional.cross_entropy(out, y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    if step % 4 == 0:
        print(
            f"step {step} loss {loss.item():.2f} scale {scaler.get_scale():.0f}",
            out.dtype,
            loss.dtype,
        )
with torch.autocast("cpu", dtype=torch.bfloat16):
    a = torch.ones(2, 2) @ torch.ones(2, 2)
    b = torch.ones(2, 2) + torch.ones(2, 2)
    with torch.autocast("cpu", enabled=False):
        c = torch.ones(2, 2) @ torch.ones(2, 2)
print(a.dtype, b.dtype, c.dtype, torch.is_autocast_cpu_enabled())
print(model[0].weight.grad.dtype)
