"""Views and movement: shapes, strides, offsets, and the copies some of them make."""

from tests.parity.case import Family, const, f, function, i, method

movement = Family("movement", {"exact": True})
KINDS = ("float32", "float64", "bfloat16", "int64", "bool")


def seen(view):
    """A view with its place in storage, and whether it is one."""
    return [view, view.storage_offset(), view.is_contiguous(), view._is_view(), view._base is None]


def views(name, call, *inputs, **kw):
    """A case whose output is a view: offset, contiguity and base are compared too."""
    movement(name, lambda T, *t: seen(call(T, *t)), *inputs, **kw)


views("reshape", lambda T, x: x.reshape(4, 3), f(3, 4), dtypes=KINDS)
views("reshape -1", lambda T, x: x.reshape(2, -1), f(3, 4))
views("reshape copies", lambda T, x: x.t().reshape(12), f(3, 4))
views("reshape transposed without copy", lambda T, x: x.t().reshape(2, 2, 3), f(3, 4))
views("reshape tuple", lambda T, x: T.reshape(x, (6, 2)), f(3, 4))
views("reshape to scalar", lambda T, x: x.reshape(()), f(1, 1))
views("view", lambda T, x: x.view(2, 6), f(3, 4))
views("view -1", lambda T, x: x.view(-1), f(3, 4))
views("view dtype", lambda T, x: x.view(T.int32), f(3, 4).nograd)
views("view dtype wider", lambda T, x: x.view(T.float64), f(3, 4).nograd)
views("view dtype narrower", lambda T, x: x.view(T.uint8), f(2, 3).nograd)
views("view_as", lambda T, x, y: x.view_as(y), f(3, 4), f(2, 6))
views("reshape_as", lambda T, x, y: x.reshape_as(y), f(3, 4), f(2, 6))
views("flatten", lambda T, x: x.flatten(), f(2, 3, 4))
views("flatten start", lambda T, x: x.flatten(1), f(2, 3, 4))
views("flatten middle", lambda T, x: T.flatten(x, 0, 1), f(2, 3, 4))
views("flatten scalar", lambda T, x: x.flatten(), f())
views("unflatten", lambda T, x: x.unflatten(1, (2, -1)), f(3, 4))
views("ravel", lambda T, x: x.t().ravel(), f(3, 4))
views("squeeze", lambda T, x: x.squeeze(), f(1, 3, 1, 4))
views("squeeze dim", lambda T, x: x.squeeze(0), f(1, 3, 1))
views("squeeze long dim", lambda T, x: x.squeeze(1), f(1, 3, 1))
views("squeeze dims", lambda T, x: x.squeeze((0, 2)), f(1, 3, 1))
views("unsqueeze", lambda T, x: x.unsqueeze(0), f(3, 4))
views("unsqueeze last", lambda T, x: T.unsqueeze(x, -1), f(3, 4))
views("transpose", lambda T, x: x.transpose(0, 2), f(2, 3, 4))
views("swapaxes", lambda T, x: x.swapaxes(0, 1), f(2, 3))
views("t", lambda T, x: x.t(), f(2, 3), dtypes=KINDS)
views("T", lambda T, x: x.T, f(2, 3))
views("mT", lambda T, x: x.mT, f(2, 3, 4))
views("t of a vector", lambda T, x: x.t(), f(3))
views("permute", lambda T, x: x.permute(2, 0, 1), f(2, 3, 4))
views("permute tuple", lambda T, x: T.permute(x, (1, -1, 0)), f(2, 3, 4))
views("movedim", lambda T, x: x.movedim(0, -1), f(2, 3, 4))
views("moveaxis lists", lambda T, x: T.moveaxis(x, (0, 1), (2, 0)), f(2, 3, 4))
views("expand", lambda T, x: x.expand(2, 3, 4), f(3, 1))
views("expand -1", lambda T, x: x.expand(-1, 4), f(3, 1))
views("expand scalar", lambda T, x: x.expand(2, 3), f())
views("expand_as", lambda T, x, y: x.expand_as(y), f(3, 1), f(2, 3, 4))
views("broadcast_to", lambda T, x: T.broadcast_to(x, (2, 3)), f(3))
views("narrow", lambda T, x: x.narrow(1, 1, 2), f(3, 4))
views("narrow negative", lambda T, x: T.narrow(x, -1, -2, 2), f(3, 4))
views("select", lambda T, x: x.select(1, -1), f(3, 4))
views("diagonal", lambda T, x: x.diagonal(), f(3, 4))
views("diagonal offset", lambda T, x: x.diagonal(1), f(3, 4))
views("diagonal below", lambda T, x: T.diagonal(x, -1, 0, 2), f(3, 2, 4))
views("unfold", lambda T, x: x.unfold(1, 3, 2), f(2, 8))
views("unfold overlapping", lambda T, x: x.unfold(0, 3, 1), f(6))
views("as_strided", lambda T, x: x.as_strided((2, 3), (1, 2), 1), f(3, 4))
views("as_strided overlapping", lambda T, x: T.as_strided(x, (3, 3), (1, 1)), f(3, 4))
views("as_strided of a view", lambda T, x: x[1].as_strided((2,), (3,), 2), f(3, 4).nograd)
views("slice chain", lambda T, x: x[1:, ::2].t()[1], f(4, 5))
views("detach", lambda T, x: x.detach(), f(3))
views("contiguous of contiguous", lambda T, x: x.contiguous(), f(3, 4))
views("contiguous", lambda T, x: x.t().contiguous(), f(3, 4))
views("view of slice", lambda T, x: x[1:].view(4, 2), f(3, 4))
views("view splits a strided axis", lambda T, x: x.t().view(2, 2, 3), f(3, 4))
views("empty slice", lambda T, x: x[2:2], f(3, 4))
views("alias of view", lambda T, x: x.view(3, 4).view(12)[4:], f(3, 4))
views("clone of transposed", lambda T, x: x.t().clone(), f(3, 4))
views("clone of gaps", lambda T, x: x[:, ::2].clone(), f(3, 4))
views("clone contiguous", lambda T, x: x.t().clone(memory_format=T.contiguous_format), f(3, 4))
views(
    "to_memory channels_last",
    lambda T, x: x.contiguous(memory_format=T.channels_last),
    f(2, 3, 2, 2),
)
movement(
    "is_contiguous channels_last",
    lambda T, x: [
        x.contiguous(memory_format=T.channels_last).is_contiguous(memory_format=T.channels_last),
        x.is_contiguous(memory_format=T.channels_last),
    ],
    f(2, 3, 2, 2),
)

