"""Rules of the ONNX export: views, joining and splitting, indexing, products."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.torch.onnx._table import made_of, node, unsupported

#: what stands for "to the end" in a slice
_END = (1 << 63) - 1


def _first(a: Any) -> Any:
    return next(iter(vars(a).values()))


@node("reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as",
      "ravel", "atleast_1d", "atleast_2d", "atleast_3d")  # fmt: skip
def _reshape(g: Any, a: Any, out: Any) -> Any:
    x = _first(a)
    if not isinstance(out, torch.Tensor) or out.dtype is not x.dtype:
        return unsupported("as another dtype")
    return g.op("Reshape", x, list(out.shape))


def _order(fn: Any, x: Any, *args: Any, **kwargs: Any) -> list[int]:
    """Where each axis of fn(x) comes from: `fn` tried on a tensor of unequal sizes."""
    probe = torch.empty(tuple(range(2, 2 + x.dim())))
    return [n - 2 for n in fn(probe, *args, **kwargs).shape]


def _permutation(fn: Any) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        given = list(vars(a).values())
        x, rest = given[0], given[1:]
        named = {}
        if "args" in vars(a):
            rest, named = list(a.args), {"dims": a.dims} if a.dims is not None else {}
        order = _order(fn, x, *rest, **named)
        return g.ref(x) if order == sorted(order) else g.op("Transpose", x, perm=order)

    return rule


for _name in (
    "transpose",
    "permute",
    "t",
    "movedim",
    "moveaxis",
    "swapaxes",
    "swapdims",
    "adjoint",
):
    node(_name)(_permutation(getattr(torch, _name)))
for _name in ("T", "mT"):
    node(_name)(_permutation(getattr(torch.Tensor, _name).fget))


@node("expand", "expand_as", "broadcast_to")
def _expand(g: Any, a: Any, out: Any) -> Any:
    return g.op("Expand", _first(a), list(out.shape))


@node("repeat", "tile")
def _repeat(g: Any, a: Any, out: Any) -> Any:
    x = _first(a)
    lead = out.dim() - x.dim()
    shape = [1] * lead + list(x.shape)
    got = g.op("Reshape", x, shape) if lead else x
    return g.op("Tile", got, [n // m if m else 1 for n, m in zip(out.shape, shape)])


@node("cat", "concat", "concatenate")
def _cat(g: Any, a: Any, out: Any) -> Any:
    dim = a.dim if getattr(a, "axis", None) is None else a.axis
    used = [t for t in a.tensors if t.shape != (0,)] or list(a.tensors)
    return g.op("Concat", *[g.cast(t, out.dtype) for t in used], axis=int(dim))


@made_of("stack")
def _stack(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Any:
    dim = dim if axis is None else axis
    dim = dim + tensors[0].dim() + 1 if dim < 0 else dim
    return torch.cat([torch.unsqueeze(t, dim) for t in tensors], dim)


@node("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split")
def _split(g: Any, a: Any, out: Any) -> Any:
    x, dim = _first(a), int(a.dim)
    sizes = [int(t.shape[dim]) for t in out]
    if len(out) == 1:
        return [g.ref(x)]
    return g.op("Split", x, sizes, results=len(out), axis=dim)


@node("unbind")
def _unbind(g: Any, a: Any, out: Any) -> Any:
    indices = [g.number(k, torch.int64) for k in range(len(out))]
    return [g.op("Gather", a.input, k, axis=int(a.dim)) for k in indices]


@node("select")
def _select(g: Any, a: Any, out: Any) -> Any:
    return g.op("Gather", a.input, g.number(int(a.index), torch.int64), axis=int(a.dim))


@node("narrow")
def _narrow(g: Any, a: Any, out: Any) -> Any:
    start, dim = int(a.start), int(a.dim)
    return g.op("Slice", a.input, [start], [start + int(a.length)], [dim])


@node("index_select")
def _index_select(g: Any, a: Any, out: Any) -> Any:
    return g.op("Gather", a.input, a.index, axis=int(a.dim))


@node("gather", "take_along_dim")
def _gather(g: Any, a: Any, out: Any) -> Any:
    index = getattr(a, "index", None)
    if index is None or a.dim is None:
        return unsupported("without a dimension")
    return g.op("GatherElements", a.input, index, axis=int(a.dim))


@node("flip")
def _flip(g: Any, a: Any, out: Any) -> Any:
    dims = a.dims if a.dims is not None else a.args
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = dims[0]
    axes = [int(d) for d in dims]
    n = len(axes)
    return g.op("Slice", a.input, [-1] * n, [-_END - 1] * n, axes, [-1] * n)


@made_of("roll")
def _roll(input: Any, shifts: Any, dims: Any = ()) -> Any:
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    dims = [dims] if isinstance(dims, int) else list(dims)
    if not dims:
        return torch.roll(torch.flatten(input), shifts, [0]).reshape(input.shape)
    for shift, dim in zip(shifts, dims):
        cut = input.shape[dim] - shift % input.shape[dim]
        a, b = torch.split(input, [cut, input.shape[dim] - cut], dim)
        input = torch.cat([b, a], dim)
    return input


def _triangle(upper: int) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        return g.op("Trilu", a.input, g.number(int(a.diagonal), torch.int64), upper=upper)

    return rule


node("triu")(_triangle(1))
node("tril")(_triangle(0))


@node("__getitem__")
def _getitem(g: Any, a: Any, out: Any) -> Any:
    x, index = list(vars(a).values())[:2]
    items = list(index) if isinstance(index, tuple) else [index]
    places = _filled(items, x.dim())
    tensors = [k for k in places if isinstance(k, torch.Tensor)]
    if len(tensors) > 1 or any(t.dtype is torch.bool for t in tensors):
        return unsupported("with several index tensors, or with a mask")
    got, axis, taken, new = g.ref(x), 0, [], []
    starts, ends, axes, steps = [], [], [], []
    for place in places:
        if isinstance(place, slice) and place != slice(None):
            starts.append(0 if place.start is None else int(place.start))
            ends.append(_END if place.stop is None else int(place.stop))
            axes.append(axis)
            steps.append(1 if place.step is None else int(place.step))
        elif not isinstance(place, slice) and place is not None:
            taken.append((axis, place))
        axis += place is not None
    if axes:
        got = g.op("Slice", got, starts, ends, axes, steps)
    for axis, place in reversed(taken):
        if not isinstance(place, torch.Tensor):
            place = g.number(int(place), torch.int64)
        got = g.op("Gather", got, place, axis=axis)
    new = [k for k in places if k is None]
    if tensors and (new or len(taken) > 1):
        return unsupported("with an index tensor among other indices")
    return g.op("Reshape", got, list(out.shape)) if new else got


def _filled(items: list[Any], ndim: int) -> list[Any]:
    """An index's items with the ellipsis, written or not, made full slices."""
    items = [torch.tensor(k) if isinstance(k, list) else k for k in items]
    if any(isinstance(k, bool) or type(k).__name__ == "ndarray" for k in items):
        return unsupported("with a truth value or an array")
    used = sum(k is not None and k is not Ellipsis for k in items)
    fill = [slice(None)] * (ndim - used)
    where = next((n for n, k in enumerate(items) if k is Ellipsis), None)
    if where is None:
        return items + fill
    return items[:where] + fill + items[where + 1 :]


