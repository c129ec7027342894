"""Recurrent networks, their cells, and packed sequences."""

import pytest

from tests.both import same

KINDS = ("RNN", "LSTM", "GRU")
OPTIONS = {
    "plain": {},
    "relu": {"nonlinearity": "relu"},
    "two layers both ways": {"num_layers": 2, "bidirectional": True},
    "batch first, no bias": {"batch_first": True, "bias": False},
    "dropout": {"num_layers": 3, "dropout": 0.5},
    "projected": {"proj_size": 2, "num_layers": 2, "bidirectional": True},
    "double": {"double": True},
}


def options(kind, which):
    """The options of a case, or None where the kind does not have them."""
    if which == "relu" and kind != "RNN" or which == "projected" and kind != "LSTM":
        return None
    return {k: v for k, v in OPTIONS[which].items() if k != "double"}


def flat(out):
    return [t for each in out for t in (each if isinstance(each, tuple) else (each,))]


def states(t, m, batch, kind):
    layers = m.num_layers * (1 + m.bidirectional)
    h = t.randn(layers, batch, m.proj_size or m.hidden_size)
    h = h if kind != "LSTM" else (h, t.randn(layers, batch, m.hidden_size))
    return h


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", OPTIONS)
def test_network(kind, which, torch, oracle):
    kw = options(kind, which)
    if kw is None:
        pytest.skip(f"{kind} has no such option")

    def program(t):
        m = getattr(t.nn, kind)(3, 4, **kw)
        x, hx = t.randn(5, 2, 3), states(t, m, 5 if m.batch_first else 2, kind)
        if which == "double":
            m, x = m.double(), x.double()
            hx = tuple(s.double() for s in hx) if kind == "LSTM" else hx.double()
        x.requires_grad_()
        out = flat(m(x, hx)) + flat(m(x))
        sum((o * t.linspace(0.5, 2, o.numel()).view(o.shape)).sum() for o in out).backward()
        grads = [p.grad for p in m.parameters()]
        return repr(m), out, [o.stride() for o in out], x.grad, grads, m.state_dict()

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_second_derivative(kind, bidirectional, torch, oracle):
    def program(t):
        m = getattr(t.nn, kind)(3, 4, bidirectional=bidirectional).double()
        x = t.randn(4, 2, 3, dtype=t.float64, requires_grad=True)
        out = flat(m(x))
        loss = sum((o**2).sum() for o in out)
        grads = t.autograd.grad(loss, [x, *m.parameters()], create_graph=True)
        return grads, t.autograd.grad(sum((g**2).sum() for g in grads), [x, *m.parameters()])

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_packed(kind, bidirectional, given, torch, oracle):
    def program(t):
        rnn = t.nn.utils.rnn
        m = getattr(t.nn, kind)(3, 4, 2, bidirectional=bidirectional)
        x = t.randn(4, 5, 3, requires_grad=True)
        packed = rnn.pack_padded_sequence(x, t.tensor([2, 4, 1, 4]), True, enforce_sorted=False)
        out, last = m(packed, states(t, m, 4, kind) if given else None)
        padded, lengths = rnn.pad_packed_sequence(out, batch_first=True)
        found = [padded, *flat((last,))]
        sum((o * t.linspace(0.5, 2, o.numel()).view(o.shape)).sum() for o in found).backward()
        grads = [p.grad for p in m.parameters()]
        return packed, out.data, found, lengths, x.grad, grads

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("kind", KINDS)
def test_unbatched(kind, torch, oracle):
    def program(t):
        m = getattr(t.nn, kind)(3, 4, batch_first=True, bidirectional=True)
        hx = t.randn(2, 4) if kind != "LSTM" else (t.randn(2, 4), t.randn(2, 4))
        return m(t.randn(5, 3)), m(t.randn(5, 3), hx)

    same(program, torch, oracle)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [False, True])
def test_cell(kind, bias, torch, oracle):
    def program(t):
        m = getattr(t.nn, kind)(3, 4, bias=bias)
        x = t.randn(6, 2, 3, requires_grad=True)
        hx = None
        for each in x:
            hx = m(each, hx)
        (hx[0] if kind == "LSTMCell" else hx).pow(2).sum().backward()
        one = m(x[0, 0])
        return repr(m), hx, one, x.grad, [p.grad for p in m.parameters()], m.state_dict()

    same(program, torch, oracle, order=1)


