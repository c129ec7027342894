"""Elementary functions in the words of Builder, for scalars and vectors of "f32" and "f64".

Room: codegen. `FUNCTIONS[name](b, x, ...)` writes a function by NumPy's name. No call leaves the
kernel, and the bits do not depend on the number of lanes. What `wide.by_table` has written twice is
short with AVX-512 and has other last bits there. Largest errors, in units of the last place, which
`tests/codegen/test_math.py` holds, and elements per microsecond on one core (Emerald Rapids,
AVX-512, beside other programs: the best of many windows of 4096 elements; PyTorch's 2.13 of 65536,
on the same arguments):

               f32: error     rate          f64: error     rate
               (PyTorch's)    (PyTorch's)                  (PyTorch's)
    exp        1.0  (0.6)     3830 (1730)   1.0  (0.7)     1170 (910)
    exp2       1.1  (0.9)     2600 (1570)   1.1  (0.8)     1190 (740)
    expm1      1.5  (1.0)     2490 (670)    1.4  (0.8)     1150 (320)
    sigmoid    2.1  (2.1)     2830 (1340)   2.0  (2.0)      870 (600)
    tanh       1.7  (0.6)     2060 (1450)   1.4  (0.6)      740 (510)
    log        1.0  (0.6)     2930 (1700)   0.8  (0.6)      930 (750)
    log2       0.9  (0.5)     1770 (1660)   0.8  (0.5)      800 (780)
    log10      0.8  (0.5)     1770 (1620)   0.8  (0.6)      820 (780)
    log1p      1.4  (1.0)     1990 (960)    1.1  (1.0)      910 (420)
    power      0.9  (0.6)      480 (300)    0.9  (0.7)      210 (150)
    erf        1.2  (1.0)     2990 (1140)   1.0  (1.0)      470 (580)
    erfc       1.4  (0.9)      740 (1140)   1.3  (1.0)      240 (510)
    erfinv     1.7  (0.6)      800 (800)    1.8  (0.6)      160 (440)
    sin        0.9  (0.6)     1980 (1260)   0.9  (0.5)      920 (650)
    cos        0.9  (0.6)     2010 (1340)   0.9  (0.5)      980 (720)
    tan        1.2  (0.6)     1260 (1210)   1.2  (0.6)      620 (610)
    arcsin     1.2  (0.8)     2370 (1250)   1.2  (0.8)      860 (640)
    arccos     1.2  (0.8)     2080 (1290)   1.2  (0.8)      850 (610)
    arctan     1.8  (0.5)     1940 (1310)   1.6  (0.6)      940 (560)
    arctan2    1.9  (0.9)     1220 (540)    1.9  (0.9)      560 (240)
    sinh       1.6  (0.6)     1740 (570)    1.6  (1.0)      760 (260)
    cosh       1.5  (0.6)     2060 (580)    1.5  (0.5)      930 (280)
    arcsinh    1.8  (1.6)      920 (50)     1.7  (1.7)      310 (50)
    arccosh    1.8  (2.0)      910 (110)    1.8  (2.0)      310 (100)
    arctanh    1.0  (1.0)     1220 (550)    1.0  (1.0)      480 (220)
    hypot      1.0  (0.5)     2360 (660)    1.0  (0.5)      860 (280)

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