# --- products


def _cast_all(g: Any, out: Any, *tensors: Any) -> list[Any]:
    return [g.cast(t, out.dtype) for t in tensors]


@node("matmul", "mm", "bmm", "mv", "dot", "__matmul__")
def _matmul(g: Any, a: Any, out: Any) -> Any:
    x, y = list(vars(a).values())[:2]
    return g.op("MatMul", *_cast_all(g, out, x, y))


@node("linear")
def _linear(g: Any, a: Any, out: Any) -> Any:
    if a.input.dim() == 2:
        return g.op("Gemm", a.input, a.weight, a.bias, transB=1)
    turned = g.op("Transpose", a.weight, perm=[1, 0])
    got = g.op("MatMul", a.input, turned)
    return got if a.bias is None else g.op("Add", got, a.bias)


@node("addmm")
def _addmm(g: Any, a: Any, out: Any) -> Any:
    return g.op("Gemm", a.mat1, a.mat2, a.input, alpha=float(a.alpha), beta=float(a.beta))


@made_of("baddbmm")
def _baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    got = torch.bmm(batch1, batch2) * alpha
    return got + input * beta if beta else got


@made_of("addbmm")
def _addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    return torch.sum(torch.bmm(batch1, batch2), 0) * alpha + input * beta


@node("einsum")
def _einsum(g: Any, a: Any, out: Any) -> Any:
    equation, *operands = a.args
    if not isinstance(equation, str):
        return unsupported("with lists of axes")
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    return g.op("Einsum", *_cast_all(g, out, *operands), equation=equation.replace(" ", ""))


