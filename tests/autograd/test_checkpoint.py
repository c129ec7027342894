"""Checkpointing: the same gradients, random numbers and errors as PyTorch's, both ways."""

import contextlib

import pytest

from tests.both import same


def parts(t):
    net = t.nn.Sequential(
        t.nn.Linear(3, 5), t.nn.Tanh(), t.nn.Dropout(0.5), t.nn.Linear(5, 4), t.nn.ReLU()
    )
    return net, t.randn(6, 3, requires_grad=True)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("preserve", [True, False])
def test_gradients(reentrant, preserve, torch, oracle):
    def program(t):
        net, x = parts(t)
        calls = []

        def run(x):
            calls.append(t.is_grad_enabled())
            return net(x).square()

        out = []
        for _ in range(4):
            y = t.utils.checkpoint.checkpoint(
                run, x, use_reentrant=reentrant, preserve_rng_state=preserve
            )
            y.sum().backward()
            out.append((y.sum(), x.grad.clone(), t.rand(2)))
        return out, calls, [p.grad for p in net.parameters()]

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequential(reentrant, segments, torch, oracle):
    def program(t):
        net, x = parts(t)
        y = t.utils.checkpoint.checkpoint_sequential(net, segments, x, use_reentrant=reentrant)
        y.sum().backward()
        return y, x.grad, [p.grad for p in net.parameters()]

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("early", [True, False])
def test_early_stop(early, torch, oracle):
    """What comes after the last tensor that is kept runs again only without early stop."""

    def program(t):
        x = t.randn(3, requires_grad=True)
        seen = []

        def run(x):
            y = x.sin().exp()
            seen.append("kept")
            z = y + 1
            seen.append("end")
            return z

        with t.utils.checkpoint.set_checkpoint_early_stop(early):
            y = t.utils.checkpoint.checkpoint(run, x, use_reentrant=False)
        y.sum().backward()
        return x.grad, seen.count("end")

    same(program, torch, oracle, order=1)


def test_keywords_and_nesting(torch, oracle):
    def program(t):
        check = t.utils.checkpoint.checkpoint
        x = t.randn(3, requires_grad=True)

        def inner(a, scale=1.0):
            return (a * scale).sin()

        def outer(a, *, scale):
            return check(inner, a.exp(), scale=scale, use_reentrant=False).cos()

        y = check(outer, x, scale=2.0, use_reentrant=False)
        first = t.autograd.grad(y.sum(), x, create_graph=True)[0]
        second = t.autograd.grad(first.sum(), x)[0]
        return y, first, second

    same(program, torch, oracle, order=2)


def test_twice_and_in_parts(torch, oracle):
    def program(t):
        a, b = t.randn(3, requires_grad=True), t.randn(3, requires_grad=True)
        calls = []

        def run(a, b):
            calls.append(1)
            return a.sin() * b.exp(), a * b

        y, z = t.utils.checkpoint.checkpoint(run, a, b, use_reentrant=False)
        y.sum().backward(retain_graph=True)
        (y + z).sum().backward()
        return a.grad, b.grad, len(calls)

    same(program, torch, oracle, order=1)


def test_without_gradients(torch, oracle):
    def program(t):
        x = t.randn(3, requires_grad=True)
        with t.no_grad():
            y = t.utils.checkpoint.checkpoint(t.sin, x, use_reentrant=False)
        return y, y.requires_grad

    same(program, torch, oracle)


def test_contexts(torch, oracle):
    def program(t):
        seen = []

        @contextlib.contextmanager
        def noting(word):
            seen.append(word)
            yield

        x = t.randn(3, requires_grad=True)
        y = t.utils.checkpoint.checkpoint(
            t.sin, x, use_reentrant=False, context_fn=lambda: (noting("first"), noting("again"))
        )
        y.sum().backward()
        return seen, x.grad

    same(program, torch, oracle, order=1)


def test_autocast_is_kept(torch, oracle):
    def program(t):
        seen = []
        x = t.ones(3, 3, requires_grad=True)

        def run(x):
            y = x @ x
            seen.append(str(y.dtype))
            return y.exp()

        for reentrant in (True, False):
            with t.autocast("cpu"):
                y = t.utils.checkpoint.checkpoint(run, x, use_reentrant=reentrant)
            y.float().sum().backward()
        return seen

    same(program, torch, oracle)


def changing(t, **options):
    """A function that does something else the second time."""
    calls = []

    def run(x):
        calls.append(1)
        if len(calls) == 1:
            return x.sin().exp()
        return options["again"](x)

    x = t.randn(3, requires_grad=True)
    y = t.utils.checkpoint.checkpoint(
        run, x, use_reentrant=False, early_stop=options.get("early", True),
        determinism_check=options.get("check", "default"),
    )  # fmt: skip
    y.sum().backward()


CHANGES = {
    "fewer": {"again": lambda x: x.sin()},
    "more": {"again": lambda x: x.sin().exp().tanh(), "early": False},
    "shape": {"again": lambda x: x[:2].sin().exp()},
    "dtype": {"again": lambda x: x.double().sin().exp()},
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_found(name, torch, oracle):
    for t in (torch, oracle):
        with pytest.raises(t.utils.checkpoint.CheckpointError, match="torch.utils.checkpoint: "):
            changing(t, **CHANGES[name])


ERRORS = {
    "keywords": lambda t, c: c(t.sin, t.ones(1), use_reentrant=True, a=1),
    "contexts": lambda t, c: c(t.sin, t.ones(1), use_reentrant=True, context_fn=lambda: 1),
    "check": lambda t, c: c(t.sin, t.ones(1), use_reentrant=False, determinism_check="x"),
    "inside": lambda t, c: c(lambda: 1 / 0, use_reentrant=False),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, torch, oracle):
    same(lambda t: ERRORS[name](t, t.utils.checkpoint.checkpoint), torch, oracle)


def test_reentrant_backward_is_whole(torch, oracle):
    def program(t):
        x = t.ones(1, requires_grad=True)
        y = t.utils.checkpoint.checkpoint(t.sin, x, use_reentrant=True)
        t.autograd.grad(y, x)

    same(program, torch, oracle)


def test_overwritten_inputs_are_found(torch, oracle):
    def program(t):
        x = t.ones(2, requires_grad=True)
        a = x * 2
        y = t.utils.checkpoint.checkpoint(lambda a: a.sin().exp(), a, use_reentrant=False)
        with t.no_grad():
            a.add_(1)
        try:
            y.sum().backward()
        except RuntimeError as error:
            return str(error)[:60]

    same(program, torch, oracle)


def test_warnings(torch):
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed"):
        torch.utils.checkpoint.checkpoint(torch.sin, torch.ones(1, requires_grad=True))
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad"):
        torch.utils.checkpoint.checkpoint(torch.sin, torch.ones(1), use_reentrant=True)
