"""Recurrences as one kernel: rows go through all steps by themselves."""

import pytest

from bital.codegen import steps
from bital.ops import unrolled
from bital.runtime.executor import cache
from tests.compiled import both

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def fresh():
    cache.plans.clear()


def learn(torch, layer, x):
    """The result, the last states' sum, and the gradients of x and of the weights."""
    out, last = layer(x)
    whole = (out * out).sum()
    for state in last if isinstance(last, tuple) else (last,):
        whole = whole + (3 * state).sum()
    whole.backward()
    return [t.detach().numpy() for t in (out, x.grad, *[p.grad for p in layer.parameters()])]


def compiled():
    """The kernels of steps in the plans that were compiled."""
    plans = [p.compiler.native for p in cache.plans.values() if p.compiler and p.compiler.native]
    assert plans
    return [
        call
        for native in plans
        for call in native.calls
        if call.group.nodes[0].attrs[:1] == ("steps",)
    ]


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch", [1, 7, 16, 37])
@pytest.mark.parametrize("first", [False, True], ids=["time first", "batch first"])
def test_any_number_of_rows(torch, name, batch, first):
    torch.manual_seed(0)
    layer = getattr(torch.nn, name)(5, 18, batch_first=first, bidirectional=True)
    x = torch.randn(*((batch, 4) if first else (4, batch)), 5, requires_grad=True)
    with both():
        learn(torch, layer, x)
    found = compiled()
    assert len(found) >= 4
    if batch == 37:  # two chunks, of which one has a row more
        assert {call.kernel.chunks for call in found} == {1}
        assert len(found) == 8


@pytest.mark.parametrize("size", [None, 6])
def test_states_that_are_given(torch, size):
    torch.manual_seed(0)
    layer = torch.nn.LSTM(5, 9, proj_size=size or 0)
    h = torch.randn(1, 20, size or 9, requires_grad=True)
    c = torch.randn(1, 20, 9, requires_grad=True)
    x = torch.randn(3, 20, 5, requires_grad=True)
    with both():
        out, (last_h, last_c) = layer(x, (h, c))
        (out.sum() + (last_h * last_c[..., : size or 9]).sum()).backward()
        assert h.grad.numpy().any() and c.grad.numpy().any()


def test_sequences_longer_than_code_for_each_step_would_do(torch):
    layer = torch.nn.GRU(3, 4)
    x = torch.randn(200, 2, 3, requires_grad=True)
    with both():
        learn(torch, layer, x)
    assert compiled()


@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_rows_of_a_table_are_taken_in_the_step(torch, name):
    torch.manual_seed(0)
    table = torch.nn.Embedding(7, 32)
    layer = getattr(torch.nn, name)(32, 9, batch_first=True)
    numbers = torch.randint(0, 6, (17, 4))
    with both():
        out, _ = layer(table(numbers))
        (out * out).sum().backward()
        assert table.weight.grad.numpy().any() and layer.weight_ih_l0.grad.numpy().any()
    first = compiled()[0].group.nodes[0]
    assert (4, 17) in [x.shape for x in first.inputs]
    assert not any(x.shape[:2] == (4, 17) and len(x.shape) > 2 for x in first.inputs)


def test_little_is_stored_where_no_gradient_is_wanted(torch):
    layer = torch.nn.LSTM(3, 4)
    with torch.no_grad(), both():
        layer(torch.randn(5, 2, 3))[0].sum().item()
    (call,) = compiled()
    assert len(call.group.stored) == 1


def test_steps_apart_give_the_same(torch, monkeypatch):
    """Few sequences and large weights: every step is code of its own, on all threads."""
    monkeypatch.setattr(unrolled, "_SMALL", 0)
    layer = torch.nn.LSTM(3, 4)
    x = torch.randn(5, 2, 3, requires_grad=True)
    with both():
        learn(torch, layer, x)
    assert not compiled()


def test_large_weights_are_read_by_larger_chunks(torch, monkeypatch):
    monkeypatch.setattr(steps, "_NEAR_BYTES", 0)
    layer = torch.nn.RNN(3, 4)
    with torch.no_grad(), both():
        layer(torch.randn(5, 64, 3))[0].sum().item()
    (call,) = compiled()
    assert call.kernel.chunks == 2


def test_bits_do_not_depend_on_threads(torch):
    torch.manual_seed(0)
    layer = torch.nn.LSTM(8, 16)
    x = torch.randn(6, 64, 8, requires_grad=True)
    threads = torch.get_num_threads()
    found = []
    with both():
        for count in (1, 2):
            torch.set_num_threads(count)
            x.grad = None
            layer.zero_grad()
            found.append(learn(torch, layer, x))
    torch.set_num_threads(threads)
    for one, two in zip(*found):
        assert one.tobytes() == two.tobytes()
