"""Dropout: what is kept comes from the default stream, in the order of memory."""

import numpy as np
import pytest

from bital.streams import Stream


def drawn(n, keep, seed=3):
    """What the stream of `seed` keeps of `n` elements."""
    stream = Stream()
    stream.manual_seed(seed)
    return stream.bernoulli(n, np.float32, keep)


def test_elements_are_kept_as_the_stream_says(torch):
    torch.manual_seed(3)
    out = torch.nn.functional.dropout(torch.ones(3, 4), 0.25)
    assert np.array_equal(out.numpy() != 0, drawn(12, 0.75).reshape(3, 4) != 0)
    assert np.allclose(out.numpy().max(), 1 / 0.75)


def test_a_transposed_input_is_drawn_for_in_memory_order(torch):
    torch.manual_seed(3)
    out = torch.nn.functional.dropout(torch.ones(3, 4).t(), 0.25)
    assert out.stride() == (1, 4)
    assert np.array_equal(out.numpy().T != 0, drawn(12, 0.75).reshape(3, 4) != 0)


@pytest.mark.parametrize("name", ["dropout2d", "feature_alpha_dropout"])
def test_channels_are_kept_or_dropped_whole(torch, name):
    torch.manual_seed(3)
    x = torch.ones(2, 6, 5, 4, requires_grad=True)
    getattr(torch.nn.functional, name)(x, 0.5, True).sum().backward()
    kept = drawn(12, 0.5).reshape(2, 6, 1, 1)
    assert np.array_equal(x.grad.numpy() != 0, np.broadcast_to(kept != 0, (2, 6, 5, 4)))


def test_nothing_is_drawn_where_nothing_is_dropped(torch):
    torch.manual_seed(3)
    x = torch.ones(4)
    assert torch.nn.functional.dropout(x, 0.5, training=False) is x
    assert torch.nn.functional.dropout(x, 0.0) is x
    assert torch.nn.functional.dropout(x, 1.0).sum().item() == 0
    assert np.array_equal(torch.rand(3).numpy(), Stream().manual_seed(3).uniform(3))


def test_in_place_writes_into_the_input(torch):
    x = torch.ones(4, requires_grad=True) * 1
    out = torch.nn.functional.dropout(x, 0.5, True, True)
    assert out is x and type(x.grad_fn).__name__ == "MulBackward0" and x._version == 1


def test_a_number_without_axes_is_an_array_to_native_code(torch):
    pytest.importorskip("llvmlite")
    from tests.compiled import both

    with both() as seen:
        found = {torch.nn.functional.alpha_dropout(torch.tensor(1.0), 0.5, True).item()
                 for _ in range(20)}  # fmt: skip
    assert seen.runs and len(found) == 2
