"""A Transformer encoder decides whether a sequence holds more high tokens than low ones."""

import math

import torch
from torch import nn

torch.manual_seed(9)


class PositionalEncoding(nn.Module):
    def __init__(self, width, length=32):
        super().__init__()
        position = torch.arange(length).unsqueeze(1)
        frequency = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        pe = torch.zeros(1, length, width)
        pe[0, :, 0::2] = torch.sin(position * frequency)
        pe[0, :, 1::2] = torch.cos(position * frequency)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


class Model(nn.Module):
    def __init__(self, tokens=10, width=24):
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.position = PositionalEncoding(width)
        layer = nn.TransformerEncoderLayer(
            width, 3, 48, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 2)

    def forward(self, x, mask=None):
        h = self.encoder(self.position(self.embed(x) * math.sqrt(24)), src_key_padding_mask=mask)
        return self.head(h.mean(1))


x = torch.randint(0, 10, (80, 11))
y = ((x >= 5).sum(1) > 5).long()
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.2, total_iters=5)
for step in range(16):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    warmup.step()
    if step % 5 == 0:
        print(f"step {step} loss {loss.item():.4f} lr {warmup.get_last_lr()[0]:.5f}")
model.eval()
with torch.no_grad():
    print("right", (model(x).argmax(1) == y).sum().item())
print(
    "buffers",
    [name for name, _ in model.named_buffers()],
    sum(p.numel() for p in model.parameters()),
)
