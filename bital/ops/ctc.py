"""Connectionist temporal classification: the likelihood of a sequence under all its alignments.

Room: ops. The forward-backward recursion of Graves et al., "Connectionist Temporal Classification"
(ICML 2006), in logarithms, over all samples and states at once. States are a sample's labels with
blanks between and around them: 2 S + 1 for S labels.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import BOOL, COMPLEX, INT, int64
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.api import public
from bital.ops.data import as_tensor
from bital.ops.family import check_dtype, not_implemented
from bital.ops.loss import MEAN, reduced, reduction_of, widened
from bital.ops.mask import where
from bital.tensor.dispatch import apply, cast
from bital.tensor.tensor import Tensor

_KEPT = ("log_probs", "targets", "input_lengths", "target_lengths")


def _rule(x: Meta, targets: Meta, steps: Meta, labels: Meta, blank: int) -> tuple[Meta, dict]:
    check_dtype(x.dtype, (BOOL, INT, COMPLEX), "ctc_loss_cpu")
    if not 0 <= blank < x.shape[2]:
        raise RuntimeError("blank must be in label range")
    for name, given in (("input_lengths", steps), ("target_lengths", labels)):
        if given.shape != (x.shape[1],):
            raise RuntimeError(f"{name} must be of size batch_size")
    return like(x, (x.shape[1],)), {"blank": blank}


def _states(xp: Any, x: Any, targets: Any, steps: Any, labels: Any, blank: int) -> tuple:
    """Each state's class (N, L), whether it may be reached from two states before, and x there."""
    time, n, classes = x.shape
    if (steps > time).any() or (steps < 0).any():
        raise RuntimeError(f"Expected input_lengths to have value at most {time}")
    most = int(labels.max()) if n else 0
    named = xp.full((n, most), blank, xp.int64)
    within = xp.arange(most) < labels[:, None]
    if targets.ndim == 1:  # the samples' labels one after another
        named[within] = targets[: int(labels.sum())]
    else:
        named[within] = targets[:, :most][within]
    if named.size and (named.min() < 0 or named.max() >= classes):
        raise RuntimeError("ctc_loss: labels must be in the range of classes")
    states = xp.full((n, 2 * most + 1), blank, xp.int64)
    states[:, 1::2] = named
    skips = xp.zeros(states.shape, bool)
    skips[:, 3::2] = named[:, 1:] != named[:, :-1]
    at_states = xp.take_along_axis(x, xp.broadcast_to(states, (time, *states.shape)), 2)
    return states, skips, at_states


def _moved(xp: Any, a: Any, by: int) -> Any:
    """States moved along by `by` places, -infinity coming in."""
    out = xp.full_like(a, -xp.inf)
    if by > 0:
        out[:, by:] = a[:, :-by]
    else:
        out[:, :by] = a[:, -by:]
    return out


def _alphas(xp: Any, skips: Any, at_states: Any) -> Any:
    """log P of the first t + 1 steps, ending in each state: (T, N, L)."""
    alpha = xp.full_like(at_states, -xp.inf)
    alpha[:1, :, :2] = at_states[:1, :, :2]
    for t in range(1, len(alpha)):
        last = alpha[t - 1]
        reach = xp.logaddexp(last, _moved(xp, last, 1))
        far = xp.where(skips, _moved(xp, last, 2), -xp.inf)
        alpha[t] = xp.logaddexp(reach, far) + at_states[t]
    return alpha


def _loss(xp: Any, alpha: Any, steps: Any, labels: Any) -> Any:
    """-log P of each sample: of the ends in its last label or the blank behind it."""
    n = xp.arange(len(steps))
    ends = alpha[xp.maximum(steps - 1, 0), n]
    blank, label = ends[n, 2 * labels], ends[n, xp.maximum(2 * labels - 1, 0)]
    total = xp.where(labels > 0, xp.logaddexp(blank, label), blank)
    return xp.where(steps > 0, -total, xp.where(labels > 0, xp.inf, 0)).astype(alpha.dtype)


@widened
def _impl(xp: Any, x: Any, targets: Any, steps: Any, labels: Any, *, blank: int) -> Any:
    _, skips, at_states = _states(xp, x, targets, steps, labels, blank)
    return _loss(xp, _alphas(xp, skips, at_states), steps, labels)


