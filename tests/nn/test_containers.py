"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from collections import OrderedDict

import pytest

from tests.both import same


def seq(t):
    return t.nn.Sequential(t.nn.Linear(1, 2), t.nn.ReLU(), t.nn.Linear(2, 1))


def lst(t):
    return t.nn.ModuleList([t.nn.ReLU(), t.nn.ReLU(), seq(t), seq(t), t.nn.Tanh()])


def dct(t):
    return t.nn.ModuleDict({"b": t.nn.ReLU(), "a": t.nn.Tanh()})


def plist(t):
    return t.nn.ParameterList([t.zeros(2), t.nn.Parameter(t.ones(2, 3)), 3])


def pdict(t):
    return t.nn.ParameterDict({"b": t.zeros(2), "a": t.nn.Parameter(t.ones(())), "n": 3})


def after(make, *calls):
    """A program: make, change by each call, then show."""

    def program(t):
        m = make(t)
        results = [call(t, m) for call in calls]
        return repr(m), list(m.state_dict()), [repr(r) for r in results]

    return program


PROGRAMS = {
    "named": lambda t: t.nn.Sequential(OrderedDict(a=t.nn.ReLU(), b=t.nn.Tanh())),
    "slice": lambda t: seq(t)[1:],
    "index": lambda t: seq(t)[-1],
    "out of range": lambda t: seq(t)[3],
    "below range": lambda t: seq(t)[-4],
    "no index": lambda t: seq(t)["a"],
    "no module": lambda t: t.nn.Sequential(3),
    "plus": lambda t: seq(t) + seq(t),
    "plus number": lambda t: seq(t) + 3,
    "times": lambda t: 2 * seq(t),
    "times zero": lambda t: seq(t) * 0,
    "times float": lambda t: seq(t) * 1.5,
    "iadd": after(seq, lambda t, m: m.__iadd__(seq(t))),
    "imul": after(seq, lambda t, m: m.__imul__(2)),
    "append": after(seq, lambda t, m: m.append(t.nn.Tanh())),
    "insert": after(seq, lambda t, m: m.insert(1, t.nn.Tanh())),
    "insert at -1": after(seq, lambda t, m: m.insert(-1, t.nn.Tanh())),
    "insert far": lambda t: seq(t).insert(9, t.nn.Tanh()),
    "insert number": lambda t: seq(t).insert(0, 3),
    "extend": after(seq, lambda t, m: m.extend(seq(t))),
    "pop": after(seq, lambda t, m: m.pop(0)),
    "delete": after(seq, lambda t, m: m.__delitem__(0)),
    "delete slice": after(seq, lambda t, m: m.__delitem__(slice(0, 2))),
    "set": after(seq, lambda t, m: m.__setitem__(0, t.nn.Tanh())),
    "set far": lambda t: seq(t).__setitem__(5, t.nn.Tanh()),
    "set number": lambda t: seq(t).__setitem__(0, 3),
    "reversed": lambda t: [repr(m) for m in reversed(seq(t))],
    "list": after(lst),
    "list slice": lambda t: lst(t)[:2],
    "list plus": lambda t: lst(t) + [t.nn.Tanh()],
    "list number": lambda t: t.nn.ModuleList(3),
    "list of numbers": lambda t: t.nn.ModuleList([3]),
    "list insert": after(lst, lambda t, m: m.insert(1, t.nn.Tanh())),
    "list pop": after(lst, lambda t, m: m.pop(-1)),
    "list delete": after(lst, lambda t, m: m.__delitem__(0)),
    "list called": lambda t: lst(t)(1),
    "empty list": lambda t: t.nn.ModuleList([]),
    "dict": after(dct),
    "dict keys": lambda t: [list(dct(t)), len(dct(t)), "a" in dct(t), "z" in dct(t)],
    "dict pairs": lambda t: t.nn.ModuleDict([("x", t.nn.ReLU())]),
    "dict pop": after(dct, lambda t, m: m.pop("a")),
    "dict missing": lambda t: dct(t)["z"],
    "dict update": after(dct, lambda t, m: m.update({"a": t.nn.GELU(), "c": t.nn.ReLU()})),
    "dict number": lambda t: t.nn.ModuleDict(3),
    "dict of numbers": lambda t: t.nn.ModuleDict([3]),
    "dict of triples": lambda t: t.nn.ModuleDict([(1, 2, 3)]),
    "dict reserved": lambda t: t.nn.ModuleDict({"keys": t.nn.ReLU()}),
    "dict clear": after(dct, lambda t, m: m.clear()),
    "parameters": after(plist),
    "parameters list": lambda t: list(plist(t)),
    "parameters slice": lambda t: plist(t)[:1],
    "parameters append": after(plist, lambda t, m: m.append(t.ones(1))),
    "parameters set": after(plist, lambda t, m: m.__setitem__(0, t.ones(1))),
    "parameters tensor": lambda t: t.nn.ParameterList(t.zeros(2)),
    "parameters far": lambda t: plist(t)[5],
    "parameters called": lambda t: plist(t)(1),
    "parameter dict": after(pdict),
    "parameter dict items": lambda t: dict(pdict(t).items()),
    "parameter dict order": lambda t: list(t.nn.ParameterDict(OrderedDict(b=1, a=2))),
    "parameter dict or": lambda t: pdict(t) | {"z": t.ones(1)},
    "parameter dict ror": lambda t: {"z": 1} | t.nn.ParameterDict({"y": 2}),
    "parameter dict pop": after(pdict, lambda t, m: m.pop("a")),
    "parameter dict popitem": after(pdict, lambda t, m: m.popitem()),
    "parameter dict get": lambda t: [pdict(t).get("z"), pdict(t).get("n")],
    "parameter dict setdefault": after(pdict, lambda t, m: m.setdefault("z", t.ones(1))),
    "parameter dict fromkeys": lambda t: pdict(t).fromkeys(["x", "y"], 2),
    "parameter dict missing": lambda t: pdict(t)["z"],
    "parameter dict called": lambda t: pdict(t)(1),
    "parameter dict reversed": lambda t: list(reversed(pdict(t))),
    "parameter dict copy": lambda t: pdict(t).copy(),
    "parameter dict clear": after(pdict, lambda t, m: m.clear()),
    "parameter dict number": lambda t: pdict(t).update(3),
    "forward": lambda t: seq(t)(t.ones(3, 1)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_torch(name, torch, oracle):
    same(PROGRAMS[name], torch, oracle)
