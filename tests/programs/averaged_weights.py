"""Stochastic weight averaging and an exponential average, with their schedules and update_bn."""

import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(37)
x = torch.randn(96, 6)
y = (x[:, 0] * x[:, 1] > 0).long()
loader = DataLoader(
    TensorDataset(x, y), batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(5)
)
model = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 2))
swa = AveragedModel(model)
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
constant = SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)
for epoch in range(12):
    for a, b in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(a), b)
        loss.backward()
        optimizer.step()
        ema.update_parameters(model)
    if epoch >= 8:
        swa.update_parameters(model)
        constant.step()
    else:
        cosine.step()
    if epoch % 3 == 0:
        print(f"epoch {epoch} loss {loss.item():.4f} lr {optimizer.param_groups[0]['lr']:.5f}")
update_bn(loader, swa)
for name, each in (("plain", model), ("swa", swa), ("ema", ema)):
    each.eval()
    with torch.no_grad():
        out = each(x)
    loss, right = nn.functional.cross_entropy(out, y).item(), (out.argmax(1) == y).sum().item()
    print(name, f"loss {loss:.4f} right {right}")
print("averaged", swa.n_averaged.item())
