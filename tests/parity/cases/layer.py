"""Layers as functions: linear, bilinear, embedding and the normalisations."""

from tests.parity.case import Family, const, f, i

layer = Family("layer")
FLOATS = ("float32", "float64", "bfloat16")


def fn(name, **kw):
    """`nn.functional.<name>(*tensors, **kw)`."""
    return lambda T, *t: getattr(T.nn.functional, name)(*t, **kw)


layer("linear", fn("linear"), f(3, 4), f(5, 4), f(5), dtypes=(*FLOATS, "float16"))
layer("linear without bias", fn("linear"), f(3, 4), f(5, 4))
layer("linear vector", fn("linear"), f(4), f(5, 4), f(5))
layer("linear cube", fn("linear"), f(2, 3, 4), f(5, 4), f(5))
layer("linear vector weight", fn("linear"), f(3, 4), f(4))
layer("linear transposed input", fn("linear"), f(3, 4).t, f(5, 4), f(5))
layer("bilinear", fn("bilinear"), f(3, 2), f(3, 4), f(5, 2, 4), f(5))
layer(
    "two layers",
    lambda T, x, w, c, v: T.nn.functional.linear(T.nn.functional.linear(x, w, c).tanh(), v),
    f(3, 4),
    f(5, 4),
    f(5),
    f(2, 5),
)
layer("embedding", fn("embedding"), i(2, 3, low=0, high=6), f(6, 4), dtypes=FLOATS)
layer(
    "embedding padding_idx",
    fn("embedding", padding_idx=1),
    const([[0, 1, 1], [2, 1, 5]]),
    f(6, 4),
    differences=False,
)
layer(
    "embedding negative padding_idx",
    fn("embedding", padding_idx=-1),
    const([[0, 5], [2, 5]]),
    f(6, 4),
    differences=False,
)
layer("embedding scalar index", fn("embedding"), const(2), f(6, 4))
layer("embedding int32", fn("embedding"), i(4, low=0, high=6, dtype="int32"), f(6, 4))
layer(
    "embedding scale_grad_by_freq",
    fn("embedding", scale_grad_by_freq=True),
    const([0, 1, 1, 2]),
    f(6, 4),
    order=1,
    differences=False,
)
layer(
    "embedding max_norm",
    lambda T, n, w: _renormalised(T, n, w.clone()),
    const([0, 2, 2]),
    f(6, 4).nograd,
)
layer(
    "embedding max_norm given",
    fn("embedding", max_norm=0.5, norm_type=1.0),
    const([0, 2, 2]),
    f(6, 4).nograd,
)
for mode in ("sum", "mean", "max"):
    layer(
        f"embedding_bag {mode}",
        fn("embedding_bag", mode=mode),
        i(2, 3, low=0, high=6),
        f(6, 4),
        order=1,
    )
    layer(
        f"embedding_bag offsets {mode}",
        lambda T, n, w, m=mode: T.nn.functional.embedding_bag(n, w, T.tensor([0, 2]), mode=m),
        i(5, low=0, high=6),
        f(6, 4),
        order=1,
    )


def _renormalised(T, indices, weight):
    out = T.nn.functional.embedding(indices, weight, max_norm=1.0)
    return [out, weight]


