"""What PyTorch has removed, and says so when it is called.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.ops.api import NAMESPACES, method

#: name -> what replaces it, and whether it was a method of Tensor too
_REMOVED = {
    "eig": ("torch.linalg.eig or torch.linalg.eigvals, which give complex numbers", True),
    "symeig": ("torch.linalg.eigh or torch.linalg.eigvalsh, which read the lower triangle", True),
    "solve": ("torch.linalg.solve, which takes the matrix first and gives the solution only", True),
    "lstsq": ("torch.linalg.lstsq, which takes the matrix first", True),
    "matrix_rank": ("torch.linalg.matrix_rank, whose 'symmetric' is called 'hermitian'", False),
}


def _removed(name: str, instead: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "This function was deprecated since version 1.9 and is now removed. Please use "
            f"{instead}."
        )

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Removed from PyTorch, where it raises RuntimeError: use {instead}."
    return call


for _name, (_instead, _is_method) in _REMOVED.items():
    _call = NAMESPACES.setdefault("torch", {})[_name] = _removed(_name, _instead)
    if _is_method:
        method(_call)
