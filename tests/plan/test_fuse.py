"""Which nodes become one kernel: what is fused stays fused."""

import numpy as np
import pytest

from bital.base.stride import contiguous_strides
from bital.plan.fuse import Fusion, splits
from bital.plan.graph import Graph
from bital.plan.memory import Layout
from bital.plan.symbolic import Array, Namespace


class Build:
    """A graph by the words of arrays, and its groups."""

    def __init__(self):
        self.graph = Graph()
        self.xp = Namespace(self.graph)
        self.count = 0

    def input(self, *shape):
        node = self.graph.input(self.count, shape, "f32", contiguous_strides(shape))
        self.count += 1
        return Array(self.xp, node)

    def fusion(self, *results):
        nodes = [r.node for r in results]
        return Fusion(list(self.graph.table.values()), nodes, [])

    def kinds(self, *results):
        return [(g.kind, len(g.nodes)) for g in self.fusion(*results).groups]


@pytest.fixture
def build():
    return Build()


def test_a_chain_is_one_loop(build):
    x, y = build.input(6, 5), build.input(5)
    assert build.kinds(build.xp.exp(x * y + 1.0) / 2.0) == [("loop", 4)]


def test_what_follows_a_product_is_its_epilogue(build):
    x, w, b = build.input(6, 5), build.input(5, 4), build.input(4)
    assert build.kinds(build.xp.maximum(build.xp.matmul(x, w) + b, 0.0)) == [("product", 3)]


def test_a_matrix_is_swept_once_for_a_product_and_its_transpose(build):
    xp, x, v = build.xp, build.input(1000, 100), build.input(100)
    once = xp.matmul(x.T, xp.tanh(xp.matmul(x, v)))
    assert build.kinds(once) == [("sweep", 3)]
    twice = xp.matmul(x.T, xp.matmul(x, once) * xp.matmul(x, v))
    assert build.kinds(twice) == [("sweep", 3), ("sweep", 3)]
    small = build.input(10, 100)
    away = xp.matmul(small.T, xp.tanh(xp.matmul(small, v)))
    assert build.kinds(away) == [("product", 1), ("loop", 1), ("product", 1)]


def test_an_epilogue_reaches_through_a_reshape(build):
    x, w = build.input(6, 5), build.input(5, 4)
    out = build.xp.exp(build.xp.matmul(x, w).reshape(2, 3, 4))
    assert build.kinds(out) == [("product", 2)]


def test_a_reduction_of_what_is_seen_through_memory_is_a_loop_of_its_own(build):
    x = build.input(6, 128)
    turned = build.xp.exp(x)[:, ::-1]
    assert build.kinds(build.xp.max(turned, axis=1)) == [("loop", 1), ("loop", 1)]


def test_softmax_is_one_loop_of_phases(build):
    xp, x = build.xp, build.input(6, 128)
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    out = e / xp.sum(e, axis=1, keepdims=True)
    (group,) = build.fusion(out).groups
    assert group.reduced == (1,) and max(group.phase.values()) == 2
    # what is dear to compute is kept for the next phase
    assert [n.attrs[0] for n in group.stored] == ["exp", "div"]


def test_short_rows_are_not_stored_between_phases(build):
    xp, x = build.xp, build.input(6, 40)
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    (group,) = build.fusion(e / xp.sum(e, axis=1, keepdims=True)).groups
    assert [n.attrs[0] for n in group.stored] == ["div"]


def test_an_update_is_one_loop(build):
    p, m, v, g = [build.input(30, 20) for _ in range(4)]
    mean = m * 0.9 + g * 0.1
    square = v * 0.99 + g * g * 0.01
    new = p * 0.999 - mean / (build.xp.sqrt(square) + 1e-8)
    groups = build.fusion(mean, square, new).groups
    assert len(groups) == 1 and len(groups[0].stored) == 3


def test_reductions_over_other_axes_stand_apart(build):
    x = build.input(40, 30)
    groups = build.fusion(x.sum(axis=0), x.sum(axis=1)).groups
    assert [g.reduced for g in groups] == [(0,), (1,)]


def test_what_shares_a_number_only_stands_apart(build):
    a, b, c = build.input(30), build.input(30), build.input()
    assert build.kinds(a * c, b * c) == [("loop", 1), ("loop", 1)]


@pytest.mark.parametrize(
    "shape, axes, expected",
    [((1000,), (0,), False), ((100_000,), (0,), True), ((400, 300), (1,), False),
     ((100_000, 10), (0,), True), ((1000, 1000), (0,), False), ((2, 100_000), (1,), True)],
)  # fmt: skip
def test_reductions_to_little_are_split(shape, axes, expected):
    assert splits(shape, axes) is expected


def test_a_result_takes_the_place_of_an_input_that_dies(build):
    w, x = build.input(8, 8), build.input(8, 8)
    out = build.xp.matmul(x, x) + w
    fusion = build.fusion(out)
    assert Layout(fusion, (True, False)).over == {out.node: 0}
    assert Layout(fusion, (False, False)).over == {}


def test_nothing_is_overwritten_that_is_still_read(build):
    w, x = build.input(8, 8), build.input(8, 8)
    product = build.xp.matmul(x, w)  # reads rows of w that the sum would have overwritten
    total = product + w
    assert Layout(build.fusion(total), (True, False)).over == {}


