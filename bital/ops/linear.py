"""A product plus something: nn.functional.linear, addmm and its kin.

Room: ops. `linear` is where networks spend their time: one instruction forward, and one per
operand backward, the weight read as it lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bital.base.dtype import BOOL, INT
from bital.base.size import expand_shape
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import local
from bital.ops.api import check_tensor, public, takes_out
from bital.ops.family import common_dtype, conj, number_of
from bital.ops.matmul import (
    C_NAMES,
    batch_product,
    check_batches,
    check_factors,
    check_vector,
    fold_product,
    many_products,
    matmul,
    matrix_product,
    of_matrices,
    product,
    products,
    rows_of,
    sum_of_outer,
)
from bital.ops.reduce import widened
from bital.tensor.dispatch import apply, check_writable, inplace
from bital.tensor.node import OpNode
from bital.tensor.recorders import ternary
from bital.tensor.tensor import Tensor, contiguous, view_node

Ints = tuple[int, ...]


def _check_matrices(x: Meta, a: Meta, b: Meta) -> None:
    """PyTorch's errors for the dtypes of x + a @ b."""
    for name, m in (("self", x), ("mat1", a)):
        if m.dtype is not b.dtype:
            raise RuntimeError(
                f"{name} and mat2 must have the same dtype, but got {m.dtype.legacy_name} and "
                f"{b.dtype.legacy_name}"
            )
    check_factors(a, b)


def _check_batches(x: Meta, a: Meta, b: Meta) -> None:
    """PyTorch's errors for the dtypes of x + bmm(a, b)."""
    if x.dtype is not a.dtype:
        words = [C_NAMES.get(m.dtype.name, m.dtype.name) for m in (x, a, b)]
        raise RuntimeError(
            f"Input dtypes must be the same, got: input {words[0]}, batch1: {words[1]}, batch2: "
            f"{words[2]}"
        )
    check_batches(a, b)


def _linear_rule(x: Meta, w: Meta, b: Meta) -> tuple[Meta, dict]:
    _check_matrices(b, x, w)
    rows, n = math.prod(x.shape[:-1]), w.shape[0]
    if x.shape[-1] != w.shape[1]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and {w.shape[1]}x{n})"
        )
    expand_shape(b.shape, (rows, n) if b.ndim < 3 else (*x.shape[:-1], n))
    out = meta_of((*x.shape[:-1], n), x.dtype, x.device)
    return out, {"shape": out.shape, "plain": x.ndim == 2 and x.dtype.itemsize > 2}


def _linear_impl(xp: Any, x: Any, w: Any, b: Any, *, shape: Ints, plain: bool) -> Any:
    if plain:
        out = x.dot(w.T)
        out += b
        return out
    out = product(rows_of(widened(x)), widened(w).T).reshape(shape)
    out += widened(b)
    return out.astype(x.dtype, copy=False)


def _linear_many(x: Any, w: Any, b: Any, shape: Ints, plain: bool) -> Any:
    lanes = w.shape[:-2]
    rows = x.reshape(*lanes, math.prod(shape[:-1]), x.shape[-1])
    out = many_products(widened(rows), widened(w).swapaxes(-1, -2)).reshape(*lanes, *shape)
    gap = out.ndim - len(lanes) - (b.ndim - len(lanes))
    b = b.reshape(*lanes, *[1] * gap, *b.shape[len(lanes) :])
    return (out + widened(b)).astype(x.dtype, copy=False)


def _of_input(g: Tensor, w: Tensor) -> Tensor:
    if g._meta.ndim == 2:
        return matrix_product(g, conj(w), (False, False))
    return fold_product(g, conj(w), (False,))


def _linear_op(name: str, grad_fn: str) -> Op:
    op = Op(
        name,
        _linear_rule,
        _linear_impl,
        inputs=("x", "w", "b"),
        vjp=(_of_input, lambda g, x: sum_of_outer(g, conj(x)), lambda g: g),
        grad_fn=grad_fn,
        batch=of_matrices(_linear_many),
    )
    op.node_class = type(grad_fn, (LinearNode,), {"__slots__": (), "op": op})
    op.node_class.__module__ = "torch.autograd"
    return op


