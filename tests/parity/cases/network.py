"""Losses and layers with their options combined: weights of both kinds, masks, bags, ranks."""

from tests.parity.case import Family, const, f, i

network = Family("network")


def fn(name, **kw):
    """`nn.functional.<name>(*tensors, **kw)`."""
    return lambda T, *t: getattr(T.nn.functional, name)(*t, **kw)


CLASSES = const([[[0, -100, 1], [2, 2, 0]], [[1, 1, 1], [0, 2, -100]]])
for reduction in ("none", "mean", "sum"):
    for name in ("mse_loss", "smooth_l1_loss", "huber_loss"):
        network(f"{name} broadcast {reduction}", fn(name, reduction=reduction), f(3, 4), f(4))
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        network(
            f"{name} weight {reduction}",
            lambda T, x, y, w, n=name, r=reduction: getattr(T.nn.functional, n)(
                x, y, weight=w, reduction=r
            ),
            f(3, 4),
            f(3, 4),
            f(3, 4, low=0.2, high=2).nograd,
        )
    for word in ("weight", "pos_weight"):
        network(
            f"bce_with_logits {word} {reduction}",
            lambda T, x, y, w, k=word, r=reduction: (
                T.nn.functional.binary_cross_entropy_with_logits(x, y, reduction=r, **{k: w})
            ),
            f(3, 4),
            f(3, 4, low=0, high=1),
            f(4, low=0.2, high=2).nograd,
        )
    network(
        f"binary_cross_entropy target {reduction}",
        fn("binary_cross_entropy", reduction=reduction),
        f(3, 4, low=0.1, high=0.9),
        f(3, 4, low=0.1, high=0.9),
    )
    network(
        f"nll_loss images weight {reduction}",
        lambda T, x, y, w, r=reduction: T.nn.functional.nll_loss(x, y, w, reduction=r),
        f(2, 3, 2, 3),
        CLASSES,
        f(3, low=0.2, high=2).nograd,
    )
    network(
        f"nll_loss sequence {reduction}",
        lambda T, x, y, r=reduction: T.nn.functional.nll_loss(x, y[:, 0], reduction=r),
        f(2, 3, 3),
        CLASSES,
    )
    network(
        f"cross_entropy images smoothing weight {reduction}",
        lambda T, x, y, w, r=reduction: T.nn.functional.cross_entropy(
            x, y, w, reduction=r, label_smoothing=0.2
        ),
        f(2, 3, 2, 3),
        CLASSES,
        f(3, low=0.2, high=2).nograd,
    )
    network(
        f"triplet swap {reduction}",
        fn("triplet_margin_loss", swap=True, p=3, reduction=reduction),
        f(4, 3),
        f(4, 3),
        f(4, 3),
    )
    network(
        f"gaussian_nll one variance a row {reduction}",
        fn("gaussian_nll_loss", reduction=reduction),
        f(4, 3),
        f(4, 3),
        f(4, low=0.2, high=2),
    )
network(
    "multi_margin square weight",
    lambda T, x, y, w: T.nn.functional.multi_margin_loss(x, y, p=2, margin=0.7, weight=w),
    f(4, 3),
    i(4, low=0, high=3),
    f(3, low=0.2, high=2).nograd,
    order=1,
)
network(
    "group_norm flat",
    lambda T, x, w, c: T.nn.functional.group_norm(x, 2, w, c),
    f(3, 4),
    f(4),
    f(4),
)
network(
    "instance_norm affine",
    lambda T, x, w, c: T.nn.functional.instance_norm(x, None, None, w, c),
    f(2, 3, 4),
    f(3),
    f(3),
)
network(
    "instance_norm running",
    lambda T, x, m, v: _running(T, x, m.clone(), v.clone()),
    f(2, 3, 4),
    f(3).nograd,
    f(3, low=0.5, high=2).nograd,
)
network("layer_norm transposed", lambda T, x: T.nn.functional.layer_norm(x, (4,)), f(3, 4).t)
network("batch_norm transposed", lambda T, x: _train(T, x), f(3, 4).t)
network(
    "embedding_bag padding mean",
    lambda T, n, w: T.nn.functional.embedding_bag(n, w, T.tensor([0, 2, 2]), padding_idx=2),
    const([0, 1, 2, 2, 5]),
    f(6, 4),
    order=1,
)
network(
    "embedding_bag per sample",
    lambda T, n, w, s: T.nn.functional.embedding_bag(
        n, w, T.tensor([0, 3]), mode="sum", per_sample_weights=s
    ),
    const([0, 1, 2, 2, 5]),
    f(6, 4),
    f(5),
    order=1,
)


def _running(T, x, mean, var):
    out = T.nn.functional.instance_norm(x, mean, var, momentum=0.3)
    return [out, mean, var, mean._version]


def _train(T, x):
    return T.nn.functional.batch_norm(x, None, None, training=True)


def attend(name, shapes, mask=None, **kw):
    """Attention on the mathematical path's shapes: the query's width is not the value's."""

    def call(T, q, k, v, *m):
        return T.nn.functional.scaled_dot_product_attention(q, k, v, *m, **kw) * 1

    inputs = [f(*s) for s in shapes] + ([] if mask is None else [mask])
    network(f"attention {name}", call, *inputs)


HEADS = ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))
attend("plain", HEADS)
attend("no batch", [s[2:] for s in HEADS])
attend("causal", HEADS, is_causal=True)
attend("scale", HEADS, scale=0.3)
attend("added mask", HEADS, f(3, 5).nograd)
attend(
    "bool mask with an empty row",
    HEADS,
    const([[True, False, True, True, False], [False] * 5, [True] * 5]),
)
attend("shared heads", ((2, 4, 3, 4), *HEADS[1:]), enable_gqa=True)
