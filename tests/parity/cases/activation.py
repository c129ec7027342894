"""The softmax family, activations and dropout."""

from tests.parity.case import Family, b, const, f, function, i

activation = Family("activation")
FLOATS = ("float32", "float64", "float16", "bfloat16")
INF = float("inf")

for name in ("softmax", "log_softmax", "softmin"):
    path = f"nn.functional.{name}"
    activation(name, function(path, dim=1), f(3, 5), dtypes=FLOATS)
    activation(f"{name} dim 0", function(path, dim=0), f(3, 5))
    activation(f"{name} dim -2", function(path, dim=-2), f(2, 3, 4))
    activation(f"{name} scalar", function(path, dim=0), f())
    activation(f"{name} transposed", function(path, dim=1), f(3, 5).t)
    activation(f"{name} large", function(path, dim=0), const([1000.0, 1001.0, 999.0], grad=True))
    activation(
        f"{name} dtype",
        lambda T, x, p=name: getattr(T.nn.functional, p)(x, 0, dtype=T.float64),
        f(4),
    )
activation(
    "softmax with -inf",
    function("softmax", 0),
    const([-INF, 1.0, 2.0], grad=True),
    differences=False,
)
activation("softmax of -inf only", function("softmax", 0), const([-INF, -INF]))
activation(
    "torch.softmax method", lambda T, x: [T.softmax(x, -1), x.softmax(0), x.log_softmax(1)], f(3, 4)
)
activation(
    "attention by hand",
    lambda T, q, k, v: (
        (q @ k.transpose(-2, -1) / 2.0)
        .masked_fill(T.ones(3, 3, dtype=T.bool).triu(1), float("-inf"))
        .softmax(-1)
        @ v
    ),
    f(2, 3, 4),
    f(2, 3, 4),
    f(2, 3, 4),
)

SIMPLE = (
    "relu",
    "relu6",
    "sigmoid",
    "tanh",
    "silu",
    "mish",
    "gelu",
    "elu",
    "selu",
    "celu",
    "leaky_relu",
    "softplus",
    "softsign",
    "logsigmoid",
    "hardtanh",
    "hardsigmoid",
    "hardswish",
    "hardshrink",
    "softshrink",
    "tanhshrink",
)
for name in SIMPLE:
    spec = f(3, 5, low=-5, high=5)
    activation(
        name, f"nn.functional.{name}", spec, dtypes=FLOATS, order=1 if name == "hardsigmoid" else 2
    )
    if name not in ("sigmoid", "tanh"):
        activation(
            f"{name} at zero and far",
            f"nn.functional.{name}",
            const([0.0, 30.0, -30.0, 3.0, -3.0, 6.0, -1.0, 1.0, 0.5, -0.5], grad=True),
            differences=False,
            order=1,
        )
activation("relu of integers", "relu", i(5))
activation("relu nan", "relu", const([float("nan"), -0.0, 1.0]))
activation(
    "gelu tanh",
    function("nn.functional.gelu", approximate="tanh"),
    f(3, 5, low=-4, high=4),
    dtypes=FLOATS,
)
activation("leaky_relu 0.2", function("nn.functional.leaky_relu", 0.2), f(3, 5))
activation("elu alpha", function("nn.functional.elu", alpha=0.7), f(3, 5))
activation("celu alpha", function("nn.functional.celu", alpha=0.7), f(3, 5))
activation(
    "softplus beta threshold",
    function("nn.functional.softplus", beta=2, threshold=3),
    f(3, 5, low=-4, high=4),
)
activation("hardtanh bounds", function("nn.functional.hardtanh", -0.4, 0.6), f(3, 5))
activation("hardshrink lambda", function("nn.functional.hardshrink", 0.3), f(3, 5))
activation("softshrink lambda", function("nn.functional.softshrink", 0.3), f(3, 5))
activation("threshold", function("nn.functional.threshold", 0.1, 20.0), f(3, 5))
activation("prelu", "nn.functional.prelu", f(2, 3, 4), f(3))
activation("prelu one weight", "nn.functional.prelu", f(3, 4), f(1))
activation("glu", "nn.functional.glu", f(3, 6))
activation("glu dim 0", function("nn.functional.glu", dim=0), f(4, 3))
activation("rrelu eval", lambda T, x: T.nn.functional.rrelu(x, 0.1, 0.3, training=False), f(3, 4))
activation("normalize", "nn.functional.normalize", f(3, 4))
activation("normalize p=1 dim 0", function("nn.functional.normalize", p=1, dim=0), f(3, 4))
activation("cosine_similarity", "nn.functional.cosine_similarity", f(3, 4), f(3, 4))
activation(
    "cosine_similarity dim", function("nn.functional.cosine_similarity", dim=0), f(3, 4), f(3, 1)
)
activation("pairwise_distance", "nn.functional.pairwise_distance", f(3, 4), f(3, 4))
for name in (
    "relu",
    "sigmoid",
    "tanh",
    "elu",
    "leaky_relu",
    "hardtanh",
    "silu",
    "selu",
    "relu6",
    "celu",
    "hardswish",
    "hardsigmoid",
    "mish",
    "threshold",
):
    extra = (0.1, 5.0) if name == "threshold" else ()
    if name in ("sigmoid", "tanh"):
        continue
    activation(
        f"{name} in place",
        lambda T, x, n=name, e=extra: getattr(T.nn.functional, n)(x * 1, *e, inplace=True),
        f(3, 4),
        order=1,
    )
activation(
    "gumbel_softmax",
    lambda T, x: T.nn.functional.gumbel_softmax(x, tau=0.7, dim=1),
    f(3, 4),
    seed=3,
)
activation(
    "gumbel_softmax hard",
    lambda T, x: T.nn.functional.gumbel_softmax(x, hard=True),
    f(3, 4),
    seed=3,
    differences=False,
)

dropout = Family("dropout", {"seed": 7})
for p in (0.0, 0.2, 0.5, 1.0):
    dropout(f"dropout p={p}", function("nn.functional.dropout", p), f(4, 5))
dropout("dropout eval", function("nn.functional.dropout", 0.5, training=False), f(4, 5))
dropout(
    "dropout larger",
    function("nn.functional.dropout", 0.3),
    f(40, 5),
    dtypes=("float32", "float64"),
)
dropout("dropout transposed", function("nn.functional.dropout", 0.5), f(4, 5).t)
dropout("dropout in place", lambda T, x: T.nn.functional.dropout(x * 1, 0.4, inplace=True), f(4, 5))
dropout("dropout twice", lambda T, x: [T.dropout(x, 0.5, True), T.dropout(x, 0.5, True)], f(3, 4))
dropout("dropout1d", function("nn.functional.dropout1d", 0.4), f(3, 4, 2))
dropout("dropout2d", function("nn.functional.dropout2d", 0.4), f(2, 3, 2, 2))
dropout("alpha_dropout", function("nn.functional.alpha_dropout", 0.4, training=True), f(3, 4))
dropout(
    "feature_alpha_dropout",
    function("nn.functional.feature_alpha_dropout", 0.4, training=True),
    f(3, 4, 2),
)
dropout("dropout of bool mask", lambda T, x, m: T.dropout(x, 0.5, True) * m, f(3, 4), b(3, 4))
