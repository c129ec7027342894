"""The usual mistakes of linear algebra: shapes, dtypes, and matrices that do not allow it."""

from tests.parity.errors import Mistakes


def _batch(T):
    """The identity and zeros."""
    return T.stack([T.eye(2), T.zeros(2, 2)])


def _factor(T, *shape):
    return T.linalg.lu_factor(T.eye(shape[-1]).expand(shape))


linalg = Mistakes(
    "linalg",
    inv__singular=lambda T: T.linalg.inv(_batch(T)),
    inv_ex__singular=lambda T: T.linalg.inv_ex(T.zeros(2, 2), check_errors=True),
    inverse__singular=lambda T: T.inverse(T.zeros(2, 2)),
    solve__singular=lambda T: T.linalg.solve(_batch(T), T.ones(2, 2)),
    solve_ex__singular=lambda T: T.linalg.solve_ex(T.zeros(2, 2), T.ones(2, 2), check_errors=True),
    solve__sizes=lambda T: T.linalg.solve(T.eye(3), T.ones(2, 2)),
    solve__right=lambda T: T.linalg.solve(T.eye(3), T.ones(2, 2), left=False),
    solve__dtypes=lambda T: T.linalg.solve(T.eye(3), T.ones(3, 2).double()),
    solve__square=lambda T: T.linalg.solve(T.ones(3, 2), T.ones(3, 2)),
    solve_triangular__sizes=lambda T: T.linalg.solve_triangular(T.eye(3), T.ones(2, 2), upper=True),
    solve_triangular__vector=lambda T: T.linalg.solve_triangular(T.eye(3), T.ones(3), upper=True),
    triangular_solve__sizes=lambda T: T.triangular_solve(T.ones(2, 2), T.eye(3)),
    cholesky__indefinite=lambda T: T.linalg.cholesky(_batch(T)),
    cholesky__order=lambda T: T.linalg.cholesky(T.tensor([[1.0, 0.0], [0.0, -1.0]])),
    cholesky_inverse__singular=lambda T: T.cholesky_inverse(T.zeros(2, 2)),
    cholesky_inverse__square=lambda T: T.cholesky_inverse(T.ones(2, 3)),
    cholesky_solve__sizes=lambda T: T.cholesky_solve(T.ones(2, 2), T.eye(3)),
    lu_factor__singular=lambda T: T.linalg.lu_factor(_batch(T)),
    lu_factor__pivot=lambda T: T.linalg.lu_factor(T.eye(2), pivot=False),
    lu_solve__sizes=lambda T: T.linalg.lu_solve(*_factor(T, 3, 3), T.ones(2, 2)),
    lu_solve__pivots=lambda T: T.linalg.lu_solve(
        T.eye(3), T.tensor([1, 2], dtype=T.int32), T.ones(3, 2)
    ),
    lu_solve__pivots_dtype=lambda T: T.linalg.lu_solve(T.eye(2), T.tensor([1, 2]), T.ones(2, 2)),
    lu_unpack__pivots=lambda T: T.lu_unpack(T.eye(2), T.tensor([1, 7], dtype=T.int32)),
    qr__mode=lambda T: T.linalg.qr(T.eye(2), "thin"),
    qr__mode_r=lambda T: T.linalg.qr(T.ones(2, 2, requires_grad=True), "r").R.sum().backward(),
    qr__complete=lambda T: (
        T.linalg.qr(T.ones(3, 2, requires_grad=True), "complete").R.sum().backward()
    ),
    eigh__uplo=lambda T: T.linalg.eigh(T.eye(2), UPLO="X"),
    eig__nan=lambda T: T.linalg.eig(T.full((2, 2), float("nan"))),
    svd__nan=lambda T: T.linalg.svd(T.full((2, 2), float("nan"))),
    svd__driver=lambda T: T.linalg.svd(T.eye(2), driver="gesvd"),
    householder_product__wide=lambda T: T.linalg.householder_product(T.ones(2, 3), T.ones(2)),
    householder_product__tau=lambda T: T.linalg.householder_product(T.ones(3, 2), T.ones(3)),
    ormqr__tau=lambda T: T.ormqr(T.ones(3, 2), T.ones(3), T.ones(3, 2)),
    ormqr__other=lambda T: T.ormqr(T.ones(3, 2), T.ones(2), T.ones(2, 2)),
    geqrf__derivative=lambda T: T.geqrf(T.ones(2, 2, requires_grad=True)).a.sum().backward(),
    lstsq__sizes=lambda T: T.linalg.lstsq(T.ones(3, 2), T.ones(2, 2)),
    lstsq__driver=lambda T: T.linalg.lstsq(T.ones(3, 2), T.ones(3, 2), driver="fast"),
    lstsq__dtypes=lambda T: T.linalg.lstsq(T.ones(3, 2), T.ones(3, 2).double()),
    cond__square=lambda T: T.linalg.cond(T.ones(3, 2), 1),
    cond__norm=lambda T: T.linalg.cond(T.eye(2), 3),
    tensorinv__sizes=lambda T: T.linalg.tensorinv(T.ones(2, 3), 1),
    tensorinv__index=lambda T: T.linalg.tensorinv(T.ones(2, 2), 0),
    tensorsolve__sizes=lambda T: T.linalg.tensorsolve(T.ones(2, 3), T.ones(2)),
    vander__number=lambda T: T.linalg.vander(T.ones(3), N=1),
    vecdot__dtypes=lambda T: T.linalg.vecdot(T.ones(3), T.ones(3).double()),
    ldl_solve__sizes=lambda T: T.linalg.ldl_solve(
        T.eye(3), T.tensor([1, 2, 3], dtype=T.int32), T.ones(2, 2)
    ),
    ldl_factor__derivative=lambda T: (
        T.linalg.ldl_factor(T.eye(2, requires_grad=True)).LD.sum().backward()
    ),
    pca_lowrank__q=lambda T: T.pca_lowrank(T.ones(3, 2), 5),
    eig__removed=lambda T: T.eig(T.eye(2)),
    symeig__removed=lambda T: T.symeig(T.eye(2)),
    lstsq__removed=lambda T: T.lstsq(T.eye(2), T.eye(2)),
)
for _name in (
    "inv", "inv_ex", "det", "slogdet", "cholesky", "cholesky_ex", "eig", "eigvals", "eigh",
    "eigvalsh", "matrix_exp", "ldl_factor", "ldl_factor_ex",
):  # fmt: skip
    _word = {"inv_ex": "inv", "cholesky_ex": "cholesky", "eigvalsh": "eigh"}.get(_name, _name)
    linalg.add(f"{_name}__square", lambda T, n=_name: getattr(T.linalg, n)(T.ones(2, 3)), _word)
    linalg.add(f"{_name}__vector", lambda T, n=_name: getattr(T.linalg, n)(T.ones(2)), _word)
    linalg.add(
        f"{_name}__integers",
        lambda T, n=_name: getattr(T.linalg, n)(T.ones(2, 2, dtype=T.int64)),
        _word,
    )
for _name in ("svd", "svdvals", "qr", "lu", "lu_factor", "lu_factor_ex", "pinv", "matrix_rank"):
    _word = {"svdvals": "svd", "lu_factor_ex": "lu_factor"}.get(_name, _name)
    linalg.add(f"{_name}__vector", lambda T, n=_name: getattr(T.linalg, n)(T.ones(2)), _word)
    linalg.add(
        f"{_name}__half",
        lambda T, n=_name: getattr(T.linalg, n)(T.ones(2, 2, dtype=T.float16)),
        _word,
    )
