"""Elementwise functions of one tensor: arithmetic, exponentials, trigonometry, rounding, tests."""

from tests.parity.case import COMPLEX, INTEGRAL, Family, b, const, f, function, i, method

unary = Family("unary")

ALL = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool")
REAL = ("float32", "float64", "float16", "bfloat16", "int64")

SMOOTH = {  # name -> domain
    "exp": (-3, 3),
    "exp2": (-3, 3),
    "expm1": (-2, 2),
    "sin": (-4, 4),
    "cos": (-4, 4),
    "tan": (-1.2, 1.2),
    "sinh": (-3, 3),
    "cosh": (-3, 3),
    "tanh": (-3, 3),
    "asinh": (-4, 4),
    "atan": (-4, 4),
    "sigmoid": (-6, 6),
    "erf": (-2, 2),
    "erfc": (-2, 2),
    "sinc": (0.2, 3),
    "log": (0.1, 5),
    "log2": (0.1, 5),
    "log10": (0.1, 5),
    "log1p": (-0.9, 5),
    "sqrt": (0.1, 5),
    "rsqrt": (0.1, 5),
    "asin": (-0.95, 0.95),
    "acos": (-0.95, 0.95),
    "atanh": (-0.95, 0.95),
    "acosh": (1.1, 5),
    "reciprocal": (0.2, 4),
    "lgamma": (0.3, 6),
    "digamma": (0.3, 6),
    "logit": (0.05, 0.95),
    "erfinv": (-0.9, 0.9),
    "i0": (-3, 3),
}
for name, (low, high) in SMOOTH.items():
    kinds = REAL[:4] if name in ("logit", "reciprocal") else REAL
    kinds = REAL[:2] if name == "i0" else kinds  # PyTorch has no gradient of i0 in half precision
    unary(name, name, f(3, 5, low=low, high=high), dtypes=kinds)

for name in ("neg", "square", "abs", "positive"):
    unary(name, name, f(3, 4), dtypes=(*REAL, "int8", *(() if name == "neg" else ("uint8",))))
for name in ("ceil", "floor", "round", "trunc", "frac"):
    kinds = REAL[:4] if name == "frac" else (*REAL, "int32")
    unary(name, name, f(4, 5, low=-4, high=4), dtypes=kinds)
unary(
    "round half to even",
    "round",
    const([0.5, 1.5, 2.5, -0.5, -1.5, 3.5], grad=True),
    differences=False,
)
unary("round decimals", function("round", decimals=2), f(6, low=-9, high=9), dtypes=REAL[:2])
unary("round negative decimals", function("round", decimals=-1), f(6, low=-99, high=99))
unary("fix", "fix", f(6))
unary("sign", "sign", const([-2.0, -0.0, 0.0, 3.0]), dtypes=(*REAL, "bool"))
unary("sgn", "sgn", f(4), dtypes=("float32", "complex64"), order=1)
unary("signbit", "signbit", const([-2.0, -0.0, 0.0, 3.0]), dtypes=("float32", "float64", "int64"))
unary(
    "nan_to_num",
    "nan_to_num",
    const([1.0, float("nan"), float("inf"), -float("inf")], grad=True),
    dtypes=("float32", "float64", "float16"),
    differences=False,
)
unary(
    "nan_to_num given",
    function("nan_to_num", nan=2.0, posinf=7.0, neginf=-7.0),
    const([1.0, float("nan"), float("inf"), -float("inf")]),
)
for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf"):
    unary(
        name,
        name,
        const([1.0, float("nan"), float("inf"), -float("inf")]),
        dtypes=("float32", "float64", "bfloat16"),
    )
unary("isnan of integers", "isnan", i(3))
unary("isreal", "isreal", f(3), dtypes=("float32", "complex64"))
for name in ("logical_not", "bitwise_not"):
    kinds = ALL if name == "logical_not" else ("int64", "int32", "uint8", "bool")
    unary(name, name, f(5), dtypes=kinds)