def _betas(xp: Any, skips: Any, at_states: Any, steps: Any, labels: Any) -> Any:
    """log P of the steps from t on, beginning in each state: (T, N, L)."""
    beta = xp.full_like(at_states, -xp.inf)
    n = xp.arange(len(steps))
    is_end = xp.zeros(skips.shape, bool)
    is_end[n, 2 * labels] = True
    is_end[n, xp.maximum(2 * labels - 1, 0)] = True
    onward = xp.zeros(skips.shape, bool)
    onward[:, :-2] = skips[:, 2:]
    after = xp.full_like(at_states[0], -xp.inf)
    for t in range(len(beta) - 1, -1, -1):
        reach = xp.logaddexp(after, _moved(xp, after, -1))
        far = xp.where(onward, _moved(xp, after, -2), -xp.inf)
        here = xp.logaddexp(reach, far)
        here = xp.where((steps == t + 1)[:, None], xp.where(is_end, 0, -xp.inf), here)
        after = beta[t] = here + at_states[t]
    return beta


@widened
def _slope(
    xp: Any, g: Any, x: Any, targets: Any, steps: Any, labels: Any, *, blank: int, zero: bool
) -> Any:
    """(p - share of alignments through the class) g: the gradient for normalised log_probs."""
    states, skips, at_states = _states(xp, x, targets, steps, labels, blank)
    alpha = _alphas(xp, skips, at_states)
    loss = _loss(xp, alpha, steps, labels)
    through = alpha + _betas(xp, skips, at_states, steps, labels) - at_states
    share = xp.exp(through + loss[:, None])
    one_hot = (states[:, :, None] == xp.arange(x.shape[2])).astype(x.dtype)
    out = xp.exp(x) - xp.einsum("tnl,nlc->tnc", share, one_hot)
    out *= g[:, None]
    out[xp.arange(len(x))[:, None] >= steps] = 0
    if zero:
        out[:, loss == xp.inf] = 0
    return out.astype(x.dtype, copy=False)


_BACKWARD = Op(
    "_ctc_loss_backward",
    lambda g, x, *given: (x, {"blank": given[-2], "zero": given[-1]}),
    _slope,
    inputs=("g", *_KEPT),
    vjp=(*[not_implemented("_ctc_loss_backward")] * 2, None, None, None),
    grad_fn="NotImplemented",
)


def _ctc_op(zero: bool) -> Op:
    def descend(
        g: Tensor, log_probs: Tensor, targets: Tensor, input_lengths: Tensor,
        target_lengths: Tensor, blank: int,
    ) -> Tensor:  # fmt: skip
        tensors = (g, log_probs, targets, input_lengths, target_lengths)
        return apply(_BACKWARD, tensors, (blank, zero))

    return Op(
        "_ctc_loss" + "_finite" * zero, _rule, _impl, inputs=_KEPT,
        vjp=(descend, None, None, None), grad_fn="CtcLossBackward0", fallible=True,
    )  # fmt: skip


#: by whether infinite losses are to have no gradient
_CTC = {zero: _ctc_op(zero) for zero in (False, True)}


@public("nn.functional", "torch", method=False)
def ctc_loss(
    log_probs: Any,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: Any = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of `targets` under all alignments with `log_probs`.

    log_probs (T, N, C) or (T, C), logarithms of probabilities; targets (N, S), or all labels in a
    row; lengths (N), tensors or tuples. The mean is of the losses over their target's length.
    """
    how = reduction_of(reduction)
    single = log_probs._meta.ndim == 2
    if single:
        log_probs = log_probs.unsqueeze(1)
    lengths = [
        cast(as_tensor(given), int64).reshape(-1) for given in (input_lengths, target_lengths)
    ]
    targets = cast(targets, int64)
    losses: Any = apply(_CTC[zero_infinity], (log_probs, targets, *lengths), (blank,))
    if zero_infinity:
        losses = where(losses == float("inf"), 0.0, losses)
    if how == MEAN:
        return (losses / lengths[1].clamp(min=1)).mean()
    return losses.squeeze(0) if single and not how else reduced(losses, how)
