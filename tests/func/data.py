"""Tensors and functions that the programs here use, the same under bital and PyTorch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def data(torch: Any) -> SimpleNamespace:
    """Seeded inputs of a small linear classifier and of scalar functions."""
    torch.manual_seed(0)
    d = SimpleNamespace(x=torch.randn(5, 4), y=torch.randint(0, 3, (5,)), w=torch.randn(3, 4))
    d.b, d.v = torch.randn(3), torch.randn(4)
    d.p = {"w": d.w, "b": d.b}

    def loss(p: dict, x: Any, y: Any) -> Any:
        logits = p["w"] @ x + p["b"]
        return torch.nn.functional.cross_entropy(logits[None], y[None])

    d.loss = loss
    d.layer = lambda x: (d.w @ x).tanh()
    d.scalar = lambda x: ((d.w @ x).tanh() ** 2).sum() * x[0]
    d.running = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    d.one, d.two = torch.tensor(1.0), torch.tensor(2.0)
    return d


def written(torch: Any, a: Any) -> Any:
    """A function that writes in place."""
    z = torch.zeros(4) + a * 0
    z[1] = a[0]
    z[2:] += a[1]
    return z.mul_(2)
