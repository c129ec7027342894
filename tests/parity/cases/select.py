"""Choosing and placing elements: where, masks, gather and scatter, index_*, take and put."""

from tests.parity.case import Family, b, const, f, function, i

select = Family("select")
KINDS = ("float32", "float64", "bfloat16", "int64")

select("where", "where", b(3, 4), f(3, 4), f(3, 4), dtypes=KINDS)
select("where broadcast", "where", b(4), f(3, 1), f(1, 4))
select(
    "where numbers",
    lambda T, m, x: [
        T.where(m, x, 0.0),
        T.where(m, 1.5, x),
        T.where(m, 1, 2),
        T.where(m, 1.0, 2),
        T.where(m, x, 3),
    ],
    b(4),
    f(4),
)
select("where condition only", lambda T, m: T.where(m), b(3, 4))
select("where method", lambda T, x, y: x.where(x > 0, y), f(3, 4), f(4))
select("where nan safe", lambda T, x: T.where(x > 0, x.clamp(min=1e-3).log(), x * 0), f(3, 4))
select("where scalar condition", lambda T, x, y: T.where(x.sum() > 0, x, y), f(3), f(3))
select("masked_fill", function("masked_fill", value=2.0), f(3, 4), b(4), dtypes=KINDS)
select(
    "masked_fill -inf",
    lambda T, x, m: x.masked_fill(m, float("-inf")),
    f(3, 4),
    b(3, 4),
    differences=False,
)
select("masked_fill tensor", "masked_fill", f(3, 4), b(3, 1), f())
select("masked_fill bool", lambda T, x, m: x.masked_fill(m, True), b(4), b(4))
select("masked_fill broadcasts self", lambda T, x, m: x.masked_fill(m, 1.0), f(4), b(3, 4))
select("masked_select", "masked_select", f(3, 4), b(3, 4), dtypes=KINDS)
select("masked_select broadcast", "masked_select", f(3, 4), b(4))
select("masked_select nothing", lambda T, x: x.masked_select(x > 99), f(3), differences=False)
select("masked_scatter", "masked_scatter", f(3, 4), b(3, 4), f(12))

for dim in (0, 1, -1):
    select(
        f"gather {dim}",
        lambda T, x, n, d=dim: T.gather(x, d, n),
        f(3, 4),
        i(2, 3, low=0, high=3),
        dtypes=KINDS,
    )
    select(
        f"scatter {dim}",
        lambda T, x, n, s, d=dim: T.scatter(x, d, n, s),
        f(4, 4),
        const([[0, 2, 1], [2, 0, 3]]),
        f(2, 3),
        dtypes=KINDS,
    )
    select(
        f"scatter_add {dim}",
        lambda T, x, n, s, d=dim: x.scatter_add(d, n, s),
        f(4, 4),
        i(2, 3, low=0, high=4),
        f(2, 3),
        dtypes=KINDS,
    )
    select(
        f"scatter number {dim}",
        lambda T, x, n, d=dim: x.scatter(d, n, 1.5),
        f(4, 4),
        i(2, 3, low=0, high=4),
    )
    for how in ("sum", "prod", "mean", "amax", "amin"):
        for include in (True, False):
            select(
                f"scatter_reduce {how} {dim} {include}",
                lambda T, x, n, s, d=dim, h=how, inc=include: x.scatter_reduce(
                    d, n, s, h, include_self=inc
                ),
                f(3, 4),
                i(3, 4, low=0, high=3),
                f(3, 4),
                order=1,
                differences=how != "prod",
            )
    select(
        f"index_select {dim}",
        lambda T, x, n, d=dim: T.index_select(x, d, n),
        f(3, 4),
        i(5, low=0, high=3),
        dtypes=(*KINDS, "bool"),
    )
    select(
        f"index_add {dim}",
        lambda T, x, n, s, d=dim: T.index_add(x, d, n, s, alpha=2),
        f(3, 3),
        i(3, low=0, high=3),
        f(3, 3),
        dtypes=("float32", "float64", "int64"),
    )
    select(
        f"index_copy {dim}",
        lambda T, x, n, s, d=dim: x.index_copy(d, n, s),
        f(3, 3),
        const([2, 0]),
        f(2, 3) if dim == 0 else f(3, 2),
    )
    select(
        f"index_fill {dim}", lambda T, x, n, d=dim: x.index_fill(d, n, 1.5), f(3, 3), const([2, 0])
    )
    for how in ("prod", "mean", "amax", "amin"):
        select(
            f"index_reduce {how} {dim}",
            lambda T, x, n, s, d=dim, h=how: x.index_reduce(d, n, s, h),
            f(3, 3),
            i(3, low=0, high=3),
            f(3, 3),
            order=1,
            differences=how != "prod",
        )
