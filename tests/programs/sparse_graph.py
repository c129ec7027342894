"""A graph convolutional network whose adjacency is a sparse matrix, as Kipf and Welling's code."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(7)
N, EDGES = 40, 70
kind = torch.arange(N) % 4
source = torch.randint(0, N, (EDGES,))
target = torch.where(
    torch.rand(EDGES) < 0.8, (source + 4 * torch.randint(1, 9, (EDGES,))) % N, source.flip(0)
)
pairs = torch.stack([torch.cat([source, target]), torch.cat([target, source])])
loops = torch.arange(N).expand(2, N)
index = torch.cat([pairs, loops], 1)
adjacency = torch.sparse_coo_tensor(index, torch.ones(index.shape[1]), (N, N)).coalesce()
degree = torch.sparse.sum(adjacency, 1).to_dense()
rows, columns = adjacency.indices()
values = degree.rsqrt()[rows] * adjacency.values() * degree.rsqrt()[columns]
adjacency = torch.sparse_coo_tensor(adjacency.indices(), values, adjacency.size())
print("nonzeros", adjacency._nnz(), "of", adjacency.numel(), adjacency.layout)


class GraphConvolution(nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inside, outside))
        self.bias = nn.Parameter(torch.zeros(outside))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x, adjacency):
        return torch.spmm(adjacency, x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, adjacency):
        super().__init__()
        self.first, self.second = GraphConvolution(8, 16), GraphConvolution(16, 4)
        self.register_buffer("adjacency", adjacency)

    def forward(self, x):
        hidden = F.dropout(F.relu(self.first(x, self.adjacency)), 0.2, self.training)
        return F.log_softmax(self.second(hidden, self.adjacency), 1)


x = F.one_hot(kind, 8).float() * 0.5 + torch.randn(N, 8) * 0.5
known = torch.randperm(N)[:16]
model = GCN(adjacency)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
for epoch in range(41):
    model.train()
    optimizer.zero_grad()
    loss = F.nll_loss(model(x)[known], kind[known])
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch} loss {loss.item():.4f}")
model.eval()
print("right", (model(x).argmax(1) == kind).sum().item(), sorted(model.state_dict()))

# attention over neighbours: weights that can be learned, normalised over each row
scores = torch.randn(adjacency._nnz(), requires_grad=True)
links = torch.sparse_coo_tensor(adjacency._indices(), scores, (N, N))
attention = torch.sparse.softmax(links, 1)
pooled = torch.sparse.mm(attention, x)
pooled.square().mean().backward()
print(f"pooled {pooled.norm().item():.4f} gradient {scores.grad.norm().item():.6f}")
compressed = adjacency.to_sparse_csr()
print("rows", compressed.crow_indices()[:6].tolist(), f"{(compressed @ x).norm().item():.4f}")
