"""Rules of the ONNX export: normalisation, convolution, pooling, padding, attention, recurrence."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.onnx._table import made_of, node, unsupported


@node("batch_norm")
def _batch_norm(g: Any, a: Any, out: Any) -> Any:
    if a.training or a.running_mean is None:
        return unsupported("with the batch's own statistics, as in training")
    kind = a.input.dtype
    count = a.running_mean.shape[0]
    weight = a.weight if a.weight is not None else torch.ones(count, dtype=kind)
    bias = a.bias if a.bias is not None else torch.zeros(count, dtype=kind)
    return g.op("BatchNormalization", a.input, weight, bias, a.running_mean, a.running_var,
                epsilon=float(a.eps))  # fmt: skip


@node("layer_norm")
def _layer_norm(g: Any, a: Any, out: Any) -> Any:
    sizes = a.normalized_shape
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    weight = a.weight if a.weight is not None else torch.ones(sizes, dtype=out.dtype)
    return g.op("LayerNormalization", a.input, weight, a.bias, axis=-len(sizes),
                epsilon=float(a.eps))  # fmt: skip


def _centred(x: Any, axes: list[int], eps: float) -> Any:
    apart = x - torch.mean(x, axes, True)
    return apart / torch.sqrt(torch.mean(apart * apart, axes, True) + eps)


def _per_channel(x: Any, weight: Any, bias: Any) -> Any:
    """x (N, C, *) times the channels' weights, plus their biases."""
    shape = [1, -1, *[1] * (x.dim() - 2)]
    if weight is not None:
        x = x * torch.reshape(weight, shape)
    return x if bias is None else x + torch.reshape(bias, shape)


@made_of("group_norm")
def _group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:  # fmt: skip
    groups = torch.reshape(input, (input.shape[0], num_groups, -1))
    got = torch.reshape(_centred(groups, [2], eps), tuple(input.shape))
    return _per_channel(got, weight, bias)


@made_of("instance_norm")
def _instance_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    if use_input_stats:
        got = _centred(input, list(range(2, input.dim())), eps)
        return _per_channel(got, weight, bias)
    return torch.nn.functional.batch_norm(
        input, running_mean, running_var, weight, bias, False, momentum, eps
    )


@made_of("rms_norm")
def _rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Any:
    sizes = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    mean = torch.mean(input * input, list(range(-len(sizes), 0)), True)
    got = input / torch.sqrt(mean + eps)
    return got if weight is None else got * weight


@node("local_response_norm")
def _local_response_norm(g: Any, a: Any, out: Any) -> Any:
    if a.size % 2 == 0 or out.dim() < 3:
        return unsupported("of an even size")
    return g.op("LRN", a.input, size=int(a.size), alpha=float(a.alpha), beta=float(a.beta),
                bias=float(a.k))  # fmt: skip


# --- convolution and pooling


def _many(x: Any, count: int) -> list[int]:
    """A number for each axis: one for all, or a sequence."""
    x = [x] if isinstance(x, int) else [int(n) for n in x]
    return x * count if len(x) == 1 else x


def _batched(rule: Any) -> Any:
    """A rule for (N, C, *) that also takes (C, *): a first axis is added and taken away."""

    def call(g: Any, a: Any, out: Any) -> Any:
        x = a.input
        outs = out if isinstance(out, tuple) else (out,)
        axes = rule.axes(a) if hasattr(rule, "axes") else None
        count = axes if axes is not None else x.dim() - 2
        if x.dim() == count + 2:
            return rule(g, a, g.ref(x), count)
        got = rule(g, a, g.op("Unsqueeze", x, [0]), count)
        got = got if type(got) is tuple else (got,)
        return [g.op("Squeeze", v, [0]) if v is not None else None for v, _ in zip(got, outs)]

    return call


