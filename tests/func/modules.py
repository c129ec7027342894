"""Programs with modules: ensembles and per-sample gradients. name -> program of (torch, data)."""

from __future__ import annotations

from typing import Any


def _mlp(t: Any) -> Any:
    nn = t.nn
    return nn.Sequential(
        nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )


def _cnn(t: Any) -> Any:
    nn = t.nn
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, stride=2, groups=2), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    )  # fmt: skip


def _text(t: Any) -> Any:
    nn = t.nn
    return nn.Sequential(nn.Embedding(10, 4, padding_idx=0), nn.Flatten(-2), nn.Linear(24, 3))


def _normed(t: Any) -> Any:
    nn = t.nn
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False))


def _ensemble(t: Any, make: Any, x: Any, randomness: str = "error") -> Any:
    """Outputs, their gradients by `.backward()`, and gradients of a loss, of three models."""
    models = [make(t) for _ in range(3)]
    parameters, buffers = t.func.stack_module_state(models)

    def call(p: Any, b: Any, x: Any) -> Any:
        return t.func.functional_call(models[0], (p, b), (x,))

    def loss(p: Any, b: Any, x: Any, y: Any) -> Any:
        return t.nn.functional.cross_entropy(call(p, b, x), y)

    y = t.arange(len(x)) % 3
    out = t.vmap(call, (0, 0, None), randomness=randomness)(parameters, buffers, x)
    grads = t.vmap(t.func.grad(loss), (0, 0, None, None), randomness=randomness)(
        parameters, buffers, x, y
    )
    out.pow(2).sum().backward()
    return out, grads, [p.grad for p in parameters.values()]


def _per_sample(t: Any, make: Any, x: Any, randomness: str = "error") -> Any:
    model = make(t)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    weight = t.tensor([1.0, 2.0, 0.5])

    def loss(p: Any, x: Any, y: Any) -> Any:
        out = t.func.functional_call(model, p, (x[None],))
        return t.nn.functional.cross_entropy(out, y[None], weight=weight)

    y = t.arange(len(x)) % 3
    return t.vmap(t.func.grad(loss), (None, 0, 0), randomness=randomness)(parameters, x, y)


def _attention(t: Any, d: Any) -> Any:
    layer = t.nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    parameters = dict(layer.named_parameters())

    def loss(p: Any, x: Any) -> Any:
        return (t.func.functional_call(layer, p, (x,)) * x).sum()

    return t.vmap(t.func.grad(loss), (None, 0))(parameters, t.randn(3, 2, 5, 4))


MODULES = {
    f"{name}_{kind}": lambda t, d, f=f, make=make, x=x, how=how: f(t, make, x(t), how)
    for kind, f in {"ensemble": _ensemble, "per_sample": _per_sample}.items()
    for name, (make, x, how) in {
        "mlp_different": (_mlp, lambda t: t.randn(5, 4), "different"),
        "mlp_same": (_mlp, lambda t: t.randn(5, 4), "same"),
        "cnn": (_cnn, lambda t: t.randn(5, 1, 8, 8), "error"),
        "text": (_text, lambda t: t.randint(0, 10, (5, 6)), "error"),
    }.items()
} | {
    "batch_norm": lambda t, d: _ensemble(t, _normed, t.randn(5, 4)),
    "batch_norm_running": lambda t, d: t.vmap(
        lambda p, x: t.func.functional_call(d.running, p, (x,)), (None, 0)
    )(dict(d.running.named_parameters()), t.randn(5, 2, 4)),
    "attention": _attention,
}
