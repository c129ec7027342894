"""Activations: relu and its kin.

Room: ops. Sources of formulas: PyTorch's documentation of each function of torch.nn.functional.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import BOOL, COMPLEX
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import public
from bital.ops.family import unary_op
from bital.tensor.dispatch import apply, inplace, unary
from bital.tensor.tensor import Tensor


def _relu_impl(xp: Any, x: Any, out: Any = None) -> Any:
    return xp.maximum(x, x.dtype.type(0), out=out)


def _threshold_impl(xp: Any, g: Any, result: Any) -> Any:
    return xp.multiply(g, result > 0)


#: the gradient of relu: g where the result is positive, else 0
_THRESHOLD = Op(
    "threshold_backward",
    lambda g, result: (g, {}),
    _threshold_impl,
    inputs=("g", "result"),
    vjp=(lambda g, result: apply(_THRESHOLD, (g, result)), None),
    elementwise=True,
)
_relu = unary(
    unary_op("relu", _relu_impl, lambda g, out: apply(_THRESHOLD, (g, out)), kind="promote",
             refuse=(BOOL, COMPLEX))
)  # fmt: skip


@public(inplace=True)
def relu(input: Tensor) -> Tensor:
    """`max(input, 0)` elementwise; NaN stays NaN."""
    return _relu(input)


@public("nn.functional", method=False, name="relu")
def functional_relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(input, 0)` elementwise, written into `input` if `inplace`."""
    return input.relu_() if inplace else _relu(input)  # type: ignore[attr-defined]


_ = (Meta, inplace)