ERRORS = {
    "rank": lambda t, n: n.LSTM(3, 4)(t.zeros(1, 2, 3, 3)),
    "rank of RNN": lambda t, n: n.RNN(3, 4)(t.zeros(3)),
    "width": lambda t, n: n.GRU(3, 4)(t.zeros(2, 2, 4)),
    "dtype": lambda t, n: n.GRU(3, 4)(t.zeros(2, 2, 3, dtype=t.float64)),
    "hidden": lambda t, n: n.GRU(3, 4)(t.zeros(2, 2, 3), t.zeros(1, 3, 4)),
    "hidden of LSTM": lambda t, n: n.LSTM(3, 4)(
        t.zeros(2, 2, 3), (t.zeros(1, 2, 4), t.zeros(1, 2, 3))
    ),
    "unbatched hidden": lambda t, n: n.RNN(3, 4)(t.zeros(2, 3), t.zeros(1, 1, 4)),
    "batched hidden": lambda t, n: n.LSTM(3, 4)(t.zeros(2, 1, 3), (t.zeros(1, 4), t.zeros(1, 4))),
    "dropout": lambda t, n: n.LSTM(3, 4, dropout=1.5),
    "bias": lambda t, n: n.LSTM(3, 4, bias=1),
    "size": lambda t, n: n.LSTM(3, 0),
    "layers": lambda t, n: n.LSTM(3, 4, 0),
    "projection": lambda t, n: n.LSTM(3, 4, proj_size=4),
    "projection of GRU": lambda t, n: n.GRU(3, 4, proj_size=2),
    "nonlinearity": lambda t, n: n.RNN(3, 4, nonlinearity="sin"),
    "cell's rank": lambda t, n: n.LSTMCell(3, 4)(t.zeros(1, 1, 3)),
    "cell's hidden rank": lambda t, n: n.LSTMCell(3, 4)(t.zeros(1, 3), (t.zeros(4), t.zeros(()))),
    "cell's batch": lambda t, n: n.GRUCell(3, 4)(t.zeros(2, 3), t.zeros(3, 4)),
    "cell's width": lambda t, n: n.GRUCell(3, 4)(t.zeros(2, 4), t.zeros(2, 4)),
    "cell's hidden width": lambda t, n: n.RNNCell(3, 4)(t.zeros(2, 3), t.zeros(2, 3)),
    "unsorted": lambda t, n: n.utils.rnn.pack_padded_sequence(t.zeros(3, 2), [1, 2]),
    "how many lengths": lambda t, n: n.utils.rnn.pack_padded_sequence(t.zeros(3, 2), [1]),
    "length 0": lambda t, n: n.utils.rnn.pack_padded_sequence(t.zeros(3, 2), [1, 0]),
    "nothing to pack": lambda t, n: n.utils.rnn.pack_padded_sequence(t.zeros(0, 2), [1, 0]),
    "total_length": lambda t, n: n.utils.rnn.pad_packed_sequence(
        n.utils.rnn.pack_padded_sequence(t.zeros(3, 2), [2, 1]), total_length=1
    ),
    "no sequences": lambda t, n: n.utils.rnn.pad_sequence([]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name, torch, oracle):
    same(lambda t: ERRORS[name](t, t.nn), torch, oracle)


def test_sequences(torch, oracle):
    def program(t):
        rnn = t.nn.utils.rnn
        rows = [t.arange(n * 2).view(n, 2) + 10 * n for n in (2, 3, 1)]
        packed = rnn.pack_sequence(rows, enforce_sorted=False)
        return [
            packed,
            rnn.unpack_sequence(packed),
            rnn.pad_packed_sequence(packed, padding_value=-1, total_length=4),
            rnn.pad_sequence(rows, batch_first=True, padding_value=7),
            rnn.pad_sequence(iter(rows), padding_side="left"),
            rnn.unpad_sequence(rnn.pad_sequence(rows), t.tensor([2, 3, 1])),
            packed.to(t.float64).data.dtype,
            packed.to(t.int64) is packed,
            packed.double().float().data,
            rnn.invert_permutation(t.tensor([2, 0, 1])),
            rnn.pad_sequence([t.randn(2, requires_grad=True), t.randn(3)]).sum().requires_grad,
        ]

    same(program, torch, oracle)
