"""Passes towards given inputs are replayed, with the graphs of their results."""

import numpy as np
import pytest

from bital.autograd import replay, towards
from bital.runtime.plan import interpreted
from tests.autograd.test_replay import changing_function
from tests.parity.cases import FAMILIES

STEPS = 8


@pytest.fixture(autouse=True)
def fresh_table():
    replay.table.clear()
    with interpreted():
        yield
    replay.table.clear()


def walk(monkeypatch):
    """No pass is replayed from now on."""
    monkeypatch.setattr(towards, "known", lambda *args: None)
    monkeypatch.setattr(towards, "attempt", lambda *args: None)


def trained(torch, program, steps=STEPS):
    """What a program gives in each of its steps, as bytes."""
    torch.manual_seed(0)
    step = program(torch)
    seen = [step(k) for k in range(steps)]
    return [np.asarray(torch.as_tensor(each).detach()).tobytes() for each in seen]


def descend(torch, parameters, gradients, rate=0.05):
    with torch.no_grad():
        for p, g in zip(parameters, gradients):
            p -= rate * g


def hessian_vector_products(torch):
    x, y = torch.randn(20, 3), torch.rand(20)
    w = torch.zeros(3, requires_grad=True)

    def step(k):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y)
        (g,) = torch.autograd.grad(loss, w, create_graph=True)
        direction = -g.detach()
        for _ in range(2):
            (product,) = torch.autograd.grad(g, w, direction, retain_graph=True)
            direction = product + 0.1 * direction
        descend(torch, (w,), (direction,))
        return w.sum().item()

    return step


def of_a_network(torch):
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    parameters, x = list(net.parameters()), torch.randn(5, 3)

    def step(k):
        gradients = torch.autograd.grad(net(x).pow(3).mean(), parameters, create_graph=True)
        directions = [g.detach().sin() for g in gradients]
        products = torch.autograd.grad(gradients, parameters, directions)
        descend(torch, parameters, products)
        return sum(p.sum() for p in products).item()

    return step


