"""Operators that a program declares work as PyTorch's do."""

import pytest

from tests.both import same


def declared(t):
    @t.library.custom_op("bital_tests::scaled_sine", mutates_args=())
    def scaled_sine(x: t.Tensor, factor: float = 2.0) -> t.Tensor:
        return t.sin(x) * factor

    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.factor = inputs[1]

    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x.cos() * ctx.factor, None

    scaled_sine.register_fake(lambda x, factor=2.0: t.empty_like(x))
    t.library.register_autograd("bital_tests::scaled_sine", backward, setup_context=setup_context)
    x = t.linspace(0, 1, 5, requires_grad=True)
    y = t.ops.bital_tests.scaled_sine(x, factor=3.0) + scaled_sine(x)
    y.sum().backward()
    return y.detach(), x.grad


def test_a_declared_operator_has_the_gradient_that_was_registered(torch, oracle):
    same(declared, torch, oracle)


def test_without_torch_it_does_so_too(torch):
    y, gradient = declared(torch)
    x = torch.linspace(0, 1, 5)
    assert torch.allclose(y, 5 * x.sin()) and torch.allclose(gradient, 5 * x.cos())


def test_wrong_declarations_are_named(torch):
    with pytest.raises(RuntimeError, match="does not exist"):
        torch.library.register_fake("bital_tests::missing", lambda x: x)
    with pytest.raises(ValueError, match="namespace::name"):
        torch.library.custom_op("nameless", lambda x: x, mutates_args=())