class LinearNode(OpNode):
    """The node of a linear map, which shows the graph that PyTorch would: addmm of a transpose."""

    __slots__ = ()

    @property
    def next_functions(self) -> tuple:
        x, w, *b = super().next_functions
        if w[0] is not None:
            w = (view_node("TBackward0", self.edges[1], self.metas[1], lambda g: g.t()), 0)
        return (*b, x, w)


_linear = ternary(_linear_op("linear", "AddmmBackward0"))
_linear_of_batch = ternary(_linear_op("linear_of_batch", "ViewBackward0"))
_linear_of_strided = ternary(_linear_op("linear_of_strided", "AddBackward0"))


@public("nn.functional", method=False)
def linear(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None
) -> Tensor:
    """`input @ weight.T + bias` for rows (..., K), weight (N, K) and bias (N)."""
    if out is not None:
        return takes_out(linear)(input, weight, bias, out=out)
    if isinstance(input, Tensor) and isinstance(weight, Tensor) and isinstance(bias, Tensor):
        if input._meta.ndim == 2 == weight._meta.ndim:  # the usual call, by the short way
            return _linear(input, weight, bias)
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        check_tensor(input, "linear")
        check_tensor(weight, "linear", "weight", 2)
    m, n = input._meta.ndim, weight._meta.ndim
    if not m or not n:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {m}D and {n}D"
        )
    if bias is not None and not isinstance(bias, Tensor):
        check_tensor(bias, "linear", "bias", 3)
    if n != 2:
        out = matmul(input, weight.t())
        return out if bias is None else out + bias
    if bias is None:
        if m == 2:
            return matrix_product(input, weight, (False, True))
        if m == 1:
            return matmul(input, weight.t())
        return fold_product(input, weight, (True,))
    return (_linear_of_batch if contiguous(input) else _linear_of_strided)(input, weight, bias)


