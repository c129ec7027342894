"""torch.func: functions of functions that differentiate them or apply them to many examples."""

from __future__ import annotations

from bital.autograd.transforms import (
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
)
from bital.autograd.vmap import vmap
from bital.base.errors import missing_attribute
from bital.torch.func._call import functional_call
from bital.torch.func._state import debug_unwrap, functionalize, stack_module_state

__all__ = [
    "debug_unwrap", "functional_call", "functionalize", "grad", "grad_and_value", "hessian",
    "jacfwd", "jacrev", "jvp", "linearize", "stack_module_state", "vjp", "vmap",
]  # fmt: skip
__getattr__ = missing_attribute("torch.func")
