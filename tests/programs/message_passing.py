"""Message passing with index_add and scatter_reduce: the longest path counts are learnt."""

import torch
from torch import nn

torch.manual_seed(29)
edges = torch.tensor([[0, 0, 1, 2, 3, 3, 4, 5, 6, 7], [1, 2, 3, 3, 4, 5, 6, 6, 7, 0]])
source, sink = edges
nodes = 8


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.message = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU())
        self.update = nn.GRUCell(2 * width, width)

    def forward(self, h):
        m = self.message(torch.cat([h[source], h[sink]], dim=1))
        total = torch.zeros_like(h).index_add(0, sink, m)
        largest = torch.zeros_like(h).scatter_reduce(
            0, sink.unsqueeze(1).expand_as(m), m, reduce="amax", include_self=True
        )
        return self.update(torch.cat([total, largest], dim=1), h)


class Net(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.start = nn.Embedding(nodes, width)
        self.layers = nn.ModuleList([Layer(width) for _ in range(3)])
        self.out = nn.Linear(width, 1)

    def forward(self):
        h = self.start.weight
        for layer in self.layers:
            h = layer(h)
        return self.out(h).squeeze(-1)


degree = torch.zeros(nodes).scatter_add(0, sink, torch.ones(len(sink)))
goal = degree + 0.5 * torch.bincount(source, minlength=nodes)
model = Net()
optimizer = torch.optim.RAdam(model.parameters(), lr=0.02)
for step in range(31):
    loss = nn.functional.huber_loss(model(), goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.5f}")
print("goal", goal.tolist())
print("found", [round(v, 2) for v in model().tolist()])
