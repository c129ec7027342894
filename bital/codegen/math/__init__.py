"""Elementary functions in the words of Builder, for scalars and vectors of "f32" and "f64".

`FUNCTIONS[name](b, x, ...)` writes a function by NumPy's name. No call leaves the kernel.
"""

from bital.codegen.math import (
    error,
    exponential,
    hyperbolic,
    inverse,
    logarithm,
    power,
    quantile,
    sums,
    trigonometry,
)
from bital.codegen.math.value import FUNCTIONS

__all__ = [
    "FUNCTIONS", "error", "exponential", "hyperbolic", "inverse", "logarithm", "power", "quantile",
    "sums", "trigonometry",
]  # fmt: skip
