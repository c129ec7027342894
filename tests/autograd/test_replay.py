"""Backward passes seen before are replayed: the same bits as walking the graph, every time."""

import numpy as np
import pytest

from bital.autograd import replay
from bital.runtime.plan import interpreted
from tests.parity.cases import FAMILIES


@pytest.fixture(autouse=True)
def fresh_table():
    replay.table.clear()
    replay.table.in_vain = 0
    with interpreted():
        yield
    replay.table.clear()


def train(torch, program, steps=6):
    """The losses and final parameters of a program, as bytes."""
    torch.manual_seed(0)
    parameters, step = program(torch)
    seen = [step(k) for k in range(steps)]
    arrays = [np.asarray(each) for each in (*seen, *[p.detach().numpy() for p in parameters])]
    return [a.tobytes() for a in arrays]


def descend(torch, parameters, rate=0.1):
    with torch.no_grad():
        for p in parameters:
            p -= rate * p.grad
            p.grad.zero_()


def two_layers(torch):
    x, y = torch.randn(8, 5), torch.randn(8, 2)
    w, v = torch.randn(5, 6).requires_grad_(), torch.randn(6, 2).requires_grad_()

    def step(k):
        loss = (torch.relu(x.mm(w)).mm(v) - y).pow(2).mean()
        loss.backward()
        descend(torch, (w, v))
        return loss.item()

    return (w, v), step


def modules(torch):
    nn = torch.nn
    net = nn.Sequential(
        nn.Embedding(7, 6), nn.LayerNorm(6), nn.Linear(6, 4), nn.GELU(), nn.Dropout(0.3),
        nn.Linear(4, 3),
    )  # fmt: skip
    words, kinds = torch.randint(7, (9,)), torch.randint(3, (9,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)

    def step(k):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(words), kinds)
        loss.backward()
        optimizer.step()
        return loss.item()

    return list(net.parameters()), step


def recurrent_by_hand(torch):
    w, u = torch.randn(3, 4).requires_grad_(), torch.randn(4, 4).requires_grad_()
    series = torch.randn(5, 2, 3)

    def step(k):
        h = torch.zeros(2, 4)
        states = []
        for x in series:
            h = torch.tanh(x @ w + h @ u)
            states.append(h)
        a, b = torch.stack(states).chunk(2, dim=-1)
        loss = (a * b).transpose(0, 1).reshape(-1)[::2].sum() + torch.cat(states)[1:].max()
        loss.backward()
        descend(torch, (w, u), 0.01)
        return loss.item()

    return (w, u), step


def slices_of_a_data_set(torch):
    x, y = torch.randn(40, 3), torch.randn(40, 1)
    w = torch.randn(3, 1).requires_grad_()

    def step(k):
        part = slice(4 * k, 4 * k + 4)
        loss = ((x[part] @ w - y[part]) ** 2).sum()
        loss.backward()
        descend(torch, (w,), 0.01)
        return loss.item()

    return (w,), step


def looked_at_before_backward(torch):
    x, w = torch.randn(4, 3), torch.randn(3, 3).requires_grad_()

    def step(k):
        loss = (x @ w).sigmoid().prod(1).sum()
        seen = loss.item()
        loss.backward()
        descend(torch, (w,))
        return seen

    return (w,), step


def gradients_added_up(torch):
    x, w = torch.randn(6, 3), torch.randn(3, 3).requires_grad_()

    def step(k):
        loss = (x @ w).exp().mean()
        loss.backward(retain_graph=True)
        loss.backward()
        if k % 3 == 2:
            descend(torch, (w,))
        return loss.item() + w.grad.sum().item()

    return (w,), step


def several_results(torch):
    nn = torch.nn
    lstm, w = nn.LSTM(3, 4, batch_first=True), torch.randn(6, 4).requires_grad_()
    x = torch.randn(2, 5, 3)
    parameters = [*lstm.parameters(), w]

    def step(k):
        out, (h, _) = lstm(x)
        largest, _ = (out @ w.t()).topk(2, dim=-1)
        q = out.reshape(2, 1, 5, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, q * 2, q)
        loss = largest.sum() + h.mean() + mixed.sum()
        loss.backward()
        descend(torch, parameters, 0.01)
        return loss.item()

    return parameters, step


REPLAYED = [
    two_layers, modules, recurrent_by_hand, slices_of_a_data_set, looked_at_before_backward,
    gradients_added_up, several_results,
]  # fmt: skip


@pytest.mark.parametrize("program", REPLAYED, ids=lambda p: p.__name__)
def test_same_bits_as_the_walk(torch, monkeypatch, program):
    before = replay.table.replayed
    replayed = train(torch, program)
    assert replay.table.replayed > before, "nothing was replayed"
    monkeypatch.setattr(replay, "find", lambda *args: False)
    assert train(torch, program) == replayed


def scalars_that_change(torch):
    x, w = torch.randn(4, 3), torch.randn(3, 3).requires_grad_()

    def step(k):
        loss = ((x @ w) * (1.0 - 0.1 * (k % 3)) + -0.0).sum()
        loss.backward()
        descend(torch, (w,))
        return loss.item()

    return (w,), step


