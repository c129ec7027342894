"""complex and polar: complex tensors made of real ones.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import dtype, float32, float64
from bital.base.size import broadcast_shapes
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public, takes_out
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _rule(a: Meta, b: Meta) -> tuple[Meta, dict]:
    if a.dtype not in (float32, float64) or b.dtype not in (float32, float64):
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{a.dtype.legacy_name} and {b.dtype.legacy_name}"
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {a.dtype.legacy_name} but got scalar type "
            f"{b.dtype.legacy_name} for second argument"
        )
    shape = broadcast_shapes(a.shape, b.shape)
    kind: dtype = a.dtype.to_complex()
    return meta_of(shape, kind, a.device), {"kind": kind.np}


def _of_parts(xp: Any, real: Any, imag: Any, *, kind: Any) -> Any:
    out = xp.empty(xp.broadcast_shapes(real.shape, imag.shape), kind)
    out.real, out.imag = real, imag
    return out


def _of_polar(xp: Any, abs: Any, angle: Any, *, kind: Any) -> Any:
    out = xp.empty(xp.broadcast_shapes(abs.shape, angle.shape), kind)
    out.real, out.imag = abs * xp.cos(angle), abs * xp.sin(angle)
    return out


def _by_angle(g: Tensor, out: Tensor) -> Tensor:
    return (g.conj() * (out * 1j)).real


def _by_abs(g: Tensor, out: Tensor) -> Tensor:
    return (g.conj() * out.sgn()).real


_COMPLEX = Op(
    "complex", _rule, _of_parts, inputs=("real", "imag"), elementwise=True,
    vjp=(lambda g: g.real, lambda g: g.imag),
)  # fmt: skip
_POLAR = Op(
    "polar", _rule, _of_polar, inputs=("abs", "angle"), elementwise=True,
    vjp=(_by_abs, _by_angle),
)  # fmt: skip


_complex = takes_out(lambda real, imag: apply(_COMPLEX, (real, imag)))


@public(method=False)
def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Complex numbers with the given real and imaginary parts, float32 or float64 both."""
    check_tensor(real, "complex", "real")
    check_tensor(imag, "complex", "imag", 2)
    if out is not None and real._meta.dtype.is_floating_point:
        made, given = real._meta.dtype.to_complex(), out._meta.dtype
        if given is not made:
            raise RuntimeError(
                f"Expected object of scalar type {made.legacy_name} but got scalar type "
                f"{given.legacy_name} for argument 'out'"
            )
    return _complex(real, imag, out=out)


@public(method=False, out=True)
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """Complex numbers of the given absolute values and angles in radians."""
    check_tensor(angle, "polar", "angle", 2)
    return apply(_POLAR, (check_tensor(abs, "polar", "abs"), angle))
