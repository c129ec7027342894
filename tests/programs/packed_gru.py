"""A bidirectional GRU on sequences of different lengths, packed; the sum's sign is learnt."""

import torch
from torch import nn
from torch.nn.utils.rnn import (
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
)

torch.manual_seed(12)
lengths = torch.randint(2, 9, (24,))
series = [torch.randn(int(n), 2) for n in lengths]
labels = torch.tensor([float(s.sum() > 0) for s in series])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 12, bidirectional=True, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, padded, lengths):
        packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
        out, h = self.gru(packed)
        out, counts = pad_packed_sequence(out, batch_first=True)
        return self.head(torch.cat([h[0], h[1]], dim=1)).squeeze(1), out, counts


padded = pad_sequence(series, batch_first=True)
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(25):
    scores, out, counts = model(padded, lengths)
    loss = nn.functional.binary_cross_entropy_with_logits(scores, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 6 == 0:
        print(f"{step:2d} loss {loss.item():.4f} mean output {out.mean().item():.5f}")
print("same lengths", bool((counts == lengths).all()), tuple(out.shape))
packed = pack_sequence(series, enforce_sorted=False)
print("packed", tuple(packed.data.shape), packed.batch_sizes.tolist())
print("right", int(((scores > 0).float() == labels).sum()))
