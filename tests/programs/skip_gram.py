"""Word vectors by skip-gram with negative sampling."""

import torch
import torch.nn.functional as F
from torch import nn

CORPUS = (
    "the king rules the land the queen rules the land the man walks the dog the woman walks the "
    "dog a king is a man a queen is a woman the dog likes the man the cat likes the woman"
).split()
words = sorted(set(CORPUS))
index = {w: i for i, w in enumerate(words)}
text = torch.tensor([index[w] for w in CORPUS])
pairs = [
    (i, j) for i in range(len(text)) for j in range(max(0, i - 2), min(len(text), i + 3)) if i != j
]
centre, context = text[[i for i, _ in pairs]], text[[j for _, j in pairs]]
frequency = torch.bincount(text, minlength=len(words)).float() ** 0.75


class SkipGram(nn.Module):
    def __init__(self, size, width):
        super().__init__()
        self.inside = nn.Embedding(size, width, sparse=False)
        self.outside = nn.Embedding(size, width)
        nn.init.uniform_(self.inside.weight, -0.5 / width, 0.5 / width)
        nn.init.zeros_(self.outside.weight)

    def forward(self, centre, context, negatives):
        v = self.inside(centre)
        positive = (v * self.outside(context)).sum(-1)
        negative = torch.bmm(self.outside(negatives), v.unsqueeze(2)).squeeze(2)
        return -(F.logsigmoid(positive) + F.logsigmoid(-negative).sum(1)).mean()


torch.manual_seed(13)
model = SkipGram(len(words), 10)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.5)
for epoch in range(31):
    negatives = torch.multinomial(frequency, len(centre) * 4, replacement=True).view(-1, 4)
    loss = model(centre, context, negatives)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch} loss {loss.item():.4f}")
vectors = F.normalize(model.inside.weight.detach(), dim=1)
near = F.cosine_similarity(vectors[index["king"]], vectors, dim=-1)
print(
    "king near queen",
    f"{near[index['queen']].item():.3f}",
    "near itself",
    f"{near[index['king']].item():.3f}",
)
print("words", len(words), "pairs", len(pairs))
