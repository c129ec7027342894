"""Rules of the ONNX export: arithmetic, comparisons, activations, reductions."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.onnx._table import SAME, made_of, node, unsupported

#: functions of one tensor that ONNX has, too
_UNARY = {
    "abs": "Abs", "neg": "Neg", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh",
    "sigmoid": "Sigmoid", "relu": "Relu", "erf": "Erf", "floor": "Floor", "ceil": "Ceil",
    "round": "Round", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos",
    "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "reciprocal": "Reciprocal", "sign": "Sign", "softsign": "Softsign",
    "mish": "Mish", "hardswish": "HardSwish", "bitwise_not": "BitwiseNot", "sgn": "Sign",
}  # fmt: skip
_SYNONYMS = {
    "abs": ("absolute", "__abs__"), "neg": ("negative", "__neg__"), "sigmoid": ("expit",),
    "asin": ("arcsin",), "acos": ("arccos",), "atan": ("arctan",), "asinh": ("arcsinh",),
    "acosh": ("arccosh",), "atanh": ("arctanh",),
}  # fmt: skip
SAME |= {
    "clone", "contiguous", "detach", "to", "type_as", "type", "float", "double", "half", "bfloat16",
    "int", "long", "short", "bool", "char", "byte", "cpu", "data", "requires_grad_", "positive",
    "__pos__", "alias", "detach_", "resolve_conj", "resolve_neg", "real", "lift_fresh",
}  # fmt: skip


def _unary(kind: str) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        x = next(iter(vars(a).values()))
        if getattr(a, "decimals", 0):
            unsupported("decimals")
        return g.op(kind, g.cast(x, out.dtype))

    return rule


for _name, _kind in _UNARY.items():
    node(_name, *_SYNONYMS.get(_name, ()))(_unary(_kind))


@node("logical_not")
def _logical_not(g: Any, a: Any, out: Any) -> Any:
    return g.op("Not", g.cast(a.input, torch.bool))


@node("__invert__")
def _invert(g: Any, a: Any, out: Any) -> Any:
    x = next(iter(vars(a).values()))
    return g.op("Not" if x.dtype is torch.bool else "BitwiseNot", x)


@node("isnan")
def _isnan(g: Any, a: Any, out: Any) -> Any:
    return g.op("IsNaN", a.input)


@node("isinf")
def _isinf(g: Any, a: Any, out: Any) -> Any:
    return g.op("IsInf", a.input)


def _operands(a: Any) -> tuple[Any, Any]:
    x, y = list(vars(a).values())[:2]
    return x, y


def _binary(kind: str, turned: bool = False) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        x, y = _operands(a)
        if turned:
            x, y = y, x
        x, y = g.number(x, out.dtype), g.number(y, out.dtype)
        alpha = getattr(a, "alpha", 1)
        if alpha != 1:
            y = g.op("Mul", y, g.number(alpha, out.dtype))
        return g.op(kind, x, y)

    return rule


for _names, _kind in {
    ("add", "__add__", "__radd__"): "Add", ("sub", "__sub__", "subtract"): "Sub",
    ("mul", "__mul__", "__rmul__", "multiply"): "Mul", ("maximum",): "Max", ("minimum",): "Min",
    ("bitwise_and",): "BitwiseAnd", ("bitwise_or",): "BitwiseOr", ("bitwise_xor",): "BitwiseXor",
}.items():  # fmt: skip
    node(*_names)(_binary(_kind))
node("rsub", "__rsub__")(_binary("Sub", turned=True))


@node("div", "divide", "true_divide", "__truediv__")
def _div(g: Any, a: Any, out: Any) -> Any:
    rounding = getattr(a, "rounding_mode", None)
    x, y = (g.number(each, out.dtype) for each in _operands(a))
    if not isinstance(rounding, str):
        return g.op("Div", x, y)
    if out.dtype.is_floating_point:
        ratio = g.op("Div", x, y)
        if rounding == "floor":
            return g.op("Floor", ratio)
        return g.op("Mul", g.op("Sign", ratio), g.op("Floor", g.op("Abs", ratio)))
    if rounding == "floor":  # integers are divided towards zero, and Mod takes the divisor's sign
        x = g.op("Sub", x, g.op("Mod", x, y))
    return g.op("Div", x, y)


@made_of("floor_divide", "__floordiv__")
def _floor_divide(x: Any, y: Any) -> Any:
    return torch.div(x, y, rounding_mode="floor")


@made_of("trunc", "fix")
def _trunc(x: Any) -> Any:
    return torch.div(x, 1, rounding_mode="trunc")


@node("__rtruediv__")
def _rdiv(g: Any, a: Any, out: Any) -> Any:
    x, y = _operands(a)
    return g.op("Div", g.number(y, out.dtype), g.number(x, out.dtype))


@node("pow", "__pow__", "float_power")
def _pow(g: Any, a: Any, out: Any) -> Any:
    x, y = _operands(a)
    return g.op("Pow", g.number(x, out.dtype), g.number(y, out.dtype))


@node("__rpow__")
def _rpow(g: Any, a: Any, out: Any) -> Any:
    x, y = _operands(a)
    return g.op("Pow", g.number(y, out.dtype), g.number(x, out.dtype))


@node("remainder", "__mod__")
def _remainder(g: Any, a: Any, out: Any) -> Any:
    x, y = (g.number(each, out.dtype) for each in _operands(a))
    if out.dtype.is_floating_point:
        whole = g.op("Floor", g.op("Div", x, y))
        return g.op("Sub", x, g.op("Mul", whole, y))
    return g.op("Mod", x, y)


@node("fmod")
def _fmod(g: Any, a: Any, out: Any) -> Any:
    x, y = (g.number(each, out.dtype) for each in _operands(a))
    return g.op("Mod", x, y, fmod=1)


def _compare(kind: str, negated: bool = False) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        x, y = _operands(a)
        common = torch.result_type(x, y)
        got = g.op(kind, g.number(x, common), g.number(y, common))
        return g.op("Not", got) if negated else got

    return rule


for _names, _kind in {
    ("eq", "__eq__"): "Equal", ("lt", "__lt__", "less"): "Less",
    ("le", "__le__", "less_equal"): "LessOrEqual", ("gt", "__gt__", "greater"): "Greater",
    ("ge", "__ge__", "greater_equal"): "GreaterOrEqual",
}.items():  # fmt: skip
    node(*_names)(_compare(_kind))
node("ne", "__ne__", "not_equal")(_compare("Equal", negated=True))


def _logical(kind: str) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        x, y = _operands(a)
        if out.dtype is not torch.bool:
            return unsupported("of integers")
        return g.op(kind, g.number(x, torch.bool), g.number(y, torch.bool))

    return rule


for _names, _kind in {
    ("logical_and", "__and__"): "And", ("logical_or", "__or__"): "Or",
    ("logical_xor", "__xor__"): "Xor",
}.items():  # fmt: skip
    node(*_names)(_logical(_kind))


@node("where")
def _where(g: Any, a: Any, out: Any) -> Any:
    if a.input is None or a.other is None:
        return unsupported("of a condition alone")
    condition = g.cast(a.condition, torch.bool)
    return g.op("Where", condition, g.number(a.input, out.dtype), g.number(a.other, out.dtype))


@node("masked_fill")
def _masked_fill(g: Any, a: Any, out: Any) -> Any:
    return g.op("Where", a.mask, g.number(a.value, out.dtype), g.cast(a.input, out.dtype))


@node("clamp", "clip", "clamp_min", "clamp_max")
def _clamp(g: Any, a: Any, out: Any) -> Any:
    got = g.cast(a.input, out.dtype)
    low, high = getattr(a, "min", None), getattr(a, "max", None)
    if not isinstance(low, torch.Tensor) and not isinstance(high, torch.Tensor):
        bounds = [None if b is None else g.number(b, out.dtype) for b in (low, high)]
        return g.op("Clip", got, *bounds)
    for kind, bound in (("Max", low), ("Min", high)):
        if bound is not None:
            got = g.op(kind, got, g.number(bound, out.dtype))
    return got


# --- activations


@node("leaky_relu")
def _leaky_relu(g: Any, a: Any, out: Any) -> Any:
    return g.op("LeakyRelu", a.input, alpha=float(a.negative_slope))


@node("elu")
def _elu(g: Any, a: Any, out: Any) -> Any:
    if getattr(a, "scale", 1) != 1 or getattr(a, "input_scale", 1) != 1:
        return unsupported("with a scale")
    return g.op("Elu", a.input, alpha=float(a.alpha))


@node("celu")
def _celu(g: Any, a: Any, out: Any) -> Any:
    return g.op("Celu", a.input, alpha=float(a.alpha))


@node("selu")
def _selu(g: Any, a: Any, out: Any) -> Any:
    return g.op("Selu", a.input)


@node("hardsigmoid")
def _hardsigmoid(g: Any, a: Any, out: Any) -> Any:
    return g.op("HardSigmoid", a.input, alpha=1.0 / 6, beta=0.5)


@made_of("gelu")
def _gelu(input: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (input + 0.044715 * input * input * input)
        return 0.5 * input * (1 + torch.tanh(inner))
    return 0.5 * input * (1 + torch.erf(input * math.sqrt(0.5)))


@made_of("silu")
def _silu(input: Any, inplace: bool = False) -> Any:
    return input * torch.sigmoid(input)


@made_of("hardtanh")
def _hardtanh(
    input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Any:
    return torch.clamp(input, min_val, max_val)


@made_of("relu6")
def _relu6(input: Any, inplace: bool = False) -> Any:
    return torch.clamp(input, 0.0, 6.0)


@node("softplus")
def _softplus(g: Any, a: Any, out: Any) -> Any:
    beta = g.number(float(a.beta), out.dtype)
    scaled = g.op("Mul", a.input, beta)
    soft = g.op("Div", g.op("Softplus", scaled), beta)
    linear = g.op("Greater", scaled, g.number(float(a.threshold), out.dtype))
    return g.op("Where", linear, a.input, soft)


@made_of("logsigmoid")
def _logsigmoid(input: Any) -> Any:
    return -torch.nn.functional.softplus(-input)


@node("hardshrink")
def _hardshrink(g: Any, a: Any, out: Any) -> Any:
    return g.op("Shrink", a.input, bias=0.0, lambd=float(a.lambd))


@node("softshrink")
def _softshrink(g: Any, a: Any, out: Any) -> Any:
    return g.op("Shrink", a.input, bias=float(a.lambd), lambd=float(a.lambd))


@made_of("tanhshrink")
def _tanhshrink(input: Any) -> Any:
    return input - torch.tanh(input)


@made_of("threshold")
def _threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    return torch.where(input > threshold, input, value)


@node("prelu")
def _prelu(g: Any, a: Any, out: Any) -> Any:
    slope = g.ref(a.weight)
    if a.weight.numel() != 1:
        slope = g.op("Reshape", slope, [-1] + [1] * (out.dim() - 2))
    return g.op("PRelu", a.input, slope)


@made_of("glu")
def _glu(input: Any, dim: int = -1) -> Any:
    a, b = torch.chunk(input, 2, dim)
    return a * torch.sigmoid(b)


@made_of("rrelu")
def _rrelu(
    input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
    inplace: bool = False, generator: Any = None,
) -> Any:  # fmt: skip
    if training:
        return unsupported("draws random numbers in training")
    return torch.nn.functional.leaky_relu(input, (lower + upper) / 2)


def _softmax_rule(kind: str) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        dim = a.dim if a.dim is not None else (0 if out.dim() in (0, 1, 3) else 1)
        return g.op(kind, g.cast(a.input, out.dtype), axis=int(dim))

    return rule


node("softmax")(_softmax_rule("Softmax"))
node("log_softmax")(_softmax_rule("LogSoftmax"))


@made_of("softmin")
def _softmin(input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return torch.nn.functional.softmax(-input, dim, dtype=dtype)


@made_of("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout",
         "feature_alpha_dropout")  # fmt: skip
def _dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    return unsupported("draws random numbers in training") if training and p else input


# --- functions made of others


@made_of("rsqrt")
def _rsqrt(input: Any) -> Any:
    return torch.reciprocal(torch.sqrt(input))


@made_of("square")
def _square(input: Any) -> Any:
    return input * input


@made_of("log1p")
def _log1p(input: Any) -> Any:
    return torch.log(input + 1)


@made_of("expm1")
def _expm1(input: Any) -> Any:
    return torch.exp(input) - 1


@made_of("log2")
def _log2(input: Any) -> Any:
    return torch.log(input) / math.log(2)


@made_of("log10")
def _log10(input: Any) -> Any:
    return torch.log(input) / math.log(10)


@made_of("exp2")
def _exp2(input: Any) -> Any:
    return torch.exp(input * math.log(2))


@made_of("erfc")
def _erfc(input: Any) -> Any:
    return 1 - torch.erf(input)


@made_of("addcmul")
def _addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    return input + value * tensor1 * tensor2


@made_of("lerp")
def _lerp(input: Any, end: Any, weight: Any) -> Any:
    return input + weight * (end - input)


# --- reductions


def _axes(dim: Any) -> list[int] | None:
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return None
    return [int(d) for d in dim] if isinstance(dim, (tuple, list)) else [int(dim)]


def _reduction(kind: str) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        axes = _axes(a.dim)
        x = g.cast(a.input, out.dtype)
        return g.op(kind, x, axes, keepdims=int(bool(a.keepdim)))

    return rule


for _name, _kind in {
    "sum": "ReduceSum", "mean": "ReduceMean", "amax": "ReduceMax", "amin": "ReduceMin",
    "prod": "ReduceProd", "logsumexp": "ReduceLogSumExp",
}.items():  # fmt: skip
    node(_name)(_reduction(_kind))


def _extreme(kind: str, pick: str, elementwise: str) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        other = a.other if a.other is not None else a.dim
        if isinstance(other, torch.Tensor):
            return g.op(elementwise, g.number(a.input, out.dtype), g.number(other, out.dtype))
        if a.dim is None:
            return g.op(kind, a.input, None, keepdims=0)
        keep = int(bool(a.keepdim))
        values = g.op(kind, a.input, [int(a.dim)], keepdims=keep)
        return values, g.op(pick, a.input, axis=int(a.dim), keepdims=keep)

    return rule


node("max")(_extreme("ReduceMax", "ArgMax", "Max"))
node("min")(_extreme("ReduceMin", "ArgMin", "Min"))


def _position(kind: str) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        if a.dim is None:
            flat = g.op("Reshape", a.input, [-1])
            return g.op(kind, flat, axis=0, keepdims=0)
        return g.op(kind, a.input, axis=int(a.dim), keepdims=int(bool(a.keepdim)))

    return rule


node("argmax")(_position("ArgMax"))
node("argmin")(_position("ArgMin"))


@node("cumsum")
def _cumsum(g: Any, a: Any, out: Any) -> Any:
    return g.op("CumSum", g.cast(a.input, out.dtype), g.number(int(a.dim), torch.int64))


def _any(kind: str) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        numbers = g.op("Cast", g.cast(a.input, torch.bool), to=torch.int32)
        got = g.op(kind, numbers, _axes(a.dim), keepdims=int(bool(a.keepdim)))
        return g.op("Cast", got, to=torch.bool)

    return rule


node("any")(_any("ReduceMax"))
node("all")(_any("ReduceMin"))


@made_of("var")
def _var(input: Any, *args: Any, **kwargs: Any) -> Any:
    dim, correction, keepdim = _spread_arguments(*args, **kwargs)
    count = input.numel() if dim is None else math.prod(input.shape[d] for d in dim)
    mean = torch.mean(input, dim, True) if dim is not None else torch.mean(input)
    apart = input - mean
    squares = apart * apart
    total = torch.sum(squares, dim, keepdim) if dim is not None else torch.sum(squares)
    return total / max(count - correction, 0)


@made_of("std")
def _std(input: Any, *args: Any, **kwargs: Any) -> Any:
    return torch.sqrt(torch.var(input, *args, **kwargs))


def _spread_arguments(
    dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None,
) -> tuple[list[int] | None, float, bool]:  # fmt: skip
    """The axes, the correction and keepdim of `var`, which has several forms."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return _axes(dim), correction, keepdim


@made_of("norm", "linalg.vector_norm")
def _norm(
    input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None,
    dtype: Any = None, **named: Any,
) -> Any:  # fmt: skip
    p = named.pop("ord", 2 if p in ("fro", None) else p)
    axes = _axes(dim) or list(range(input.dim()))
    if p == 2:
        return torch.sqrt(torch.sum(input * input, axes, keepdim))
    if p == 1:
        return torch.sum(torch.abs(input), axes, keepdim)
    if p == math.inf:
        return torch.amax(torch.abs(input), axes, keepdim)
    if isinstance(p, (int, float)) and p > 0:
        return torch.sum(torch.abs(input) ** p, axes, keepdim) ** (1 / p)
    return unsupported(f"of order {p!r}")
