"""torch.autograd.anomaly_mode: which line made the first value that is not a number."""

from bital.autograd.anomaly import detect_anomaly, set_detect_anomaly

__all__ = ["detect_anomaly", "set_detect_anomaly"]
