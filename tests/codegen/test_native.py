"""What of a plan is compiled, and what is left to NumPy."""

import pytest

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")

from bital.base.stride import contiguous_strides
from bital.codegen.generate import prefers_library
from bital.plan.graph import Graph


def product(*shapes, kind="f32"):
    graph = Graph()
    return graph.product(
        *[graph.input(k, s, kind, contiguous_strides(s)) for k, s in enumerate(shapes)]
    )


@pytest.mark.parametrize(
    "a, b, kind, library",
    [((64, 784), (784, 256), "f32", False), ((2000, 2000), (2000, 2000), "f32", True),
     ((1000, 1000), (1000, 1000), "f64", True), ((4, 512, 512), (4, 512, 512), "f32", False),
     ((100_000, 100), (100, 100), "f32", False)],
)  # fmt: skip
def test_only_large_products_go_to_the_library(a, b, kind, library):
    assert prefers_library(product(a, b, kind=kind)) is library
