"""Programs with vmap: name -> what it computes of (torch, its data)."""

from __future__ import annotations

from typing import Any

from tests.func.data import written


def _of_x(f: Any, **options: Any) -> Any:
    """A function of (torch, example) over the rows of x."""
    return lambda t, d: t.vmap(lambda a: f(t, a), **options)(d.x)


def _mutates(t: Any, d: Any) -> Any:
    t.vmap(lambda a: a.add_(1), in_dims=1)(d.x)
    return d.x


MAPS = {
    "sum": _of_x(lambda t, a: a.sum()),
    "softmax": _of_x(lambda t, a: t.outer(a, a).t().reshape(-1).softmax(0), in_dims=1, out_dims=1),
    "two": lambda t, d: t.vmap(lambda a, b: a * b + 1)(d.x, d.x),
    "shared": lambda t, d: t.vmap(lambda a, b: a * b, in_dims=(0, None))(d.x, d.v),
    "negative": lambda t, d: t.vmap(lambda a: a.cumsum(0), in_dims=-1, out_dims=-1)(d.x),
    "nested": lambda t, d: t.vmap(t.vmap(lambda a, b: a * b, (None, 0)), (0, None))(d.x, d.v),
    "product": lambda t, d: t.vmap(lambda a: d.w @ a)(d.x),
    "tree": lambda t, d: t.vmap(lambda e: e["a"] * e["b"], in_dims=({"a": 0, "b": None},))(
        {"a": d.x, "b": 2.0}
    ),
    "trees_out": _of_x(lambda t, a: (a, {"z": a.sum()}), out_dims=(1, 0)),
    "not_a_tensor": _of_x(lambda t, a: (a, 3), out_dims=(0, None)),
    "independent": _of_x(lambda t, a: t.ones(2)),
    "chunks": _of_x(lambda t, a: (a.sin(), a.sum()), out_dims=(1, 0), chunk_size=2),
    "kwargs": lambda t, d: t.vmap(lambda a, k=1: a * k)(d.x, k=d.v),
    "loop": _of_x(lambda t, a: sum(a[i] * i for i in range(len(a)))),
    "in_place": _of_x(written),
    "in_place_on_argument": _mutates,
    "captured": lambda t, d: [t.vmap(lambda a: (d.v.add_(1), a)[1])(d.x), d.v],
    "zeros_like": _of_x(lambda t, a: t.zeros_like(a).add_(a)),
    "new_zeros": _of_x(lambda t, a: a.new_zeros(4).add_(a)),
    "index": lambda t, d: t.vmap(lambda a, i: a[i])(d.x, d.y),
    "index_shared": lambda t, d: t.vmap(lambda a, i: a[i], (None, 0))(d.v, d.y),
    "index_select": lambda t, d: t.vmap(lambda a, i: a.index_select(0, i[None]))(d.x, d.y),
    "gather": lambda t, d: t.vmap(lambda a, i: a.gather(0, i[None]))(d.x, d.y),
    "embedding": lambda t, d: t.vmap(lambda w, i: t.nn.functional.embedding(i, w), (None, 0))(
        d.x, d.y
    ),
    "one_hot": lambda t, d: t.vmap(lambda i: t.nn.functional.one_hot(i, 3))(d.y),
    "where": _of_x(lambda t, a: t.where(a > 0, a, t.zeros(()))),
    "masked_fill": _of_x(lambda t, a: a.masked_fill(a > 0, 0.0)),
    "layer_norm": _of_x(lambda t, a: t.nn.functional.layer_norm(a, (4,))),
    "cat": _of_x(lambda t, a: t.cat([a, t.ones(2)])),
    "stack": _of_x(lambda t, a: t.stack([a, t.ones(4)], 1)),
    "linear": lambda t, d: t.vmap(lambda a: t.nn.functional.linear(a, d.w, d.b))(d.x),
    "linear_rows": lambda t, d: t.vmap(lambda a: t.nn.functional.linear(a.expand(2, 4), d.w, d.b))(
        d.x
    ),
    "einsum": _of_x(lambda t, a: t.einsum("i,j->ij", a, a)),
    "max": _of_x(lambda t, a: tuple(a.max(0))),
    "sort": _of_x(lambda t, a: tuple(a.sort(descending=True))),
    "topk": _of_x(lambda t, a: a.topk(2)[0]),
    "var": _of_x(lambda t, a: a.var()),
    "device": _of_x(lambda t, a: t.zeros(4, device=a.device) + a),
    "attributes": _of_x(lambda t, a: (a.shape, a.dim(), a.is_leaf, a.requires_grad), out_dims=None),
}

