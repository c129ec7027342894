"""Sparse tensors in coordinate form, and the sparse gradients of embeddings."""

import pytest

from tests.both import same


def parts(t):
    where = t.tensor([[0, 2, 0, 1], [1, 0, 1, 2]])
    return t.sparse_coo_tensor(where, t.tensor([1.0, 2.0, 3.0, 4.0]), (3, 4))


CASES = {
    "repr": lambda t: repr(parts(t)),
    "coalesced": lambda t: repr(parts(t).coalesce()),
    "hybrid": lambda t: t.sparse_coo_tensor([[1, 0, 1]], t.ones(3, 2)).coalesce().to_dense(),
    "facts": lambda t: (
        [parts(t).is_sparse, parts(t)._nnz(), parts(t).coalesce()._nnz(), parts(t).sparse_dim()],
        [parts(t).dense_dim(), parts(t).is_coalesced(), str(parts(t).layout), parts(t).shape],
        [parts(t).dtype == t.float32, parts(t).requires_grad, parts(t).numel(), parts(t).dim()],
    ),
    "dense": lambda t: parts(t).to_dense(),
    "dense of dense": lambda t: t.ones(2).to_dense(),
    "from dense": lambda t: [
        t.tensor([[0.0, 2.0], [3.0, 0.0]]).to_sparse().indices(),
        t.tensor([[0.0, 2.0], [3.0, 0.0]]).to_sparse().values(),
    ],
    "sum": lambda t: (parts(t) + parts(t)).to_dense(),
    "dense and sparse": lambda t: t.ones(3, 4) + parts(t),
    "product": lambda t: [(parts(t) * 2).to_dense(), (3 * parts(t)).to_dense()],
    "quotient": lambda t: (-parts(t) / 2).to_dense(),
    "zero": lambda t: parts(t).zero_()._nnz(),
    "double": lambda t: parts(t).to(t.float64).to_dense(),
    "uncoalesced": lambda t: parts(t).indices(),
    "uncoalesced values": lambda t: parts(t).values(),
    "sparse and dense": lambda t: parts(t).add(t.ones(3, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_tensors(name, torch, oracle):
    same(CASES[name], torch, oracle)


REFUSED = {
    "count": lambda t: t.sparse_coo_tensor([[0, 1]], [1.0, 2.0, 3.0]),
    "axes": lambda t: t.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (2, 2)),
    "indices": lambda t: t.sparse_coo_tensor([0, 5], [1.0, 2.0], (2,)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, torch, oracle):
    for t in (torch, oracle):
        with pytest.raises(RuntimeError):
            REFUSED[name](t)


def test_places_outside(torch):
    with pytest.raises(RuntimeError, match="size is inconsistent with indices"):
        torch.sparse_coo_tensor([[0, 5]], [1.0, 2.0], (2,))


def test_operators_without_a_form_see_the_dense_numbers(torch):
    assert torch.equal(parts(torch).exp(), parts(torch).to_dense().exp())


@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_embedding(name, padding, torch, oracle):
    def program(t):
        table = t.nn.Embedding(6, 3, padding_idx=padding, sparse=True)
        opt = getattr(t.optim, name)(table.parameters(), lr=0.1)
        for words in ([[0, 2], [0, 5]], [[1, 1], [2, 0]], [[4, 4], [4, 4]]):
            opt.zero_grad()
            out = table(t.tensor(words))
            out.square().sum().backward()
            opt.step()
        grad = table.weight.grad
        state = {k: dict(v) for k, v in opt.state_dict()["state"].items()}
        return table.weight, grad._indices(), grad._values(), state, type(out.grad_fn).__name__

    same(program, torch, oracle, order=1)


def test_gradients_accumulate(torch, oracle):
    def program(t):
        table = t.nn.Embedding(4, 2, sparse=True)
        (table(t.tensor([0, 1])).sum() + table(t.tensor([1])).exp().sum()).backward()
        table(t.tensor([3])).sum().backward()
        sparse = table.weight.grad.to_dense()
        table.weight.sum().backward()
        both = table.weight.grad
        table.zero_grad()
        with t.no_grad():
            plain = table(t.tensor([0]))
        return sparse, both.is_sparse, both, table.weight.grad, plain.requires_grad

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Adamax", "Rprop", "ASGD"])
def test_other_optimizers_refuse(name, torch, oracle):
    def program(t):
        table = t.nn.Embedding(4, 2, sparse=True)
        table(t.tensor([0])).sum().backward()
        getattr(t.optim, name)(table.parameters()).step()

    same(program, torch, oracle)


def test_second_derivatives_are_refused(torch):
    table = torch.nn.Embedding(4, 2, sparse=True)
    with pytest.raises(NotImplementedError, match="create_graph"):
        table(torch.tensor([0])).sum().backward(create_graph=True)


def test_momentum(torch, oracle):
    def program(t):
        table = t.nn.Embedding(4, 2, sparse=True)
        opt = t.optim.SGD(table.parameters(), lr=0.1, momentum=0.9)
        for word in (0, 1, 0):
            opt.zero_grad()
            table(t.tensor([word])).sum().backward()
            opt.step()
        return table.weight

    same(program, torch, oracle, order=1)
