"""torch.backends.quantized: engines for quantized tensors, of which there are none."""

engine = "none"
supported_engines = ["none"]
