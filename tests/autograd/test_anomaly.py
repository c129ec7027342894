"""detect_anomaly: it names the user's line, backward's and the first bad one of forward."""

import inspect

import pytest


def line_of(text, function):
    """The number of the line of `function` that holds `text`."""
    lines, start = inspect.getsourcelines(function)
    return start + next(k for k, line in enumerate(lines) if text in line)


def notes(error):
    return "\n".join(error.value.__notes__)


def test_the_line_of_the_node(torch):
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        y = torch.sqrt(x) * 0  # the line to be named
        with pytest.raises(RuntimeError, match="'SqrtBackward0' returned nan values") as error:
            y.sum().backward()
    where = line_of("the line to be named", test_the_line_of_the_node)
    assert f'test_anomaly.py", line {where}, in test_the_line_of_the_node' in notes(error)


def test_the_first_non_finite_value_of_forward(torch):
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        h = x.log()  # makes -inf
        y = (h * 0).exp() * h
        with pytest.raises(RuntimeError, match="returned nan values") as error:
            y.sum().backward()
    where = line_of("makes -inf", test_the_first_non_finite_value_of_forward)
    assert f"line {where}, in" in notes(error)


def test_a_line_before_it_was_turned_on(torch):
    x = torch.tensor([0.0], requires_grad=True)
    y = torch.sqrt(x) * 0
    detecting = torch.autograd.set_detect_anomaly(True)
    with detecting, pytest.raises(RuntimeError, match="SqrtBackward0") as error:
        y.sum().backward()
    assert "before anomaly detection was turned on" in notes(error)


def test_functions_of_the_user(torch):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    x = torch.ones(2, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        y = Bad.apply(x)  # used here
        with pytest.raises(RuntimeError, match="'BadBackward' returned nan values") as error:
            y.sum().backward()
    assert f"line {line_of('used here', test_functions_of_the_user)}, in" in notes(error)


def test_nothing_is_said_of_good_gradients_or_without_the_check(torch):
    x = torch.tensor([0.0], requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        (x.exp() * 2).sum().backward()
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        (torch.sqrt(x) * 0).sum().backward()
    assert x.grad.isnan().all()


def test_it_warns_and_ends(torch):
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        detecting = torch.autograd.detect_anomaly()
    with detecting:
        assert torch.is_anomaly_enabled()
    assert not torch.is_anomaly_enabled()