def test_who_overwrites_comes_after_who_reads(build):
    w, x = build.input(8, 8), build.input(8, 8)
    new = w - build.xp.matmul(x, x)
    old = build.xp.matmul(w, x)
    layout = Layout(build.fusion(new, old), (True, False))
    assert layout.over == {new.node: 0}
    last = layout.order[-1]
    assert new.node in last.nodes and old.node not in last.nodes


def test_equal_nodes_are_one(build):
    x = build.input(3, 4)
    xp = build.xp
    assert xp.exp(x * 2.0).node is xp.exp(x * np.float32(2)).node
    assert (x * 0.0).node is not (x * -0.0).node


def test_reductions_go_past_a_reshape(build):
    x, w = build.input(6, 5), build.input(5, 4)
    p = build.xp.matmul(x, w).reshape(2, 3, 4)
    total = p.sum(axis=(0, 1))
    assert total.node.inputs[0].attrs == ("sum", (0,))  # over the product's six rows
    half = p.sum(axis=0)  # every third of them: no axis of the product's
    assert half.node.inputs[0].inputs[0].word == "reshape"


def test_softmax_of_a_reshaped_product_is_one_loop(build):
    xp, x = build.xp, build.input(6, 5)
    p = xp.matmul(x, build.input(5, 40)).reshape(2, 3, 40)
    e = xp.exp(p - xp.max(p, axis=2, keepdims=True))
    groups = build.fusion(e / xp.sum(e, axis=2, keepdims=True)).groups
    assert [(g.kind, g.domain) for g in groups] == [("product", (6, 40)), ("loop", (6, 40))]


def test_what_is_in_memory_anyway_is_read_by_who_needs_it(build):
    xp, c, r = build.xp, build.input(96, 64), build.input(96, 1)
    g = xp.matmul(build.input(96, 8), build.input(8, 64))
    scaled = g * build.input(64)
    along = (scaled * c).sum(axis=1, keepdims=True)
    out = (scaled - c * along - scaled.sum(axis=1, keepdims=True)) * r
    bias, weight = g.sum(axis=0), (g * c * r).sum(axis=0)
    groups = build.fusion(out, bias, weight).groups
    # the product alone, since sums read it; both sums of rows and the result; both of columns
    assert [(g.kind, g.reduced, len(g.stored)) for g in groups] == [
        ("product", None, 1), ("loop", (1,), 1), ("loop", (0,), 2)
    ]  # fmt: skip


def test_an_epilogue_that_a_product_needs_stays_one(build):
    xp, x = build.xp, build.input(6, 5)
    h = xp.maximum(xp.matmul(x, build.input(5, 40)), 0.0)
    groups = build.fusion(h.sum(axis=1), xp.matmul(h, build.input(40, 3))).groups
    assert [(g.kind, len(g.nodes)) for g in groups] == [
        ("product", 2), ("loop", 1), ("product", 1)
    ]  # fmt: skip


def test_what_becomes_of_a_sum_that_is_kept_joins_it(build):
    xp, g, moment = build.xp, build.input(64, 40), build.input(40)
    slope = g.sum(axis=0)
    moment = moment * 0.9 + slope * 0.1
    assert build.kinds(slope, moment, build.input(40) - xp.sqrt(moment)) == [("loop", 6)]


def test_heads_side_by_side_are_written_by_their_product(build):
    shares, values = build.input(2, 3, 8, 8), build.input(2, 3, 8, 16)
    beside = build.xp.matmul(shares, values).swapaxes(1, 2).reshape(16, 48)
    (group,) = build.fusion(beside * 2.0).groups[:1]
    assert group.kind == "product" and group.places[group.nodes[-1]] == (0, 2, 1, 3)
    turned = build.xp.matmul(shares, values).swapaxes(2, 3).reshape(32, 24)
    # columns would be scattered
    assert build.kinds(turned) == [("product", 1), ("loop", 1)]


def test_parts_of_a_concatenation_are_computed_in_its_memory(build):
    xp, x = build.xp, build.input(6, 40)
    whole = xp.concatenate([xp.matmul(x, build.input(40, 32)), x * 2.0, x[:, :3] + 1.0], axis=1)
    fusion = build.fusion(whole)
    homes = {n.shape: h.attrs for g in fusion.groups for n, h in g.homes.items()}
    # rows of three stay apart: vectors of them would be idle
    assert homes == {(6, 32): ((75, 1), 0), (6, 40): ((75, 1), 32)}
    norms = [build.input(5).sum() for _ in range(3)]
    fusion = build.fusion(xp.stack(norms))
    assert [len(g.homes) for g in fusion.groups] == [1, 1, 1, 3]


def test_a_part_that_others_read_has_memory_of_its_own(build):
    xp, x = build.xp, build.input(6, 40)
    a, b = xp.exp(x), xp.matmul(x, build.input(40, 40))
    whole = xp.concatenate([a, b, b], axis=0)
    fusion = build.fusion(whole, xp.matmul(a, build.input(40, 3)))
    assert not any(g.homes for g in fusion.groups)


def test_memory_of_a_concatenation_lasts_from_its_first_part_on(build):
    xp, x = build.xp, build.input(64, 64)
    first = xp.exp(x)
    other = xp.matmul(xp.matmul(x, build.input(64, 64)), build.input(64, 64))
    layout = Layout(build.fusion(xp.matmul(xp.concatenate([first, other]), x)), (False,) * 3)
    layout.place(lambda group: [])
    spans = sorted((at, at + n.nbytes) for n, at in layout.offsets.items())
    assert len(spans) == 2  # the whole and the first product
    assert all(end <= begin for (_, end), (begin, _) in zip(spans, spans[1:]))