movement("add keeps transposed layout", lambda T, x: x.t() + 1, f(3, 4), exact=False)
movement("relu keeps permuted layout", lambda T, x: x.permute(2, 0, 1).relu(), f(2, 3, 4))
movement("add of two layouts", lambda T, x, y: x.t() + y, f(3, 4), f(4, 3), exact=False)
movement("empty_like keeps layout", lambda T, x: T.zeros_like(x.t()), f(3, 4))
movement("sum of permuted", lambda T, x: x.permute(2, 0, 1).sum(1), f(2, 3, 4), exact=False)
movement("cat", lambda T, x, y: T.cat([x, y]), f(2, 3), f(4, 3), dtypes=KINDS)
movement("cat dim", lambda T, x, y, z: T.cat((x, y, z), dim=1), f(2, 3), f(2, 1), f(2, 2))
movement("cat negative dim", lambda T, x, y: T.concat([x, y], -1), f(2, 3), f(2, 1))
movement("concatenate", lambda T, x, y: T.concatenate([x, y.t()], axis=0), f(2, 3), f(3, 2))
movement("cat with empty", lambda T, x: T.cat([T.empty(0), x, T.empty(0, 3)]), f(2, 3))
movement("cat the same twice", lambda T, x: T.cat([x, x], 1), f(2, 3))
movement("cat promotes", lambda T, x, y: T.cat([x, y]), f(2), i(3))
movement("stack", lambda T, x, y: T.stack([x, y]), f(2, 3), f(2, 3), dtypes=KINDS)
movement("stack dim", lambda T, x, y: T.stack((x, y), dim=-1), f(2, 3), f(2, 3))
for name in ("vstack", "hstack", "dstack", "column_stack"):
    movement(name, lambda T, x, y, n=name: getattr(T, n)([x, y]), f(3), f(3))
    movement(f"{name} matrices", lambda T, x, y, n=name: getattr(T, n)((x, y)), f(2, 3), f(2, 3))
movement("split", lambda T, x: x.split(2), f(5, 3))
movement("split sizes", lambda T, x: T.split(x, [1, 3, 1], dim=0), f(5, 3))
movement("split dim", lambda T, x: x.split(2, dim=1), f(2, 5))
movement("chunk", lambda T, x: x.chunk(3), f(7, 2))
movement("chunk more than there are", lambda T, x: T.chunk(x, 5, dim=1), f(2, 3))
movement("tensor_split", lambda T, x: T.tensor_split(x, 3), f(7, 2))
movement("tensor_split at", lambda T, x: x.tensor_split((1, 4), dim=0), f(7, 2))
movement("hsplit vsplit", lambda T, x: [T.hsplit(x, 2), T.vsplit(x, [1])], f(3, 4))
movement("unbind", lambda T, x: x.unbind(1), f(2, 3))
movement("unbind by iteration", lambda T, x: list(x), f(3, 2))
movement("unpacking", lambda T, x: _unpack(x), f(2, 3))
movement("roll", function("roll", 2), f(3, 4))
movement("roll dims", function("roll", (1, -1), (0, 1)), f(3, 4), dtypes=KINDS)
movement("roll one dim", function("roll", -5, 1), f(3, 4))
movement("flip", function("flip", (0,)), f(3, 4), dtypes=KINDS)
movement("flip both", lambda T, x: [x.flip(0, 1), x.flip([-1])], f(3, 4))
movement("fliplr flipud", lambda T, x: [T.fliplr(x), T.flipud(x)], f(3, 4))
for turns in (0, 1, 2, 3, -1):
    movement(f"rot90 {turns}", function("rot90", turns, (0, 1)), f(3, 4))
