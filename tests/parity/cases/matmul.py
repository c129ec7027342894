"""Matrix products: mm to einsum and tensordot."""

from tests.parity.case import Family, const, f, function, i, inplace

matmul = Family("matmul")
FLOATS = ("float32", "float64", "float16", "bfloat16", "int64")

matmul("mm", "mm", f(3, 4), f(4, 5), dtypes=FLOATS)
matmul("mm transposed left", "mm", f(3, 4).t, f(4, 5))
matmul("mm transposed right", "mm", f(3, 4), f(4, 5).t)
matmul("mm transposed both", "mm", f(3, 4).t, f(4, 5).t)
matmul("mm strided", "mm", f(3, 4).strided, f(4, 5).offset)
matmul("mm of nothing", "mm", f(3, 0), f(0, 2), differences=False)
matmul("mm no rows", "mm", f(0, 3), f(3, 2), differences=False)
matmul("mm of itself", lambda T, x: x.mm(x.t()), f(3, 4))
matmul("mm large", "mm", f(17, 33), f(33, 9))
matmul("bmm", "bmm", f(2, 3, 4), f(2, 4, 5), dtypes=FLOATS)
matmul("bmm permuted", lambda T, x, y: T.bmm(x.permute(1, 0, 2), y), f(3, 2, 4), f(2, 4, 5))
matmul("mv", "mv", f(3, 4), f(4))
matmul("dot", "dot", f(5), f(5), dtypes=("float32", "float64", "int64"))
matmul("vdot", "vdot", f(5), f(5))
matmul("inner", "inner", f(2, 4), f(3, 4))
matmul("outer", "outer", f(3), f(4))
matmul("ger", "ger", f(3), f(4))
matmul("kron", "kron", f(2, 3), f(3, 2))
matmul("cross", function("cross", dim=1), f(4, 3), f(4, 3))
matmul("linalg.cross", "linalg.cross", f(4, 3), f(1, 3))
for left in ((4,), (3, 4), (2, 3, 4), (2, 1, 3, 4)):
    for right in ((4,), (4, 5), (2, 4, 5)):
        if len(left) == 1 and len(right) == 1:
            matmul("matmul vectors", "matmul", f(4), f(4))
            continue
        matmul(f"matmul {len(left)}d {len(right)}d", "matmul", f(*left), f(*right))
matmul("matmul operator", lambda T, x, y: x @ y, f(3, 4), f(4, 2), dtypes=FLOATS[:4])
matmul("matmul broadcast batches", "matmul", f(2, 1, 3, 4), f(5, 4, 2))
matmul("matmul with expanded", lambda T, x, y: x @ y.expand(2, 4, 3), f(2, 3, 4), f(4, 3))
matmul("linalg.matmul", "linalg.matmul", f(3, 4), f(4, 2))
matmul("chain_matmul", lambda T, x, y, z: T.linalg.multi_dot([x, y, z]), f(2, 3), f(3, 4), f(4, 2))
matmul("matrix_power", function("matrix_power", 3), f(3, 3))
matmul("addmm", "addmm", f(3, 5), f(3, 4), f(4, 5), dtypes=FLOATS)
matmul("addmm bias", "addmm", f(5), f(3, 4), f(4, 5))
matmul("addmm beta alpha", function("addmm", beta=0.5, alpha=2), f(3, 5), f(3, 4), f(4, 5))
matmul("addmm beta 0", function("addmm", beta=0), const([[float("nan")] * 2] * 2), f(2, 3), f(3, 2))
matmul("addmm_", inplace("addmm_", alpha=0.5), f(3, 5), f(3, 4), f(4, 5))
matmul("addmv", function("addmv", beta=0.5, alpha=2), f(3), f(3, 4), f(4))
matmul("addr", function("addr", beta=0.5, alpha=2), f(3, 4), f(3), f(4))
matmul("baddbmm", function("baddbmm", beta=0.5, alpha=2), f(2, 3, 5), f(2, 3, 4), f(2, 4, 5))
matmul("addbmm", function("addbmm", beta=0.5, alpha=2), f(3, 5), f(2, 3, 4), f(2, 4, 5))
matmul("tensordot 2", function("tensordot", dims=2), f(2, 3, 4), f(3, 4, 5))
matmul("tensordot 0", function("tensordot", dims=0), f(2), f(3))
matmul("tensordot lists", function("tensordot", dims=([0, 2], [1, 0])), f(2, 3, 4), f(4, 2, 5))

for equation, shapes in {
    "ij,jk->ik": ((2, 3), (3, 4)),
    "ij,jk": ((2, 3), (3, 4)),
    "ij->ji": ((2, 3),),
    "ii->i": ((3, 3),),
    "ii": ((3, 3),),
    "ij->": ((2, 3),),
    "ij->j": ((2, 3),),
    "i,i->": ((4,), (4,)),
    "i,j->ij": ((3,), (4,)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)),
    "bhqd,bhkd->bhqk": ((2, 2, 3, 4), (2, 2, 5, 4)),
    "...ij,...jk->...ik": ((2, 3, 4), (4, 5)),
    "b...,b...->b": ((2, 3), (2, 3)),
    "ij,ij->ij": ((2, 3), (2, 3)),
    "ijk,kl->lij": ((2, 3, 4), (4, 2)),
    "a,b,c->abc": ((2,), (3,), (2,)),
    "ij,jk,kl->il": ((2, 3), (3, 4), (4, 2)),
    "bnij,ij->bn": ((2, 3, 2, 2), (2, 2)),
    " i j , j -> i ": ((2, 3), (3,)),
    "iij->j": ((2, 2, 3),),
    "Ab,bC->AC": ((2, 3), (3, 2)),
    "i...->...i": ((2, 3, 4),),
    "bi,bj->bij": ((2, 3), (2, 4)),
    "ij,kj->ik": ((2, 1), (3, 4)),
}.items():
    matmul(
        f"einsum {equation}",
        lambda T, *t, e=equation: T.einsum(e, *t),
        *(f(*s) for s in shapes),
        strides=False,
    )
matmul("einsum sublists", lambda T, x, y: T.einsum(x, [0, 1], y, [1, 2], [0, 2]), f(2, 3), f(3, 4))
matmul("einsum list", lambda T, x, y: T.einsum("ij,jk", [x, y]), f(2, 3), f(3, 4))
matmul("einsum integers", lambda T, x, y: T.einsum("ij,jk", x, y), i(2, 3), i(3, 2))
matmul("cdist", "cdist", f(3, 4), f(5, 4), order=1)
matmul("cdist p=1", function("cdist", p=1), f(3, 4), f(5, 4), order=1)
matmul("trace", "trace", f(3, 4))
matmul("block_diag", "block_diag", f(2, 3), f(1, 2))
matmul("cartesian_prod", "cartesian_prod", f(2), f(3))
matmul("combinations", function("combinations", r=2), f(4))
matmul("vander", function("vander", N=3), f(4).nograd)
matmul(
    "mm chain",
    lambda T, x, w, v: (x.mm(w).clamp(min=0).mm(v) ** 2).sum(),
    f(4, 3),
    f(3, 5),
    f(5, 2),
)
matmul("polynomial by powers", lambda T, x, a, c: (a * x**3 + c * x**2 - x).sum(), f(6), f(), f())
