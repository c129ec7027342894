"""Binary weights with a straight-through estimator, and a vector-quantised bottleneck."""

import torch
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class Binarize(Function):
    @staticmethod
    def forward(ctx, w):
        ctx.save_for_backward(w)
        return w.sign()

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        (w,) = ctx.saved_tensors
        return g * (w.abs() <= 1)


class BinaryLinear(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, Binarize.apply(self.weight), self.bias)


class Quantizer(nn.Module):
    def __init__(self, count, width):
        super().__init__()
        self.codes = nn.Embedding(count, width)
        self.codes.weight.data.uniform_(-1, 1)

    def forward(self, z):
        nearest = torch.cdist(z, self.codes.weight).argmin(1)
        q = self.codes(nearest)
        loss = (q - z.detach()).pow(2).mean() + 0.25 * (q.detach() - z).pow(2).mean()
        return z + (q - z).detach(), nearest, loss


torch.manual_seed(43)
x = torch.randn(64, 8)
y = torch.stack([x[:, :4].sum(1), x[:, 4:].sum(1)], 1)
encoder, quantizer, decoder = BinaryLinear(8, 4), Quantizer(12, 4), nn.Linear(4, 2)
modules = nn.ModuleList([encoder, quantizer, decoder])
optimizer = torch.optim.Adam(modules.parameters(), lr=0.02)
for step in range(41):
    q, used, extra = quantizer(encoder(x) / 4)
    loss = nn.functional.l1_loss(decoder(q), y) + extra
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.4f} codes used {used.unique().numel()}")
print("signs", encoder.weight.sign().sum().item(), encoder.weight.grad.abs().sum().item() > 0)