def gradient_penalty(torch):
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ELU(), torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.randn(6, 3)

    def step(k):
        at = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(net(at).sum(), at, create_graph=True)
        loss = (g.norm(2, dim=1) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def steps_differentiated_through(torch):
    w, x = torch.randn(4, 2).requires_grad_(), torch.randn(6, 4)

    def step(k):
        inner = w
        for _ in range(3):
            loss = (x @ inner).sigmoid().sum()
            (g,) = torch.autograd.grad(loss, inner, create_graph=True)
            inner = inner - 0.1 * g
        (outer,) = torch.autograd.grad((x @ inner).square().mean(), w)
        descend(torch, (w,), (outer,))
        return outer.sum().item()

    return step


def kept_in_grad(torch):
    w, v = torch.randn(3, 3).requires_grad_(), torch.randn(3).requires_grad_()

    def step(k):
        w.grad = v.grad = None
        (w @ v).exp().sum().backward(create_graph=True, inputs=[w, v])
        total = w.grad.square().sum() + v.grad.sum()
        total.backward(inputs=[w])
        seen = w.grad.sum().item() + v.grad.sum().item()
        descend(torch, (w,), (0.01 * w.grad.detach(),))
        return seen

    return step


def backward_with_a_graph(torch):
    w = torch.randn(3, 3).requires_grad_()

    def step(k):
        w.grad = None
        w.exp().mm(w).sum().backward(create_graph=True)
        (h,) = torch.autograd.grad(w.grad, w, torch.ones(3, 3))
        descend(torch, (w,), (0.01 * h,))
        return h.sum().item()

    return step


def pushed_forward(torch):
    w, t = torch.randn(4).requires_grad_(), torch.randn(4)

    def step(k):
        seed = torch.zeros(2, requires_grad=True)
        out = (w * w.flip(0)).reshape(2, 2).sum(1).tanh()
        (back,) = torch.autograd.grad(out, w, seed, create_graph=True)
        (forward,) = torch.autograd.grad(back, seed, t)
        descend(torch, (w,), (w.detach(),))
        return forward.sum().item()

    return step


def seeds_that_are_views(torch):
    w = torch.randn(3, 4).requires_grad_()
    x = torch.randn(4, 6)

    def step(k):
        seeds = (x * (k + 1)).t()
        turned = torch.autograd.grad(w @ x.t()[:4], w, seeds[1:4], retain_graph=True)[0]
        whole = torch.autograd.grad(w.t(), w, seeds.reshape(4, 6)[:, :3])[0]
        same = torch.autograd.grad(w + 1, w, turned)[0]
        assert same is turned
        descend(torch, (w,), (0.01 * whole,))
        return (turned.sum() + whole.sum()).item()

    return step


def third_derivatives(torch):
    w = torch.randn(5).requires_grad_()

    def step(k):
        g = w.exp().prod().sin()
        for _ in range(3):
            (g,) = torch.autograd.grad(g.sum(), w, create_graph=True)
        descend(torch, (w,), (0.01 * g.detach().clamp(-1, 1),))
        return g.sum().item()

    return step


def of_functions(torch):
    x, w = torch.randn(5, 3), torch.randn(3)

    def loss(w):
        return (x @ w).sigmoid().square().mean()

    def step(k):
        nonlocal w
        g = torch.func.grad(loss)(w)
        _, pull = torch.func.vjp(torch.func.grad(loss), w)
        (product,) = pull(g)
        w = w - 0.1 * product
        return w.sum().item()

    return step


def forward_over_reverse(torch):
    x, w = torch.randn(5, 3), torch.randn(3)

    def loss(w):
        return (x @ w).sigmoid().square().mean()

    def step(k):
        nonlocal w
        _, product = torch.func.jvp(torch.func.grad(loss), (w,), (torch.ones(3),))
        (_, same) = torch.autograd.functional.hvp(loss, w, torch.ones(3))
        w = w - 0.1 * product - 0.01 * same
        return w.sum().item()

    return step


def under_vmap(torch):
    x, w = torch.randn(5, 3), torch.randn(3)

    def loss(w, x):
        return (x @ w).sigmoid().square()

    def step(k):
        nonlocal w
        each = torch.func.vmap(torch.func.grad(loss), (None, 0))(w, x)
        jacobian = torch.func.jacrev(lambda w: (x @ w).tanh())(w)
        w = w - 0.1 * (each.mean(0) + jacobian.sum(0))
        return w.sum().item()

    return step


REPLAYED = [
    hessian_vector_products, of_a_network, gradient_penalty, steps_differentiated_through,
    kept_in_grad, backward_with_a_graph, pushed_forward, seeds_that_are_views, third_derivatives,
    of_functions, forward_over_reverse, under_vmap,
]  # fmt: skip


@pytest.mark.parametrize("program", REPLAYED, ids=lambda p: p.__name__)
def test_same_bits_as_the_walk(torch, monkeypatch, program):
    walks, attempt = [], towards.attempt
    monkeypatch.setattr(towards, "attempt", lambda *a: walks.append(1) or attempt(*a))
    trained(torch, program, STEPS - 1)
    before = len(walks)
    walks.clear()
    replayed = trained(torch, program)
    assert len(walks) < before, "what is known is walked"
    walk(monkeypatch)
    assert trained(torch, program) == replayed


def unused_inputs(torch):
    a, b = torch.randn(3).requires_grad_(), torch.randn(3).requires_grad_()

    def step(k):
        loss = (a * a * (b if k % 4 == 0 else 2.0)).sum()
        first, second = torch.autograd.grad(loss, (a, b), allow_unused=True)
        assert (second is None) == (k % 4 != 0)
        (zeros,) = torch.autograd.grad((a * a).sum(), b, materialize_grads=True)
        with pytest.raises(RuntimeError, match="not have been used in the graph"):
            torch.autograd.grad((a * a).sum(), (a, b))
        return (first + zeros).sum().item()

    return step


def targets_that_change(torch):
    a, b = torch.randn(3).requires_grad_(), torch.randn(3).requires_grad_()

    def step(k):
        middle = a * b
        out = (middle * a).exp().sum()
        targets = [(a, b), (b, a), (middle, a), (a, middle), (b, b)][k % 5]
        found = torch.autograd.grad(out, targets, create_graph=k % 2 == 0)
        total = found[0] + 2 * found[1]
        if k % 2 == 0:
            total = total + torch.autograd.grad(total.sum(), a)[0]
        return total.sum().item()

    return step


def seeds_that_change(torch):
    w = torch.randn(3).requires_grad_()
    v, u = torch.randn(3), torch.randn(3).requires_grad_()

    def step(k):
        seed = [v, v.clone(), v * 2, u, torch.ones(3), torch.zeros(3), w, w * 2][k % 8]
        (g,) = torch.autograd.grad(w.exp(), w, seed, create_graph=True)
        assert g.requires_grad
        further = torch.autograd.grad(g.sum(), (w, u), allow_unused=True)
        assert (further[1] is None) == (k % 8 != 3)
        return g.sum().item() + sum(0 if f is None else f.sum().item() for f in further)

    return step


def seeds_seen_through_windows(torch):
    w, x = torch.randn(3).requires_grad_(), torch.randn(5, 3)
    seeds = torch.randn(8, 5)

    def step(k):
        seed = seeds[k % 8] if k % 3 else seeds[k % 8].clone()
        (g,) = torch.autograd.grad(x @ w, w, seed)  # which the rule makes a column
        return g.sum().item()

    return step


def histories_that_change(torch):
    w = torch.randn(3).requires_grad_()

    def step(k):
        x = torch.ones(3)
        y = w * x
        if k % 3 == 0:
            x.requires_grad_()  # after it was used without
        (g,) = torch.autograd.grad(y.sum(), w, create_graph=True)
        return g.requires_grad + g.sum().item()

    return step


def hooks_and_functions(torch):
    double = changing_function(torch)
    w = torch.randn(4).requires_grad_()

    def step(k):
        h = w.exp()
        if k % 2:
            h.register_hook(lambda g: g * k)
        handle = w.register_hook(lambda g: g * 3) if k % 5 == 0 else None
        out = (double.apply(h) if k % 3 == 0 else h).sum()
        (g,) = torch.autograd.grad(out, w, create_graph=True)
        seen = torch.autograd.grad(g.sum(), w)[0].sum().item()
        if handle is not None:
            handle.remove()
        return seen

    return step


def data_that_is_written_to(torch):
    w, x = torch.randn(3).requires_grad_(), torch.randn(3)

    def step(k):
        out = (w * x).exp().sum()
        if k % 3 == 1:
            x.data.mul_(2)
        (g,) = torch.autograd.grad(out, w, retain_graph=True)
        w.data.copy_(w.data * 0.9)
        return g.sum().item() + torch.autograd.grad(out, w)[0].sum().item()

    return step


@pytest.mark.parametrize(
    "program",
    [unused_inputs, targets_that_change, seeds_that_change, seeds_seen_through_windows,
     histories_that_change, hooks_and_functions, data_that_is_written_to],
    ids=lambda p: p.__name__,
)  # fmt: skip
def test_what_differs_is_not_mistaken(torch, monkeypatch, program):
    replayed = trained(torch, program, 60)
    walk(monkeypatch)
    assert trained(torch, program, 60) == replayed


def shape_of(node, seen):
    """A graph as nested tuples of names."""
    if node is None:
        return None
    if node in seen:
        return seen[node]
    seen[node] = len(seen)
    return (node.name(), *[(shape_of(n, seen), k) for n, k in node.next_functions])


def test_graphs_of_results_are_those_of_the_walk(torch, monkeypatch):
    w, x = torch.randn(3, 3).requires_grad_(), torch.randn(4, 3)

    def graphs():
        found = []
        for _ in range(STEPS):
            loss = torch.nn.functional.softmax((x @ w).chunk(3, 1)[0].t(), 1).square().sum()
            (g,) = torch.autograd.grad(loss, w, create_graph=True)
            (h,) = torch.autograd.grad(g.sum(), w, create_graph=True)
            found.append((shape_of(g.grad_fn, {}), shape_of(h.grad_fn, {}), g._is_view(),
                          h._is_view(), g.stride(), h.stride(), g._version, h.is_leaf))  # fmt: skip
            h.sum().item()
        return found

    before = replay.table.replayed
    replayed = graphs()
    assert replay.table.replayed > before
    walk(monkeypatch)
    assert graphs() == replayed


def test_modified_and_freed_tensors_are_still_refused(torch):
    w = torch.randn(3).requires_grad_()

    def graph():
        h = w.exp()
        return h, (h * h).sum()

    for _ in range(STEPS):
        torch.autograd.grad(graph()[1], w)[0].sum().item()
    h, loss = graph()
    h.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, w)
    torch.zeros(1).item()
    _, loss = graph()
    torch.autograd.grad(loss, w)
    with pytest.raises(RuntimeError, match="a second time"):
        torch.autograd.grad(loss, w)


