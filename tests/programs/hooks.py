"""Hooks: features taken out of a network, gradients looked at and changed, modules timed out."""

from functools import partial

import torch
from torch import nn

torch.manual_seed(47)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
features, order = {}, []


def keep(name, module, args, output):
    features[name] = output.detach()
    order.append(name)


handles = [m.register_forward_hook(partial(keep, name)) for name, m in model.named_children()]
pre = model[3].register_forward_pre_hook(lambda module, args: (args[0] * 2,))
gradients = {}
model[0].register_full_backward_hook(
    lambda module, grad_input, grad_output: gradients.update(conv=grad_output[0].norm().item())
)
model[3].weight.register_hook(lambda g: g.clamp(-0.05, 0.05))

x = torch.randn(3, 1, 8, 8, requires_grad=True)
out = model(x)
h = features["2"]
loss = out.pow(2).mean()
loss.register_hook(lambda g: g * 0.5)
loss.backward()
print("order", order)
print("features", {k: (tuple(v.shape), round(v.mean().item(), 4)) for k, v in features.items()})
print(
    "conv gradient",
    round(gradients["conv"], 4),
    "clipped",
    round(model[3].weight.grad.abs().max().item(), 4),
)
print("input", round(x.grad.norm().item(), 4))
for handle in handles:
    handle.remove()
pre.remove()
order.clear()
print("without pre-hook", round(model(x).pow(2).mean().item(), 4), order)

saved = []
with torch.autograd.graph.saved_tensors_hooks(
    lambda t: saved.append(t.shape) or t.double(), lambda t: t.float()
):
    y = (x * x).sin().sum()
print("saved", [tuple(s) for s in saved], round(torch.autograd.grad(y, x)[0].sum().item(), 4))
accumulated = []
w = torch.ones(2, requires_grad=True)
w.register_post_accumulate_grad_hook(lambda p: accumulated.append(p.grad.tolist()))
for k in range(2):
    (w * (k + 1)).sum().backward()
print("accumulated", accumulated)
