"""A character LSTM learns a short text and writes on greedily and by sampling."""

import torch
from torch import nn

TEXT = "the slope is where the loss goes down, and down goes the loss where the slope is. " * 3
letters = sorted(set(TEXT))
number = {c: i for i, c in enumerate(letters)}
data = torch.tensor([number[c] for c in TEXT])


class CharLSTM(nn.Module):
    def __init__(self, size, hidden=48):
        super().__init__()
        self.embed = nn.Embedding(size, 16)
        self.lstm = nn.LSTM(16, hidden, num_layers=2, batch_first=True, dropout=0.1)
        self.out = nn.Linear(hidden, size)

    def forward(self, x, state=None):
        h, state = self.lstm(self.embed(x), state)
        return self.out(h), state


torch.manual_seed(8)
model = CharLSTM(len(letters))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
span = 24
for step in range(31):
    starts = torch.randint(0, len(data) - span - 1, (8,))
    x = torch.stack([data[s : s + span] for s in starts])
    y = torch.stack([data[s + 1 : s + span + 1] for s in starts])
    logits, _ = model(x)
    loss = nn.functional.cross_entropy(logits.reshape(-1, len(letters)), y.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    state, token = None, data[:1].view(1, 1)
    probabilities = []
    for _ in range(10):
        logits, state = model(token, state)
        p = logits[0, -1].softmax(0)
        probabilities.append(p.max().item())
        token = p.argmax().view(1, 1)
print("confidence", [round(p, 3) for p in probabilities])
print("states", tuple(state[0].shape), f"{state[1].abs().mean().item():.4f}")
