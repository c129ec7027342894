"""The graph of an ONNX file while it is recorded, and the file made of it.

Values are numbered. A graph is recorded again for each dynamic axis, with another size of that one:
it must have the same nodes, and where the sizes that stand in it differ, they are computed from
the inputs' shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bital.base import dtype as dtypes
from bital.base.dtype import dtype

#: ONNX's numbers of element types
ELEMENT = {
    dtypes.float32: 1, dtypes.uint8: 2, dtypes.int8: 3, dtypes.uint16: 4, dtypes.int16: 5,
    dtypes.int32: 6, dtypes.int64: 7, dtypes.bool_: 9, dtypes.float16: 10, dtypes.float64: 11,
    dtypes.uint32: 12, dtypes.uint64: 13, dtypes.complex64: 14, dtypes.complex128: 15,
    dtypes.bfloat16: 16,
}  # fmt: skip


class Value(NamedTuple):
    """A value of the graph: an input or a node's result."""

    number: int


class Sizes(NamedTuple):
    """Sizes that a node takes as an input: integers, which may depend on the inputs' shapes."""

    numbers: tuple[int, ...]


class Constant(NamedTuple):
    """Numbers that stand in the graph; `name` is a parameter's, or "" for the graph's own."""

    key: Any
    array: np.ndarray
    kind: dtype
    name: str


class Node(NamedTuple):
    """One operator of ONNX: inputs are Values, Sizes, Constants, or None where one is left out."""

    kind: str
    inputs: tuple[Any, ...]
    outputs: tuple[Value, ...]
    attributes: dict[str, Any]


class Graph:
    """Nodes in order; `inputs` and `outputs` are lists of (name, value, dtype, shape)."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.inputs: list[tuple[str, Value, dtype, tuple[int, ...]]] = []
        self.outputs: list[tuple[str, Any, dtype, tuple[int, ...]]] = []
        self._values = 0

    def value(self) -> Value:
        """A new value."""
        self._values += 1
        return Value(self._values - 1)

    def add(self, kind: str, inputs: Iterable[Any], results: int, attributes: dict) -> Any:
        """Append a node; its value, or a tuple of them where it has several."""
        outputs = tuple([self.value() for _ in range(results)])
        self.nodes.append(Node(kind, tuple(inputs), outputs, attributes))
        return outputs[0] if results == 1 else outputs


class Axis(NamedTuple):
    """A dynamic axis: its name, the input it is read from, and two sizes to record it with."""

    name: str
    input: int
    axis: int
    first: int
    second: int


class Differs(Exception):
    """The recordings differ in more than sizes."""


class Term(NamedTuple):
    """factor * the product of the axes' sizes."""

    factor: int
    axes: tuple[Axis, ...]


def terms(first: int, others: Sequence[int], axes: Sequence[Axis]) -> tuple[list[Term], int]:
    """A size as a sum of terms and a number, from what it is when one axis changes at a time.

    `others` holds the size for each axis changed. Several axes are multiplied where that explains
    all sizes, else added. Raises Differs where neither does.
    """
    changed = [(axis, n) for axis, n in zip(axes, others) if n != first]
    if len(changed) > 1:
        product = math.prod(axis.first for axis, _ in changed)
        factor = first // product if product else 0
        if all(n * axis.first == factor * product * axis.second for axis, n in changed):
            if factor * product == first:
                return [Term(factor, tuple(axis for axis, _ in changed))], 0
    found = []
    for axis, n in changed:
        factor, rest = divmod(n - first, axis.second - axis.first)
        if rest:
            raise Differs(f"a size that is {first} here is no multiple of {axis.name!r}")
        found.append(Term(factor, (axis,)))
        first -= factor * axis.first
    return found, first


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


