"""Parts of concatenations computed in place, and heads that products write side by side."""

import pytest

pytest.importorskip("llvmlite")

from tests.compiled import both


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_parts_of_loops(torch, axis, dtype):
    torch.manual_seed(0)
    with both(exact=dtype == "int32"):
        x = (torch.randn(3, 5, 37) * 8).to(getattr(torch, dtype))
        short = x.narrow(axis, 1, 1) * 2
        whole = torch.cat([x * 3, short, x.sum(axis, keepdim=True).to(x.dtype) + 1, x], axis)
        assert whole.shape[axis] == 2 * x.shape[axis] + 2
        assert (whole + 1).sum().isfinite().item()


@pytest.mark.parametrize("heads, length, width", [(4, 64, 32), (3, 17, 19), (2, 5, 1), (8, 8, 8)])
def test_attention_of_one_projection(torch, heads, length, width):
    """The gradients of queries, keys and values lie side by side."""
    torch.manual_seed(0)
    attend = torch.nn.Linear(10, 3 * heads * width)
    with both():
        x = torch.randn(2, length, 10, requires_grad=True)
        parts = attend(x).split(heads * width, dim=2)
        q, k, v = (t.view(2, length, heads, width).transpose(1, 2) for t in parts)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        y.transpose(1, 2).reshape(2, length, heads * width).square().sum().backward()
        assert attend.weight.grad.numpy().any() and x.grad.numpy().any()


def test_norms_side_by_side(torch):
    torch.manual_seed(0)
    with both():
        tensors = [torch.randn(n, requires_grad=True) for n in (1, 70, 70_000)]
        sum((t * t).sum() for t in tensors).backward()
        assert torch.nn.utils.clip_grad_norm_(tensors, 1.0).item() > 1


def test_a_part_is_read_by_others_too(torch):
    torch.manual_seed(0)
    with both():
        x = torch.randn(40, 40)
        a, b = torch.exp(x), x @ x
        whole = torch.cat([a, b, b @ a, b])
        assert (whole @ x).sum().isfinite().item() and (a + b).sum().isfinite().item()
