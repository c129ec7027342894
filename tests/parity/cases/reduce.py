"""Reductions, scans and norms."""

from tests.parity.case import Family, b, const, f, function, i

reduce = Family("reduce")
FLOATS = ("float32", "float64", "float16", "bfloat16")
KINDS = (*FLOATS, "int64", "bool")
NAN, INF = float("nan"), float("inf")

for name in ("sum", "mean", "nansum", "nanmean", "amax", "amin", "std", "var", "logsumexp", "prod"):
    integral = name in ("sum", "prod", "amax", "amin", "nansum")
    kinds = KINDS if integral and name not in ("nansum",) else FLOATS
    domain = {"low": 0.5, "high": 2} if name == "prod" else {}
    if name != "logsumexp":
        reduce(name, name, f(3, 4, **domain), dtypes=kinds)
    reduce(f"{name} dim", function(name, dim=1), f(3, 4, **domain), dtypes=kinds)
    reduce(f"{name} dim 0 keepdim", function(name, dim=0, keepdim=True), f(3, 4, **domain))
    reduce(f"{name} negative dim", function(name, dim=-2), f(2, 3, 4, **domain))
    if name != "prod":
        reduce(f"{name} two dims", function(name, dim=(0, 2)), f(2, 3, 4))
        reduce(f"{name} two dims keepdim", function(name, dim=(-1, 0), keepdim=True), f(2, 3, 4))
        reduce(f"{name} all dims", function(name, dim=(0, 1, 2)), f(2, 3, 4))
    reduce(f"{name} transposed", function(name, dim=0), f(3, 4, **domain).t)
    reduce(
        f"{name} of a scalar",
        function(name, dim=0),
        f(**domain),
        differences=name not in ("std", "var"),
    )
for name in ("sum", "mean", "prod", "nansum"):
    reduce(f"{name} of nothing", name, f(0, 3), differences=False)
reduce("sum empty axis", function("sum", dim=0), f(0, 3), differences=False)
reduce("sum dim empty tuple", lambda T, x: [x.sum(()), x.sum(dim=None)], f(2, 3))
reduce("sum dtype", function("sum", dtype=None), i(5, dtype="int32"))
reduce(
    "sum of float16 in float32",
    lambda T, x: x.sum(dtype=T.float32),
    f(7),
    dtypes=("float16",),
    differences=False,
)
reduce(
    "sum of bytes",
    lambda T, x: [x.sum(), x.sum(0), x.prod(), x.cumsum(0), x.sum(dtype=T.uint8)],
    i(5, low=50, high=90, dtype="uint8"),
)
reduce("sum large", "sum", f(4000))
reduce("mean large rows", function("mean", dim=0), f(300, 7))
reduce("float16 sum large", "sum", f(3000, low=0, high=1), dtypes=("float16", "bfloat16"))
for correction in (0, 1, 2):
    reduce(f"var correction {correction}", function("var", dim=1, correction=correction), f(3, 5))
    reduce(f"std correction {correction}", function("std", dim=0, correction=correction), f(3, 5))
reduce(
    "var unbiased",
    lambda T, x: [
        x.var(unbiased=False),
        x.std(False),
        x.var(0, unbiased=True),
        x.std(1, False, True),
    ],
    f(3, 5),
)
reduce("var_mean", function("var_mean", dim=1), f(3, 5))
reduce("std_mean", function("std_mean", dim=0, correction=0, keepdim=True), f(3, 5))
reduce("var of one", "var", f(1), differences=False)
reduce(
    "std of equal",
    function("std", correction=0),
    const([2.0, 2.0], grad=True),
    differences=False,
    order=1,
)

for name in ("max", "min"):
    reduce(name, name, f(3, 4), dtypes=KINDS)
    reduce(f"{name} dim", function(name, 1), f(3, 4), dtypes=KINDS)
    reduce(f"{name} dim keepdim", function(name, 0, keepdim=True), f(3, 4))
    reduce(
        f"{name} ties",
        name,
        const([[1.0, 3.0, 3.0], [3.0, 0.0, 1.0]], grad=True),
        differences=False,
    )
    reduce(
        f"{name} dim ties",
        function(name, 1),
        const([[3.0, 1.0, 3.0], [1.0, 0.0, 0.0]], grad=True),
        differences=False,
    )
    reduce(
        f"a{name} ties",
        function(f"a{name}", dim=1),
        const([[3.0, 1.0, 3.0], [1.0, 0.0, 0.0]], grad=True),
        differences=False,
    )
    reduce(
        f"{name} nan",
        lambda T, x, n=name: [getattr(T, n)(x), getattr(T, n)(x, 0)],
        const([1.0, NAN, 3.0, NAN]),
    )
    reduce(f"arg{name}", f"arg{name}", f(3, 4), dtypes=("float32", "float64", "int64"))
    reduce(f"arg{name} dim", function(f"arg{name}", dim=1), f(3, 4))
    reduce(f"arg{name} keepdim", function(f"arg{name}", dim=0, keepdim=True), f(3, 4))
    reduce(f"arg{name} keepdim without dim", function(f"arg{name}", keepdim=True), f(3, 4))
    reduce(
        f"arg{name} ties and nan",
        lambda T, x, y, n=f"arg{name}": [getattr(T, n)(x), getattr(T, n)(y)],
        const([2.0, 5.0, 5.0, 2.0]),
        const([2.0, NAN, 7.0, NAN]),
    )
    reduce(f"{name} named result", lambda T, x, n=name: getattr(x, n)(dim=1).values, f(2, 3))
    reduce(f"{name} indices", lambda T, x, n=name: getattr(x, n)(dim=1).indices, f(2, 3))