def derivatives(torch, op):
    """First and second gradients of a parity case's summed results, or None without any."""
    tensors = op.tensors(torch, "float32")
    out = op.run(torch, tensors)
    outs = [t for t in (out if isinstance(out, (tuple, list)) else (out,))
            if isinstance(t, torch.Tensor) and t.requires_grad]  # fmt: skip
    leaves = [t for t in tensors if t.is_leaf and t.requires_grad]
    if not outs or not leaves:
        return None
    loss = sum((t.abs() if t.is_complex() else t).square().sum() for t in outs)
    first = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
    total = [g.square().sum() for g in first if g is not None and g.requires_grad]
    second = torch.autograd.grad(total, leaves, allow_unused=True) if total else ()
    return [b"" if t is None else t.detach().numpy().tobytes() for t in (*first, *second)]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_operator_gives_the_same_bits_replayed(torch, family, monkeypatch):
    cases = [op for op in family if op.order > 1 and "float32" in op.dtypes]
    before, wrong, walked_at_all = replay.table.replayed, [], 0
    for op in cases:
        with monkeypatch.context() as patched:
            walk(patched)
            torch.manual_seed(0)
            walked = derivatives(torch, op)
        walked_at_all += walked is not None
        for _ in range(5):
            torch.manual_seed(0)
            if derivatives(torch, op) != walked:
                wrong.append(op.key)
    assert not wrong
    assert replay.table.replayed > before or walked_at_all < 10
