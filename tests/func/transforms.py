"""Programs with gradients of functions: name -> what it computes of (torch, its data)."""

from __future__ import annotations

from typing import Any

from tests.func.data import written


def _maml(t: Any, d: Any) -> Any:
    def adapted(p: dict, x: Any, y: Any) -> dict:
        grads = t.func.grad(d.loss)(p, x, y)
        return {k: v - 0.1 * grads[k] for k, v in p.items()}

    def outer(p: dict) -> Any:
        return t.func.vmap(lambda x, y: d.loss(adapted(p, x, y), x, y))(d.x, d.y).mean()

    return t.func.grad(outer)(d.p)


def _outside(inner: Any) -> Any:
    """The gradient of a transform's result by a leaf that its function captured."""

    def program(t: Any, d: Any) -> Any:
        leaf = d.w.clone().requires_grad_()
        (inner(t, d, lambda x: (leaf @ x).tanh().sum()) ** 2).sum().backward()
        return leaf.grad

    return program


def _no_grad_inside(t: Any, d: Any) -> Any:
    def f(x: Any) -> Any:
        with t.no_grad():
            c = x**2
        return (x * c).sum()

    return t.func.grad(f)(d.v)


def _no_grad_outside(t: Any, d: Any) -> Any:
    leaf = d.v.clone().requires_grad_()
    with t.no_grad():
        g = t.func.grad(lambda x: (x * x * leaf).sum())(d.v)
    return g, g.requires_grad


def _hooked(t: Any, d: Any) -> Any:
    def f(x: Any) -> Any:
        x.register_hook(lambda g: g * 10)
        return (x * x).sum()

    return t.func.grad(f)(d.v)


NAMES = ("jacrev", "jacfwd")

GRADIENTS = {
    "grad": lambda t, d: t.func.grad(d.scalar)(d.v),
    "and_value": lambda t, d: t.func.grad_and_value(d.loss)(d.p, d.x[0], d.y[0]),
    "argnums": lambda t, d: t.func.grad(lambda x, y: (x * y * y).sum(), (0, 1))(d.v, d.v),
    "argnums_last": lambda t, d: t.func.grad(lambda x, y: (x * y * y).sum(), -1)(d.v, d.v),
    "aux": lambda t, d: t.func.grad(lambda x: (x.sum(), {"a": x * 2}), has_aux=True)(d.v),
    "aux_value": lambda t, d: t.func.grad_and_value(lambda x: (x.sum(), x), has_aux=True)(d.v),
    "kwargs": lambda t, d: t.func.grad(lambda x, k=1.0: (x * k).sum())(d.v, k=3.0),
    "independent": lambda t, d: t.func.grad(lambda x: t.ones(()))(d.v),
    "integer_result": lambda t, d: t.func.grad(lambda x: x.sum().long())(d.v),
    "third": lambda t, d: t.func.grad(t.func.grad(t.func.grad(lambda x: (x**4).sin())))(d.one),
    "per_sample": lambda t, d: t.func.vmap(t.func.grad(d.loss), (None, 0, 0))(d.p, d.x, d.y),
    "per_sample_value": lambda t, d: t.func.vmap(t.func.grad_and_value(d.loss), (None, 0, 0))(
        d.p, d.x, d.y
    ),
    "per_sample_chunks": lambda t, d: t.func.vmap(t.func.grad(d.loss), (None, 0, 0), chunk_size=2)(
        d.p, d.x, d.y
    ),
    "of_batch": lambda t, d: t.func.grad(
        lambda p: t.func.vmap(d.loss, (None, 0, 0))(p, d.x, d.y).mean()
    )(d.p),
    "maml": _maml,
    "confusion": lambda t, d: t.func.grad(lambda x: x * t.func.grad(lambda y: x + y)(d.one))(d.two),
    "confusion_same": lambda t, d: t.func.grad(lambda x: x * t.func.grad(lambda y: x * y)(x))(
        d.two
    ),
    "confusion_forward": lambda t, d: t.func.jvp(
        lambda x: x * t.func.jvp(lambda y: x * y * y, (d.one,), (d.one,))[1], (d.two,), (d.one,)
    ),
    "confusion_mixed": lambda t, d: t.func.jvp(
        lambda x: x * t.func.grad(lambda y: x * y * y)(d.one), (d.two,), (d.one,)
    ),
    "confusion_mixed_2": lambda t, d: t.func.grad(
        lambda x: x * t.func.jvp(lambda y: x * y * y, (d.one,), (d.one,))[1]
    )(d.two),
    "vmap_grad_vmap": lambda t, d: t.func.vmap(
        t.func.grad(lambda x: t.func.vmap(lambda a: a.sin() * x[0])(x).sum())
    )(d.x),
    "grad_vmap_grad": lambda t, d: t.func.grad(
        lambda w: t.func.vmap(t.func.grad(lambda x: (w @ x).tanh().sum()))(d.x).sum()
    )(d.w),
    "grad_vmap_vmap": lambda t, d: t.func.grad(
        lambda w: t.func.vmap(t.func.vmap(lambda a, c: (a * c * w).sum(), (None, 0)), (0, None))(
            d.x, d.x
        ).sum()
    )(d.v),
    "outer_leaf": _outside(lambda t, d, f: t.func.grad(f)(d.v)),
    "outer_leaf_vmap": _outside(lambda t, d, f: t.func.vmap(t.func.grad(f))(d.x)),
    "outer_leaf_hessian": _outside(lambda t, d, f: t.func.hessian(f)(d.v)),
    "outer_leaf_jvp": _outside(lambda t, d, f: t.func.jvp(f, (d.v,), (d.v,))[1]),
    "no_grad_inside": _no_grad_inside,
    "no_grad_outside": _no_grad_outside,
    "hook": _hooked,
    "in_place": lambda t, d: t.func.jacrev(lambda a: written(t, a))(d.v),
    "item": lambda t, d: t.func.grad(lambda x: (x.sum().item() * x).sum())(d.v),
}