movement("tile", function("tile", (2, 3)), f(2, 3), exact=False)
movement("tile longer", function("tile", (2, 1, 2)), f(3), exact=False)
movement("repeat", method("repeat", 2, 3), f(2, 3), dtypes=KINDS, exact=False)
movement("repeat new axis", method("repeat", 2, 1, 2), f(2, 3), exact=False)
movement("repeat_interleave", function("repeat_interleave", 2), f(2, 3), exact=False)
movement("repeat_interleave dim", function("repeat_interleave", 3, dim=1), f(2, 3), exact=False)
movement(
    "repeat_interleave counts",
    lambda T, x, n: T.repeat_interleave(x, n, dim=0),
    f(3, 2),
    const([1, 0, 2]),
    exact=False,
)
movement("repeat_interleave of counts", "repeat_interleave", const([1, 0, 2]))
movement("atleast", lambda T, x: [T.atleast_1d(x), T.atleast_2d(x), T.atleast_3d(x)], f())
movement("broadcast_tensors", lambda T, x, y: T.broadcast_tensors(x, y), f(3, 1), f(4))
movement("broadcast_shapes", lambda T: T.broadcast_shapes((3, 1), (4,), (2, 1, 1)))
movement(
    "size and friends",
    lambda T, x: [
        x.size(),
        x.size(-1),
        x.shape[0],
        x.numel(),
        x.nelement(),
        x.dim(),
        x.ndim,
        len(x),
        x.stride(),
        x.stride(0),
        x.element_size(),
        x.itemsize,
        x.nbytes,
        x.is_floating_point(),
        T.numel(x),
        x.shape.numel(),
        x.shape[1:],
    ],
    f(3, 4),
)
movement("diag", lambda T, x, y: [T.diag(x), T.diag(x, 1), T.diag(y), T.diag(y, -1)], f(3), f(3, 4))
movement("diag_embed", lambda T, x: [T.diag_embed(x), T.diag_embed(x, 1, 0, 2)], f(2, 3))
movement("diagflat", function("diagflat", 1), f(2, 2))
movement("tril", function("tril"), f(3, 4), dtypes=KINDS)
movement("tril diagonal", function("tril", diagonal=-1), f(2, 3, 4))
movement("triu", function("triu", diagonal=1), f(4, 3), dtypes=KINDS)
movement("clone", "clone", f(3, 4), dtypes=KINDS)
movement("select_scatter", lambda T, x, y: T.select_scatter(x, y, 0, 1), f(3, 4), f(4))
movement("slice_scatter", lambda T, x, y: T.slice_scatter(x, y, 1, 0, 4, 2), f(3, 4), f(3, 2))
movement("diagonal_scatter", lambda T, x, y: T.diagonal_scatter(x, y), f(3, 4), f(3))
movement("reshape after transposes", lambda T, x: x.permute(1, 0, 2).reshape(3, 8) * 2, f(2, 3, 4))
movement(
    "heads of attention",
    lambda T, x: x.view(2, 3, 2, 4).transpose(1, 2).reshape(4, 3, 4),
    f(2, 3, 8),
)

for mode in ("constant", "reflect", "replicate", "circular"):
    movement(
        f"pad {mode}",
        lambda T, x, m=mode: T.nn.functional.pad(x, (1, 2), mode=m),
        f(2, 3, 5),
        exact=False,
    )
    if mode == "constant":
        continue
    movement(
        f"pad {mode} two axes",
        lambda T, x, m=mode: T.nn.functional.pad(x, (1, 2, 2, 1), mode=m),
        f(1, 2, 4, 5),
        exact=False,
    )
movement("pad value", lambda T, x: T.nn.functional.pad(x, (1, 0, 0, 2), value=1.5), f(2, 3))
movement("pad negative", lambda T, x: T.nn.functional.pad(x, (-1, 2)), f(2, 3))
movement("pad three axes", lambda T, x: T.nn.functional.pad(x, (1, 0, 0, 1, 1, 1)), f(2, 3, 2))
movement("pad integers", lambda T, x: T.nn.functional.pad(x, (1, 1), value=7), i(2, 3))


def _unpack(x):
    first, second = x
    return [second, first]
