"""Clipping of gradients, parameters as vectors."""

import pytest

from tests.both import same


def with_grads(t):
    parameters = [t.nn.Parameter(t.zeros(2, 3)), t.nn.Parameter(t.zeros(4)),
                  t.nn.Parameter(t.zeros(1))]  # fmt: skip
    for p in parameters[:2]:
        p.grad = t.randn(p.shape)
    return parameters


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf"), 3])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm(norm_type, max_norm, torch, oracle):
    def program(t):
        parameters = with_grads(t)
        total = t.nn.utils.clip_grad_norm_(iter(parameters), max_norm, norm_type)
        return total, [p.grad for p in parameters]

    same(program, torch, oracle)


def test_clip_grad_norm_of_windows_and_halves(torch, oracle):
    def program(t):
        p = t.nn.Parameter(t.zeros(3, 2))
        half = t.nn.Parameter(t.zeros(4, dtype=t.float16))
        p.grad = t.arange(6.0).reshape(2, 3).t()
        half.grad = t.ones(4, dtype=t.float16)
        shared = p.grad[1]
        total = t.nn.utils.clip_grad_norm_([p, half], 2.0)
        return total, p.grad, half.grad, shared, p.grad.stride()

    same(program, torch, oracle)


def test_clip_grad_value(torch, oracle):
    def program(t):
        parameters = with_grads(t)
        t.nn.utils.clip_grad_value_(parameters, 0.3)
        return [p.grad for p in parameters]

    same(program, torch, oracle)


def test_nothing_to_clip(torch, oracle):
    same(lambda t: t.nn.utils.clip_grad_norm_([t.nn.Parameter(t.zeros(1))], 1.0), torch, oracle)
    same(lambda t: t.nn.utils.get_total_norm([]), torch, oracle)


def test_one_tensor(torch, oracle):
    def program(t):
        p = with_grads(t)[0]
        return t.nn.utils.clip_grad_norm_(p, 0.1), p.grad

    same(program, torch, oracle)


def test_nonfinite_norm(torch, oracle):
    def program(t):
        p = t.nn.Parameter(t.zeros(1))
        p.grad = t.full((1,), float("nan"))
        t.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)

    same(program, torch, oracle)


def test_parameters_to_vector_and_back(torch, oracle):
    def program(t):
        m = t.nn.Linear(2, 3)
        vector = t.nn.utils.parameters_to_vector(m.parameters())
        t.nn.utils.vector_to_parameters(t.arange(9.0), m.parameters())
        return vector, m.state_dict(), m.weight.requires_grad

    same(program, torch, oracle)
    same(lambda t: t.nn.utils.vector_to_parameters([1.0], []), torch, oracle)
