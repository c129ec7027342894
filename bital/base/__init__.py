"""Words and arithmetic: errors, switches, dtypes, devices, sizes and strides."""
