"""Losses: every reduction, weights, ignored classes, smoothing."""

from tests.parity.case import Family, const, f, i

loss = Family("loss")
FLOATS = ("float32", "float64", "bfloat16")
REDUCTIONS = ("none", "mean", "sum")


def fn(name, **kw):
    """`nn.functional.<name>` with keyword arguments; `weight` may come as the third tensor."""
    return lambda T, *t: getattr(T.nn.functional, name)(*t, **kw)


for reduction in REDUCTIONS:
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        loss(f"{name} {reduction}", fn(name, reduction=reduction), f(3, 4), f(3, 4), dtypes=FLOATS)
    loss(
        f"smooth_l1_loss beta {reduction}",
        fn("smooth_l1_loss", reduction=reduction, beta=0.5),
        f(3, 4),
        f(3, 4).nograd,
    )
    loss(
        f"huber_loss delta {reduction}",
        fn("huber_loss", reduction=reduction, delta=0.7),
        f(3, 4),
        f(3, 4).nograd,
    )
    loss(
        f"nll_loss {reduction}",
        fn("nll_loss", reduction=reduction),
        f(5, 3),
        i(5, low=0, high=3),
        dtypes=FLOATS,
    )
    loss(
        f"nll_loss weight {reduction}",
        lambda T, x, y, w, r=reduction: T.nn.functional.nll_loss(x, y, weight=w, reduction=r),
        f(5, 3),
        i(5, low=0, high=3),
        f(3, low=0.2, high=2).nograd,
    )
    loss(
        f"nll_loss ignore_index {reduction}",
        fn("nll_loss", reduction=reduction, ignore_index=1),
        f(5, 3),
        const([0, 1, 2, 1, 0]),
    )
    loss(
        f"nll_loss 2d {reduction}",
        fn("nll_loss", reduction=reduction),
        f(2, 3, 2, 2),
        i(2, 2, 2, low=0, high=3),
    )
    loss(f"nll_loss one sample {reduction}", fn("nll_loss", reduction=reduction), f(3), const(2))
    loss(
        f"cross_entropy {reduction}",
        fn("cross_entropy", reduction=reduction),
        f(5, 3),
        i(5, low=0, high=3),
        dtypes=FLOATS,
    )
    loss(
        f"cross_entropy everything {reduction}",
        lambda T, x, y, w, r=reduction: T.nn.functional.cross_entropy(
            x, y, weight=w, ignore_index=2, reduction=r, label_smoothing=0.1
        ),
        f(6, 4),
        const([0, 1, 2, 3, 1, 2]),
        f(4, low=0.2, high=2).nograd,
    )
    loss(
        f"cross_entropy smoothing {reduction}",
        fn("cross_entropy", reduction=reduction, label_smoothing=0.2),
        f(5, 3),
        i(5, low=0, high=3),
    )
    loss(
        f"cross_entropy ignored by default {reduction}",
        fn("cross_entropy", reduction=reduction),
        f(4, 3),
        const([0, -100, 2, -100]),
    )
    loss(
        f"cross_entropy probabilities {reduction}",
        lambda T, x, y, r=reduction: T.nn.functional.cross_entropy(x, y.softmax(1), reduction=r),
        f(5, 3),
        f(5, 3),
    )
    loss(
        f"cross_entropy probabilities smoothed weight {reduction}",
        lambda T, x, y, w, r=reduction: T.nn.functional.cross_entropy(
            x, y.softmax(1), weight=w, reduction=r, label_smoothing=0.1
        ),
        f(5, 3),
        f(5, 3).nograd,
        f(3, low=0.2, high=2).nograd,
    )
    loss(
        f"cross_entropy images {reduction}",
        fn("cross_entropy", reduction=reduction),
        f(2, 3, 2, 2),
        i(2, 2, 2, low=0, high=3),
    )
    loss(
        f"binary_cross_entropy {reduction}",
        fn("binary_cross_entropy", reduction=reduction),
        f(3, 4, low=0.1, high=0.9),
        f(3, 4, low=0.1, high=0.9).nograd,
        dtypes=FLOATS[:2],
    )
    loss(
        f"binary_cross_entropy weight {reduction}",
        fn("binary_cross_entropy", reduction=reduction),
        f(3, 4, low=0.1, high=0.9),
        f(3, 4, low=0.1, high=0.9).nograd,
        f(4, low=0.2, high=2).nograd,
    )
    loss(
        f"bce_with_logits {reduction}",
        fn("binary_cross_entropy_with_logits", reduction=reduction),
        f(3, 4),
        f(3, 4, low=0, high=1),
        dtypes=FLOATS,
    )
    loss(
        f"bce_with_logits weights {reduction}",
        lambda T, x, y, w, p, r=reduction: T.nn.functional.binary_cross_entropy_with_logits(
            x, y, weight=w, pos_weight=p, reduction=r
        ),
        f(3, 4),
        f(3, 4, low=0, high=1).nograd,
        f(4, low=0.2, high=2).nograd,
        f(4, low=0.2, high=2).nograd,
    )
    for log_target in (False, True):
        loss(
            f"kl_div log_target={log_target} {reduction}",
            fn("kl_div", reduction=reduction, log_target=log_target),
            f(3, 4, low=-3, high=-0.1),
            f(3, 4, low=-3, high=-0.1) if log_target else f(3, 4, low=0.1, high=1),
        )
    loss(
        f"poisson_nll {reduction}",
        fn("poisson_nll_loss", reduction=reduction),
        f(3, 4),
        f(3, 4, low=0, high=3).nograd,
    )
    loss(
        f"poisson_nll full {reduction}",
        fn("poisson_nll_loss", reduction=reduction, log_input=False, full=True),
        f(3, 4, low=0.2, high=2),
        f(3, 4, low=0, high=3).nograd,
    )
    loss(
        f"gaussian_nll {reduction}",
        fn("gaussian_nll_loss", reduction=reduction, full=True),
        f(3, 4),
        f(3, 4),
        f(3, 4, low=0.2, high=2),
    )
    loss(
        f"hinge_embedding {reduction}",
        fn("hinge_embedding_loss", reduction=reduction),
        f(5),
        const([1.0, -1.0, 1.0, -1.0, 1.0]),
    )
    loss(
        f"soft_margin {reduction}",
        fn("soft_margin_loss", reduction=reduction),
        f(5),
        const([1.0, -1.0, 1.0, -1.0, 1.0]),
    )
    loss(
        f"margin_ranking {reduction}",
        fn("margin_ranking_loss", margin=0.2, reduction=reduction),
        f(5),
        f(5),
        const([1.0, -1.0, 1.0, -1.0, 1.0]),
    )
    loss(
        f"cosine_embedding {reduction}",
        fn("cosine_embedding_loss", margin=0.1, reduction=reduction),
        f(4, 3),
        f(4, 3),
        const([1, -1, 1, -1]),
    )
    loss(
        f"triplet_margin {reduction}",
        fn("triplet_margin_loss", reduction=reduction),
        f(4, 3),
        f(4, 3),
        f(4, 3),
    )
    loss(
        f"multi_margin {reduction}",
        fn("multi_margin_loss", reduction=reduction),
        f(4, 3),
        i(4, low=0, high=3),
        order=1,
    )
    loss(
        f"multilabel_margin {reduction}",
        fn("multilabel_margin_loss", reduction=reduction),
        f(2, 4),
        const([[1, 3, -1, 0], [0, -1, 1, 2]]),
        order=1,
    )
    loss(
        f"multilabel_soft_margin {reduction}",
        fn("multilabel_soft_margin_loss", reduction=reduction),
        f(4, 3),
        f(4, 3, low=0, high=1).nograd,
    )
