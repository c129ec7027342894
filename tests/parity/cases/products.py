"""Products, distances and reductions in layouts, ranks and dtypes that other tables leave out."""

from tests.parity.case import COMPLEX, Family, f

products = Family("products")
KINDS = ("float64", "complex64", "float16", "bfloat16", "int64")


def add(text: str, *shapes: tuple[int, ...], dtypes: tuple[str, ...] = ("float64",), **kw) -> None:
    """A case that evaluates `text`, in which x, y, z, w are the inputs and T is the namespace."""
    code = compile(text, text, "eval")

    def call(T, *tensors):
        names = {"T": T, "F": T.nn.functional, "inf": float("inf")}
        return eval(code, names | dict(zip("xyzw", tensors)))

    products(text, call, *[f(*s) for s in shapes], dtypes=dtypes, **kw)


for m, n in (
    ((3, 4), (4, 2)),
    ((2, 3, 4), (4, 2)),
    ((3, 4), (2, 4, 2)),
    ((5, 1, 3, 4), (2, 4, 2)),
    ((4,), (2, 4, 2)),
    ((2, 3, 4), (4,)),
):
    products(f"{m} @ {n}", lambda T, x, y: x @ y, f(*m), f(*n), dtypes=KINDS)
add("x.permute(1, 0, 2) @ y.permute(1, 0, 2)", (3, 2, 4), (4, 2, 5))
add("x.permute(0, 2, 1, 3) @ y.permute(0, 2, 3, 1)", (2, 5, 3, 4), (2, 5, 3, 4))
for x in ((3, 4), (2, 3, 4), (4,)):
    products(
        f"linear of {x}", lambda T, x, y, z: T.nn.functional.linear(x, y, z), f(*x), f(5, 4), f(5),
        dtypes=KINDS[:4],
    )  # fmt: skip
    products(f"linear of {x} without bias", lambda T, x, y: T.nn.functional.linear(x, y), f(*x),
             f(5, 4))  # fmt: skip
add("F.linear(x.mT, y, z)", (2, 4, 3), (5, 4), (5,))
add("F.linear(x, y, z)", (0, 4), (5, 4), (5,), differences=False)
add("F.bilinear(x, y, z, w)", (3, 4), (3, 5), (2, 4, 5), (2,))
add("T.addmm(x, y, z, beta=2, alpha=3)", (5,), (3, 4), (4, 5), dtypes=KINDS)
add("T.linalg.multi_dot([x, y, z, w])", (10, 3), (3, 40), (40, 2), (2, 5))
for equation, *shapes in (
    ("ij,kj->ki", (2, 3), (4, 3)),
    ("bqhd,bkhd->bhqk", (2, 4, 3, 5), (2, 6, 3, 5)),
    ("ijk,ilm->jl", (2, 3, 4), (2, 5, 4)),
    ("iij,jk->ik", (3, 3, 4), (4, 2)),
    ("i,j,k->", (3,), (2,), (4,)),
    ("ij,ij->j", (2, 3), (1, 3)),
    ("...ii->...i", (2, 3, 3)),
):
    products(equation, lambda T, *t, e=equation: T.einsum(e, *t), *[f(*s) for s in shapes])
add("T.cdist(x, y)", (30, 4), (40, 4), order=1)
add("T.cdist(x, y, p=inf)", (3, 4), (2, 4), order=1)
add("F.cosine_similarity(x, y, dim=0)", (3, 4), (3, 1))
add("T.dist(x, y, 1.5)", (3, 4), (4,))
add("T.renorm(x, 3, -1, 0.5)", (3, 4, 2))
for text in (
    "x.permute(2, 0, 1).sum(1, keepdim=True)",
    "x.permute(2, 0, 1).max(1)",
    "x.permute(2, 0, 1).var(1)",
    "T.var_mean(x, (0, 1))",
    "x.norm(1.5, 1, True)",
    "T.linalg.matrix_norm(x, -inf, (0, 2))",
    "x.cumprod(1)",
    "x.logcumsumexp(1)",
    "x.prod(1)",
):
    kinds = ("float64",) if "max" in text or "inf" in text else ("float64", *COMPLEX)
    add(text, (3, 4, 2), dtypes=kinds)
for text in (
    "x.sort(0, True)",
    "x[:, ::2].sort(1)",
    "x.quantile(0.3, dim=1, interpolation='nearest')",
    "x.nanmedian(1, True)",
    "T.gradient(x, spacing=0.5, edge_order=2)",
    "T.cumulative_trapezoid(x, y)",
):
    add(text, (3, 5), *([(5,)] if "y" in text.split("(")[1] else []))
