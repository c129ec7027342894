"""Matrix products.

Room: ops. `mm` takes flags for transposed operands, so that gradients of products are products
and nothing has to be turned around in memory.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import BOOL
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.family import conj
from bital.tensor.dispatch import binary_with
from bital.tensor.tensor import Tensor


def _mm_rule(a: Meta, b: Meta, turn_a: bool, turn_b: bool) -> tuple[Meta, dict]:
    if a.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if b.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {_c_name(a)} != {_c_name(b)}"
        )
    m, k = a.shape[::-1] if turn_a else a.shape
    k2, n = b.shape[::-1] if turn_b else b.shape
    if k != k2:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {k2}x{n})")
    if a.dtype.category == BOOL:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    return meta_of((m, n), a.dtype, a.device), {"turn_a": turn_a, "turn_b": turn_b}


def _c_name(m: Meta) -> str:
    names = {"float32": "float", "float64": "double", "bfloat16": "c10::BFloat16",
             "float16": "c10::Half", "int64": "long", "int32": "int"}  # fmt: skip
    return names.get(m.dtype.name, m.dtype.name)


def _mm_impl(xp: Any, a: Any, b: Any, *, turn_a: bool, turn_b: bool) -> Any:
    if turn_b and 4 * a.shape[turn_a] < b.shape[0]:
        # a few rows against a turned matrix: BLAS takes a third less for the turned product
        return xp.matmul(b, a if turn_a else a.T).T
    return xp.matmul(a.T if turn_a else a, b.T if turn_b else b)


def _mm_vjp_a(g: Tensor, b: Tensor, turn_a: bool, turn_b: bool) -> Tensor:
    # out = A B with A, B perhaps turned: dA = g B^T, and the transpose of that where A is turned
    if turn_a:
        return _product(conj(b), g, (turn_b, True))
    return _product(g, conj(b), (False, not turn_b))


def _mm_vjp_b(g: Tensor, a: Tensor, turn_a: bool, turn_b: bool) -> Tensor:
    if turn_b:
        return _product(g, conj(a), (True, turn_a))
    return _product(conj(a), g, (not turn_a, False))


_MM = Op(
    "mm", _mm_rule, _mm_impl, inputs=("a", "b"), vjp=(_mm_vjp_a, _mm_vjp_b), grad_fn="MmBackward0"
)
_product = binary_with(_MM)
_PLAIN = (False, False)


@public(out=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of matrices (M, K) and (K, N), as `torch.mm`."""
    if not isinstance(mat2, Tensor):
        check_tensor(mat2, "mm", "mat2", 2)
    return _product(input, mat2, _PLAIN)