RANDOM = (
    {
        f"{name}_{how}": lambda t, d, f=f, how=how: [
            t.vmap(lambda a: f(t, a), randomness=how)(d.x),
            t.rand(1),
        ]
        for how in ("different", "same", "error")
        for name, f in {
            "rand": lambda t, a: a + t.rand(4),
            "randn": lambda t, a: a + t.randn(20)[:4],
            "randint": lambda t, a: a + t.randint(0, 10, (4,)),
            "randperm": lambda t, a: a[t.randperm(4)],
            "dropout": lambda t, a: t.nn.functional.dropout(a, 0.5),
            "alpha_dropout": lambda t, a: t.nn.functional.alpha_dropout(a, 0.5, True),
            "rand_like": lambda t, a: t.rand_like(a),
            "randn_like": lambda t, a: t.randn_like(a),
            "uniform_": lambda t, a: a.clone().uniform_(),
            "normal_": lambda t, a: a.clone().normal_(),
            "normal_size": lambda t, a: t.normal(0.0, 1.0, (4,)) + a,
            "normal": lambda t, a: t.normal(a, 1.0),
            "bernoulli": lambda t, a: t.bernoulli(a.sigmoid()),
            "bernoulli_": lambda t, a: a.clone().bernoulli_(0.3),
            "multinomial": lambda t, a: t.multinomial(a.exp(), 2),
            "poisson": lambda t, a: t.poisson(a.exp()),
            "exponential_": lambda t, a: a.clone().exponential_(),
        }.items()
    }
    | {
        f"nested_{outer}_{inner}": lambda t, d, outer=outer, inner=inner: t.vmap(
            t.vmap(lambda a: a + t.rand(2), randomness=inner), randomness=outer
        )(d.x)
        for outer in ("different", "same", "error")
        for inner in ("different", "same")
    }
    | {
        f"chunks_{how}": lambda t, d, how=how: t.vmap(
            lambda a: a + t.rand(4), randomness=how, chunk_size=2
        )(d.x)
        for how in ("different", "same")
    }
)

REFUSALS = {
    "item": _of_x(lambda t, a: a.sum().item()),
    "if": _of_x(lambda t, a: a if a.sum() > 0 else -a),
    "float": _of_x(lambda t, a: float(a.sum())),
    "numpy": _of_x(lambda t, a: a.numpy()),
    "mask": _of_x(lambda t, a: a[a > 0]),
    "nothing_mapped": lambda t, d: t.vmap(lambda a: a, in_dims=None)(d.x),
    "sizes": lambda t, d: t.vmap(lambda a, b: a)(d.x, d.x[:2]),
    "structure": lambda t, d: t.vmap(lambda a: a, in_dims=(0, 1))(d.x),
    "out_of_range": lambda t, d: t.vmap(lambda a: a, in_dims=5)(d.x),
    "no_inputs": lambda t, d: t.vmap(lambda a: a)(),
    "in_dims_kind": lambda t, d: t.vmap(lambda a: a, in_dims={"a": 0})(d.x),
    "in_dim_float": lambda t, d: t.vmap(lambda a: a, in_dims=(1.0,))(d.x),
    "number": lambda t, d: t.vmap(lambda a, b: a)(d.x, 3),
    "result": _of_x(lambda t, a: 3),
    "out_dims_kind": _of_x(lambda t, a: a, out_dims="x"),
    "out_dims_structure": _of_x(lambda t, a: (a, a), out_dims=(0, 0, 0)),
    "out_dims_none": _of_x(lambda t, a: a, out_dims=None),
    "out_dims_range": _of_x(lambda t, a: a, out_dims=3),
    "chunk": _of_x(lambda t, a: a, chunk_size=0),
    "randomness": _of_x(lambda t, a: a, randomness="x"),
    "unbatched_uniform_": _of_x(lambda t, a: a + t.zeros(4).uniform_(), randomness="different"),
    "backward": _of_x(lambda t, a: a.sum().backward()),
}
