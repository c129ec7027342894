"""Indexing: everything that may stand between [ and ], read and assigned."""

import numpy as np

from tests.parity.case import Family, f, i

READS = {
    "integer": lambda T, x: x[1],
    "negative integer": lambda T, x: x[-1],
    "two integers": lambda T, x: x[1, 2],
    "three integers": lambda T, x: x[1, 2, 0],
    "slice": lambda T, x: x[1:],
    "slice of second": lambda T, x: x[:, 1:3],
    "step": lambda T, x: x[::2],
    "step second": lambda T, x: x[:, 1::2],
    "negative bounds": lambda T, x: x[-2:, :-1],
    "beyond the end": lambda T, x: x[1:99],
    "nothing left": lambda T, x: x[2:1],
    "None": lambda T, x: x[None],
    "None inside": lambda T, x: x[:, None, 1],
    "ellipsis": lambda T, x: x[..., 0],
    "ellipsis inside": lambda T, x: x[0, ..., 1],
    "ellipsis alone": lambda T, x: x[...],
    "empty tuple": lambda T, x: x[()],
    "True": lambda T, x: x[True],
    "False": lambda T, x: x[False],
    "list": lambda T, x: x[[0, 2]],
    "list second": lambda T, x: x[:, [0, 2]],
    "repeated": lambda T, x: x[[0, 0, 1]],
    "negative list": lambda T, x: x[[-1, 0]],
    "tensor": lambda T, x: x[T.tensor([2, 0])],
    "int32 tensor": lambda T, x: x[T.tensor([2, 0], dtype=T.int32)],
    "uint8 mask": lambda T, x: x[T.tensor([1, 0, 1], dtype=T.bool)],
    "tensor matrix": lambda T, x: x[T.tensor([[0, 1], [2, 0]])],
    "0-d tensor": lambda T, x: x[T.tensor(1)],
    "two tensors": lambda T, x: x[T.tensor([0, 2]), T.tensor([1, 3])],
    "two tensors broadcast": lambda T, x: x[T.tensor([[0], [2]]), T.tensor([1, 3])],
    "three tensors": lambda T, x: x[T.tensor([0, 2]), T.tensor([1, 3]), T.tensor([1, 0])],
    "tensor and integer": lambda T, x: x[T.tensor([0, 2]), 1],
    "integer and tensor": lambda T, x: x[1, T.tensor([0, 2])],
    "tensor and slice": lambda T, x: x[T.tensor([0, 2]), 1:3],
    "slice and tensor": lambda T, x: x[1:, T.tensor([0, 2])],
    "tensor slice tensor": lambda T, x: x[T.tensor([0, 2]), :, T.tensor([1, 0])],
    "slice tensor slice": lambda T, x: x[:2, T.tensor([3, 1]), :1],
    "tensor and None": lambda T, x: x[T.tensor([0, 2]), None],
    "ellipsis and tensor": lambda T, x: x[..., T.tensor([1, 0])],
    "list and list": lambda T, x: x[[0, 1], [2, 3]],
    "range": lambda T, x: x[range(2)],
    "mask": lambda T, x: x[x > 0],
    "mask of rows": lambda T, x: x[T.tensor([True, False, True])],
    "mask of two axes": lambda T, x: x[x[:, :, 0] > 0],
    "mask of second axis": lambda T, x: x[:, T.tensor([True, False, True, True])],
    "mask and integer": lambda T, x: x[T.tensor([True, False, True]), 1],
    "mask and tensor": lambda T, x: x[T.tensor([True, False, True]), T.tensor([1, 2])],
    "mask of nothing": lambda T, x: x[x > 99],
    "0-d mask": lambda T, x: x[T.tensor(True)],
    "list of bools": lambda T, x: x[[True, False, True]],
    "empty list": lambda T, x: x[[]],
    "empty tensor": lambda T, x: x[T.tensor([], dtype=T.int64)],
    "numpy integer": lambda T, x: x[np.int64(1)],
    "numpy array": lambda T, x: x[np.array([0, 2])],
    "slice by tensors": lambda T, x: x[T.tensor(0) : T.tensor(2)],
    "chained": lambda T, x: x[1:][:, 2][0],
    "arange pairs": lambda T, x: x[T.arange(3), T.arange(3)],
    "after transpose": lambda T, x: x.transpose(0, 2)[1, 1:],
    "after transpose by tensor": lambda T, x: x.transpose(0, 2)[T.tensor([1, 0])],
    "stack of integers": lambda T, x: T.stack([x[n, n] for n in range(3)]),
}


read = Family("index-read", {"exact": True})
for name, call in READS.items():
    read(name, call, f(3, 4, 2))