unary("invert operator", lambda T, x: ~x, i(4))
unary("not operator on bool", lambda T, x: ~x, b(6))
unary("neg operator", lambda T, x: -x, f(3, 2))
unary("pos operator", lambda T, x: +x, f(3, 2))
unary("abs operator", lambda T, x: abs(x), f(3, 2))
unary("deg2rad", "deg2rad", f(4, low=-180, high=180))
unary("rad2deg", "rad2deg", f(4))
unary("ldexp of arange", lambda T, x: T.ldexp(x, T.arange(4)), f(4))
unary("frexp", "frexp", f(5), order=0)
unary("clamp", function("clamp", -0.5, 0.7), f(4, 5), dtypes=(*REAL[:4],))
unary("clamp integers", function("clamp", -2, 3), i(9), dtypes=("int64",))
unary("clamp min", function("clamp", min=0.2), f(4, 5))
unary("clamp max", function("clamp", max=0.2), f(4, 5))
unary("clamp integers by floats", function("clamp", -1.5, 2.5), i(9))
unary(
    "clamp tensors",
    lambda T, x, lo, hi: T.clamp(x, lo, hi),
    f(4, 5),
    f(5, low=-2, high=-0.1),
    f(4, 1, low=0.1, high=2),
)
unary(
    "clamp at bounds",
    function("clamp", -1.0, 1.0),
    const([-1.0, 1.0, 0.0], grad=True),
    differences=False,
)
unary("clip", function("clip", -0.5, 0.7), f(4))
unary("clamp_min", function("clamp_min", 0.1), f(4))
unary("clamp_max", function("clamp_max", 0.1), f(4))
unary("abs at zero", "abs", const([-1.0, 0.0, 2.0], grad=True), differences=False)
unary("sqrt at zero", "sqrt", const([0.0, 1.0], grad=True), differences=False, order=1)
unary("log of zero and below", "log", const([0.0, -1.0, 1.0], grad=True), differences=False)
unary(
    "exp overflow",
    "exp",
    const([100.0, -200.0], grad=True),
    differences=False,
    dtypes=("float32", "float16"),
)
unary("reciprocal of integers", "reciprocal", i(4, low=1, high=9))
unary("sin of a transposed window", "sin", f(3, 4).t)
unary("exp of every second", "exp", f(3, 4).strided)
unary("tanh of a window with offset", "tanh", f(3, 4).offset)
unary("cos of an expanded row", "cos", f(3, 4).expanded)
unary("sin of a permuted cube", lambda T, x: x.permute(2, 0, 1).sin(), f(2, 3, 4))
unary("exp of a scalar", "exp", f())
unary("exp of nothing", "exp", f(0, 3), differences=False)
unary("polygamma", lambda T, x: T.polygamma(1, x), f(4, low=0.5, high=4), order=0)
unary("special.expit", "special.expit", f(4))
unary("special.xlog1py", "special.xlog1py", f(4), f(4, low=0.1, high=2))
unary("special.entr", "special.entr", f(4, low=0.1, high=2))
unary("special.ndtr", "special.ndtr", f(4))
unary("log_sigmoid chain", lambda T, x: (x.sigmoid() + 1e-3).log().tanh(), f(3, 4))
unary("float_power", function("float_power", 2.5), f(4, low=0.2, high=3))
unary("out=", lambda T, x: T.exp(x.detach(), out=T.empty(3, 4)), f(3, 4))

complex_unary = Family("complex", {"dtypes": COMPLEX, "differences": False})
for name in (
    "exp",
    "sin",
    "cos",
    "tanh",
    "sqrt",
    "log",
    "neg",
    "square",
    "reciprocal",
    "abs",
    "angle",
    "sigmoid",
):
    complex_unary(name, name, f(3, 2))
complex_unary("conj", lambda T, z: z.conj() * 2, f(3))
complex_unary("conj_physical", "conj_physical", f(3))
complex_unary("real", method("__getattribute__", "real"), f(3))
complex_unary("imag", method("__getattribute__", "imag"), f(3))
complex_unary("view_as_real", "view_as_real", f(3, 2))
complex_unary(
    "is_conj", lambda T, z: [z.conj().is_conj(), z.is_complex(), z.conj().resolve_conj()], f(3)
)
complex_unary("complex", lambda T, x, y: T.complex(x, y), f(3), f(3), dtypes=("float32", "float64"))
complex_unary(
    "polar",
    lambda T, r, t: T.polar(r, t),
    f(3, low=0.1, high=2),
    f(3),
    dtypes=("float32", "float64"),
)
complex_unary("view_as_complex", "view_as_complex", f(3, 2), dtypes=("float32",))
complex_unary("angle of reals", "angle", f(4), dtypes=("float32",))
for name in ("add", "sub", "mul", "div", "matmul"):
    complex_unary(f"{name} of complex", name, f(3, 3), f(3, 3))
complex_unary("mixed product", lambda T, z, x: z * x, f(3), f(3, dtype="float32"))
complex_unary("times a Python complex", lambda T, x: x * (2 - 3j), f(3), dtypes=("float32",))
complex_unary("power", lambda T, z: z**2, f(3))
complex_unary("sum of squared size", lambda T, z: (z * z.conj()).real.sum(), f(4))
complex_unary("complex sum", "sum", f(3, 2))
complex_unary("complex mean", "mean", f(3, 2))
complex_unary("complex prod", "prod", f(3), order=1)
complex_unary("complex mm", "mm", f(2, 3), f(3, 2))
complex_unary("adjoint", lambda T, z: [z.mH, z.adjoint(), z.H], f(3, 2))
complex_unary("complex eq", "eq", f(3), f(3))

INTEGER_KINDS = INTEGRAL
for name in ("abs", "neg", "square", "sign"):
    unary(f"{name} of integers", name, i(6), dtypes=("int64",))
unary("neg of every integer", lambda T, x: [(-x.to(getattr(T, d))) for d in INTEGER_KINDS], i(6))
