"""Elementary functions in the words of Builder, for scalars and vectors of "f32" and "f64".

Room: codegen. `FUNCTIONS[name](b, x, ...)` writes a function by NumPy's name. No call leaves the
kernel, and the bits do not depend on the number of lanes. What `wide.by_table` has written twice is
short with AVX-512 and has other last bits there. Largest errors, in units of the last
place, and elements per microsecond on one core (Emerald Rapids, AVX-512, 4096 elements, the best of
many windows; for f32 also PyTorch's 2.13, on the same arguments; `tests/codegen/test_math.py` holds
the errors):

               f32: error     rate          f64: error     rate
               (PyTorch's)    (PyTorch's)                  (PyTorch's)
    exp        1.0  (0.6)     3670 (2220)   1.0  (0.7)     1460 (1400)
    exp2       1.1  (0.9)     3800 (1890)   1.1  (0.8)     1450 (910)
    expm1      1.5  (1.0)     3640 (700)    1.4  (0.8)     1490 (350)
    sigmoid    2.1  (2.1)     2800 (1470)   2.0  (2.0)      850 (590)
    tanh       1.7  (0.6)     2270 (1680)   1.4  (0.6)      560 (370)
    log        1.0  (0.6)     2730 (1940)   0.8  (0.6)     1120 (990)
    log2       0.9  (0.5)     2270 (1750)   0.8  (0.5)      950 (940)
    log10      0.8  (0.5)     2260 (1670)   0.8  (0.6)      980 (930)
    log1p      1.4  (1.0)     2570 (950)    1.1  (1.0)      910 (390)
    power      0.9  (0.6)      460 (260)    0.9  (0.7)      210 (150)
    erf        1.2  (1.0)     2760 (1140)   1.0  (1.0)      520 (690)
    erfc       1.4  (0.9)      810 (1080)   1.3  (1.0)      260 (550)
    erfinv     1.7  (0.6)      670 (820)    1.8  (0.6)      160 (510)
    sin        0.9  (0.6)     2350 (1330)   0.9  (0.5)     1070 (820)
    cos        0.9  (0.6)     2090 (930)    0.9  (0.5)     1010 (800)
    tan        1.2  (0.6)     1080 (1160)   1.2  (0.6)      440 (500)
    arcsin     1.2  (0.8)     3650 (1400)   1.2  (0.8)     1020 (780)
    arccos     1.2  (0.8)     3030 (1280)   1.2  (0.8)      920 (760)
    arctan     1.8  (0.5)     2970 (1480)   1.6  (0.6)     1080 (700)
    arctan2    1.9  (0.9)     1520 (610)    1.9  (0.9)      620 (270)
    sinh       1.6  (0.6)     2360 (560)    1.6  (1.0)      810 (270)
    cosh       1.5  (0.6)     2600 (550)    1.5  (0.5)     1090 (300)
    arcsinh    1.8  (1.6)     1130 (110)    1.7  (1.7)      330 (100)
    arccosh    1.8  (2.0)     1150 (130)    1.8  (2.0)      360 (120)
    arctanh    1.0  (1.0)     1720 (660)    1.0  (1.0)      520 (260)
    hypot      1.0  (0.5)     3420 (660)    1.0  (0.5)      960 (300)

logaddexp and logaddexp2 are PyTorch's formula, and like it lose digits where the result cancels.
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
