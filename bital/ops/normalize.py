"""Layer, RMS, group, batch and instance norm, and the normalisations of neighbours and vectors.

Room: ops. Sources of formulas: PyTorch's documentation of torch.nn.functional.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from bital.base.dtype import LOW_PRECISION, finfo, float32
from bital.ir.batch import Batch, looped
from bital.ir.meta import Meta
from bital.ir.op import Op, asking, same_as
from bital.ops.api import NAMESPACES, check_tensor, public, type_error
from bital.ops.buffer import update
from bital.ops.family import check_dtype
from bital.ops.loss import refuse_gradient
from bital.ops.norm import Layout, Normalisation, Shape, check_parameters, wide
from bital.ops.pad import pad
from bital.tensor.dispatch import apply, cast
from bital.tensor.tensor import Tensor


def _sizes(normalized_shape: Any, fn: str) -> Shape:
    if not isinstance(normalized_shape, (tuple, list)):
        raise type_error(fn, "normalized_shape", 2, normalized_shape, "tuple of ints")
    return tuple(normalized_shape)


def _check_optional(fn: str, *given: tuple[str, int, Any]) -> None:
    for name, position, value in given:
        if value is not None and not isinstance(value, Tensor):
            check_tensor(value, fn, name, position)


def _trailing(x: Meta, shape: Shape, centred: bool) -> Layout:
    """The layout that normalises over trailing axes of sizes `shape`."""
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    lead = x.ndim - len(shape)
    if lead < 0 or tuple(x.shape[lead:]) != shape:
        inside = ", ".join(map(str, shape))
        wanted = f"[*, {inside}]" if centred else f"[*{inside}]"
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape {wanted}, but got "
            f"input of size{list(x.shape)}"
        )
    return Layout((prod(x.shape[:lead]), prod(shape)), (1,), shape, centred)


def _check_trailing(weight: Meta | None, bias: Meta | None, shape: Shape) -> None:
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(given.shape)} and normalized_shape = {list(shape)}"
            )


def _given(*parameters: Meta | None) -> list[Meta]:
    return [p for p in parameters if p is not None]


def _check_layer(x: Meta, weight: Meta | None, bias: Meta | None, shape: Shape) -> None:
    _check_trailing(weight, bias, shape)
    check_parameters(x, _given(weight, bias), "LayerNormKernelImpl")


_LAYER = Normalisation(
    "native_layer_norm", "NativeLayerNorm", lambda x, shape: _trailing(x, shape, True), _check_layer
)


def _check_rms(x: Meta, weight: Meta | None, bias: Meta | None, shape: Shape) -> None:
    _check_trailing(weight, bias, shape)
    check_dtype(x.dtype, (0, 1), "rms_norm")


_RMS = Normalisation(
    "rms_norm", "RmsNorm", lambda x, shape: _trailing(x, shape, False), _check_rms, "MulBackward0"
)


@public("nn.functional", method=False)
def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """`(x - mean) / sqrt(var + eps) * weight + bias` over trailing axes of `normalized_shape`."""
    return layer_statistics(input, normalized_shape, weight, bias, eps)[0]


def layer_statistics(
    input: Tensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """layer_norm's result, and as constants the means and reciprocal deviations of its groups."""
    if not isinstance(input, Tensor):
        check_tensor(input, "layer_norm")
    _check_optional("layer_norm", ("weight", 3, weight), ("bias", 4, bias))
    shape = _sizes(normalized_shape, "layer_norm")
    out, mean, r, _ = _LAYER(input, weight, bias, eps, shape)
    return out, mean.detach(), r.detach()


@public(method=False, name="layer_norm")
def torch_layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """`torch.nn.functional.layer_norm` under its other name."""
    return layer_norm(input, normalized_shape, weight, bias, eps)


def _rms_of_complex(x: Any, shape: Shape, weight: Any, eps: float) -> Tensor:
    """RMS norm by the mean of the squares as they are, which are complex."""
    _trailing(x._meta, shape, False)
    axes = tuple(range(-len(shape), 0))
    out = x * ((x * x).mean(axes, keepdim=True) + eps).rsqrt()
    return out if weight is None else out * weight