@made_of("bilinear")
def _bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    got = torch.einsum("...i,oij,...j->...o", input1, weight, input2)
    return got if bias is None else got + bias


@node("embedding")
def _embedding(g: Any, a: Any, out: Any) -> Any:
    if getattr(a, "max_norm", None) is not None:
        return unsupported("with max_norm, which changes the weight")
    indices = a.indices if hasattr(a, "indices") else a.input
    return g.op("Gather", a.weight, indices, axis=0)


@node("one_hot")
def _one_hot(g: Any, a: Any, out: Any) -> Any:
    first = _first(a)
    depth = g.number(int(out.shape[-1]), torch.int64)
    return g.op("OneHot", first, depth, g.number([0, 1], torch.int64), axis=-1)


@made_of("normalize")
def _normalize(
    input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None
) -> Any:
    return input / torch.clamp_min(torch.norm(input, p, dim, keepdim=True), eps)


@made_of("cosine_similarity")
def _cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    lengths = [torch.clamp_min(torch.norm(x, 2, dim, keepdim=True), eps) for x in (x1, x2)]
    return torch.sum((x1 / lengths[0]) * (x2 / lengths[1]), dim)


@made_of("pairwise_distance")
def _pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    return torch.norm(x1 - x2 + eps, p, -1, keepdim)


# --- order, scattering


def _ordered(g: Any, x: Any, count: int, dim: int, largest: bool) -> Any:
    """The `count` largest or least along an axis, in order, and their places."""
    return g.op("TopK", x, [count], results=2, axis=dim, largest=int(largest), sorted=1)


@node("topk")
def _topk(g: Any, a: Any, out: Any) -> Any:
    return _ordered(g, a.input, int(a.k), int(a.dim), a.largest)


@node("sort")
def _sort(g: Any, a: Any, out: Any) -> Any:
    return _ordered(g, a.input, int(a.input.shape[a.dim]), int(a.dim), a.descending)


@node("argsort")
def _argsort(g: Any, a: Any, out: Any) -> Any:
    return _ordered(g, a.input, int(a.input.shape[a.dim]), int(a.dim), a.descending)[1]


def _scattered(g: Any, a: Any, source: Any, reduction: str) -> Any:
    if not isinstance(source, torch.Tensor):
        source = torch.full(tuple(a.index.shape), source, dtype=a.input.dtype)
    if tuple(source.shape) != tuple(a.index.shape):
        return unsupported("of a source larger than the index")
    dim = int(a.dim)
    return g.op("ScatterElements", a.input, a.index, source, axis=dim, reduction=reduction)


@node("scatter")
def _scatter(g: Any, a: Any, out: Any) -> Any:
    words = {None: "none", "add": "add", "multiply": "mul"}
    return _scattered(g, a, a.value if a.src is None else a.src, words[a.reduce])


@node("scatter_add")
def _scatter_add(g: Any, a: Any, out: Any) -> Any:
    return _scattered(g, a, a.src, "add")


@node("scatter_reduce")
def _scatter_reduce(g: Any, a: Any, out: Any) -> Any:
    words = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}
    if a.reduce not in words or not a.include_self:
        return unsupported(f"reduce={a.reduce!r}, include_self={a.include_self}")
    return _scattered(g, a, a.src, words[a.reduce])


@made_of("outer")
def _outer(input: Any, vec2: Any) -> Any:
    return torch.unsqueeze(input, 1) * vec2
