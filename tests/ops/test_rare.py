"""Operators that few programs use: what they give, as PyTorch 2.13 gave it."""

import pytest


def test_range_has_its_end(torch) -> None:
    with pytest.warns(UserWarning, match="torch.range is deprecated"):
        assert torch.range(0, 5, 2).tolist() == [0, 2, 4]
    with pytest.warns(UserWarning):
        assert torch.range(3, 1, -1, dtype=torch.int64).tolist() == [3, 2, 1]
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="inconsistent"):
        torch.range(0, 5, -1)


def test_apply_calls_a_python_function(torch) -> None:
    x = torch.arange(4.0).view(2, 2).t()
    assert x.apply_(lambda a: 2 * a + 1).tolist() == [[1, 5], [3, 7]]
    assert x.map_(torch.tensor([1.0, 2.0]), lambda a, b: a * b).tolist() == [[1, 10], [3, 14]]
    with pytest.raises(RuntimeError, match="requires grad"):
        torch.ones(2, requires_grad=True).apply_(abs)


def test_views_copied(torch) -> None:
    x = torch.arange(6.0).view(2, 3).requires_grad_()
    y = torch.expand_copy(x.unsqueeze(1), (2, 4, 3))
    assert y.is_contiguous() and y._base is None
    assert type(y.grad_fn).__name__ == "ExpandBackward0_copy"
    y.sum().backward()
    assert x.grad.tolist() == [[4] * 3] * 2
    first, second = torch.unbind_copy(x)
    assert type(second.grad_fn).__name__ == "UnbindBackward0_copy" and second.output_nr == 1
    first.detach().zero_()
    assert x[0].tolist() == [0, 1, 2]


def test_operators_by_their_names_in_aten(torch) -> None:
    x = torch.tensor([[1.0, 2.0], [float("-inf")] * 2])
    assert torch.ops.aten._safe_softmax.default(x, 1)[1].tolist() == [0, 0]
    assert torch.ops.aten.slice.Tensor(x, 1, -1).tolist() == [[2], [float("-inf")]]
    assert torch.ops.aten.add.Tensor(x, 1)[0].tolist() == [2, 3]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = torch.ops.aten.nothing


def test_histogram_of_points(torch) -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0], [0.2, 1.9]])
    hist, edges = torch.histogramdd(points, [2, 2])
    assert hist.tolist() == [[1, 1], [0, 2]]
    assert [e.tolist() for e in edges] == [[0, 0.5, 1], [0, 1, 2]]


def test_segments_of_different_lengths(torch) -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    lengths = torch.tensor([3, 0, 1])
    assert torch.segment_reduce(x, "sum", lengths=lengths).tolist() == [6, 0, 4]
    mean = torch.segment_reduce(x, "mean", lengths=lengths, initial=1.0)
    assert mean[1].item() == 1
    mean.sum().backward()
    assert x.grad.tolist() == pytest.approx([1 / 3] * 3 + [1])
    with pytest.raises(RuntimeError, match="to sum to"):
        torch.segment_reduce(x, "sum", lengths=torch.tensor([1]))


def test_out_that_shares_memory_is_refused(torch) -> None:
    x = torch.arange(6)
    with pytest.raises(RuntimeError, match="single memory location"):
        torch.gather(x, 0, x[:3], out=x[1:4])
    with pytest.raises(RuntimeError, match="more than one element"):
        torch.index_select(x, 0, x[:3], out=torch.zeros(1, dtype=torch.int64).expand(3))
    with pytest.raises(RuntimeError, match="to have dtype float, but got double"):
        torch.gather(x.float(), 0, x[:3], out=torch.zeros(3, dtype=torch.float64))
