"""Low-rank structure: PCA by SVD, nuclear-norm completion, a Gram-matrix style loss."""

import torch

torch.manual_seed(137)
basis = torch.linalg.qr(torch.randn(12, 3)).Q
data = torch.randn(50, 3) * torch.tensor([3.0, 1.5, 0.7]) @ basis.T + 0.05 * torch.randn(50, 12)
centred = data - data.mean(0)
U, S, Vh = torch.linalg.svd(centred, full_matrices=False)
print("singular values", [round(v, 3) for v in S[:5].tolist()])
explained = (S[:3] ** 2).sum() / (S**2).sum()
print(f"explained {explained.item():.4f}")
print("same space", torch.allclose((Vh[:3] @ basis).pow(2).sum(1), torch.ones(3), atol=2e-2))
covariance = torch.cov(centred.T)
print("eigenvalues", [round(v, 3) for v in torch.linalg.eigvalsh(covariance).flip(0)[:3].tolist()])

mask = torch.rand_like(data) < 0.6
a = (0.3 * torch.randn(50, 3)).requires_grad_()
b = (0.3 * torch.randn(12, 3)).requires_grad_()
optimizer = torch.optim.Adam([a, b], lr=0.1)
for step in range(61):
    error = (a @ b.T - centred)[mask]
    loss = error.pow(2).mean() + 1e-3 * (a.pow(2).sum() + b.pow(2).sum()) / mask.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item():.5f}")
with torch.no_grad():
    hidden = (a @ b.T - centred)[~mask].pow(2).mean().sqrt()
print(f"hidden entries off by {hidden.item():.3f}")

w = torch.randn(6, 6, requires_grad=True)
nuclear = torch.linalg.matrix_norm(w, ord="nuc")
nuclear.backward()
print(
    "gradient of the nuclear norm is orthogonal",
    torch.allclose(w.grad @ w.grad.T, torch.eye(6), atol=1e-4),
)
features = torch.randn(2, 4, 5, 5, requires_grad=True)
gram = torch.einsum("bchw,bdhw->bcd", features, features) / 25
style = (gram[0] - gram[1]).pow(2).sum()
print(
    "style", round(style.item(), 3), round(torch.autograd.grad(style, features)[0].norm().item(), 3)
)
