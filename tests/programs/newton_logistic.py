"""Logistic regression by Newton's method: Hessians from torch.autograd.functional."""

import torch
import torch.nn.functional as F
from torch.autograd.functional import hessian, hvp

torch.manual_seed(1)
n, d = 200, 5
x = torch.randn(n, d, dtype=torch.double)
truth = torch.tensor([1.5, -2.0, 0.5, 0.0, 1.0], dtype=torch.double)
y = (torch.rand(n, dtype=torch.double) < torch.sigmoid(x @ truth)).double()


def objective(w):
    return F.binary_cross_entropy_with_logits(x @ w, y) + 0.01 * w.dot(w)


w = torch.zeros(d, dtype=torch.double, requires_grad=True)
for step in range(6):
    loss = objective(w)
    (g,) = torch.autograd.grad(loss, w)
    h = hessian(objective, w.detach())
    print(f"step {step} loss {loss.item():.6f} gradient {g.norm().item():.2e}")
    with torch.no_grad():
        w -= torch.linalg.solve(h, g)

print("weights", [round(v, 4) for v in w.tolist()])
print("eigenvalues", [round(v, 4) for v in torch.linalg.eigvalsh(h).tolist()])
_, product = hvp(objective, w.detach(), torch.ones(d, dtype=torch.double))
print("hessian times ones", [round(v, 4) for v in product.tolist()])
accuracy = ((x @ w > 0) == (y > 0.5)).double().mean()
print(f"accuracy {accuracy.item():.3f}")
