"""`torch.amp`: computing in lower precision where that does no harm."""

from bital.base.errors import missing_attribute
from bital.torch.amp.autocast_mode import autocast as autocast
from bital.torch.amp.autocast_mode import custom_bwd as custom_bwd
from bital.torch.amp.autocast_mode import custom_fwd as custom_fwd
from bital.torch.amp.autocast_mode import is_autocast_available as is_autocast_available
from bital.torch.amp.grad_scaler import GradScaler as GradScaler

__getattr__ = missing_attribute("torch.amp")
