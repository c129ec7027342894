"""Connectionist temporal classification: a 1-d convolutional recogniser of spelt symbols."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(109)
SYMBOLS, FRAMES = 4, 24
templates = torch.randn(SYMBOLS, 6)


def utter(word):
    frames = [templates[s - 1].repeat(5, 1) for s in word]
    x = torch.cat(frames + [torch.zeros(FRAMES - 5 * len(word), 6)])
    return x + 0.2 * torch.randn_like(x)


words = [torch.randint(1, SYMBOLS + 1, (int(n),)) for n in torch.randint(2, 5, (16,))]
x = torch.stack([utter(w.tolist()) for w in words]).transpose(1, 2)
targets, lengths = torch.cat(words), torch.tensor([len(w) for w in words])
model = nn.Sequential(
    nn.Conv1d(6, 24, 5, padding=2), nn.BatchNorm1d(24), nn.ReLU(), nn.Conv1d(24, SYMBOLS + 1, 1)
)
loss_function = nn.CTCLoss(blank=0, zero_infinity=True)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(31):
    log_probs = F.log_softmax(model(x), 1).permute(2, 0, 1)
    loss = loss_function(log_probs, targets, torch.full((16,), FRAMES), lengths)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.4f}")


def decode(path):
    kept = torch.unique_consecutive(path)
    return kept[kept != 0].tolist()


model.eval()
best = model(x).argmax(1)
print(
    "words spelt right", sum(decode(p) == w.tolist() for p, w in zip(best, words)), "of", len(words)
)