reduce("aminmax", function("aminmax", dim=1), f(3, 4))
reduce("aminmax all", "aminmax", f(3, 4))

for name in ("any", "all"):
    reduce(name, name, b(3, 4))
    reduce(f"{name} dim", function(name, dim=1), b(3, 4))
    reduce(f"{name} keepdim", function(name, dim=0, keepdim=True), b(3, 4))
    reduce(f"{name} dims", function(name, dim=(0, 1)), b(3, 4))
    reduce(f"{name} of numbers", name, i(3, 4))
    reduce(f"{name} of bytes", name, i(3, dtype="uint8", low=0))
    reduce(f"{name} of floats", name, f(3))
    reduce(f"{name} of nothing", name, b(0))
reduce("count_nonzero", "count_nonzero", i(3, 4, low=-1, high=2))
reduce("count_nonzero dim", function("count_nonzero", dim=1), i(3, 4, low=-1, high=2))
reduce("nansum with nan", "nansum", const([1.0, NAN, 2.0], grad=True), differences=False)
reduce(
    "nanmean with nan",
    function("nanmean", dim=0),
    const([[1.0, NAN], [2.0, 3.0]], grad=True),
    differences=False,
)
reduce(
    "logsumexp large",
    function("logsumexp", 0),
    const([1000.0, 1001.0, -1000.0], grad=True),
    differences=False,
)
reduce("logsumexp of -inf", function("logsumexp", 0), const([-INF, -INF]))
reduce("prod with a zero", "prod", const([2.0, 0.0, 3.0], grad=True))
reduce("prod with two zeros", "prod", const([2.0, 0.0, 0.0], grad=True))
reduce(
    "prod dim with zeros", function("prod", 1), const([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0]], grad=True)
)
reduce("prod keepdim", function("prod", 1, keepdim=True), f(2, 3))

for p in (0, 1, 2, 3, 0.5, INF, -INF):
    sharp = p in (0,)
    reduce(f"norm p={p}", function("norm", p=p), f(3, 4), differences=not sharp)
    reduce(f"norm p={p} dim", function("norm", p=p, dim=1), f(3, 4), differences=not sharp)
    reduce(
        f"vector_norm {p}",
        function("linalg.vector_norm", ord=p, dim=0, keepdim=True),
        f(3, 4),
        differences=not sharp,
    )
reduce("norm fro", function("norm", p="fro"), f(3, 4), dtypes=("float32", "float64"))
reduce("norm dims", function("norm", dim=(0, 1)), f(2, 3, 4))
reduce("linalg.norm", "linalg.norm", f(3, 4))
reduce("norm at zero", "norm", const([0.0, 0.0], grad=True), differences=False, order=1)
reduce("norm method keepdim", lambda T, x: [x.norm(2, -1, True), x.norm(dim=0)], f(3, 4))
reduce("dist p=1", function("dist", p=1), f(3), f(3))
reduce("renorm", function("renorm", 2, 0, 1.0), f(3, 4), order=1)

scan = Family("scan")
for name in ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"):
    kinds = ("float32", "float64", "int64") if name != "logcumsumexp" else ("float32", "float64")
    scan(name, function(name, dim=1), f(3, 4), dtypes=kinds)
    scan(f"{name} dim 0", function(name, dim=0), f(3, 4))
    scan(f"{name} negative dim", function(name, dim=-2), f(2, 3, 4))
    scan(f"{name} strided", function(name, 0), f(3, 4).t)
    scan(f"{name} of a scalar", function(name, 0), f())
    scan(f"{name} of nothing", function(name, 0), f(0, 2), differences=False)
scan("cumsum of bool", function("cumsum", 0), b(5))
scan("cumsum dtype", lambda T, x: x.cumsum(0, dtype=T.float64), f(4))
scan(
    "cumprod with zeros",
    function("cumprod", 0),
    const([2.0, 0.0, 3.0, 0.0, 1.0], grad=True),
    differences=False,
)
scan("cumprod with one zero", function("cumprod", 0), const([2.0, 0.0, 3.0], grad=True))
scan("cummax ties and nan", function("cummax", 0), const([1.0, 3.0, 3.0, NAN, 2.0]))
scan("diff", "diff", f(3, 5))
scan("diff n=2 dim 0", function("diff", n=2, dim=0), f(4, 3))
scan("diff prepend append", lambda T, x, y: T.diff(x, prepend=y, append=y), f(3, 4), f(3, 1))
scan("trapezoid", "trapezoid", f(3, 5))
scan("trapezoid dx", function("trapezoid", dx=0.5, dim=0), f(3, 5))
scan("trapezoid x", "trapezoid", f(5), f(5))
scan("cumulative_trapezoid", "cumulative_trapezoid", f(3, 5))
scan("gradient", lambda T, x: T.gradient(x, spacing=0.5), f(5), order=1)
scan("cov", "cov", f(3, 6))
scan("corrcoef", "corrcoef", f(3, 6))