class Builder:
    """Makes the ONNX model of a graph; `others` are its recordings with each of `axes` changed."""

    def __init__(self, graph: Graph, others: Sequence[Graph], axes: Sequence[Axis]) -> None:
        import onnx

        self.onnx = onnx
        self.graph, self.others, self.axes = graph, others, axes
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.names: dict[Value, str] = {}
        self.constants: dict[Any, str] = {}
        self.taken: set[str] = {name for name, *_ in (*graph.inputs, *graph.outputs)}
        self.sizes: dict[Any, str] = {}

    def model(self, name: str, opset: int, producer: str, version: str) -> Any:
        """The model's protocol buffer."""
        helper = self.onnx.helper
        for input_name, value, _, _ in self.graph.inputs:
            self.names[value] = input_name
        for output_name, value, _, _ in self.graph.outputs:
            if isinstance(value, Value) and value not in self.names:
                self.names[value] = output_name
        if any(len(other.nodes) != len(self.graph.nodes) for other in self.others):
            raise Differs("the program runs other operators for other sizes")
        for k, node in enumerate(self.graph.nodes):
            self._node(node, [other.nodes[k] for other in self.others])
        for k, (output_name, value, _, _) in enumerate(self.graph.outputs):
            source = self._input(value, [other.outputs[k][1] for other in self.others], False)
            if source != output_name:
                self.nodes.append(helper.make_node("Identity", [source], [output_name]))
        graph = helper.make_graph(
            self.nodes, name, self._infos("inputs"), self._infos("outputs"),
            list(self.initializers.values()),
        )  # fmt: skip
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", opset)],
            producer_name=producer,
            producer_version=version,
            ir_version=min(10, self.onnx.IR_VERSION),
        )
        self.onnx.checker.check_model(model)
        return model

    def _infos(self, which: str) -> list[Any]:
        """The names, dtypes and shapes of inputs or outputs; dynamic sizes by their names."""
        infos = []
        for k, (name, _, kind, shape) in enumerate(getattr(self.graph, which)):
            shapes = [getattr(other, which)[k][3] for other in self.others]
            if any(len(other) != len(shape) for other in shapes):
                raise Differs("the program returns tensors of other ranks for other sizes")
            dims: list[Any] = list(shape)
            for axis, size in enumerate(shape):
                sizes = [other[axis] for other in shapes]
                if any(n != size for n in sizes):
                    found, addend = terms(size, sizes, self.axes)
                    plain = not addend and found == [Term(1, found[0].axes[:1])]
                    dims[axis] = found[0].axes[0].name if plain else f"{name}_{axis}"
            infos.append(self.onnx.helper.make_tensor_value_info(name, ELEMENT[kind], dims))
        return infos

    def _fresh(self, wanted: str) -> str:
        name, k = wanted, 0
        while name in self.taken or name in self.initializers:
            k += 1
            name = f"{wanted}_{k}"
        self.taken.add(name)
        return name

    def _node(self, node: Node, others: Sequence[Node]) -> None:
        for other in others:
            same = node.kind == other.kind and node.attributes == other.attributes
            if not same or len(node.inputs) != len(other.inputs):
                raise Differs("the program runs other operators for other sizes")
        inferred = node.kind == "Reshape"
        inputs = [
            self._input(ref, [other.inputs[k] for other in others], inferred)
            for k, ref in enumerate(node.inputs)
        ]
        while inputs and not inputs[-1]:
            inputs.pop()
        for value in node.outputs:
            if value not in self.names:
                self.names[value] = self._fresh(f"{node.kind.lower()}_{value.number}")
        self._append(node.kind, inputs, [self.names[v] for v in node.outputs], node.attributes)

    def _append(self, kind: str, inputs: list[str], outputs: list[str], attributes: dict) -> None:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, outputs, name, **attributes))

    def _input(self, ref: Any, others: Sequence[Any], inferred: bool) -> str:
        """The name of a node's input."""
        if ref is None:
            return ""
        if isinstance(ref, Value):
            if any(ref != other for other in others):
                raise Differs("the program runs other operators for other sizes")
            return self.names[ref]
        if isinstance(ref, Constant):
            arrays = [other.array for other in others]
            if all(_equal(ref.array, array) for array in arrays):
                return self._constant(ref)
            return self._changing(ref, arrays)
        return self._sizes(ref.numbers, tuple(other.numbers for other in others), inferred)

    def _changing(self, ref: Constant, arrays: Sequence[np.ndarray]) -> str:
        """Numbers whose shape depends on the inputs': all the same, or counted in equal steps."""
        every = [ref.array, *arrays]
        if any(a.ndim != ref.array.ndim or not a.size for a in every):
            raise Differs("numbers that stand in the graph depend on the sizes")
        sizes = self._sizes(ref.array.shape, tuple(a.shape for a in arrays), False)
        first = ref.array.reshape(-1)[0]
        if all(_equal(a, np.full_like(a, first)) for a in every):
            number = Constant(("uniform", ref.kind, first.tobytes()), first, ref.kind, "")
            return self._add("Expand", [self._constant(number), sizes], "constant")
        longest = max(every, key=lambda a: a.size)
        step = int(longest[1] - first) if ref.array.ndim == 1 and ref.kind is dtypes.int64 else 0
        if not step or not all(_equal(a, first + step * np.arange(a.size)) for a in every):
            raise Differs("numbers that stand in the graph depend on the sizes")
        limit = self._add("Squeeze", [sizes], "size")
        counted = self._add("Range", [self._scalar(0), limit, self._scalar(1)], "range")
        scaled = self._add("Mul", [counted, self._scalar(step)], "range")
        return self._add("Add", [scaled, self._scalar(int(first))], "range")

    def _scalar(self, n: int) -> str:
        return self._constant(Constant(("scalar", n), np.array(n, np.int64), dtypes.int64, ""))

    def _constant(self, ref: Constant) -> str:
        known = self.constants.get(ref.key)
        if known is None:
            known = self.constants[ref.key] = self._fresh(ref.name or "constant")
            made = self.initializers[known] = self.onnx.TensorProto()
            made.name, made.data_type = known, ELEMENT[ref.kind]
            made.dims.extend(ref.array.shape)
            made.raw_data = np.ascontiguousarray(ref.array).tobytes()
        return known

    def _numbers(self, numbers: Sequence[int]) -> str:
        key = ("sizes", tuple(numbers))
        return self._constant(Constant(key, np.array(numbers, np.int64), dtypes.int64, ""))

    def _sizes(self, sizes: tuple[int, ...], others: tuple[Any, ...], inferred: bool) -> str:
        """The name of a vector of sizes, computed where they differ between the recordings."""
        if any(len(other) != len(sizes) for other in others):
            raise Differs("the program takes other numbers of sizes for other sizes")
        key = (sizes, others, inferred)
        if key not in self.sizes:
            self.sizes[key] = self._size_vector(sizes, others, inferred)
        return self.sizes[key]

    def _size_vector(self, sizes: tuple[int, ...], others: tuple[Any, ...], inferred: bool) -> str:
        columns = [[other[k] for other in others] for k in range(len(sizes))]
        changed = [k for k, n in enumerate(sizes) if any(m != n for m in columns[k])]
        if not changed:
            return self._numbers(sizes)
        if inferred and len(changed) == 1 and 0 not in sizes:
            return self._numbers([-1 if k in changed else n for k, n in enumerate(sizes)])
        parts = []
        for k, n in enumerate(sizes):
            parts.append(self._size(n, columns[k]) if k in changed else self._numbers([n]))
        return self._add("Concat", parts, "sizes", axis=0) if len(parts) > 1 else parts[0]

    def _size(self, size: int, others: list[int]) -> str:
        """One size, as a vector of one number, computed from the inputs' shapes."""
        found, addend = terms(size, others, self.axes)
        total = ""
        for factor, axes in found:
            part = self._numbers([factor])
            for n, axis in enumerate(axes):
                length = self._length(axis)
                part = length if not n and factor == 1 else self._add("Mul", [part, length], "size")
            total = self._add("Add", [total, part], "size") if total else part
        return self._add("Add", [total, self._numbers([addend])], "size") if addend else total

    def _length(self, axis: Axis) -> str:
        """The size of a dynamic axis."""
        if axis not in self.sizes:
            source = self.graph.inputs[axis.input][0]
            shape = self._add("Shape", [source], f"{source}_shape")
            where = self._numbers([axis.axis])
            self.sizes[axis] = self._add("Gather", [shape, where], f"{axis.name}_size")
        return self.sizes[axis]

    def _add(self, kind: str, inputs: list[str], wanted: str, **attributes: Any) -> str:
        name = self._fresh(wanted)
        self._append(kind, inputs, [name], attributes)
        return name
