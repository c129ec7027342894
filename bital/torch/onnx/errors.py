"""`torch.onnx.errors`: what an export may raise."""


class OnnxExporterError(RuntimeError):
    """The model cannot be exported; the message says why."""


class OnnxExporterWarning(UserWarning):
    """The export leaves something out; the message says what."""


class UnsupportedOperatorError(OnnxExporterError):
    """The model uses an operator that bital does not write as ONNX; it and its line are named."""


class SymbolicValueError(OnnxExporterError):
    """The model uses a tensor's numbers, or sizes in a way that a graph cannot hold."""


__all__ = [
    "OnnxExporterError",
    "OnnxExporterWarning",
    "SymbolicValueError",
    "UnsupportedOperatorError",
]
