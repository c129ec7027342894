"""A hidden Markov model trained by gradients: the forward algorithm in logarithms, Viterbi."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(113)
start = torch.tensor([0.6, 0.4])
move = torch.tensor([[0.85, 0.15], [0.2, 0.8]])
emit = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])


def draw(count, steps):
    z = torch.multinomial(start, count, replacement=True)
    seen, hidden = [], []
    for _ in range(steps):
        hidden.append(z)
        seen.append(torch.multinomial(emit[z], 1).squeeze(1))
        z = torch.multinomial(move[z], 1).squeeze(1)
    return torch.stack(seen, 1), torch.stack(hidden, 1)


class HMM(nn.Module):
    def __init__(self, states=2, symbols=3):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(states))
        self.move = nn.Parameter(torch.eye(states))
        self.emit = nn.Parameter(0.5 * torch.randn(states, symbols))

    def tables(self):
        return (
            F.log_softmax(self.start, 0),
            F.log_softmax(self.move, 1),
            F.log_softmax(self.emit, 1),
        )

    def forward(self, seen):
        start, move, emit = self.tables()
        alpha = start + emit[:, seen[:, 0]].T
        for t in range(1, seen.shape[1]):
            alpha = torch.logsumexp(alpha.unsqueeze(2) + move, dim=1) + emit[:, seen[:, t]].T
        return torch.logsumexp(alpha, dim=1)

    @torch.no_grad()
    def viterbi(self, seen):
        start, move, emit = self.tables()
        best, back = start + emit[:, seen[:, 0]].T, []
        for t in range(1, seen.shape[1]):
            best, arg = (best.unsqueeze(2) + move).max(dim=1)
            best = best + emit[:, seen[:, t]].T
            back.append(arg)
        path = [best.argmax(1)]
        for arg in reversed(back):
            path.insert(0, arg.gather(1, path[0].unsqueeze(1)).squeeze(1))
        return torch.stack(path, 1)


seen, hidden = draw(40, 25)
model = HMM()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for step in range(31):
    loss = -model(seen).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} nats {loss.item():.4f}")
path = model.viterbi(seen)
agree = (path == hidden).float().mean().item()
print("agrees with the truth", round(max(agree, 1 - agree), 2))
print("stays", [round(v, 3) for v in model.move.softmax(1).diagonal().tolist()])