def operands_that_coincide(torch):
    a, b = torch.randn(4).requires_grad_(), torch.randn(4).requires_grad_()
    c = torch.randn(4)

    def step(k):
        other = c if k % 2 else c.clone()  # the same numbers, once as one value and once as two
        loss = (a * c + b * other).sum() + (a * b if k % 3 else a * a).sum()
        loss.backward()
        a.grad, b.grad = (None, None) if k % 2 else (a.grad * 2, b.grad)
        return loss.item() + (0 if a.grad is None else a.grad.sum().item())

    return (a, b), step


def changing_function(torch):
    """A function of the user's, whose gradient is another one each time."""

    class Double(torch.autograd.Function):
        calls = 0

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            Double.calls += 1
            return g * (2 + Double.calls)

    return Double


def hooks_and_functions(torch):
    double = changing_function(torch)
    w = torch.randn(4).requires_grad_()

    def step(k):
        h = w.exp()
        if k % 2:
            h.register_hook(lambda g: g * k)
        loss = (double.apply(h) if k % 3 == 0 else h).sum()
        loss.backward()
        descend(torch, (w,), 0.01)
        return loss.item()

    return (w,), step


def results_that_are_packed(torch):
    """Now and then hooks pack what nodes keep, of operators with one result and with several."""
    w = torch.randn(3, 5).requires_grad_()
    hooks = torch.autograd.graph.saved_tensors_hooks

    def unpack(t):
        return t * 1.5 if t.is_floating_point() else t

    def forward():
        largest, _ = (w * 2).sort(dim=1)
        return (largest.softmax(1) * torch.nn.functional.gelu(w)).log_softmax(0).sum()

    def step(k):
        if k % 4 == 3:
            with hooks(lambda t: t.detach().clone(), unpack):
                loss = forward()
        else:
            loss = forward()
        loss.backward()
        descend(torch, (w,), 0.01)
        return loss.item()

    return (w,), step


@pytest.mark.parametrize(
    "program",
    [scalars_that_change, operands_that_coincide, hooks_and_functions, results_that_are_packed],
    ids=lambda p: p.__name__,
)  # fmt: skip
def test_what_differs_is_not_mistaken(torch, monkeypatch, program):
    replayed = train(torch, program, 24)
    monkeypatch.setattr(replay, "find", lambda *args: False)
    assert train(torch, program, 24) == replayed


def test_modified_and_freed_tensors_are_still_refused(torch):
    w = torch.randn(3).requires_grad_()

    def graph():
        h = w.exp()
        return h, (h * h).sum()

    for _ in range(4):
        graph()[1].backward()
    h, loss = graph()
    h.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    _, loss = graph()
    loss.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_a_rule_that_looks_at_numbers_is_not_replayed(torch, monkeypatch):
    w = torch.randn(3).requires_grad_()
    looked = []
    node = (w * 2).grad_fn.__class__
    apply = node.apply

    def looking(self, g):
        looked.append(w.sum().item())
        return apply(self, g)

    monkeypatch.setattr(node, "apply", looking)
    for _ in range(5):
        (w * 2).sum().backward()
    assert len(looked) == 5


def test_the_table_is_bounded(torch, monkeypatch):
    monkeypatch.setattr(replay, "_MAX_SIZE", 300)
    monkeypatch.setattr(replay, "_MAX_MET", 20)
    monkeypatch.setattr(replay, "_PATIENCE", 1 << 30)
    for n in range(60):
        w = torch.zeros(n + 1, requires_grad=True)
        for _ in range(3):
            (w * 2).sum().backward()
        assert len(replay.table.recipes) < 30 and len(replay.table.met) <= 20


def gradients(torch, op):
    """Gradients of a parity case's summed results, or None where it has none."""
    tensors = op.tensors(torch, "float32")
    out = op.run(torch, tensors)
    outs = [t for t in (out if isinstance(out, (tuple, list)) else (out,))
            if isinstance(t, torch.Tensor) and t.requires_grad]  # fmt: skip
    leaves = [t for t in tensors if t.is_leaf and t.requires_grad]
    if not outs or not leaves:
        return None
    loss = sum((t.abs() if t.is_complex() else t).sum() for t in outs)
    loss.backward()
    return [b"" if t.grad is None else t.grad.numpy().tobytes() for t in leaves]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_operator_gives_the_same_bits_replayed(torch, family, monkeypatch):
    monkeypatch.setattr(replay, "_PATIENCE", 1 << 30)
    cases = [op for op in family if op.order and "float32" in op.dtypes]
    before = replay.table.replayed
    wrong, walked_at_all = [], 0
    for op in cases:
        with monkeypatch.context() as patched:
            patched.setattr(replay, "find", lambda *args: False)
            torch.manual_seed(0)
            walked = gradients(torch, op)
        walked_at_all += walked is not None
        for _ in range(4):
            torch.manual_seed(0)
            if gradients(torch, op) != walked:
                wrong.append(op.key)
    assert not wrong
    assert replay.table.replayed > before or walked_at_all < 10
