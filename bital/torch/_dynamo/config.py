"""`torch._dynamo.config`: settings of PyTorch's compiler, kept and given back."""

verbose = False
suppress_errors = False
cache_size_limit = recompile_limit = 8
accumulated_cache_size_limit = 256
assume_static_by_default = True
automatic_dynamic_shapes = True
capture_scalar_outputs = False
capture_dynamic_output_shape_ops = False
