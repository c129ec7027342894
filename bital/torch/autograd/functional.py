"""torch.autograd.functional: Jacobians, Hessians and products with them."""

from bital.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
