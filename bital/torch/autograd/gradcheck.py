"""torch.autograd.gradcheck: gradients compared with finite differences."""

from bital.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]
