"""Pruning by every method, on top of each other, removed, and what is refused."""

from importlib import import_module

import pytest

from tests.both import same


def prune(t):
    return import_module(t.__name__ + ".nn.utils.prune")


WAYS = {
    "identity": lambda t, p, m: p.identity(m, "weight"),
    "random": lambda t, p, m: p.random_unstructured(m, "weight", 0.3),
    "l1": lambda t, p, m: p.l1_unstructured(m, "weight", 4),
    "l1 by scores": lambda t, p, m: p.l1_unstructured(m, "weight", 2, t.randn(4, 5)),
    "random rows": lambda t, p, m: p.random_structured(m, "weight", 2, 0),
    "norm": lambda t, p, m: p.ln_structured(m, "weight", 0.4, 2, -1),
    "norm of rows": lambda t, p, m: p.ln_structured(m, "weight", 1, float("inf"), 0),
    "mask": lambda t, p, m: p.custom_from_mask(m, "bias", t.tensor([1, 0, 1, 0])),
    "twice": lambda t, p, m: p.l1_unstructured(
        p.random_structured(m, "weight", 1, 1), "weight", 0.5
    ),
    "thrice": lambda t, p, m: p.ln_structured(
        p.l1_unstructured(p.identity(m, "weight"), "weight", 3), "weight", 1, 1, 0
    ),
    "nothing": lambda t, p, m: p.ln_structured(m, "weight", 0, 2, 0),
}


@pytest.mark.parametrize("name", WAYS)
def test_pruned(name, torch, oracle):
    def program(t):
        p, m = prune(t), t.nn.Linear(5, 4)
        WAYS[name](t, p, m)
        x = t.randn(2, 5)
        m(x).sum().backward()
        found = [repr(m), m.state_dict(), m.weight, [q.grad for q in m.parameters()]]
        found += [p.is_pruned(m), [type(h).__name__ for h in m._forward_pre_hooks.values()]]
        p.remove(m, "bias" if name == "mask" else "weight")
        return found, m.state_dict(), m(x), p.is_pruned(m)

    same(program, torch, oracle, order=1)


def test_global(torch, oracle):
    def program(t):
        p = prune(t)
        m = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Linear(4, 2))
        pairs = [(m[0], "weight"), (m[1], "weight"), (m[1], "bias")]
        p.global_unstructured(pairs, p.L1Unstructured, amount=0.4)
        p.global_unstructured(
            pairs, p.RandomUnstructured, importance_scores={pairs[0]: t.randn(4, 3)}, amount=2
        )
        return m.state_dict(), p.is_pruned(m)

    same(program, torch, oracle)


def test_method_by_itself(torch, oracle):
    def program(t):
        p = prune(t)
        container = p.PruningContainer()
        container._tensor_name = "temp"
        for method in (p.L1Unstructured(2), p.RandomStructured(1, dim=0)):
            method._tensor_name = "temp"
            container.add_pruning_method(method)
        x = t.randn(3, 4)
        mask = container.compute_mask(x, t.ones(3, 4))
        names = [type(m).__name__ for m in container]
        return mask, len(container), names, p.L1Unstructured(0.5).prune(x), container[0].amount

    same(program, torch, oracle)


ERRORS = {
    "amount": lambda t, p, m: p.l1_unstructured(m, "weight", -1),
    "fraction": lambda t, p, m: p.l1_unstructured(m, "weight", 1.5),
    "amount's type": lambda t, p, m: p.l1_unstructured(m, "weight", "1"),
    "too many": lambda t, p, m: p.l1_unstructured(m, "weight", 21),
    "vector": lambda t, p, m: p.ln_structured(m, "bias", 1, 2, 0),
    "dim": lambda t, p, m: p.ln_structured(m, "weight", 1, 2, 2),
    "mask": lambda t, p, m: p.custom_from_mask(m, "weight", t.ones(2)),
    "scores": lambda t, p, m: p.l1_unstructured(m, "weight", 1, t.ones(2)),
    "not pruned": lambda t, p, m: p.remove(m, "weight"),
    "global": lambda t, p, m: p.global_unstructured([(m, "weight")], p.LnStructured, amount=1, n=2),
    "global scores": lambda t, p, m: p.global_unstructured(
        [(m, "weight")], p.L1Unstructured, importance_scores=[1], amount=1
    ),
    "container": lambda t, p, m: p.PruningContainer().add_pruning_method(1),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name, torch, oracle):
    same(lambda t: ERRORS[name](t, prune(t), t.nn.Linear(5, 4)), torch, oracle)