def _convolution(count: int) -> Any:
    def rule(g: Any, a: Any, x: Any, _: int) -> Any:
        padding: dict[str, Any] = {}
        dilation, kernel = _many(a.dilation, count), list(a.weight.shape[2:])
        if a.padding == "same":
            total = [d * (k - 1) for d, k in zip(dilation, kernel)]
            padding["pads"] = [n // 2 for n in total] + [n - n // 2 for n in total]
        elif a.padding != "valid":
            padding["pads"] = _many(a.padding, count) * 2
        return g.op("Conv", x, a.weight, a.bias, strides=_many(a.stride, count), dilations=dilation,
                    group=int(a.groups), kernel_shape=kernel, **padding)  # fmt: skip

    rule.axes = lambda a: count  # type: ignore[attr-defined]
    return _batched(rule)


def _transposed(count: int) -> Any:
    def rule(g: Any, a: Any, x: Any, _: int) -> Any:
        return g.op(
            "ConvTranspose", x, a.weight, a.bias, strides=_many(a.stride, count),
            dilations=_many(a.dilation, count), group=int(a.groups),
            pads=_many(a.padding, count) * 2, output_padding=_many(a.output_padding, count),
            kernel_shape=list(a.weight.shape[2:]),
        )  # fmt: skip

    rule.axes = lambda a: count  # type: ignore[attr-defined]
    return _batched(rule)


def _window(a: Any, count: int) -> dict[str, Any]:
    """A pooling window's size, stride and padding as attributes."""
    stride = a.stride if a.stride is not None and a.stride != [] else a.kernel_size
    return {
        "kernel_shape": _many(a.kernel_size, count), "strides": _many(stride, count),
        "pads": _many(getattr(a, "padding", 0), count) * 2, "ceil_mode": int(bool(a.ceil_mode)),
    }  # fmt: skip


def _max_pool(count: int) -> Any:
    def rule(g: Any, a: Any, x: Any, _: int) -> Any:
        window = _window(a, count) | {"dilations": _many(a.dilation, count)}
        if getattr(a, "return_indices", False):
            return unsupported("with indices, which PyTorch counts within each channel")
        return g.op("MaxPool", x, **window)

    rule.axes = lambda a: count  # type: ignore[attr-defined]
    return _batched(rule)


def _avg_pool(count: int) -> Any:
    def rule(g: Any, a: Any, x: Any, _: int) -> Any:
        if getattr(a, "divisor_override", None) is not None:
            return unsupported("with divisor_override")
        window = _window(a, count)
        if window["ceil_mode"] and a.count_include_pad:
            return unsupported("with ceil_mode, which ONNX counts in another way")
        include = int(bool(a.count_include_pad))
        return g.op("AveragePool", x, count_include_pad=include, **window)

    rule.axes = lambda a: count  # type: ignore[attr-defined]
    return _batched(rule)


def _adaptive(kind: str, count: int) -> Any:
    def rule(g: Any, a: Any, x: Any, _: int) -> Any:
        wanted = _many(a.output_size, count) if not isinstance(a.output_size, tuple) else [
            n if n is not None else m for n, m in zip(a.output_size, a.input.shape[-count:])
        ]  # fmt: skip
        if getattr(a, "return_indices", False):
            return unsupported("with indices")
        if all(n == 1 for n in wanted):
            return g.op(f"Global{kind}", x)
        sizes = list(a.input.shape[-count:])
        if any(n % m for n, m in zip(sizes, wanted)):
            return unsupported("to sizes that do not divide the input's")
        steps = [n // m for n, m in zip(sizes, wanted)]
        return g.op(kind, x, kernel_shape=steps, strides=steps)

    rule.axes = lambda a: count  # type: ignore[attr-defined]
    return _batched(rule)


for _k in (1, 2, 3):
    node(f"conv{_k}d")(_convolution(_k))
    node(f"conv_transpose{_k}d")(_transposed(_k))
    node(f"max_pool{_k}d")(_max_pool(_k))
    node(f"avg_pool{_k}d")(_avg_pool(_k))
    node(f"adaptive_avg_pool{_k}d")(_adaptive("AveragePool", _k))
    node(f"adaptive_max_pool{_k}d")(_adaptive("MaxPool", _k))


def _lp_pool(count: int) -> Any:
    def rule(g: Any, a: Any, x: Any, _: int) -> Any:
        if a.norm_type not in (1, 2) or a.ceil_mode:
            return unsupported("of another order than 1 or 2, or with ceil_mode")
        window = _window(a, count)
        del window["ceil_mode"], window["pads"]
        # PyTorch sums signed powers: for order 1 that is no LpPool
        if a.norm_type == 1:
            mean = g.op("AveragePool", x, **window)
            return g.op("Mul", mean, g.number(float(math.prod(window["kernel_shape"])),
                                              a.input.dtype))  # fmt: skip
        return g.op("LpPool", x, p=2, **window)

    rule.axes = lambda a: count  # type: ignore[attr-defined]
    return _batched(rule)


for _k in (1, 2, 3):
    node(f"lp_pool{_k}d")(_lp_pool(_k))


@node("pad")
def _pad(g: Any, a: Any, out: Any) -> Any:
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    pairs = list(zip(a.pad[::2], a.pad[1::2]))[::-1]
    lead = out.dim() - len(pairs)
    pads = [0] * lead + [int(p) for p, _ in pairs] + [0] * lead + [int(p) for _, p in pairs]
    if a.mode == "circular":
        return _wrapped(g, a.input, pads, out.dim())
    value = g.number(a.value or 0, out.dtype) if a.mode == "constant" else None
    return g.op("Pad", a.input, pads, value, mode=mode[a.mode])


def _wrapped(g: Any, x: Any, pads: list[int], ndim: int) -> Any:
    """Circular padding, axis by axis, from slices: ONNX has it since opset 19 only."""
    sizes = list(x.shape)
    got = g.ref(x)
    for axis in range(ndim):
        before, after, size = pads[axis], pads[axis + ndim], sizes[axis]
        if before < 0 or after < 0:
            start, end = max(0, -before), size - max(0, -after)
            got = g.op("Slice", got, [start], [end], [axis])
        parts = [got]
        if before > 0:
            parts.insert(0, g.op("Slice", got, [-before], [(1 << 63) - 1], [axis]))
        if after > 0:
            parts.append(g.op("Slice", got, [0], [after], [axis]))
        if len(parts) > 1:
            got = g.op("Concat", *parts, axis=axis)
    return got


@node("interpolate", "upsample")
def _interpolate(g: Any, a: Any, out: Any) -> Any:
    modes = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "trilinear": "linear",
             "bicubic": "cubic"}  # fmt: skip
    if a.mode not in modes or getattr(a, "antialias", False):
        return unsupported(f"mode={a.mode!r}")
    aligned = "align_corners" if a.align_corners else "half_pixel"
    coordinates = "asymmetric" if a.mode == "nearest" else aligned
    named: dict[str, Any] = {"mode": modes[a.mode]}
    if a.mode == "nearest":
        named["nearest_mode"] = "floor"
    if a.mode == "bicubic":
        named["cubic_coeff_a"] = -0.75
    return g.op("Resize", a.input, None, None, list(out.shape),
                coordinate_transformation_mode=coordinates, **named)  # fmt: skip


@node("pixel_shuffle")
def _pixel_shuffle(g: Any, a: Any, out: Any) -> Any:
    return g.op("DepthToSpace", a.input, blocksize=int(a.upscale_factor), mode="CRD")


@node("pixel_unshuffle")
def _pixel_unshuffle(g: Any, a: Any, out: Any) -> Any:
    n, c, h, w = out.shape
    r = int(a.downscale_factor)
    split = g.op("Reshape", a.input, [n, c // (r * r), h, r, w, r])
    return g.op("Reshape", g.op("Transpose", split, perm=[0, 1, 3, 5, 2, 4]), [n, c, h, w])


# --- attention and recurrence


@made_of("scaled_dot_product_attention")
def _attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: Any = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if dropout_p or enable_gqa:
        return unsupported("with dropout or grouped heads")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query * scale, torch.transpose(key, -2, -1))
    if is_causal:
        seen = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
        scores = torch.where(seen, scores, -math.inf)
    if attn_mask is not None:
        if attn_mask.dtype is torch.bool:
            scores = torch.where(attn_mask, scores, -math.inf)
        else:
            scores = scores + attn_mask
    return torch.matmul(torch.softmax(scores, -1), value)


def _cell_gates(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Any, Any]:
    linear = torch.nn.functional.linear
    return linear(x, w_ih, b_ih), linear(h, w_hh, b_hh)


@made_of("lstm_cell")
def _lstm_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:
    h, c = hx
    a, b = _cell_gates(input, h, w_ih, w_hh, b_ih, b_hh)
    i, f, new, o = torch.chunk(a + b, 4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(new)
    return torch.sigmoid(o) * torch.tanh(c), c


@made_of("gru_cell")
def _gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    a, b = _cell_gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    (ra, za, na), (rb, zb, nb) = torch.chunk(a, 3, 1), torch.chunk(b, 3, 1)
    new = torch.tanh(na + torch.sigmoid(ra + rb) * nb)
    z = torch.sigmoid(za + zb)
    return (1 - z) * new + z * hx


@made_of("rnn_tanh_cell")
def _rnn_tanh_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:
    a, b = _cell_gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    return torch.tanh(a + b)


@made_of("rnn_relu_cell")
def _rnn_relu_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:
    a, b = _cell_gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    return torch.relu(a + b)
