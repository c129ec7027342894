"""Trees: taken apart, put together, compared, mapped, with paths."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

from bital.base import tree

Point = namedtuple("Point", "x y")
TREES = [
    5,
    None,
    (),
    (1, [2, {"a": 3, "b": None}]),
    Point(1, (2, 3)),
    OrderedDict(x=1, y=[2]),
    defaultdict(list, {"a": 1}),
    deque([1, 2], maxlen=3),
]


@pytest.mark.parametrize("x", TREES)
def test_there_and_back(x):
    leaves, spec = tree.tree_flatten(x)
    again = tree.tree_unflatten(leaves, spec)
    assert again == x and type(again) is type(x)
    assert spec.num_leaves == len(leaves)
    assert spec == tree.tree_structure(tree.tree_map(lambda _: 0, x))
    assert [leaf for _, leaf in tree.tree_flatten_with_path(x)[0]] == leaves
    assert all(tree.key_get(x, path) == leaf for path, leaf in tree.tree_leaves_with_path(x))


def test_text_is_pytorchs():
    leaves, spec = tree.tree_flatten((1, [2, {"a": 3}]))
    assert repr(spec) == (
        "TreeSpec(tuple, None, [*,\n  TreeSpec(list, None, [*,\n    TreeSpec(dict, ['a'], [*])])])"
    )
    assert tree.treespec_pprint(spec) == "(*, [*, {'a': *}])"
    path = tree.tree_leaves_with_path((1, [2, {"a": Point(3, 4)}]))[-1][0]
    assert tree.keystr(path) == "[1][1]['a'].y"


def test_maps():
    assert tree.tree_map(lambda a, b: a + b, (1, [2]), (3, [4])) == (4, [6])
    assert tree.tree_map(str, {"b": 1, "a": 2}) == {"b": "1", "a": "2"}
    # keys are found by name, whatever their order
    assert tree.tree_map(lambda a, b: (a, b), {"a": 1, "b": 2}, {"b": 3, "a": 4}) == {
        "a": (1, 4),
        "b": (2, 3),
    }
    assert tree.tree_map_only(int, lambda n: -n, [1, "x"]) == [-1, "x"]
    assert tree.tree_map_with_path(lambda p, n: (tree.keystr(p), n), [1]) == [("[0]", 1)]
    assert tree.tree_map(len, [(1, 2)], is_leaf=lambda x: isinstance(x, tuple)) == [2]
    assert tree.tree_any(lambda n: n > 1, [1, 2]) and not tree.tree_all(lambda n: n > 1, [1, 2])


@pytest.mark.parametrize(
    ("prefix", "found"),
    [(0, [0, 0, 0]), ((0, None), [0, 0, None]), ((0, None, 1), None), (([1, 2], 3), [1, 2, 3])],
)
def test_prefixes(prefix, found):
    assert tree.broadcast_prefix(prefix, tree.tree_structure(([1, 2], 3))) == found


def test_registered_classes():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    tree.register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda c, _: Pair(*c))
    try:
        made = tree.tree_map(lambda n: n + 1, Pair(1, [2]))
        assert (made.a, made.b) == (2, [3])
        with pytest.raises(ValueError, match="already registered"):
            tree.register_pytree_node(Pair, None, None)
    finally:
        del tree.SUPPORTED_NODES[Pair]


def test_refusals():
    spec = tree.tree_structure([1, 2])
    with pytest.raises(ValueError, match="has length 1"):
        tree.tree_unflatten([1], spec)
    with pytest.raises(ValueError, match="arity mismatch"):
        tree.tree_map(max, [1, 2], [1])
    with pytest.raises(ValueError, match="type mismatch"):
        tree.tree_map(max, [1, 2], (1, 2))
    with pytest.raises(ValueError, match="keys mismatch"):
        tree.tree_map(max, {"a": 1}, {"b": 1})
    with pytest.raises(TypeError, match="PyTreeSpec"):
        tree.tree_unflatten([1], 1)
