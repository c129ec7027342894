"""Sparse tensors: their parts, products and gradients, and how they are printed."""

import numpy as np
import pytest

from tests.both import same


def given(T):
    """An uncoalesced matrix whose values require gradients, and those values."""
    v = T.tensor([3.0, 4.0, 5.0, 6.0], requires_grad=True)
    return T.sparse_coo_tensor(T.tensor([[0, 1, 1, 0], [2, 0, 2, 2]]), v, (2, 3)), v


def dense(T):
    return T.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])


def other(T):
    return T.arange(12.0).reshape(3, 4)


PROGRAMS = {
    "facts": lambda T, a, v: [
        a.is_sparse, a.layout, a.shape, a.dtype, a.requires_grad, a.sparse_dim(), a.dense_dim(),
        a.is_coalesced(), a._nnz(), a.coalesce()._nnz(), a.size(0), a.numel(), a.dim(),
    ],
    "parts": lambda T, a, v: [
        a._indices(), a._values(), a.coalesce().indices(), a.coalesce().values(),
    ],
    "uncoalesced parts": lambda T, a, v: a.indices(),
    "printed": lambda T, a, v: [repr(a.detach()), repr(a), repr(a.detach().coalesce().double())],
    "printed leaf": lambda T, a, v: repr(a.detach().requires_grad_()),
    "printed CSR": lambda T, a, v: repr(dense(T).to_sparse_csr()),
    "printed without elements": lambda T, a, v: repr(T.sparse_coo_tensor(size=(2, 3))),
    "dense": lambda T, a, v: a.to_dense().detach(),
    "to sparse": lambda T, a, v: [repr(dense(T).to_sparse()), dense(T).to_sparse().is_coalesced()],
    "rows to sparse": lambda T, a, v: repr(dense(T).to_sparse(1)),
    "CSR": lambda T, a, v: (lambda r: [
        r.crow_indices(), r.col_indices(), r.values(), r.to_dense(), r.layout, r.is_sparse_csr,
        r @ other(T),
    ])(dense(T).to_sparse_csr()),
    "CSR made": lambda T, a, v: T.sparse_csr_tensor([0, 1, 2], [1, 0], [1.0, 2.0]).to_dense(),
    "size inferred": lambda T, a, v: repr(T.sparse_coo_tensor([[0, 2], [1, 0]], [1.0, 2.0])),
    "old names": lambda T, a, v: repr(
        T.sparse.FloatTensor(T.tensor([[0, 1], [1, 0]]), T.tensor([1.0, 2.0]), T.Size([2, 2]))
    ),
    "products": lambda T, a, v: [
        (a @ other(T)).detach(), T.spmm(a, other(T)).detach(), T.mm(a, other(T)).detach(),
        a.detach() @ T.ones(3), T.sparse.addmm(T.ones(2, 4), a.detach(), other(T)),
        T.sparse.mm(a.detach(), a.detach().t()).to_dense(),
    ],
    "sampled": lambda T, a, v: T.sparse.sampled_addmm(
        dense(T).to_sparse_csr(), T.ones(2, 4), T.ones(4, 3), beta=0.5, alpha=2.0
    ).to_dense(),
    "sums": lambda T, a, v: [T.sparse.sum(a).detach(), T.sparse.sum(a.detach(), 0).to_dense()],
    "softmax": lambda T, a, v: [
        T.sparse.softmax(a.detach(), 1).to_dense(), T.sparse.log_softmax(a.detach(), 0).to_dense(),
    ],
    "arithmetic": lambda T, a, v: [
        x.coalesce().to_dense().detach() for x in (a * 2, 2 * a, a / 4, -a, a + a, a - a, a * a)
    ],
    "with a dense one": lambda T, a, v: [
        (dense(T) + a.detach()), (a.detach() * dense(T)).to_dense(), a.sum().detach(),
    ],
    "functions": lambda T, a, v: [
        x.to_dense() for x in (a.detach().abs(), a.detach().sqrt(), a.detach().pow(2))
    ],
    "transposed": lambda T, a, v: [a.t().to_dense().detach(), a.transpose(0, 1).shape],
    "elements": lambda T, a, v: [
        a.detach()[0].to_dense(), a.detach().index_select(0, T.tensor([1])).to_dense(),
    ],
    "converted": lambda T, a, v: [a.double().dtype, a.to(T.float64).to_dense().detach()],
    "sparse plus dense": lambda T, a, v: a + dense(T),
    "as an array": lambda T, a, v: a.detach().numpy(),
    "dense coalesced": lambda T, a, v: dense(T).coalesce(),
    "too few values": lambda T, a, v: T.sparse_coo_tensor([[0, 1]], [1.0, 2.0, 3.0], (2,)),
    "size of another number of axes": lambda T, a, v: T.sparse_coo_tensor([0, 2], [1.0, 2.0], (2,)),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_pytorch(torch, oracle, name):
    same(lambda T: PROGRAMS[name](T, *given(T)), torch, oracle)


GRADIENTS = {
    "product": lambda T, a, b: T.sparse.mm(a, b),
    "matmul": lambda T, a, b: a @ b,
    "dense": lambda T, a, b: a.to_dense() @ b,
    "coalesced": lambda T, a, b: T.sparse.mm(a.coalesce(), b),
    "scaled": lambda T, a, b: T.sparse.mm(a * 3, b),
    "transposed": lambda T, a, b: T.sparse.mm(a.t(), b[:2]),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(torch, oracle, name):
    def program(T):
        a, v = given(T)
        b = other(T).requires_grad_()
        (GRADIENTS[name](T, a, b) ** 2).sum().backward()
        return v.grad, b.grad

    same(program, torch, oracle, order=1)


def test_gradients_of_products_by_differences(torch):
    index = torch.tensor([[0, 1, 1], [2, 0, 2]])
    v = torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64, requires_grad=True)
    b = torch.arange(6.0, dtype=torch.float64).reshape(3, 2).requires_grad_()

    def fn(v, b):
        return torch.sparse.mm(torch.sparse_coo_tensor(index, v, (2, 3)), b)

    assert torch.autograd.gradcheck(fn, (v, b))
    assert torch.autograd.gradgradcheck(fn, (v, b))


@pytest.mark.parametrize("reduce", ["sum", "mean", "amax", "amin"])
def test_reductions_of_products(torch, reduce):
    a, b = dense(torch).to_sparse_csr(), other(torch)
    terms = (dense(torch).unsqueeze(2) * b).numpy()
    kept = np.ma.masked_array(terms, np.repeat(dense(torch).numpy()[:, :, None] == 0, 4, 2))
    how = {"sum": "sum", "mean": "mean", "amax": "max", "amin": "min"}[reduce]
    assert np.allclose(torch.sparse.mm(a, b, reduce).numpy(), getattr(kept, how)(1))


def test_operators_that_know_no_sparsity_see_the_dense_numbers(torch):
    s = dense(torch).to_sparse()
    assert torch.equal(torch.cat([s, s]), torch.cat([dense(torch)] * 2))
    assert torch.linalg.matrix_norm(s) == torch.linalg.matrix_norm(dense(torch))
    leaf = dense(torch).to_sparse().requires_grad_()
    torch.sparse.mm(leaf, other(torch)).sum().backward()
    assert leaf.grad[0, 1] == 22 and leaf.grad[0, 0] == 0


def test_writes_in_place_are_refused(torch):
    s = dense(torch).to_sparse()
    with pytest.raises(RuntimeError, match="sparse tensors in place"):
        s.exp_()
    assert torch.equal(s.to_dense(), dense(torch))


def test_a_large_product_never_becomes_dense(torch):
    n = 200_000
    index = torch.stack([torch.arange(n), torch.arange(n).flip(0)])
    a = torch.sparse_coo_tensor(index, torch.ones(n), (n, n))
    assert torch.sparse.mm(a, torch.arange(float(n)).unsqueeze(1))[0] == n - 1
