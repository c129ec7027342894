"""Dtype conversion: `to`, `type`, the short names, copies or not, and gradients through them."""

import copy
import pickle

from tests.parity.case import KINDS, Family, const, f, i

convert = Family("convert")
NAMES = (
    "bool",
    "byte",
    "char",
    "short",
    "int",
    "long",
    "half",
    "bfloat16",
    "float",
    "double",
    "cfloat",
    "cdouble",
)

for kind in KINDS:
    values = [0, 1, 3] if kind in ("bool", "uint8") else [-3, 0, 1, 100]
    convert(
        f"{kind} to all",
        lambda T, x, k=kind: [
            x.to(getattr(T, k)).to(getattr(T, o))
            for o in KINDS
            if not (k.startswith("complex") and not o.startswith("complex"))
        ],
        const(values),
        order=0,
    )
for name in NAMES:
    convert(
        f"{name}()", lambda T, x, n=name: [getattr(x, n)(), getattr(x, n)() is x], f(3, 2).nograd
    )
for kind in ("float16", "bfloat16", "float64", "float32"):
    convert(
        f"to {kind}",
        lambda T, x, k=kind: x.to(getattr(T, k)),
        f(3, 4),
        dtypes=("float32", "float64", "float16"),
        differences=False,
    )
convert(
    "to itself",
    lambda T, x: [
        x.to(x.dtype) is x,
        x.to(x.dtype, copy=True) is x,
        x.to("cpu") is x,
        x.float() is x,
        x.cpu() is x,
        x.contiguous() is x,
    ],
    f(3),
)
convert(
    "to forms",
    lambda T, x, y: [
        x.to(y),
        x.to("cpu", T.float64),
        x.to(dtype=T.int64),
        x.to(T.device("cpu")),
        x.to(T.float64, copy=True),
        x.to(T.float16, non_blocking=True),
        x.type(T.float64),
        x.type("torch.DoubleTensor"),
        x.type_as(y),
    ],
    f(3).nograd,
    i(3),
)
convert("to transposed", lambda T, x: x.to(T.float64), f(3, 4).t)
convert(
    "round trips keep gradients",
    lambda T, x: x.double().pow(2).float().sum(),
    f(4),
    differences=False,
)
convert(
    "mixed chain",
    lambda T, x, y: (x.double() * y).float(),
    f(4),
    f(4, dtype="float64"),
    differences=False,
)
convert(
    "float to integer truncates",
    lambda T, x: [x.long(), x.int(), x.to(T.uint8), x.short()],
    const([1.9, 2.5, 0.1, 7.99]),
)
convert(
    "negative float to integer",
    lambda T, x: [x.long(), x.int(), x.to(T.int8)],
    const([-1.9, -2.5, -0.1]),
)
convert(
    "integer wraps",
    lambda T, x: [x.to(T.uint8), x.to(T.int8), x.to(T.int16)],
    const([300, -1, 128, 40000]),
)
convert("numbers to bool", lambda T, x: x.bool(), const([0.0, -0.0, 0.1, float("nan")]))
convert(
    "large to half", lambda T, x: [x.half(), x.bfloat16()], const([1e5, 65504.0, 1e-8, 3.14159])
)
convert("bfloat16 rounding", lambda T, x: x.bfloat16().float(), f(50).nograd, exact=True)
convert("float16 rounding", lambda T, x: x.half().float(), f(50).nograd, exact=True)
convert(
    "double to float overflow",
    lambda T, x: x.float(),
    const([1e300, -1e300, 1e-300], dtype="float64"),
)
convert("copy_ casts", lambda T, x: T.empty(3, dtype=T.int32).copy_(x), const([1.7, -2.2, 3.0]))
convert(
    "detach and data",
    lambda T, x: [
        x.detach(),
        x.data,
        x.detach().requires_grad,
        x.detach().clone(),
        x.data_ptr() == x.detach().data_ptr(),
    ],
    f(3),
)
convert("deepcopy", lambda T, x: copy.deepcopy(x), f(3, 4).t, order=0)
convert("pickle", lambda T, x: pickle.loads(pickle.dumps(x.detach())), f(3))