@public("torch", "nn.functional", method=False)
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input1 @ weight[n] @ input2 + bias[n]`: (..., I), (..., J), (N, I, J) -> (..., N)."""
    if input1._meta.shape[:-1] != input2._meta.shape[:-1]:
        raise RuntimeError(
            "bilinear(): input batch dimensions do not match: got "
            f"{list(input1._meta.shape)} and {list(input2._meta.shape)}"
        )
    n, i, j = weight._meta.shape
    for k, (x, size) in enumerate(((input1, i), (input2, j))):
        if x._meta.shape[-1] != size:
            raise RuntimeError(
                f"bilinear(): input{k + 1} size does not match weight size: got "
                f"{x._meta.shape[-1]} but expected {size}"
            )
    shape = (*input1._meta.shape[:-1], n)
    first, second = input1.reshape(-1, i), input2.reshape(-1, j)
    columns = weight.permute(1, 0, 2).reshape(i, n * j)
    halfway = matrix_product(first, columns, (False, False)).view(-1, n, j)
    out = matmul(halfway, second.unsqueeze(-1)).view(shape)
    return out if bias is None else out + bias


def _added_rule(check: Callable | None, shape_of: Callable) -> Callable:
    """The rule of a product with something added.

    `check` looks at the operands' dtypes, which promote where it is None; `shape_of` at the
    factors' shapes, and gives the product's.
    """

    def rule(x: Meta, a: Meta, b: Meta, *kinds: type) -> tuple:
        if check is not None:
            check(x, a, b)
        shape = tuple(shape_of(a, b))
        expand_shape(x.shape, shape)
        d = common_dtype(x, a, b)
        attrs = {"whole": d.category <= INT} if kinds else {}
        return meta_of(shape, d, x.device), attrs, d

    return rule


def _added(
    name: str, check: Callable | None, shape_of: Callable, multiply: Callable, vjp_a: Callable,
    vjp_b: Callable, grad_fn: str,
) -> Callable:  # fmt: skip
    """The function `beta * input + alpha * (a times b)` for one kind of product.

    `check` and `shape_of` are those of `_added_rule`; `multiply` computes the product, and
    `vjp_a(g, b)`, `vjp_b(g, a)` are its gradients.
    """

    def plain(xp: Any, x: Any, a: Any, b: Any) -> Any:
        out = multiply(widened(a), widened(b))
        if not out.ndim:
            return (out + widened(x)).astype(x.dtype)
        out += widened(x)
        return out.astype(x.dtype, copy=False)

    def scaled(xp: Any, x: Any, a: Any, b: Any, beta: Any, alpha: Any, *, whole: bool) -> Any:
        if whole:
            beta, alpha = int(beta), int(alpha)
        out = multiply(widened(a), widened(b))
        if out.dtype.kind == "b":
            beta, alpha = bool(beta), bool(alpha)
        if alpha != 1:
            out *= alpha
        if beta != 0:  # PyTorch: what is in `input` is ignored then, NaN too
            out += widened(x) * beta
        return out.astype(x.dtype, copy=False)

    def native(xp: Any, x: Any, a: Any, b: Any, beta: Any, alpha: Any, *, whole: bool) -> Any:
        out = multiply(a, b) * alpha
        return xp.where(xp.equal(beta, 0), out, out + x * beta)

    rule = _added_rule(check, shape_of)
    inputs = ("input", "a", "b")
    whole = Op(
        name, rule, plain, inputs=inputs, grad_fn=grad_fn,
        vjp=(lambda g: g, lambda g, b: vjp_a(g, b), lambda g, a: vjp_b(g, a)),
    )  # fmt: skip
    with_numbers = Op(
        f"{name}_scaled", rule, scaled, inputs=inputs, params=("beta", "alpha"), grad_fn=grad_fn,
        native=native,
        vjp=(
            lambda g, beta: g * conj(beta),
            lambda g, b, alpha: vjp_a(g, b) * conj(alpha),
            lambda g, a, alpha: vjp_b(g, a) * conj(alpha),
        ),
    )  # fmt: skip

    def fn(input: Tensor, a: Tensor, b: Tensor, beta: Any, alpha: Any) -> Tensor:
        for k, (t, what) in enumerate(((input, "input"), (a, "mat1"), (b, "mat2"))):
            if not isinstance(t, Tensor):
                check_tensor(t, name, what, k + 1)
        if beta == 1 and alpha == 1:
            return apply(whole, (input, a, b))
        beta, alpha = number_of(beta, name, "beta", 4), number_of(alpha, name, "alpha", 5)
        return apply(with_numbers, (input, a, b), (type(beta), type(alpha)), (beta, alpha))

    return fn


def _mm_shape(a: Meta, b: Meta) -> Ints:
    if a.ndim != 2 or b.ndim != 2:
        which = (1, a) if a.ndim != 2 else (2, b)
        raise RuntimeError(f"mat{which[0]} must be a matrix, got {which[1].ndim}-D tensor")
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{b.shape[0]}x{b.shape[1]})"
        )
    return a.shape[0], b.shape[1]


def _mv_shape(a: Meta, v: Meta) -> Ints:
    if a.ndim != 2 or v.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {a.ndim}, {v.ndim}")
    if a.shape[1] != v.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({a.shape[0]}), mat ({a.shape[0]}x{a.shape[1]}), vec "
            f"({v.shape[0]})"
        )
    return (a.shape[0],)


def _outer_shape(u: Meta, v: Meta) -> Ints:
    if u.ndim != 1 or v.ndim != 1:
        raise RuntimeError(f"addr: Expected 1-D argument vec1, but got {max(u.ndim, v.ndim)}-D")
    return u.shape[0], v.shape[0]


def _bmm_shape(a: Meta, b: Meta) -> Ints:
    for k, m in enumerate((a, b)):
        if m.ndim != 3:
            raise RuntimeError(f"batch{k + 1} must be a 3D tensor")
    if (b.shape[0], b.shape[1]) != (a.shape[0], a.shape[2]):
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{a.shape[0]}, {a.shape[2]}] but got: [{b.shape[0]}, {b.shape[1]}]."
        )
    return a.shape[0], a.shape[1], b.shape[2]


def _bmm_vjp_a(g: Tensor, b: Tensor) -> Tensor:
    return batch_product(g, conj(b), (False, True))


def _bmm_vjp_b(g: Tensor, a: Tensor) -> Tensor:
    return batch_product(conj(a), g, (True, False))


_addmm = _added(
    "addmm", _check_matrices, _mm_shape, product,
    lambda g, b: matrix_product(g, conj(b), (False, True)),
    lambda g, a: matrix_product(conj(a), g, (True, False)), "AddmmBackward0",
)  # fmt: skip
_addmv = _added(
    "addmv", check_vector, _mv_shape, product,
    lambda g, v: g.unsqueeze(-1) * conj(v),
    lambda g, a: conj(a).t().mv(g), "AddmvBackward0",
)  # fmt: skip
_addr = _added(
    "addr", None, _outer_shape, lambda u, v: u[:, None] * v,
    lambda g, v: g.mv(conj(v)),
    lambda g, u: g.t().mv(conj(u)), "AddrBackward0",
)  # fmt: skip
_baddbmm = _added(
    "baddbmm", _check_batches, _bmm_shape, products, _bmm_vjp_a, _bmm_vjp_b, "BaddbmmBackward0"
)
_addbmm = _added(
    "addbmm", _check_matrices, lambda a, b: _bmm_shape(a, b)[1:],
    lambda a, b: products(a, b).sum(0),
    _bmm_vjp_a, _bmm_vjp_b, "AddbmmBackward0",
)  # fmt: skip


@public(inplace=True, out=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * mat1 @ mat2`, input broadcast to the product."""
    return _addmm(input, mat1, mat2, beta, alpha)


@public(inplace=True, out=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * mat @ vec`, input broadcast to the product."""
    return _addmv(input, mat, vec, beta, alpha)


