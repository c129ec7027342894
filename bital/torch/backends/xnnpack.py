"""torch.backends.xnnpack: a library for phones, which bital does not call."""

enabled = False
