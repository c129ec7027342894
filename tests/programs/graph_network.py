"""A graph convolutional network on a small community graph, few nodes labelled."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(19)
N = 20
kind = torch.arange(N) // 10
same = kind.unsqueeze(0) == kind.unsqueeze(1)
upper = torch.triu(torch.rand(N, N) < torch.where(same, 0.5, 0.06), diagonal=1)
adjacency = (upper | upper.T).float()
a = adjacency + torch.eye(N)
inverse_root = a.sum(1).rsqrt()
a_hat = inverse_root.unsqueeze(1) * a * inverse_root


class GraphConvolution(nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inside, outside))
        self.bias = nn.Parameter(torch.zeros(outside))
        nn.init.xavier_normal_(self.weight)

    def forward(self, x, a):
        return a @ (x @ self.weight) + self.bias

    def extra_repr(self):
        return f"{self.weight.shape[0]} -> {self.weight.shape[1]}"


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.gc1 = GraphConvolution(N, 8)
        self.gc2 = GraphConvolution(8, 2)

    def forward(self, x, a):
        x = F.dropout(F.elu(self.gc1(x, a)), 0.3, training=self.training)
        return F.log_softmax(self.gc2(x, a), dim=1)


x = torch.eye(N)
known = torch.tensor([0, 3, 12, 17])
model = GCN()
print(model)
optimizer = torch.optim.Adamax(model.parameters(), lr=0.05, weight_decay=5e-4)
for epoch in range(31):
    model.train()
    optimizer.zero_grad()
    out = model(x, a_hat)
    loss = F.nll_loss(out[known], kind[known])
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch} loss {loss.item():.4f}")
model.eval()
print("right", (model(x, a_hat).argmax(1) == kind).sum().item(), "edges", int(adjacency.sum()) // 2)
