"""Matrix factorisation with biases, embeddings and bags: ratings, then a ranking."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(127)
USERS, ITEMS = 30, 20
taste, trait = torch.randn(USERS, 3), torch.randn(ITEMS, 3)
user = torch.randint(0, USERS, (400,))
item = torch.randint(0, ITEMS, (400,))
rating = ((taste[user] * trait[item]).sum(1) + 3 + 0.1 * torch.randn(400)).clamp(1, 5)


class Factors(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.users, self.items = (
            nn.Embedding(USERS, width),
            nn.Embedding(ITEMS, width, max_norm=3.0),
        )
        self.user_bias, self.item_bias = nn.Embedding(USERS, 1), nn.Embedding(ITEMS, 1)
        self.history = nn.EmbeddingBag(ITEMS, width, mode="mean")
        self.average = nn.Parameter(torch.tensor(3.0))
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, u, i, seen):
        p = self.users(u) + self.history(seen)
        bias = self.user_bias(u) + self.item_bias(i)
        return (p * self.items(i)).sum(1) + bias.squeeze(1) + self.average


seen = torch.randint(0, ITEMS, (USERS, 5))
model = Factors()
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
for epoch in range(10):
    total = 0.0
    for u, i, r in DataLoader(TensorDataset(user, item, rating), batch_size=100, shuffle=True):
        loss = nn.functional.mse_loss(model(u, i, seen[u]), r)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 3 == 0:
        print(f"epoch {epoch} loss {total / 4:.4f}")
with torch.no_grad():
    scores = model(
        torch.zeros(ITEMS, dtype=torch.long), torch.arange(ITEMS), seen[:1].expand(ITEMS, -1)
    )
print("best score", round(scores.max().item(), 3), "spread", round(scores.std().item(), 3))
print("largest item norm", bool(model.items.weight[item].norm(dim=1).max() < 3.5))
