"""Scaled dot-product attention by hand, by einsum and by torch's own: one answer."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(6)
B, H, T, D = 2, 3, 7, 8
q, k, v = (torch.randn(B, H, T, D, requires_grad=True) for _ in range(3))
mask = torch.tril(torch.ones(T, T, dtype=torch.bool))

scores = q @ k.transpose(-2, -1) / math.sqrt(D)
scores = scores.masked_fill(~mask, float("-inf"))
by_hand = scores.softmax(-1) @ v
by_einsum = torch.einsum(
    "bhts,bhsd->bhtd",
    (torch.einsum("bhtd,bhsd->bhts", q, k) / D**0.5).masked_fill(~mask, -torch.inf).softmax(-1),
    v,
)
by_torch = F.scaled_dot_product_attention(q, k, v, is_causal=True)
print(
    "close",
    torch.allclose(by_hand, by_einsum, atol=1e-6),
    torch.allclose(by_hand, by_torch, atol=1e-6),
)
grads = [
    torch.autograd.grad(out.square().sum(), (q, k, v)) for out in (by_hand, by_einsum, by_torch)
]
for name, *each in zip("qkv", *grads):
    print(name, [round(g.norm().item(), 3) for g in each])

layer = nn.MultiheadAttention(16, 4, batch_first=True)
x = torch.randn(2, 5, 16)
padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
out, weights = layer(x, x, x, key_padding_mask=padding)
print("multihead", f"{out.mean().item():.5f} {out.std().item():.5f}", tuple(weights.shape))
print("no weight on padding", weights[1, :, 3:].sum().item())
out.sum().backward()
print("in_proj", round(layer.in_proj_weight.grad.norm().item(), 3))