PRODUCTS = {
    "vjp": lambda t, d: t.func.vjp(lambda x: (x, {"s": x.sin()}), d.v)[1]((d.v, {"s": d.v})),
    "vjp_two": lambda t, d: t.func.vjp(t.matmul, d.w, d.v)[1](d.b),
    "vjp_aux": lambda t, d: t.func.vjp(lambda x: (x.sin(), x), d.v, has_aux=True)[2],
    "vjp_vmapped": lambda t, d: t.func.vmap(t.func.vjp(d.layer, d.v)[1])(t.eye(3)),
    "jvp": lambda t, d: t.func.jvp(d.layer, (d.v,), (d.v,)),
    "jvp_tree": lambda t, d: t.func.jvp(
        lambda p: {"z": p["w"] @ d.v + p["b"]}, (d.p,), ({"w": d.w, "b": d.b},)
    ),
    "jvp_independent": lambda t, d: t.func.jvp(
        lambda x: (x.sin(), t.ones(2), (x * 2).long()), (d.v,), (d.v,)
    ),
    "jvp_aux": lambda t, d: t.func.jvp(lambda x: (x.sin(), x), (d.v,), (d.v,), has_aux=True),
    "jvp_in_place": lambda t, d: t.func.jvp(lambda x: x.mul_(2).sin(), (d.v.clone(),), (d.v,)),
    "jvp_complex": lambda t, d: t.func.jvp(
        lambda z: (z * z.conj()).abs() + t.view_as_real(z.exp()).sum(),
        (t.complex(d.v, d.v),),
        (t.complex(d.b.sum() + d.v, -d.v),),
    ),
    "jvp_vmap": lambda t, d: t.func.jvp(
        lambda w: t.func.vmap(lambda x: (w @ x).tanh())(d.x), (d.w,), (d.w + 1,)
    ),
    "vmap_jvp": lambda t, d: t.func.vmap(lambda x, u: t.func.jvp(d.layer, (x,), (u,)))(d.x, d.x),
    "linearize": lambda t, d: t.func.linearize(d.layer, d.v)[1](d.v),
    "linearize_vmapped": lambda t, d: t.func.vmap(t.func.linearize(d.layer, d.v)[1])(t.eye(4)),
    "batched_grads": lambda t, d: t.autograd.grad(
        (d.w.requires_grad_() @ d.v).tanh(), d.w, t.eye(3), is_grads_batched=True
    ),
}

JACOBIANS = {
    **{
        f"{name}_{kind}": lambda t, d, name=name, f=f: getattr(t.func, name)(f(t, d))(d.v)
        for name in NAMES
        for kind, f in {
            "layer": lambda t, d: d.layer,
            "tuple": lambda t, d: lambda x: (x.sin(), {"s": x.sum()}),
            "scalar": lambda t, d: d.scalar,
        }.items()
    },
    **{
        f"{outer}_{inner}": lambda t, d, outer=outer, inner=inner: getattr(t.func, outer)(
            getattr(t.func, inner)(d.scalar)
        )(d.v)
        for outer in NAMES
        for inner in NAMES
    },
    **{
        f"{name}_argnums": lambda t, d, name=name: getattr(t.func, name)(
            lambda x, y: {"a": x * y}, argnums=(0, 1)
        )(d.v, d.v)
        for name in NAMES
    },
    **{
        f"{name}_aux": lambda t, d, name=name: getattr(t.func, name)(
            lambda x: (x.sin(), x), has_aux=True
        )(d.v)
        for name in NAMES
    },
    "jacrev_chunks": lambda t, d: t.func.jacrev(d.layer, chunk_size=2)(d.v),
    "jacfwd_integer": lambda t, d: t.func.jacfwd(lambda x: x.long())(d.v),
    "jacfwd_random": lambda t, d: t.func.jacfwd(lambda x: x * t.rand(4), randomness="same")(d.v),
    "hessian_vmapped": lambda t, d: t.func.vmap(t.func.hessian(d.scalar))(d.x),
    "hessian_argnums": lambda t, d: t.func.hessian(lambda x, y: (x * y * y).sum(), argnums=(0, 1))(
        d.v, d.v
    ),
    "hessian_mlp": lambda t, d: t.func.hessian(
        lambda p: t.func.vmap(d.loss, (None, 0, 0))(p, d.x, d.y).mean()
    )(d.p),
}