@public(inplace=True, out=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`, input broadcast to the product."""
    if check_tensor(input, "addr")._meta.dtype.category <= INT:
        if input._meta.dtype.category == BOOL:
            beta, alpha = bool(beta), bool(alpha)
        for name, number in (("beta", beta), ("alpha", alpha)):
            if isinstance(number, float):
                raise RuntimeError(
                    f"For integral input tensors, argument {name} must not be a floating point "
                    "number."
                )
    return _addr(input, vec1, vec2, beta, alpha)


@public(inplace=True, out=True)
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """`beta * input + alpha * bmm(batch1, batch2)`, input broadcast to the product."""
    return _baddbmm(input, batch1, batch2, beta, alpha)


@public(out=True)
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """`beta * input + alpha * sum over b of batch1[b] @ batch2[b]`."""
    return _addbmm(input, batch1, batch2, beta, alpha)


def _addbmm_in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`addbmm` into the tensor itself, which grows where it was broadcast, as in PyTorch."""
    out = addbmm(self, *args, **kwargs)
    if out._meta.shape != self._meta.shape:
        self._storage, self._meta, self._view, self._edge = (
            out._storage, out._meta, out._view, out._edge,
        )  # fmt: skip
        return self
    return inplace(self, addbmm, *args, **kwargs)


Tensor.addbmm_ = _addbmm_in_place  # type: ignore[attr-defined]


@public("Tensor", name="addbmm_")
def addbmm_in_place(
    self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """`addbmm` into `self`, which takes the product's shape where it is smaller, as in PyTorch."""
    shape = (*check_tensor(batch1, "addbmm_")._meta.shape[1:2], *batch2._meta.shape[2:])
    if shape == self._meta.shape:
        return inplace(self, addbmm, batch1, batch2, beta=beta, alpha=alpha)
    if local.trace.grad:
        check_writable(self)
    version = self._version
    out = addbmm(self, batch1, batch2, beta=beta, alpha=alpha)
    self._storage, self._meta, self._view = out._storage, out._meta, out._view
    self._storage.version = version + 1
    self._edge = out._edge
    return self
