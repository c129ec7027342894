"""Collating and converting: which type and dtype comes of what."""

from collections import OrderedDict, defaultdict, namedtuple
from types import MappingProxyType

import numpy as np
import pytest

Point = namedtuple("Point", ["x", "y"])


class Row(list):
    """A sequence with something of its own."""


BATCHES = [
    [1, 2, 3],
    [True, False],
    [1.5, 2.5],
    ["a", "b"],
    [b"a", b"b"],
    [np.float32(1), np.float32(2)],
    [np.int16(1), np.int16(2)],
    [np.bool_(True), np.bool_(False)],
    [np.arange(3), np.arange(3)],
    [np.float16(0.5), np.float16(2)],
    [np.array(1.5), np.array(2.5)],
    [(1, 2.0), (3, 4.0)],
    [[1, 2.0], [3, 4.0]],
    [Row([1, 2]), Row([3, 4])],
    [Point(1, 2.0), Point(3, 4.0)],
    [range(3), range(3)],
    [{"a": 1, "b": [2.0, "x"]}, {"a": 3, "b": [4.0, "y"]}],
    [OrderedDict(a=1, b=2), OrderedDict(a=3, b=4)],
    [defaultdict(int, a=1), defaultdict(int, a=2)],
    [MappingProxyType({"a": 1}), MappingProxyType({"a": 2})],
    [((1, (2, 3)), 4), ((5, (6, 7)), 8)],
    [[], []],
]

BAD_BATCHES = [
    [None, None],
    [{1, 2}, {3, 4}],
    [1j, 2j],
    [object],
    [np.array(["a"]), np.array(["b"])],
    [[1, 2], [3]],
    [(1, 2), (3,)],
    [np.arange(2), np.arange(3)],
    [],
]


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_collate(same, batch):
    same(lambda torch: torch.utils.data.default_collate(batch))


@pytest.mark.parametrize("batch", BAD_BATCHES, ids=str)
def test_collate_refuses(same, batch):
    kind_and_text, _ = same(lambda torch: torch.utils.data.default_collate(batch))
    assert kind_and_text[0].endswith("Error")


def test_collate_tensors(same):
    def case(torch):
        collate = torch.utils.data.default_collate
        rows = torch.arange(6, dtype=torch.int16).reshape(3, 2)
        return (
            collate(list(rows)),
            collate([(row, torch.tensor(2.5)) for row in rows]),
            collate([{"x": row} for row in rows]),
            collate([torch.zeros(0), torch.zeros(0)]),
        )

    same(case)


def test_collate_refuses_tensors_of_different_sizes(torch):
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        torch.utils.data.default_collate([torch.zeros(2), torch.zeros(3)])


def test_collate_keeps_gradients(torch):
    row = torch.ones(2, requires_grad=True)
    torch.utils.data.default_collate([row, row]).sum().backward()
    assert row.grad.tolist() == [2.0, 2.0]


def test_own_collate_function(same):
    """The table of functions can be extended, as libraries of data sets do."""

    def case(torch):
        module = torch.utils.data._utils.collate

        def add(batch, *, collate_fn_map=None):
            return sum(batch)

        table = {complex: add, **module.default_collate_fn_map}
        return module.collate([(1j, 1), (2j, 2)], collate_fn_map=table)

    same(case)


@pytest.mark.parametrize(
    "data",
    [
        3,
        "text",
        b"bytes",
        None,
        np.float32(2),
        np.str_("s"),
        np.arange(3),
        np.array(["a"]),
        (np.arange(2), 1),
        [np.arange(2), [np.int8(1)]],
        Point(np.arange(2), "y"),
        {"a": np.arange(2), "b": {"c": 1.5}},
        MappingProxyType({"a": np.arange(2)}),
        range(2),
        Row([np.arange(2)]),
    ],
    ids=str,
)
def test_convert(same, data):
    def case(torch):
        result = torch.utils.data.default_convert(data)
        return repr(result) if isinstance(result, np.ndarray) else result

    same(case)
