"""Programs with user-written Functions under transforms, and with dual tensors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def _with_backward(torch: Any) -> dict:
    class Old(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    class Pair(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, k):
            return x**3 * k, x.sin()

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.k = inputs
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)

        @staticmethod
        def backward(ctx, g, h):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * g * ctx.k + h * x.cos(), None

        @staticmethod
        def jvp(ctx, t, _):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * t * ctx.k, t * x.cos()

    return {"old": Old.apply, "pair": Pair.apply}


def _of_own_kind(torch: Any) -> dict:
    class Sums(torch.autograd.Function):
        @staticmethod
        def forward(x, d):
            return x.cumsum(d)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.d = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g.flip(ctx.d).cumsum(ctx.d).flip(ctx.d), None

        @staticmethod
        def vmap(info, in_dims, x, d):
            return Sums.apply(x.movedim(in_dims[0], 0) * info.batch_size, d + 1), 0

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(output)

        @staticmethod
        def jvp(ctx, t):
            (y,) = ctx.saved_tensors
            return y * t

    class NoTuple(Sums):
        @staticmethod
        def vmap(info, in_dims, x, d):
            return x

    class Both(Sums):
        generate_vmap_rule = True

    return {
        "sums": Sums.apply, "forward": Forward.apply, "no_tuple": NoTuple.apply, "both": Both.apply,
    }  # fmt: skip


def _functions(torch: Any) -> SimpleNamespace:
    return SimpleNamespace(**_with_backward(torch), **_of_own_kind(torch))


def _with(program: Any) -> Any:
    return lambda t, d: program(t, d, _functions(t))


FUNCTIONS = {
    name: _with(program)
    for name, program in {
        "vmap": lambda t, d, f: t.vmap(lambda x: f.pair(x, 2.0))(d.x),
        "per_sample": lambda t, d, f: t.vmap(t.func.grad(lambda x: f.pair(x, 2.0)[0].sum()))(d.x),
        "of_batch": lambda t, d, f: t.func.grad(
            lambda x: t.vmap(lambda a: f.pair(a, 2.0))(x)[1].sum()
        )(d.x),
        "jvp": lambda t, d, f: t.func.jvp(lambda x: f.pair(x, 2.0), (d.v,), (d.v,)),
        "jacfwd": lambda t, d, f: t.func.jacfwd(lambda x: f.pair(x, 2.0))(d.v),
        "hessian": lambda t, d, f: t.func.hessian(lambda x: f.pair(x, 2.0)[0].sum())(d.v),
        "own_vmap": lambda t, d, f: t.vmap(lambda x: f.sums(x, 0))(d.x),
        "own_vmap_nested": lambda t, d, f: t.vmap(t.vmap(lambda x: f.sums(x, 0)))(d.x[None]),
        "own_vmap_grad": lambda t, d, f: t.vmap(t.func.grad(lambda x: (f.sums(x, 0) * d.v).sum()))(
            d.x
        ),
        "forward_only": lambda t, d, f: t.func.jvp(f.forward, (d.v,), (d.v,)),
        "forward_only_backward": lambda t, d, f: t.func.grad(lambda x: f.forward(x).sum())(d.v),
        "no_jvp": lambda t, d, f: t.func.jvp(lambda x: f.sums(x, 0), (d.v,), (d.v,)),
        "old": lambda t, d, f: t.func.grad(lambda x: f.old(x).sum())(d.v),
        "old_vmap": lambda t, d, f: t.vmap(f.old)(d.x),
        "no_tuple": lambda t, d, f: t.vmap(lambda x: f.no_tuple(x, 0))(d.x),
        "both": lambda t, d, f: t.vmap(lambda x: f.both(x, 0))(d.x),
    }.items()
}


def _dual(program: Any) -> Any:
    """A program of (torch, data, forward_ad, a dual vector) inside a level."""

    def run(t: Any, d: Any) -> Any:
        forward = t.autograd.forward_ad
        with forward.dual_level():
            return program(t, d, forward, forward.make_dual(d.v, d.v + 1))

    return run


def _no_grad_block(t: Any, d: Any, forward: Any, x: Any) -> Any:
    with t.no_grad():
        return forward.unpack_dual(x * x), t.is_grad_enabled()


def _second_derivatives_under_no_grad(t: Any, d: Any) -> Any:
    def f(x: Any) -> Any:
        with t.no_grad():
            c = x * x
        return (x * c).sum()

    return t.func.hessian(f)(d.v)


def _of_parameters(t: Any, d: Any, forward: Any, x: Any) -> Any:
    leaf = d.w.clone().requires_grad_()
    dual = forward.make_dual(leaf, t.ones_like(leaf))
    tangent = forward.unpack_dual((dual @ x).sin().sum()).tangent
    tangent.backward()
    return tangent, leaf.grad


def _after_the_level(t: Any, d: Any) -> Any:
    forward = t.autograd.forward_ad
    with forward.dual_level():
        x = forward.make_dual(d.v, d.v)
    return forward.unpack_dual(x)


DUALS = {
    "product": _dual(lambda t, d, f, x: f.unpack_dual(x * x.sin())),
    "network": _dual(lambda t, d, f, x: f.unpack_dual((d.w @ x + d.b).tanh().logsumexp(0))),
    "independent": _dual(lambda t, d, f, x: f.unpack_dual(d.b * 2)),
    "comparison": _dual(lambda t, d, f, x: f.unpack_dual(x > 0)),
    "detached": _dual(lambda t, d, f, x: f.unpack_dual(x.detach())),
    "in_place": _dual(lambda t, d, f, x: f.unpack_dual((x * 1).mul_(3))),
    "two": _dual(lambda t, d, f, x: f.unpack_dual(x * f.make_dual(d.x[0], d.x[1]))),
    "no_grad": _dual(_no_grad_block),
    "no_grad_outside": lambda t, d: t.no_grad()(_dual(lambda t, d, f, x: f.unpack_dual(x * x)))(
        t, d
    ),
    "no_grad_inside_jvp": lambda t, d: t.func.jvp(
        lambda x: x * t.no_grad()(t.sin)(x), (d.v,), (d.v,)
    ),
    "no_grad_inside_hessian": _second_derivatives_under_no_grad,
    "parameters": _dual(_of_parameters),
    "values": _dual(lambda t, d, f, x: ((x * 2).sum().item(), (x * 2).tolist(), x.requires_grad)),
    "after": _after_the_level,
    "vmapped": _dual(lambda t, d, f, x: f.unpack_dual(t.vmap(lambda a: (a * x).sum())(d.x))),
    "no_level": lambda t, d: t.autograd.forward_ad.make_dual(d.v, d.v),
    "no_level_to_exit": lambda t, d: t.autograd.forward_ad.exit_dual_level(),
    "nested": _dual(lambda t, d, f, x: f.enter_dual_level()),
    "integers": _dual(lambda t, d, f, x: f.make_dual(d.y, d.y)),
    "shape": _dual(lambda t, d, f, x: f.make_dual(d.v, d.b)),
    "dual_of_dual": _dual(lambda t, d, f, x: f.make_dual(x, d.v)),
}
