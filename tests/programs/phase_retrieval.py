"""Complex numbers: a signal is found again from the magnitudes of its measurements."""

import torch

torch.manual_seed(71)
n, m = 6, 40
signal = torch.randn(n, dtype=torch.complex128)
a = torch.randn(m, n, dtype=torch.complex128)
measured = (a @ signal).abs()
x = torch.randn(n, dtype=torch.complex128)
for _ in range(30):  # the spectral start: power iteration
    x = a.conj().T @ (measured**2 * (a @ x)) / m
    x = x / x.norm()
x = (x * signal.norm()).requires_grad_()
optimizer = torch.optim.SGD([x], lr=0.1)
for step in range(121):
    loss = ((a @ x).abs() - measured).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d} loss {loss.item():.8f}")
with torch.no_grad():
    turn = torch.vdot(x, signal)
    aligned = x * turn / turn.abs()
    print("found again", torch.allclose(aligned, signal, atol=1e-3))
    z = torch.polar(torch.ones(4, dtype=torch.float64), torch.arange(4, dtype=torch.float64))
    print("angles", [round(v, 4) for v in z.angle().tolist()])
    print("as real", [round(v, 4) for v in torch.view_as_real(z).sum(0).tolist()])
    roots = torch.linalg.eigvals(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    print("eigenvalues of a quarter turn", sorted(round(v.imag, 4) for v in roots.tolist()))
