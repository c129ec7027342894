"""Reductions and products: what no table of cases can say."""

import pickle

import numpy as np
import pytest

SHAPES = [((20_000, 3), 0), ((3, 700, 5), 1), ((300, 4, 300), (0, 2))]


@pytest.mark.parametrize("shape, dim", SHAPES)
def test_sums_of_many_rows_keep_their_digits(torch, shape, dim):
    rows = np.random.default_rng(0).random(shape, np.float32)
    exact = rows.astype(np.float64).sum(dim)
    for laid_out in (rows, np.asfortranarray(rows)):
        got = torch.from_numpy(laid_out).sum(dim).numpy()
        assert np.abs(got / exact - 1).max() < 6e-7


def test_half_precision_is_summed_in_float32(torch):
    ones = torch.ones(5000, dtype=torch.bfloat16)
    assert ones.sum().item() == 4992  # the nearest bfloat16; adding ones in it stops at 256
    assert ones.mean().item() == 1


def test_a_result_laid_out_as_its_operand_can_be_written_to(torch):
    summed = torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1).sum(1)
    summed[0, 1] = 5
    summed[1] = 7
    assert summed[0, 1] == 5 and (summed[1] == 7).all()
    assert summed[0].tolist() == [12, 5, 28]


def test_numpy_names_of_arguments(torch):
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(x.sum(axis=0, keepdims=True), x.sum(0, True))
    assert torch.equal(torch.amax(x, axis=1), x.amax(1))


def test_named_results(torch):
    found = torch.tensor([[1.0, 3.0], [2.0, 0.0]]).max(1)
    assert repr(found) == (
        "torch.return_types.max(\nvalues=tensor([3., 2.]),\nindices=tensor([1, 0]))"
    )
    values, indices = found
    assert values is found.values and indices is found[1]
    again = pickle.loads(pickle.dumps(found))
    assert type(again) is torch.return_types.max and torch.equal(again.indices, indices)


def test_what_nobody_asks_for_of_a_pair_is_not_computed(torch):
    from bital.ir.trace import local

    x = torch.rand(3, 4)
    torch.rand(1).item()  # begin a new trace
    indices = x.max(1).indices
    plan_code = [instruction[0].op.name for instruction in local.trace.code]
    assert plan_code == ["max", "max_index"]
    assert indices.tolist() == x.argmax(1).tolist()


def test_a_linear_map_is_one_instruction_and_shows_pytorchs_graph(torch):
    from bital.ir.trace import local

    x, layer = torch.rand(3, 4), torch.nn.Linear(4, 2)
    torch.rand(1).item()
    before = len(local.trace.code)
    y = layer(x)
    assert len(local.trace.code) == before + 1
    names = [node and node.name() for node, _ in y.grad_fn.next_functions]
    assert y.grad_fn.name() == "AddmmBackward0"
    assert [n and n.rsplit("::")[-1] for n in names] == ["AccumulateGrad", None, "TBackward0"]


def test_gradients_of_products_are_exact_at_zeros(torch):
    x = torch.tensor([2.0, 0.0, 3.0, 0.0], requires_grad=True)
    torch.autograd.gradcheck(
        lambda t: (t.prod(), t.cumprod(0)), x.double().detach().requires_grad_()
    )
    (grad,) = torch.autograd.grad(x[:3].prod(), x)
    assert grad.tolist() == [0, 6, 0, 0]


@pytest.mark.parametrize("equation", ["ij,jk", "ij,jk->i", "ji,jk->ik", "ij,kj->ki"])
def test_einsum_equals_numpys(torch, equation):
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 3)), rng.random((3, 3))
    got = torch.einsum(equation, torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert np.allclose(got, np.einsum(equation, a, b))