@public("torch", "nn.functional", method=False)
def rms_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """`x / sqrt(mean(x^2) + eps) * weight` over trailing axes; eps: by default the dtype's."""
    if not isinstance(input, Tensor):
        check_tensor(input, "rms_norm")
    _check_optional("rms_norm", ("weight", 3, weight))
    shape, given = _sizes(normalized_shape, "rms_norm"), input._meta.dtype
    kind = float32 if given in LOW_PRECISION else given
    if eps is None:
        eps = finfo(kind).eps if kind.is_floating_point else 0.0
    if weight is not None:
        _check_trailing(weight._meta, None, shape)
        weight = cast(weight, kind)
    if kind.is_complex:
        return _rms_of_complex(input, shape, weight, eps)
    return cast(_RMS(cast(input, kind), weight, None, eps, shape)[0], given)


def _grouped(x: Meta, groups: int) -> Layout:
    n, c, rest = x.shape[0], x.shape[1], x.shape[2:]
    if c % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(x.shape)} and num_groups={groups}"
        )
    return Layout((n, groups, c // groups * prod(rest)), (2,), (c, *[1] * len(rest)), True)


def _check_group(x: Meta, weight: Meta | None, bias: Meta | None, groups: int) -> None:
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != x.shape[1:2]:
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape "
                f"{list((weight or given).shape)} and input of shape {list(x.shape)}"
            )
    check_parameters(x, _given(weight, bias), "GroupNormKernelImpl")


_GROUP = Normalisation("native_group_norm", "NativeGroupNorm", _grouped, _check_group)


@public("nn.functional", method=False)
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise (N, C, *) over groups of C / num_groups channels; weight and bias (C)."""
    shape = input._meta.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    sizes = [shape[0] * shape[1] // num_groups, num_groups, *shape[2:]]
    if sizes[0] * prod(sizes[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {sizes}"
        )
    _check_optional("group_norm", ("weight", 3, weight), ("bias", 4, bias))
    return grouped_norm(input, num_groups, weight, bias, eps)


def grouped_norm(
    input: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """group_norm of any input, one number per group included."""
    return _GROUP(input, weight, bias, eps, num_groups)[0]


@public(method=False, name="group_norm")
def torch_group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """`torch.nn.functional.group_norm` under its other name."""
    return group_norm(input, num_groups, weight, bias, eps)


def _channels(x: Meta) -> Layout:
    """The layout that normalises (N, C, *) over all axes but the second."""
    if x.ndim < 2:
        raise IndexError(
            "Dimension out of range (expected to be in range of "
            f"[-{max(x.ndim, 1)}, {max(x.ndim, 1) - 1}], but got 1)"
        )
    n, c, rest = x.shape[0], x.shape[1], x.shape[2:]
    view, axes = ((n, c, prod(rest)), (0, 2)) if rest else ((n, c), (0,))
    return Layout(view, axes, (c, *[1] * len(rest)), True)


def _check_channels(name: str, c: int, given: Any) -> None:
    if given is not None and given.numel != c:
        raise RuntimeError(f"{name} should contain {c} elements not {given.numel}")


def _check_batch(x: Meta, weight: Meta | None, bias: Meta | None) -> None:
    _check_channels("weight", x.shape[1], weight)
    _check_channels("bias", x.shape[1], bias)
    check_parameters(x, _given(weight, bias), "batch_norm")


_BATCH = Normalisation("native_batch_norm", "NativeBatchNorm", _channels, _check_batch)


def _running(xp: Any, old: Any, batch: Any, momentum: float, factor: float) -> Any:
    new = wide(old) * (1 - momentum) + batch.reshape(old.shape) * (momentum * factor)
    return new.astype(old.dtype, copy=False)


_RUNNING = Op(
    "running_statistic", same_as, _running, inputs=("old", "batch"), params=("momentum", "factor")
)


_NOT_BATCHED = (
    "Batch norm got a batched tensor as input while the running_mean or running_var, which will be "
    "updated in place, were not batched.\nIf you are using a module and do not need eval mode, "
    "please set `track_running_stats` to be False.If you are using a prebuilt module and do not "
    "need eval mode, please see the functorch website for resources on how to patch your module to "
    "work with vmap"
)


def _move(running: Tensor | None, batch: Tensor, momentum: float, factor: float) -> None:
    """Move a running statistic towards the batch's, in place and outside of the graph."""
    if running is not None:
        if not set(batch._meta.device.lanes) <= set(running._meta.device.lanes):
            raise RuntimeError(_NOT_BATCHED)
        update(running, lambda: apply(_RUNNING, (running, batch), (), (momentum, factor)))


def _eval_op(weighted: bool, biased: bool) -> Op:
    """Batch norm with given statistics: x scale + shift, a scale and a shift per channel."""
    extra = ("weight",) * weighted + ("bias",) * biased

    def rule(x: Meta, mean: Meta, var: Meta, *given: Meta) -> tuple[Meta, dict]:
        layout = _channels(x)
        check_parameters(x, [*given, mean, var], "batch_norm")
        return x, {"affine": layout.affine}

    def impl(xp: Any, x: Any, mean: Any, var: Any, *given: Any, affine: Shape) -> Any:
        *parameters, eps = given
        scale = 1 / xp.sqrt(wide(var) + eps)
        if weighted:
            scale = scale * wide(parameters[0]).reshape(-1)
        shift = -wide(mean) * scale
        if biased:
            shift += wide(parameters[-1]).reshape(-1)
        out = wide(x) * scale.reshape(affine)
        out += shift.reshape(affine)
        return out.astype(x.dtype, copy=False)

    def of_examples(batch: Batch) -> Callable:
        if any(m.device.lanes for m in batch.metas[1:]):
            return looped(batch)
        return batch.fn  # channels are counted from the last axis

    def along_input(g: Any, *given: Any) -> Any:
        var, *weights, eps, affine = given
        scale = (var + eps).rsqrt()
        if weights:
            scale = scale * weights[0].reshape(-1)
        return g * scale.reshape(affine)

    def along_weight(g: Any, x: Any, mean: Any, var: Any, *given: Any) -> Any:
        weight, eps, affine = given
        hat = (x - mean.reshape(affine)) * (var + eps).rsqrt().reshape(affine)
        return (g * hat).sum_to_size(affine).reshape(weight._meta.shape)

    def along_bias(g: Any, bias: Meta, affine: Shape) -> Any:
        return g.sum_to_size(affine).reshape(bias.shape)

    stats = ("running_mean", "running_var")
    more = (*extra[:weighted], "eps", "affine")
    vjps: list = [asking(along_input, "running_var", *more), None, None]
    if weighted:
        vjps.append(asking(along_weight, "input", *stats, *more))
    if biased:
        vjps.append(asking(along_bias, "bias_meta", "affine"))
    return Op(
        f"batch_norm_eval{'_weight' * weighted}{'_bias' * biased}", rule, impl,
        inputs=("input", *stats, *extra), params=("eps",), vjp=tuple(vjps),
        grad_fn="NativeBatchNormBackward0", batch=of_examples,
    )  # fmt: skip


_EVAL = {(w, b): _eval_op(w, b) for w in (False, True) for b in (False, True)}


def batch_statistics(
    x: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Batch norm, after the checks that its names in PyTorch make.

    And in training, as constants, the means and reciprocal deviations of channels.
    """
    channels = x._meta.shape[1] if x._meta.ndim > 1 else 0
    if not training:
        for name, given in (("running_mean", mean), ("running_var", var)):
            if given is None:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
    for name, given in (("running_mean", mean), ("running_var", var)):
        if given is not None:
            _check_channels(name, channels, given._meta)
            refuse_gradient(given, "native_batch_norm", name)
    if training:
        statistics = _given(*[None if t is None else t._meta for t in (mean, var)])
        if statistics:
            parameters = [t._meta for t in (weight, bias) if t is not None]
            check_parameters(x._meta, parameters + statistics, "batch_norm")
        out, of_mean, r, of_var = _BATCH(x, weight, bias, eps)
        n = x._meta.numel // max(channels, 1)
        _move(mean, of_mean, momentum, 1.0)
        _move(var, of_var, momentum, n / (n - 1) if n > 1 else float("nan"))
        return out, of_mean.detach(), r.detach()
    _check_channels("weight", channels, None if weight is None else weight._meta)
    _check_channels("bias", channels, None if bias is None else bias._meta)
    affine = tuple([t for t in (weight, bias) if t is not None])
    op = _EVAL[weight is not None, bias is not None]
    out = apply(op, (x, mean, var, *affine), (), (eps,))  # type: ignore[arg-type]
    return out, None, None


def _batch(x: Any, mean: Any, var: Any, weight: Any, bias: Any, *options: Any) -> Tensor:
    """Batch norm; of no elements it leaves the running statistics as they are."""
    if x._meta.numel:
        return batch_statistics(x, mean, var, weight, bias, *options)[0]
    out = x.clone()
    if weight is not None:
        out = out * weight[0]
    return out if bias is None else out + bias[0]


def _check_batch_size(shape: Any) -> None:
    if prod(shape[:1]) * prod(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {shape}"
        )


@public("nn.functional", method=False)
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of (N, C, *), by the batch's statistics or by the running ones.

    In training the running statistics move towards the batch's (the unbiased variance) by
    `momentum`, in place.
    """
    if training:
        if not input._meta.ndim:
            raise IndexError("tuple index out of range")
        _check_batch_size(input.shape)
    if not eps > 0 and (training or eps < 0):
        wanted = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {wanted}, but got {eps}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if not isinstance(momentum, (int, float)):
        raise type_error("batch_norm", "momentum", 7, momentum, "float")
    given = (input, running_mean, running_var, weight, bias, training, momentum, eps)
    return _batch(*given)


@public(method=False, name="batch_norm")
def torch_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`torch.nn.functional.batch_norm` with arguments in ATen's order."""
    given = (input, running_mean, running_var, weight, bias, training, momentum, eps)
    return _batch(*given)


@public("nn.functional", method=False)
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample of (N, C, *); running statistics (C) are averaged."""
    if use_input_stats and prod(input._meta.shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    return torch_instance_norm(
        input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, True
    )


@public(method=False, name="instance_norm")
def torch_instance_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`torch.nn.functional.instance_norm` with arguments in ATen's order."""
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    n, c, *rest = input._meta.shape

    def repeated(t: Any) -> Any:
        return None if t is None else t.repeat(n)

    mean, var = repeated(running_mean), repeated(running_var)
    # (N, C, *) -> (1, N C, *): every channel of every sample is a channel
    out: Any = batch_statistics(
        input.reshape(1, n * c, *rest), mean, var, repeated(weight), repeated(bias),
        use_input_stats, momentum, eps,
    )[0]  # fmt: skip
    if use_input_stats:
        for running, moved in ((running_mean, mean), (running_var, var)):
            if running is not None:
                update(running, lambda moved=moved: moved.view(n, c).mean(0))  # type: ignore[misc]
    return out.view(input._meta.shape)


@public("nn.functional", method=False)
def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """`x / (k + alpha m)^beta`, m the mean of x^2 over `size` neighbours in C of (N, C, *)."""
    n = input._meta.ndim
    if n < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality{' ' * 25} input (got {n} dimensions)"
        )
    if not input._meta.numel:
        return input
    sides = (size // 2, (size - 1) // 2)
    squares = (input * input).unsqueeze(1)
    if n == 3:  # (N, 1, C, L)
        means = NAMESPACES["nn.functional"]["avg_pool2d"](
            pad(squares, (0, 0, *sides)), (size, 1), stride=1
        )
    else:  # (N, 1, C, H, the rest)
        squares = squares.reshape(*squares._meta.shape[:4], -1)
        means = NAMESPACES["nn.functional"]["avg_pool3d"](
            pad(squares, (0, 0, 0, 0, *sides)), (size, 1, 1), stride=1
        )
    means = means.squeeze(1).reshape(input._meta.shape)
    return input / (means * alpha + k).pow(beta)


@public("nn.functional", method=False)
def normalize(
    input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """`input` divided by its p-norm along `dim`, which counts as at least `eps`."""
    size = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return input / size if out is None else NAMESPACES["torch"]["div"](input, size, out=out)
