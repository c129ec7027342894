"""torch.autograd.variable: the old name of a tensor that takes part in gradients."""

from __future__ import annotations

from bital.tensor.tensor import Tensor


class _VariableMeta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableMeta):
    """`Variable(tensor, requires_grad=False)` is the tensor itself, detached."""

    def __new__(  # type: ignore[misc]
        cls, data: Tensor, requires_grad: bool = False, volatile: bool = False
    ) -> Tensor:
        out = data.detach()
        out.requires_grad = requires_grad
        return out