select("gather of transposed", lambda T, x, n: x.t().gather(0, n), f(3, 4), i(2, 3, low=0, high=4))
select("gather repeated", lambda T, x: x.gather(0, T.tensor([0, 0, 1, 0])), f(3))
select("gather scalar", lambda T, x, n: T.gather(x, 0, n), f(), const(0))
select(
    "scatter reduce=add",
    lambda T, x, n, s: x.scatter(0, n, s, reduce="add"),
    f(3, 4).nograd,
    i(2, 4, low=0, high=3),
    f(2, 4).nograd,
)
select("scatter_", lambda T, n: T.zeros(3, 5).scatter_(1, n, 1.0), const([[1], [0], [4]]))
select(
    "scatter_add_",
    lambda T, x, n, s: x.clone().scatter_add_(0, n, s),
    f(4),
    i(6, low=0, high=4),
    f(6),
)
select(
    "index_add_",
    lambda T, x, n, s: x.clone().index_add_(0, n, s),
    f(4, 2),
    i(6, low=0, high=4),
    f(6, 2),
)
select(
    "index_fill_ tensor",
    lambda T, x, n, v: x.clone().index_fill_(0, n, v),
    f(4, 2),
    const([0, 3]),
    f(),
)
select(
    "index_copy_",
    lambda T, x, n, s: x.clone().index_copy_(1, n, s),
    f(2, 3),
    const([1, 2]),
    f(2, 2),
)
select("index_select scalar index", lambda T, x, n: x.index_select(0, n), f(3, 2), const(1))
select(
    "index_select int32",
    lambda T, x, n: x.index_select(0, n),
    f(3, 2),
    i(4, low=0, high=3, dtype="int32"),
)
select("index_put", lambda T, x, n, v: x.index_put((n,), v), f(4, 3), const([2, 0]), f(2, 3))
select(
    "index_put accumulate",
    lambda T, x, n, v: x.index_put((n, n), v, accumulate=True),
    f(4, 4),
    i(6, low=0, high=4),
    f(6),
)
select("index_put_ mask", lambda T, x, m, v: x.clone().index_put_((m,), v), f(3, 4), b(3, 4), f())
select("take", "take", f(3, 4), i(2, 5, low=-12, high=12), dtypes=KINDS)
select("take_along_dim", function("take_along_dim", dim=1), f(3, 4), i(3, 2, low=0, high=4))
select("take_along_dim flat", "take_along_dim", f(3, 4), i(5, low=0, high=12))
select("put", lambda T, x, n, s: x.put(n, s), f(3, 4), const([0, 5, 11]), f(3))
select(
    "put_ accumulate",
    lambda T, x, n, s: x.clone().put_(n, s, accumulate=True),
    f(3, 4),
    i(6, low=0, high=12),
    f(6),
)
select(
    "one_hot",
    lambda T, n: [T.nn.functional.one_hot(n, 5), T.nn.functional.one_hot(n)],
    i(2, 3, low=0, high=5),
)
select("choose by arange", lambda T, x, n: x[T.arange(4), n], f(4, 3), i(4, low=0, high=3))
select(
    "isin",
    lambda T, x: [T.isin(x, T.tensor([1, 2])), T.isin(x, 2), T.isin(x, T.tensor([1]), invert=True)],
    i(8, low=0, high=4),
)
select("unravel_index", lambda T, n: T.unravel_index(n, (3, 4)), i(5, low=0, high=12))