layer("layer_norm", lambda T, x: T.nn.functional.layer_norm(x, (4,)), f(3, 4), dtypes=FLOATS)
layer(
    "layer_norm affine",
    lambda T, x, w, c: T.nn.functional.layer_norm(x, (4,), w, c),
    f(2, 3, 4),
    f(4),
    f(4),
)
layer(
    "layer_norm two axes",
    lambda T, x, w, c: T.nn.functional.layer_norm(x, (3, 4), w, c, 1e-3),
    f(2, 3, 4),
    f(3, 4),
    f(3, 4),
)
layer(
    "layer_norm weight only", lambda T, x, w: T.nn.functional.layer_norm(x, [4], w), f(3, 4), f(4)
)
layer("group_norm", lambda T, x: T.nn.functional.group_norm(x, 2), f(2, 4, 3))
layer(
    "group_norm affine",
    lambda T, x, w, c: T.nn.functional.group_norm(x, 2, w, c),
    f(2, 4, 2, 2),
    f(4),
    f(4),
)
layer("instance_norm", lambda T, x: T.nn.functional.instance_norm(x), f(2, 3, 5))
layer("rms_norm", lambda T, x: T.nn.functional.rms_norm(x, (4,)), f(3, 4))
layer(
    "rms_norm weight", lambda T, x, w: T.nn.functional.rms_norm(x, (4,), w, 1e-4), f(2, 3, 4), f(4)
)
layer(
    "batch_norm train",
    lambda T, x, w, c: T.nn.functional.batch_norm(x, None, None, w, c, training=True),
    f(5, 3),
    f(3),
    f(3),
    dtypes=FLOATS[:2],
)
layer(
    "batch_norm train 2d",
    lambda T, x, w, c: T.nn.functional.batch_norm(x, None, None, w, c, training=True),
    f(2, 3, 2, 2),
    f(3),
    f(3),
)
layer(
    "batch_norm running",
    lambda T, x, m, v: _batch_norm(T, x, m.clone(), v.clone(), True),
    f(5, 3),
    f(3).nograd,
    f(3, low=0.5, high=2).nograd,
)
layer(
    "batch_norm eval",
    lambda T, x, m, v, w, c: T.nn.functional.batch_norm(x, m, v, w, c),
    f(5, 3),
    f(3).nograd,
    f(3, low=0.5, high=2).nograd,
    f(3),
    f(3),
)
layer(
    "batch_norm momentum",
    lambda T, x, m, v: _batch_norm(T, x, m.clone(), v.clone(), True, momentum=0.3),
    f(2, 3, 4),
    f(3).nograd,
    f(3, low=0.5, high=2).nograd,
)
layer("local_response_norm", lambda T, x: T.nn.functional.local_response_norm(x, 2), f(2, 4, 3))


def _batch_norm(T, x, mean, var, training, **kw):
    out = T.nn.functional.batch_norm(x, mean, var, training=training, **kw)
    return [out, mean, var]


def module(name, build, *inputs, **kw):
    """A module built after seeding: its output, the gradient of its input and its parameters."""

    def call(T, *t):
        net = build(T).to(t[0].dtype if t[0].is_floating_point() else T.float32)
        out = net(*t)
        return [out, [p.detach() for p in net.parameters()], list(net.state_dict())]

    layer(f"module {name}", call, *inputs, seed=11, **kw)


module("Linear", lambda T: T.nn.Linear(4, 3), f(2, 4), dtypes=("float32", "float64"))
module("Linear no bias", lambda T: T.nn.Linear(4, 3, bias=False), f(2, 4))
module("Bilinear", lambda T: T.nn.Bilinear(2, 3, 4), f(5, 2), f(5, 3))
module("Embedding", lambda T: T.nn.Embedding(6, 3, padding_idx=0), i(2, 3, low=0, high=6))
module(
    "Sequential",
    lambda T: T.nn.Sequential(T.nn.Linear(4, 8), T.nn.ReLU(), T.nn.Linear(8, 2)),
    f(3, 4),
)
module(
    "deep",
    lambda T: T.nn.Sequential(
        *[part for _ in range(4) for part in (T.nn.Linear(4, 4), T.nn.Tanh())]
    ),
    f(3, 4),
)
module("LayerNorm", lambda T: T.nn.LayerNorm(4), f(3, 4))
module("BatchNorm1d", lambda T: T.nn.BatchNorm1d(4), f(5, 4))
module("Dropout", lambda T: T.nn.Dropout(0.4), f(5, 4))
module("PReLU", lambda T: T.nn.PReLU(), f(5, 4))
module("Flatten", lambda T: T.nn.Flatten(), f(2, 3, 4))
for name in (
    "ReLU",
    "Sigmoid",
    "Tanh",
    "GELU",
    "SiLU",
    "ELU",
    "LeakyReLU",
    "Softplus",
    "Identity",
    "ReLU6",
    "SELU",
    "CELU",
    "Mish",
    "Hardtanh",
    "Hardswish",
    "Hardsigmoid",
    "LogSigmoid",
    "Softsign",
    "Tanhshrink",
    "Softshrink",
    "Hardshrink",
):
    module(
        name, lambda T, n=name: getattr(T.nn, n)(), f(3, 4), order=1 if name == "Hardsigmoid" else 2
    )
for name in ("Softmax", "LogSoftmax", "Softmin"):
    module(name, lambda T, n=name: getattr(T.nn, n)(dim=1), f(3, 4))
for name in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCEWithLogitsLoss"):
    module(name, lambda T, n=name: getattr(T.nn, n)(), f(3, 4), f(3, 4, low=0, high=1).nograd)
for name in ("CrossEntropyLoss", "NLLLoss"):
    module(name, lambda T, n=name: getattr(T.nn, n)(reduction="sum"), f(4, 3), i(4, low=0, high=3))
