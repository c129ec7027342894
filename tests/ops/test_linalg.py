"""Linear algebra: decompositions give back their matrices, gradients agree with differences.

The rest is compared with PyTorch by its own tables (tests/parity/databases).
"""

import numpy as np
import pytest

from bital import torch

L = torch.linalg
KINDS = ("float32", "float64", "complex64", "complex128")
BATCHES = ((), (3,), (2, 0), (60,))


def matrices(*shape, kind="float64", seed=0):
    """Random matrices of singular values that are not small."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if kind.startswith("complex"):
        x = x + 1j * rng.standard_normal(shape)
    if x.shape[-1] == x.shape[-2]:
        x = x + 3 * np.eye(shape[-1])
    return torch.from_numpy(x.astype(kind))


def positive(*shape, kind="float64", seed=0):
    x = matrices(*shape, kind=kind, seed=seed)
    return x @ x.mH


def close(a, b):
    tolerance = 2e-4 if a.dtype in (torch.float32, torch.complex64) else 1e-10
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


def diagonal(values, like):
    return values.to(like.dtype).diag_embed()


def _svd(A):
    U, S, Vh = L.svd(A, full_matrices=False)
    return (U * S.unsqueeze(-2).to(U.dtype)) @ Vh


def _eig(A):
    values, vectors = L.eig(A)
    found = vectors @ diagonal(values, vectors) @ L.inv(vectors)
    return found if A.is_complex() else found.real


def _eigh(A):
    H = A + A.mH
    values, V = L.eigh(H)
    return V @ diagonal(values, V) @ V.mH - A.mH


def _lu(A):
    P, low, up = L.lu(A)
    return P @ low @ up


def _lu_factor(A):
    P, low, up = torch.lu_unpack(*L.lu_factor(A))
    return P @ low @ up


def _qr(A):
    Q, R = L.qr(A)
    return Q @ R


def _householder(A):
    a, tau = torch.geqrf(A)
    return L.householder_product(a, tau) @ a.narrow(-2, 0, tau.shape[-1]).triu()


GIVES_BACK = {
    "svd": _svd,
    "lu": _lu,
    "lu_factor": _lu_factor,
    "qr": _qr,
    "householder_product": _householder,
    "inv": lambda A: L.inv(L.inv(A)),
    "pinv": lambda A: A @ L.pinv(A) @ A,
    "eig": _eig,
    "eigh": _eigh,
}
SQUARE = ("inv", "eig", "eigh")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GIVES_BACK)
def test_decompositions_give_their_matrices_back(name, kind):
    for m, n in ((4, 4), (5, 3), (3, 5), (1, 1), (0, 0)):
        if m != n and (name in SQUARE or (name == "householder_product" and m < n)):
            continue
        for batch in BATCHES:
            A = matrices(*batch, m, n, kind=kind)
            found = GIVES_BACK[name](A)
            assert found.shape == A.shape and found.dtype is A.dtype
            close(found, A)


@pytest.mark.parametrize("kind", KINDS)
def test_equations_hold_for_their_solutions(kind):
    for lead, sides in (((), ()), ((3,), ()), ((), (3,)), ((2, 1), (1, 40))):
        A, B = matrices(*lead, 4, 4, kind=kind), matrices(*sides, 4, 2, kind=kind, seed=1)
        close(A @ L.solve(A, B), B.broadcast_to((A @ L.solve(A, B)).shape))
        close(L.solve(A, B.mT, left=False) @ A, (A @ L.solve(A, B) * 0 + B).mT)
        for upper in (False, True):
            T = A.triu() if upper else A.tril()
            X = L.solve_triangular(A, B, upper=upper)
            close(T @ X, T @ X * 0 + B)
            X = L.solve_triangular(A, B.mT, upper=upper, left=False)
            close(X @ T, X @ T * 0 + B.mT)
        for adjoint in (False, True):
            M = A.mH if adjoint else A
            X = L.lu_solve(*L.lu_factor(A), B, adjoint=adjoint)
            close(M @ X, M @ X * 0 + B)
        P = positive(*lead, 4, 4, kind=kind)
        X = torch.cholesky_solve(B, L.cholesky(P))
        close(P @ X, P @ X * 0 + B)
        S = A + A.mT
        X = L.ldl_solve(*L.ldl_factor(S), B)
        close(S @ X, S @ X * 0 + B)


def test_indefinite_matrices_have_blocks_of_two():
    A = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]], dtype=torch.float64)
    LD, pivots = L.ldl_factor(A)
    assert (pivots < 0).any()
    close(A @ L.ldl_solve(LD, pivots, torch.eye(3, dtype=A.dtype)), torch.eye(3, dtype=A.dtype))


DIFFERENTIABLE = {
    "inv": (L.inv, (2, 2)),
    "det": (L.det, (3, 3)),
    "slogdet": (lambda A: L.slogdet(A)[1], (2, 2)),
    "cholesky": (lambda A: L.cholesky(A @ A.mH), (2, 2)),
    "cholesky_inverse": (lambda A: torch.cholesky_inverse(A.tril()), (2, 2)),
    "qr": (lambda A: tuple(L.qr(A)), (3, 2)),
    "qr wide": (lambda A: tuple(L.qr(A)), (2, 3)),
    "lu": (lambda A: tuple(L.lu(A)[1:]), (2, 2)),
    "lu tall": (lambda A: tuple(L.lu(A)[1:]), (3, 2)),
    "lu wide": (lambda A: L.lu_factor(A)[0], (2, 3)),
    "eigh": (lambda A: (L.eigh(A + A.mH)[0], L.eigh(A + A.mH)[1].abs()), (2, 2)),
    "eig": (lambda A: (L.eig(A)[0], L.eig(A)[1].abs()), (2, 2)),
    "svd": (lambda A: (L.svd(A, False)[1], _svd(A)), (3, 2)),
    "svdvals": (L.svdvals, (2, 3)),
    "pinv": (L.pinv, (3, 2)),
    "matrix_exp": (torch.matrix_exp, (2, 2)),
    "householder_product": (lambda A: L.householder_product(A, A[0] * 0.5), (3, 2)),
}


@pytest.mark.parametrize("kind", ("float64", "complex128"))
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_agree_with_differences(name, kind):
    fn, shape = DIFFERENTIABLE[name]
    A = matrices(*shape, kind=kind, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(fn, (A,))
    assert torch.autograd.gradgradcheck(fn, (A,), atol=1e-4)


def test_the_determinant_of_a_singular_matrix_has_two_derivatives():
    A = torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    A.requires_grad_()
    (g,) = torch.autograd.grad(torch.det(A), A)
    close(g, torch.tensor([[-2.0, -2.0, 2.0], [1.0, 1.0, -1.0], [0.0, 0.0, 0.0]], dtype=g.dtype))
    assert torch.autograd.gradgradcheck(torch.det, (A,))
    zero = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(torch.det, (zero,))


SINGULAR = torch.stack([torch.eye(2), torch.zeros(2, 2)])
REFUSED = {
    "inv": (L.inv, "linalg.inv: (Batch element 1): The diagonal element 1 is zero"),
    "solve": (lambda A: L.solve(A, A), "torch.linalg.solve: (Batch element 1): The solver failed"),
    "cholesky": (L.cholesky, "(the leading minor of order 1 is not positive-definite)"),
    "cholesky_inverse": (torch.cholesky_inverse, "cholesky_inverse: (Batch element 1)"),
    "svd": (lambda A: L.svd(A / 0), "linalg.svd: (Batch element 0)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_numbers_forbid_is_refused_at_once(name):
    fn, message = REFUSED[name]
    with pytest.raises(L.LinAlgError) as caught:
        fn(SINGULAR)
    assert message in str(caught.value)
    assert isinstance(caught.value, RuntimeError)


def test_info_says_which_matrix_failed():
    inverse, info = L.inv_ex(SINGULAR)
    assert info.tolist() == [0, 1] and info.dtype is torch.int32
    close(inverse[0], torch.eye(2))
    found, info = L.solve_ex(SINGULAR, torch.ones(2, 3))
    assert info.tolist() == [0, 1] and found[0].tolist() == [[1.0] * 3] * 2
    factor, info = L.cholesky_ex(torch.tensor([[4.0, 0.0], [0.0, -1.0]]))
    assert info.item() == 2 and factor[0, 0].item() == 2
    with pytest.raises(RuntimeError, match=r"U\[1,1\] is zero"):
        L.lu_factor(SINGULAR)
    assert L.lu_factor_ex(SINGULAR).info.tolist() == [0, 1]


def test_losses_of_phases_are_refused():
    A = matrices(3, 3, kind="complex128").requires_grad_()
    H = positive(3, 3, kind="complex128")
    for values in (
        L.svd(A)[0][0, 0].imag,
        L.eigh(A + H)[1].imag.sum(),
        L.eig(A)[1].real.sum() + L.eig(A)[1].imag.sum(),
    ):
        with pytest.raises(RuntimeError, match="ill-defined"):
            (g,) = torch.autograd.grad(values, A)
            g.tolist()


def test_drivers_of_least_squares_agree():
    A, B = matrices(2, 5, 3), matrices(2, 5, 2, seed=1)
    expected = L.pinv(A) @ B
    for driver in ("gels", "gelsy", "gelsd", "gelss"):
        got = L.lstsq(A, B, driver=driver)
        close(got.solution, expected)
        if driver == "gelsy":
            assert got.residuals.shape == (0,)
        else:
            close(got.residuals, (A @ expected - B).square().sum(-2))
        assert got.rank.tolist() == ([] if driver == "gels" else [3, 3])
    low = torch.ones(4, 2)
    assert L.lstsq(low, torch.ones(4, 1), driver="gelsd").rank.item() == 1
    assert L.matrix_rank(low).item() == 1 and L.cond(torch.zeros(2, 2), 1).item() == float("inf")


def test_low_rank_is_found():
    A = matrices(20, 3) @ matrices(3, 15, seed=1)
    U, S, V = torch.svd_lowrank(A, 3)
    close((U * S) @ V.mT, A)
    U, S, V = torch.pca_lowrank(A, 3)
    close((U * S) @ V.mT, A - A.mean(0))


@pytest.mark.own_runs  # rounding decides the signs of vectors
def test_lobpcg_finds_extreme_eigenpairs():
    A, B = positive(20, 20), positive(20, 20, seed=1)
    for extra in ({}, {"largest": False}, {"n": 4}, {"iK": torch.eye(20, dtype=A.dtype)}, {"B": B}):
        E, X = torch.lobpcg(A, 2, tol=1e-13, **extra)
        close(A @ X, (extra.get("B", torch.eye(20, dtype=A.dtype)) @ X) * E)
        values = L.eigvals(L.solve(extra["B"], A)).real.sort().values if "B" in extra else None
        values = L.eigvalsh(A) if values is None else values
        close(E, values[:2] if "largest" in extra else values.flip(0)[:2])
    A.requires_grad_()
    weights = matrices(20, 2, seed=2)

    def loss(E, X):
        return E.sum() + (X * X[0].sgn().detach() * weights).sum()

    E, X = L.eigh(A)
    (ours,) = torch.autograd.grad(loss(*torch.lobpcg(A, 2, tol=1e-13)), A)
    close(ours, torch.autograd.grad(loss(E.flip(0)[:2], X.flip(1)[:, :2]), A)[0])
