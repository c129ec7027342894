"""An optimizer's update of one parameter as one instruction that runs over memory block by block.

Room: ops. Written as operators on tensors, Adam is a dozen passes over five arrays, which no cache
holds; here each block of them stays in the cache until it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bital.base.dtype import float32, float64
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import local
from bital.ops.arithmetic import add_scaled
from bital.tensor.dispatch import apply
from bital.tensor.recorders import updating, writing
from bital.tensor.tensor import Tensor

#: elements of a block: six arrays of so many floats lie in a core's own cache (1 MiB and more)
_BLOCK_ELEMS = 32768


def _own(xp: Any, array: Any, buffer: Any) -> Any:
    """The array to write a result to: `buffer`, which holds `array`, or else a copy."""
    if buffer is not None and buffer.flags.c_contiguous:
        return buffer
    return xp.array(array, order="C")


def _adam_rule(*operands: Any) -> tuple[tuple[Meta, ...], dict]:
    *metas, maximize, decoupled = operands
    return tuple(metas[:-1]), {
        "states": len(metas) - 1,
        "maximize": maximize,
        "decoupled": decoupled,
    }


def _adam_impl(
    xp: Any, *args: Any, states: int, maximize: bool, decoupled: bool, out: tuple | None = None
) -> tuple:
    """`args`: param, its states, grad, then the scalars; the results: all before grad."""
    grad, *scalars = args[states:]
    own = _owned(xp, args[:states], out)
    for block, t in _blocks(xp, [*own, grad]):
        _adam_block(xp, block, t, scalars, maximize, decoupled)
    return tuple(own)


def _owned(xp: Any, arrays: tuple, out: tuple | None) -> list:
    """The arrays to write results to, which hold what is updated."""
    buffers = out or (None,) * len(arrays)
    return [_own(xp, a, b) for a, b in zip(arrays, buffers, strict=False)]


def _blocks(xp: Any, arrays: list) -> Iterator[tuple[list, Any]]:
    """Blocks of arrays of one shape, side by side, and room for a temporary of a block."""
    blocks, size = [arrays], arrays[0].size
    if size > _BLOCK_ELEMS:
        flat = [a.reshape(-1) for a in arrays]
        starts = range(0, size, _BLOCK_ELEMS)
        blocks = [[a[start : start + _BLOCK_ELEMS] for a in flat] for start in starts]
    spare = xp.empty(blocks[0][0].shape, arrays[0].dtype)
    for block in blocks:
        yield block, spare if block[0].shape == spare.shape else spare[: block[0].size]


def _adam_block(
    xp: Any, block: list, t: Any, scalars: list, maximize: bool, decoupled: bool
) -> None:
    """PyTorch's order of operations, but sqrt(v) / c + eps is brought to one denominator.

    `t` is room for a temporary.
    """
    param, mean, square, *largest, grad = block
    beta1, beta2, decay, eps, step_size = scalars
    if maximize:
        grad = xp.negative(grad)
    if decoupled:
        param *= decay
    elif decay:
        grad = grad + xp.multiply(param, decay, out=t)
    xp.subtract(grad, mean, out=t)
    if beta1 > 0.5:
        t *= 1 - beta1
        mean += t
    else:  # from the nearer end, so that beta1 = 0 gives grad exactly
        t *= beta1
        xp.subtract(grad, t, out=mean)
    xp.multiply(grad, grad, out=t)
    t *= 1 - beta2
    square *= beta2
    square += t
    if largest:
        square = xp.maximum(largest[0], square, out=largest[0])
    xp.sqrt(square, out=t)
    t += eps
    xp.divide(mean, t, out=t)
    t *= step_size
    param -= t


def _adam_native(xp: Any, *args: Any, states: int, maximize: bool, decoupled: bool) -> tuple:
    """`_adam_block` in array words; what it branches on is chosen by run-time scalars."""
    param, mean, square, *largest = args[:states]
    grad, beta1, beta2, decay, eps, step_size = args[states:]
    grad = -grad if maximize else grad
    if decoupled:
        param = param * decay
    else:
        grad = xp.where(xp.not_equal(decay, 0), grad + param * decay, grad)
    gap = grad - mean
    mean = xp.where(xp.greater(beta1, 0.5), mean + gap * (1 - beta1), grad - gap * beta1)
    square = square * beta2 + grad * grad * (1 - beta2)
    most = [xp.maximum(m, square) for m in largest]
    param = param - mean / (xp.sqrt(most[0] if most else square) + eps) * step_size
    return param, mean, square, *most


def _add_scaled_(param: Tensor, grad: Tensor, alpha: float) -> None:
    param.add_(grad, alpha=alpha)  # type: ignore[attr-defined]


_add_scaled_into = writing(add_scaled, _add_scaled_)


def sgd_step(param: Tensor, grad: Tensor, lr: float) -> None:
    """param -= lr * grad in place."""
    step = _add_scaled_into if lr.__class__ is float else _add_scaled_
    step(param, grad, -lr)


_ADAM = Op(
    "adam_step",
    _adam_rule,
    _adam_impl,
    inputs=("param", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "grad"),
    params=("beta1", "beta2", "decay", "eps", "step_size"),
    out="each",
    native=_adam_native,
)


#: (tensors, (grad,), (maximize, decoupled), scalars): update param, exp_avg, exp_avg_sq and perhaps
#: max_exp_avg_sq in place, all of one shape and one dtype, float32 or float64. `scalars` are beta1,
#: beta2; what param is multiplied by where `decoupled`, else the weight decay added to the
#: gradient; eps * sqrt(1 - beta2^n); and lr * sqrt(1 - beta2^n) / (1 - beta1^n) for the n-th step.
adam_step = updating(_ADAM)


def _momentum_rule(
    param: Meta, buffer: Meta, grad: Meta, maximize: bool, nesterov: bool
) -> tuple[tuple[Meta, Meta], dict]:
    return (param, buffer), {"maximize": maximize, "nesterov": nesterov}


def _momentum_impl(
    xp: Any, param: Any, buffer: Any, grad: Any, momentum: float, kept: float, decay: float,
    lr: float, *, maximize: bool, nesterov: bool, out: tuple | None = None,
) -> tuple:  # fmt: skip
    own = _owned(xp, (param, buffer), out)
    for (p, b, g), t in _blocks(xp, [*own, grad]):
        if maximize:
            g = xp.negative(g)
        if decay:
            g = g + xp.multiply(p, decay, out=t)
        b *= momentum
        b += xp.multiply(g, kept, out=t)
        ahead = b
        if nesterov:
            ahead = xp.add(g, xp.multiply(b, momentum, out=t), out=t)
        p -= xp.multiply(ahead, lr, out=t)
    return tuple(own)


def _momentum_native(
    xp: Any, param: Any, buffer: Any, grad: Any, momentum: Any, kept: Any, decay: Any, lr: Any,
    *, maximize: bool, nesterov: bool,
) -> tuple:  # fmt: skip
    grad = -grad if maximize else grad
    grad = xp.where(xp.not_equal(decay, 0), grad + param * decay, grad)
    buffer = buffer * momentum + grad * kept
    ahead = grad + buffer * momentum if nesterov else buffer
    return param - ahead * lr, buffer


_MOMENTUM = Op(
    "momentum_step",
    _momentum_rule,
    _momentum_impl,
    inputs=("param", "buffer", "grad"),
    params=("momentum", "kept", "decay", "lr"),
    out="each",
    native=_momentum_native,
)


_momentum_step = updating(_MOMENTUM)


def momentum_step(
    param: Tensor, buffer: Tensor, grad: Tensor, scalars: tuple, maximize: bool, nesterov: bool
) -> bool:
    """One step of gradient descent with momentum, in place; False where it is not so simple.

    `scalars` are momentum, what the buffer keeps of the gradient, weight decay and rate.
    """
    meta, memory = param._meta, grad._storage.memory
    if (
        (meta.dtype is not float32 and meta.dtype is not float64)
        or buffer._meta is not meta
        or grad._meta is not meta
        or local.trace.grad
        or memory is param._storage.memory
        or memory is buffer._storage.memory
    ):
        return False
    _momentum_step([param, buffer], (grad,), (maximize, nesterov), scalars)
    return True


def _direction_rule(grad: Meta, h_diag: Meta, *history: Meta) -> tuple[tuple[Meta, Meta], dict]:
    return (grad, meta_of((len(history) // 3,), grad.dtype, grad.device)), {}


def _direction_impl(xp: Any, grad: Any, h_diag: Any, *history: Any) -> tuple:
    """The two-loop recursion (Nocedal and Wright, algorithm 7.4)."""
    count = len(history) // 3
    changes, steps, ro = history[:count], history[count : 2 * count], history[2 * count :]
    al = xp.empty(count, grad.dtype)
    d, t = -grad, xp.empty_like(grad)
    for i in reversed(range(count)):
        al[i] = xp.dot(steps[i], d) * ro[i]
        d -= xp.multiply(changes[i], al[i], out=t)
    d *= h_diag
    for i in range(count):
        d += xp.multiply(steps[i], al[i] - xp.dot(changes[i], d) * ro[i], out=t)
    return d, al


_DIRECTION = Op("lbfgs_direction", _direction_rule, _direction_impl, inputs=("grad", "h_diag"))


def lbfgs_direction(
    grad: Tensor, h_diag: Tensor, changes: list[Tensor], steps: list[Tensor], ro: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """-H grad, where H begins as h_diag times the identity and has met the history.

    `changes` are those of gradients over `steps`, `ro` one over the products of the two, oldest
    first. Also the coefficients of the first loop, one per item of the history.
    """
    return apply(_DIRECTION, (grad, h_diag, *changes, *steps, *ro))