REFUSALS = {
    "not_scalar": lambda t, d: t.func.grad(lambda x: x)(d.v),
    "no_tensor": lambda t, d: t.func.grad(lambda x: 1.0)(d.v),
    "integers": lambda t, d: t.func.grad(lambda x: x.sum())(d.y),
    "argnums_large": lambda t, d: t.func.grad(lambda x: x.sum(), argnums=2)(d.v),
    "argnums_twice": lambda t, d: t.func.grad(lambda x, y: x.sum(), argnums=(0, 0))(d.v, d.v),
    "argnums_none": lambda t, d: t.func.grad(lambda x: x.sum(), argnums=())(d.v),
    "argnums_float": lambda t, d: t.func.grad(lambda x: x.sum(), argnums=1.0)(d.v),
    "aux_missing": lambda t, d: t.func.grad(lambda x: x.sum(), has_aux=True)(d.v),
    "aux_number": lambda t, d: t.func.grad(lambda x: (x.sum(), 3), has_aux=True)(d.v),
    "number_in_tree": lambda t, d: t.func.grad(lambda p: p["a"].sum())({"a": d.v, "b": 2}),
    "write_to_argument": lambda t, d: t.func.grad(lambda x: x.mul_(2).sum())(d.v),
    "vjp_structure": lambda t, d: t.func.vjp(lambda x: (x, x.sin()), d.v)[1](d.v),
    "vjp_shape": lambda t, d: t.func.vjp(t.sin, d.v)[1](d.b),
    "vjp_empty": lambda t, d: t.func.vjp(lambda x: (), d.v),
    "vjp_number": lambda t, d: t.func.vjp(lambda x: 1.0, d.v),
    "vjp_integers": lambda t, d: t.func.vjp(lambda x: x.long(), d.v),
    "jvp_no_tuple": lambda t, d: t.func.jvp(t.sin, d.v, d.v),
    "jvp_structure": lambda t, d: t.func.jvp(t.sin, (d.v,), (d.v, d.v)),
    "jvp_shape": lambda t, d: t.func.jvp(t.sin, (d.v,), (d.b,)),
    "jvp_empty": lambda t, d: t.func.jvp(t.sin, (), ()),
    "jvp_number": lambda t, d: t.func.jvp(lambda x: 1.0, (d.v,), (d.v,)),
    "jvp_integers": lambda t, d: t.func.jvp(lambda x: x * 2, (d.y,), (d.y,)),
    "jacrev_integers": lambda t, d: t.func.jacrev(lambda x: x.long())(d.v),
    "jacrev_number": lambda t, d: t.func.jacrev(lambda x: 2)(d.v),
    "jacrev_chunk": lambda t, d: t.func.jacrev(t.sin, chunk_size=0)(d.v),
    "jacfwd_complex": lambda t, d: t.func.jacfwd(lambda x: x * 2)(t.complex(d.v, d.v)),
    "jacfwd_random": lambda t, d: t.func.jacfwd(lambda x: x * t.rand(4))(d.v),
    "linearize_shape": lambda t, d: t.func.linearize(t.sin, d.v)[1](d.v[:2]),
    "backward_in_grad": lambda t, d: t.func.grad(lambda x: (x * d.w).sum().backward())(d.v),
    "requires_grad": lambda t, d: t.func.grad(lambda x: x.clone().requires_grad_().sum())(d.v),
    "retain_grad": lambda t, d: t.func.grad(lambda x: (x * 2).retain_grad())(d.v),
    "functional": lambda t, d: t.func.grad(lambda x: t.autograd.functional.vjp(t.sum, x)[1].sum())(
        d.v
    ),
    "ensemble_none": lambda t, d: t.func.stack_module_state([]),
    "ensemble_modes": lambda t, d: t.func.stack_module_state(
        [t.nn.Linear(1, 1), t.nn.Linear(1, 1).eval()]
    ),
    "ensemble_classes": lambda t, d: t.func.stack_module_state([t.nn.Linear(1, 1), t.nn.ReLU()]),
}
