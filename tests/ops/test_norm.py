"""Third derivatives of normalisation, where PyTorch takes mean and deviation for constants."""

import numpy as np
import pytest


def by_hand(x, axis):
    """Layer or batch norm of public operators."""
    centred = x - x.mean(axis, keepdim=True)
    return centred / ((centred * centred).mean(axis, keepdim=True) + 1e-5).sqrt()


def third(torch, fn, x):
    """The third derivative of a projection of fn along fixed directions."""
    rng = np.random.default_rng(1)
    out = fn(x)
    for _ in range(3):
        weights = torch.from_numpy(rng.standard_normal(tuple(x.shape)))
        (out,) = torch.autograd.grad((out * weights).sum(), x, create_graph=True)
    return out.detach().numpy()


@pytest.mark.parametrize("name", ["layer_norm", "batch_norm"])
def test_third_derivative(torch, name):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((5, 4))).requires_grad_()
    functions = torch.nn.functional
    if name == "layer_norm":
        ours = third(torch, lambda x: functions.layer_norm(x, (4,)), x)
    else:
        ours = third(torch, lambda x: functions.batch_norm(x, None, None, training=True), x)
    expected = third(torch, lambda x: by_hand(x, -1 if name == "layer_norm" else 0), x)
    assert np.allclose(ours, expected, rtol=1e-8, atol=1e-8)
