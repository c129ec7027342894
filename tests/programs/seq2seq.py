"""Reversing sequences: a GRU encoder, an attending decoder, teacher forcing."""

import random

import torch
import torch.nn.functional as F
from torch import nn

SOS, EOS, SIZE, LENGTH = 0, 1, 9, 5
random.seed(0)
torch.manual_seed(0)


class Encoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(SIZE, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)

    def forward(self, x):
        return self.gru(self.embedding(x))


class Attention(nn.Module):
    """Additive attention (Bahdanau)."""

    def __init__(self, hidden):
        super().__init__()
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, query, keys):
        scores = self.score(torch.tanh(self.query(query) + self.key(keys))).squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class Decoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(SIZE, hidden)
        self.attention = Attention(hidden)
        self.gru = nn.GRU(2 * hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, SIZE)

    def forward(self, memory, state, target=None):
        token = torch.full((len(memory), 1), SOS)
        logits = []
        for t in range(LENGTH):
            context, _ = self.attention(state.permute(1, 0, 2), memory)
            step, state = self.gru(torch.cat((self.embedding(token), context), 2), state)
            logits.append(self.out(step))
            forced = target is not None and random.random() < 0.7
            token = target[:, t : t + 1] if forced else logits[-1].topk(1)[1].squeeze(-1).detach()
        return torch.cat(logits, 1)


encoder, decoder = Encoder(24), Decoder(24)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
x = torch.randint(2, SIZE, (64, LENGTH))
y = x.flip(1)
for step in range(21):
    memory, state = encoder(x)
    logits = decoder(memory, state, y)
    loss = nn.NLLLoss()(F.log_softmax(logits, -1).view(-1, SIZE), y.view(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        right = (logits.argmax(-1) == y).float().mean()
        print(f"step {step} loss {loss.item():.4f} right {right.item():.3f}")