read("integers of a table", lambda T, x, n: x[n], i(5, 2), i(4, low=0, high=5))
read("of a scalar", lambda T, x: [x[None], x[...], x[()]], f())
read("of a vector", lambda T, x: [x[0], x[-1], x[1:3], x[::2], x[[0, 1]], x[x > 0]], f(6))
for kind in ("float64", "bfloat16", "bool", "int64"):
    read(
        f"of {kind}",
        lambda T, x: [x[1], x[:, 1], x[[0, 1]], x[T.tensor([True, False, True])]],
        f(3, 4),
        dtypes=(kind,),
    )

assign = Family("index-assign")


def write(index, value):
    """A case that assigns and returns the changed tensor and its version."""

    def call(T, x, *rest):
        y = x * 1
        y[index(T, y)] = value(T, *rest)
        return [y, y._version]

    return call


INDICES = {
    "integer": (lambda T, y: 1, (4, 2)),
    "negative": (lambda T, y: -1, (4, 2)),
    "pair": (lambda T, y: (1, 2), (2,)),
    "element": (lambda T, y: (1, 2, 0), ()),
    "slice": (lambda T, y: slice(1, None), (2, 4, 2)),
    "column": (lambda T, y: (slice(None), 1), (3, 2)),
    "step": (lambda T, y: (slice(None), slice(None, None, 2)), (3, 2, 2)),
    "ellipsis": (lambda T, y: (..., 0), (3, 4)),
    "everything": (lambda T, y: ..., (3, 4, 2)),
    "None": (lambda T, y: (None, 1), (1, 4, 2)),
    "list": (lambda T, y: [0, 2], (2, 4, 2)),
    "tensor": (lambda T, y: T.tensor([2, 0]), (2, 4, 2)),
    "two tensors": (lambda T, y: (T.tensor([0, 2]), T.tensor([1, 3])), (2, 2)),
    "slice and tensor": (lambda T, y: (slice(None), T.tensor([3, 1])), (3, 2, 2)),
    "tensor slice tensor": (lambda T, y: (T.tensor([0, 2]), slice(None), T.tensor([1, 0])), (2, 4)),
    "mask of rows": (lambda T, y: T.tensor([True, False, True]), (2, 4, 2)),
    "nothing": (lambda T, y: slice(2, 1), (0, 4, 2)),
    "True": (lambda T, y: True, (3, 4, 2)),
}
for name, (index, shape) in INDICES.items():
    assign(f"{name} tensor", write(index, lambda T, v: v), f(3, 4, 2), f(*shape))
    assign(f"{name} number", write(index, lambda T: 2.5), f(3, 4, 2))
    assign(f"{name} broadcast", write(index, lambda T, v: v), f(3, 4, 2), f())
assign("mask number", lambda T, x: write(lambda T, y: y > 0, lambda T: 0.0)(T, x), f(3, 4))
assign(
    "mask values",
    lambda T, x, v: write(lambda T, y: T.tensor([[True, False], [True, True]]), lambda T, v: v)(
        T, x, v
    ),
    f(2, 2),
    f(3),
)
assign("integer into float", write(lambda T, y: 0, lambda T: 3), f(3, 4))
assign("float into integer", write(lambda T, y: 0, lambda T: 3.9), i(3))
assign(
    "tensor of another dtype", write(lambda T, y: 0, lambda T, v: v), f(3, 4), f(4, dtype="float64")
)
assign("integer tensor into float", write(lambda T, y: slice(0, 2), lambda T, v: v), f(3), i(2))
assign("longer value with ones", write(lambda T, y: 0, lambda T, v: v), f(3, 4), f(1, 1, 4))
assign("bool into bool", write(lambda T, y: 0, lambda T: True), i(3))
assign("swap rows", lambda T, x: _swap(x * 1), f(3, 4))
assign("rows from a list index of itself", lambda T, x: _permute(T, x * 1), f(3, 4))
assign("operator on a slice", lambda T, x: _operate(x * 1), f(3, 4))
assign("fill by loop", lambda T, x: _loop(T, x), f(4))
assign("into zeros makes them tracked", lambda T, x: _tracked(T, x), f(3))
assign(
    "detached row",
    lambda T, x: write(lambda T, y: 0, lambda T, v: v.detach())(T, x, x[1]),
    f(3, 4),
    differences=False,
)


def _swap(y):
    y[0], y[1] = y[1].clone(), y[0].clone()
    return y


def _permute(T, y):
    y[[0, 1, 2]] = y[[2, 0, 1]]
    return y


def _operate(y):
    y[1] += 2
    y[:, 1] *= 3
    y[y > 1] -= 1
    y[[0, 2]] /= 2
    return [y, y._version]


def _loop(T, x):
    out = T.zeros(4, dtype=x.dtype)
    for n in range(4):
        out[n] = x[n] * n
    return out


def _tracked(T, x):
    out = T.zeros(3, 3, dtype=x.dtype)
    out[1] = x
    return [out, out.requires_grad, out.is_leaf]
