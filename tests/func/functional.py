"""Programs with torch.autograd.functional: name -> what it computes of (torch, its data)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def _setting(t: Any) -> SimpleNamespace:
    t.manual_seed(0)
    s = SimpleNamespace(F=t.autograd.functional, x=t.randn(3), y=t.randn(2), w=t.randn(2, 3))
    s.two = t.tensor(2.0)
    s.f = lambda x: (s.w @ x).tanh()
    s.g = lambda x, y: ((s.w @ x) * y).sin().sum()
    s.h = lambda x, y: (s.w @ x * y, x.sum())
    s.linear = lambda x: (x * 2).sum()
    s.first = lambda x, y: x.sum()
    s.constant = lambda x: t.ones(2)
    return s


def _program(program: Any) -> Any:
    return lambda t, d: program(t, _setting(t))


def _chain(t: Any, s: Any, of: Any) -> Any:
    leaf = s.x.clone().requires_grad_()
    of(leaf).pow(2).sum().backward()
    return leaf.grad


PRODUCTS = {
    "vjp": lambda t, s, **o: s.F.vjp(s.f, s.x, s.y, **o),
    "vjp_tuples": lambda t, s, **o: s.F.vjp(s.h, (s.x, s.y), (s.y, s.two), **o),
    "vjp_number": lambda t, s, **o: s.F.vjp(s.g, (s.x, s.y), **o),
    "jvp": lambda t, s, **o: s.F.jvp(s.f, s.x, s.x, **o),
    "jvp_tuples": lambda t, s, **o: s.F.jvp(s.h, (s.x, s.y), (s.x, s.y), **o),
    "jvp_number": lambda t, s, **o: s.F.jvp(lambda a: a * s.x, s.two, **o),
    "vhp": lambda t, s, **o: s.F.vhp(s.g, (s.x, s.y), (s.x, s.y), **o),
    "hvp": lambda t, s, **o: s.F.hvp(s.g, (s.x, s.y), (s.x, s.y), **o),
    "vhp_linear": lambda t, s, **o: s.F.vhp(s.linear, s.x, s.x, **o),
}

MATRICES = {
    "jacobian": lambda t, s, **o: s.F.jacobian(s.f, s.x, **o),
    "jacobian_tuples": lambda t, s, **o: s.F.jacobian(s.h, (s.x, s.y), **o),
    "jacobian_independent": lambda t, s, **o: s.F.jacobian(s.first, (s.x, s.y), **o),
    "hessian": lambda t, s, **o: s.F.hessian(lambda x: (x**3).sum(), s.x, **o),
    "hessian_tuples": lambda t, s, **o: s.F.hessian(s.g, (s.x, s.y), **o),
    "hessian_linear": lambda t, s, **o: s.F.hessian(s.linear, s.x, **o),
}

STRICT = {
    "vjp": lambda t, s: s.F.vjp(s.constant, s.x, s.y, strict=True),
    "vjp_independent": lambda t, s: s.F.vjp(s.first, (s.x, s.y), strict=True),
    "vjp_linear": lambda t, s: s.F.vjp(s.linear, s.x, strict=True, create_graph=True),
    "jvp": lambda t, s: s.F.jvp(s.constant, s.x, s.x, strict=True),
    "jvp_independent": lambda t, s: s.F.jvp(s.first, (s.x, s.y), (s.x, s.y), strict=True),
    "jvp_linear": lambda t, s: s.F.jvp(s.linear, s.x, s.x, strict=True, create_graph=True),
    "vhp_linear": lambda t, s: s.F.vhp(s.linear, s.x, s.x, strict=True),
    "hvp_independent": lambda t, s: s.F.hvp(s.first, (s.x, s.y), (s.x, s.y), strict=True),
    "jacobian": lambda t, s: s.F.jacobian(s.constant, s.x, strict=True),
    "jacobian_independent": lambda t, s: s.F.jacobian(s.first, (s.x, s.y), strict=True),
    "jacobian_linear": lambda t, s: s.F.jacobian(s.linear, s.x, strict=True, create_graph=True),
    "hessian_linear": lambda t, s: s.F.hessian(s.linear, s.x, strict=True),
}

REFUSALS = {
    "vjp_shape": lambda t, s: s.F.vjp(s.f, s.x, s.x[:1]),
    "vjp_no_vector": lambda t, s: s.F.vjp(s.f, s.x),
    "vjp_list": lambda t, s: s.F.vjp(s.f, [s.x], s.x),
    "vjp_two": lambda t, s: s.F.vjp(s.f, s.x, (s.y, s.y)),
    "vjp_result": lambda t, s: s.F.vjp(lambda x: 1.0, s.x, s.x),
    "jvp_length": lambda t, s: s.F.jvp(s.h, (s.x, s.y), (s.x,)),
    "jvp_entry": lambda t, s: s.F.jvp(s.h, (s.x, s.y), (s.x, s.x)),
    "jvp_no_vector": lambda t, s: s.F.jvp(s.f, s.x),
    "vhp_vector": lambda t, s: s.F.vhp(s.f, s.x, s.x),
    "hvp_tuple": lambda t, s: s.F.hvp(s.h, (s.x, s.y), (s.x, s.y)),
    "hessian_vector": lambda t, s: s.F.hessian(s.f, s.x),
    "hessian_tuple": lambda t, s: s.F.hessian(lambda x: (s.linear(x),), s.x),
    "strategy": lambda t, s: s.F.jacobian(s.f, s.x, strategy="x"),
    "outer_strategy": lambda t, s: s.F.hessian(s.linear, s.x, outer_jacobian_strategy="x"),
    "forward_graph": lambda t, s: s.F.jacobian(
        s.f, s.x, create_graph=True, vectorize=True, strategy="forward-mode"
    ),
    "forward_strict": lambda t, s: s.F.jacobian(
        s.f, s.x, strict=True, vectorize=True, strategy="forward-mode"
    ),
    "vectorize_strict": lambda t, s: s.F.jacobian(s.f, s.x, strict=True, vectorize=True),
}

OTHERS = {
    "forward": lambda t, s: s.F.jacobian(s.f, s.x, vectorize=True, strategy="forward-mode"),
    "forward_hessian": lambda t, s: s.F.hessian(
        lambda x: (x**3).sum(), s.x, vectorize=True, outer_jacobian_strategy="forward-mode"
    ),
    "chain": lambda t, s: _chain(t, s, lambda x: s.F.jacobian(s.f, x, create_graph=True)),
    "chain_hessian": lambda t, s: _chain(
        t, s, lambda x: s.F.hessian(lambda x: s.f(x).sum(), x, create_graph=True, vectorize=True)
    ),
}

FUNCTIONAL = {
    name: _program(program)
    for name, program in {
        **{
            f"{name}_{graph}": lambda t, s, f=f, graph=graph: f(t, s, create_graph=graph)
            for name, f in PRODUCTS.items()
            for graph in (False, True)
        },
        **{
            f"{name}_{graph}_{at_once}": lambda t, s, f=f, graph=graph, at_once=at_once: f(
                t, s, create_graph=graph, vectorize=at_once
            )
            for name, f in MATRICES.items()
            for graph in (False, True)
            for at_once in (False, True)
        },
        **{f"strict_{name}": f for name, f in STRICT.items()},
        **REFUSALS,
        **OTHERS,
    }.items()
}