loss(
    "kl_div batchmean",
    fn("kl_div", reduction="batchmean"),
    f(3, 4, low=-3, high=-0.1),
    f(3, 4, low=0.1, high=1),
)
loss(
    "kl_div zero target",
    fn("kl_div", reduction="sum"),
    f(3, low=-2, high=-1),
    const([0.0, 0.5, 0.5]),
)
loss(
    "bce at the ends",
    fn("binary_cross_entropy"),
    const([0.0, 1.0, 0.5], grad=True),
    const([0.0, 1.0, 1.0]),
    differences=False,
    order=1,
)
loss(
    "bce with logits far",
    fn("binary_cross_entropy_with_logits"),
    const([100.0, -100.0, 0.0], grad=True),
    const([1.0, 0.0, 1.0]),
    differences=False,
    order=1,
)
loss(
    "cross_entropy all ignored",
    fn("cross_entropy"),
    f(2, 3),
    const([-100, -100]),
    differences=False,
)
loss("cross_entropy one sample", fn("cross_entropy"), f(4), const(2))
loss(
    "cross_entropy large logits",
    fn("cross_entropy"),
    const([[1000.0, 0.0], [0.0, 1000.0]], grad=True),
    const([0, 0]),
    differences=False,
)
loss(
    "cross_entropy equals its parts",
    lambda T, x, y: T.nn.functional.nll_loss(T.nn.functional.log_softmax(x, 1), y),
    f(5, 3),
    i(5, low=0, high=3),
)
loss("mse broadcast by hand", lambda T, x, y: (x - y).pow(2).mean(), f(3, 1), f(1, 4))
loss(
    "mse at the target", fn("mse_loss"), const([1.0, 2.0], grad=True), const([1.0, 2.0], grad=True)
)
loss(
    "l1 at the target",
    fn("l1_loss"),
    const([1.0, 2.0], grad=True),
    const([1.0, 3.0], grad=True),
    differences=False,
)
loss(
    "nll of chosen",
    lambda T, x, y: -x.log_softmax(1)[T.arange(5), y].mean(),
    f(5, 3),
    i(5, low=0, high=3),
)
loss(
    "ctc_loss",
    lambda T, x: T.nn.functional.ctc_loss(
        x.log_softmax(2), T.tensor([[1, 2], [2, 1]]), T.tensor([5, 5]), T.tensor([2, 2])
    ),
    f(5, 2, 3),
    order=1,
)
