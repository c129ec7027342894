"""gradcheck and gradgradcheck: gradients compared with finite differences.

Room: autograd. Complex numbers are treated as pairs of reals: a Jacobian here has a row for every
real component of the input and a column for every real component of the output. PyTorch's
convention, that the gradient of a real L by z = x + iy is dL/dx + i dL/dy, makes both sides equal.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bital.autograd.api import grad
from bital.autograd.forward_ad import dual_level, make_dual, unpack_dual
from bital.autograd.vmap import vmap
from bital.base.dtype import complex128, float64
from bital.base.stride import may_overlap_internally
from bital.ir.trace import local
from bital.runtime.plan import interpreted
from bital.tensor.tensor import Tensor, array_of, from_array, strides_of

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """What gradcheck and gradgradcheck raise when gradients are wrong."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of `func` at `inputs` are what central differences of step `eps` give.

    func    takes the inputs, returns a tensor or a tuple of tensors
    inputs  a tensor or a tuple; those that require grad are checked, and should be float64
    fast_mode  compare one random direction instead of whole Jacobians

    Where they differ by more than `atol + rtol * |numerical|`, or where backward fails in other
    ways, a GradcheckError is raised, or False returned where `raise_exception` is off.
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    try:
        # two evaluations of a function that draws nothing are to be the same to the bit
        with interpreted():
            checked = _checked_inputs(args)
            if check_forward_ad:
                _check_forward(func, args, checked, eps, atol, rtol, check_batched_forward_grad)
            if check_backward_ad:
                outputs = _outputs(func, args)
                if not any(out.requires_grad for out in outputs):
                    _expect_no_slope(func, args, checked, eps)
                    return True
                compare = _compare_direction if fast_mode else _compare_jacobians
                compare(func, args, checked, eps, atol, rtol, nondet_tol)
                _check_zero_gradients(func, args, checked, check_undefined_grad)
                if check_grad_dtypes:
                    _check_dtypes(func, args, checked)
                if check_batched_grad:
                    _check_batched(func, args, checked, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """gradcheck of the gradients of `func`: its second derivatives.

    grad_outputs  the gradients to begin backward with; random ones where none are given
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    count = len(args)
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        outs = _differentiable(_outputs(func, args))
        seeds = [_random_like(rng, out, gen_non_contig_grad_outputs) for out in outs]
        for seed in seeds:
            seed.requires_grad = True
    else:
        seeds = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)

    def gradients(*all_args: Any) -> tuple:
        ins, gs = all_args[:count], all_args[count:]
        outs = _differentiable(_outputs(func, ins))
        wanted = [t for t in ins if isinstance(t, Tensor) and t.requires_grad]
        found = grad(outs, wanted, gs, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients,
        args + tuple(seeds),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
    )


def _checked_inputs(args: tuple) -> list[Tensor]:
    """The inputs that require grad, after a look at whether differences of them make sense."""
    checked = []
    for k, t in enumerate(args):
        if not isinstance(t, Tensor) or not t.requires_grad:
            continue
        if t.dtype not in (float64, complex128):
            warnings.warn(
                f"Input #{k} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ",
                stacklevel=3,
            )
        if may_overlap_internally(t.shape, strides_of(t)):
            raise RuntimeError(
                f"The {k}th input has a dimension with stride 0. gradcheck only supports inputs "
                "that are non-overlapping to be able to compute the numerical gradients "
                "correctly. You should call .contiguous on the input before passing it to "
                "gradcheck."
            )
        checked.append(t)
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the "
            "them have requires_grad=True."
        )
    return checked


def _outputs(func: Callable, args: tuple) -> list[Tensor]:
    got = func(*args)
    outs = [got] if isinstance(got, Tensor) else list(got)
    return [o for o in outs if isinstance(o, Tensor)]


def _differentiable(outs: list[Tensor]) -> list[Tensor]:
    return [o for o in outs if o.requires_grad]


def _reals(t: Tensor | None, like: Tensor) -> np.ndarray:
    """The real components of a tensor, flat; zeros for an absent gradient of `like`."""
    dtype = np.complex128 if like.dtype.is_complex else np.float64
    if t is None:
        array = np.zeros(like.shape, dtype)
    else:
        array = np.array(array_of(t), dtype, order="C")
    return array.ravel().view(np.float64).copy()


def _components(t: Tensor) -> int:
    return t._meta.numel * (2 if t.dtype.is_complex else 1)


def _shift(t: Tensor, steps: np.ndarray) -> None:
    """Add a flat array of real components to t's memory, unseen by autograd."""
    change = steps.view(np.complex128) if t.dtype.is_complex else steps
    trace = local.trace
    mode, trace.grad = trace.grad, False
    try:
        moved = array_of(t) + change.reshape(t.shape)
        _restore(t, moved)
    finally:
        trace.grad = mode


def _values(func: Callable, args: tuple) -> list[np.ndarray]:
    """The real components of every floating output."""
    outs = _outputs(func, args)
    return [_reals(o, o) for o in outs if o.dtype.is_floating_point or o.dtype.is_complex]


def _slope(
    func: Callable, args: tuple, t: Tensor, direction: np.ndarray, eps: float
) -> list[np.ndarray]:
    """Central differences of all outputs when `t` moves along `direction`."""
    kept = np.array(array_of(t))
    _shift(t, direction * eps)
    high = _values(func, args)
    _restore(t, kept)
    _shift(t, -direction * eps)
    low = _values(func, args)
    _restore(t, kept)
    return [(a - b) / (2 * eps) for a, b in zip(high, low, strict=True)]


def _restore(t: Tensor, kept: np.ndarray) -> None:
    array = np.array(kept, t._meta.np, order="C")
    t.data.copy_(from_array(array, t.dtype))


def _floating(func: Callable, args: tuple) -> list[Tensor]:
    outs = _outputs(func, args)
    return [o for o in outs if o.dtype.is_floating_point or o.dtype.is_complex]


def _numerical(func: Callable, args: tuple, t: Tensor, eps: float) -> list[np.ndarray]:
    """Per output the Jacobian (components of t, components of the output) by differences."""
    rows = []
    for k in range(_components(t)):
        direction = np.zeros(_components(t))
        direction[k] = 1.0
        rows.append(_slope(func, args, t, direction, eps))
    if not rows:
        return [np.zeros((0, _components(o))) for o in _floating(func, args)]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _seed(out: Tensor, components: np.ndarray) -> Tensor:
    """A gradient of `out` with the given real components."""
    array = components.view(np.complex128) if out.dtype.is_complex else components
    return from_array(np.array(array.reshape(out.shape), out._meta.np, order="C"), out.dtype)


def _analytical(func: Callable, args: tuple, checked: list[Tensor], which: int) -> list[np.ndarray]:
    """Per input the Jacobian of output `which` by backward."""
    out = _floating(func, args)[which]
    count = _components(out)
    columns = []
    for k in range(count if out.requires_grad else 0):
        seed = np.zeros(count)
        seed[k] = 1.0
        grads = grad(out, checked, _seed(out, seed), retain_graph=True, allow_unused=True)
        columns.append([_reals(g, t) for g, t in zip(grads, checked)])
    if not columns:
        return [np.zeros((_components(t), count)) for t in checked]
    return [np.stack(column, axis=1) for column in zip(*columns, strict=True)]


def _compare_jacobians(
    func: Callable,
    args: tuple,
    checked: list[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
) -> None:
    outs = _floating(func, args)
    numerical = [_numerical(func, args, t, eps) for t in checked]
    for k, out in enumerate(outs):
        if not out.requires_grad:
            continue
        analytical = _analytical(func, args, checked, k)
        for j, a in enumerate(analytical):
            n = numerical[j][k]
            if not np.allclose(a, n, rtol=rtol, atol=atol, equal_nan=True):
                raise GradcheckError(
                    f"Jacobian mismatch for output {k} with respect to input {j},\n"
                    f"numerical:{n}\nanalytical:{a}\n"
                )
        again = _analytical(func, args, checked, k)
        if any(
            np.abs(a - b).max(initial=0.0) > nondet_tol
            for a, b in zip(analytical, again, strict=True)
        ):
            raise GradcheckError(
                "Backward is not reentrant, i.e., running backward with same input and "
                "grad_output multiple times gives different values, although analytical gradient "
                "matches numerical gradient. The tolerance for nondeterminism was "
                f"{nondet_tol}.\n"
            )


def _compare_direction(
    func: Callable,
    args: tuple,
    checked: list[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
) -> None:
    """One random direction of every input against one random seed of every output."""
    rng = np.random.default_rng(0)
    for j, t in enumerate(checked):
        direction = rng.random(_components(t))
        slopes = _slope(func, args, t, direction, eps)
        for k, out in enumerate(_floating(func, args)):
            if not out.requires_grad:
                continue
            seed = rng.random(_components(out))
            given = _seed(out, seed)
            (g,) = grad(out, [t], given, retain_graph=True, allow_unused=True)
            (h,) = grad(out, [t], given, retain_graph=True, allow_unused=True)
            found, again = float(_reals(g, t) @ direction), float(_reals(h, t) @ direction)
            expected = float(seed @ slopes[k])
            if not np.isclose(found, expected, rtol=rtol, atol=atol, equal_nan=True):
                raise GradcheckError(
                    f"Jacobian mismatch for output {k} with respect to input {j},\n"
                    f"numerical:{expected}\nanalytical:{found}\n"
                    "\nThe above quantities relating the numerical and analytical jacobians are "
                    "computed in fast mode: products with random vectors.\n"
                )
            if abs(found - again) > nondet_tol:
                raise GradcheckError("Backward is not reentrant")


def _expect_no_slope(func: Callable, args: tuple, checked: list[Tensor], eps: float) -> None:
    for t in checked:
        for jacobian in _numerical(func, args, t, eps):
            if np.abs(jacobian).max(initial=0.0) > 0:
                raise GradcheckError("Numerical gradient for function expected to be zero")


def _check_zero_gradients(
    func: Callable, args: tuple, checked: list[Tensor], undefined: bool
) -> None:
    """Zero gradients of the outputs must give zero ones; each output must do without the others."""
    outs = _differentiable(_outputs(func, args))
    zeros = [_seed(o, np.zeros(_components(o))) for o in outs]
    for g in grad(outs, checked, zeros, retain_graph=True, allow_unused=True):
        if g is not None and np.any(array_of(g)):
            raise GradcheckError("backward not multiplied by grad_output")
    if undefined and len(outs) > 1:
        for out, zero in zip(outs, zeros):
            try:
                grad(out, checked, zero, retain_graph=True, allow_unused=True)
            except RuntimeError as error:
                raise GradcheckError(
                    "Expected backward function to handle undefined output grads. Please look at "
                    "'Notes about undefined output gradients' in "
                    "'tools/autograd/derivatives.yaml'"
                ) from error


def _check_dtypes(func: Callable, args: tuple, checked: list[Tensor]) -> None:
    outs = _differentiable(_outputs(func, args))
    seeds = [_seed(o, np.ones(_components(o))) for o in outs]
    for k, (g, t) in enumerate(zip(grad(outs, checked, seeds, allow_unused=True), checked)):
        if g is not None and g.dtype is not t.dtype:
            raise GradcheckError(f"Gradient {k} has dtype {g.dtype}, its input has {t.dtype}")


def _check_batched(
    func: Callable, args: tuple, checked: list[Tensor], atol: float, rtol: float
) -> None:
    rng = np.random.default_rng(0)
    for out in _differentiable(_outputs(func, args)):
        seeds = [_random_like(rng, out) for _ in range(2)]
        single = [grad(out, checked, s, retain_graph=True, allow_unused=True) for s in seeds]
        stacked = from_array(np.stack([array_of(s) for s in seeds]), out.dtype)
        many = grad(
            out, checked, stacked, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
        for g, rows in zip(many, zip(*single, strict=True), strict=True):
            if g is None:
                continue
            expected = np.stack([array_of(r) for r in rows])
            if not np.allclose(array_of(g), expected, rtol=rtol, atol=atol):
                raise GradcheckError("Batched gradients differ from those computed one by one")


def _check_forward(
    func: Callable,
    args: tuple,
    checked: list[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    batched: bool,
) -> None:
    """Derivatives in random directions of every input in forward mode; also two at once."""
    rng = np.random.default_rng(0)
    for j, t in enumerate(checked):

        def along(direction: Tensor, t: Tensor = t) -> tuple:
            with dual_level():
                dual = make_dual(t, direction)
                outs = _floating(func, tuple([dual if a is t else a for a in args]))
                found = [unpack_dual(out).tangent for out in outs]
                return tuple([o * 0 if d is None else d for o, d in zip(outs, found)])

        directions = [rng.random(_components(t)) for _ in range(2)]
        seeds = [_seed(t, direction) for direction in directions]
        singles = [along(seed) for seed in seeds]
        slopes = _slope(func, args, t, directions[0], eps)
        for k, (found, expected) in enumerate(zip(singles[0], slopes)):
            if not np.allclose(_reals(found, found), expected, rtol=rtol, atol=atol):
                raise GradcheckError(
                    f"Jacobian computed with forward mode mismatch for output {k} with respect to "
                    f"input {j},\nnumerical:{expected}\nanalytical:{_reals(found, found)}\n"
                )
        if batched:
            stacked = from_array(np.stack([array_of(s) for s in seeds]), t.dtype)
            for found, rows in zip(vmap(along)(stacked), zip(*singles, strict=True)):
                expected = np.stack([array_of(r) for r in rows])
                if not np.allclose(array_of(found), expected, rtol=rtol, atol=atol):
                    raise GradcheckError(
                        "While computing batched gradients in forward mode, got other values than "
                        "those computed one by one"
                    )


def _random_like(rng: np.random.Generator, out: Tensor, gaps: bool = False) -> Tensor:
    """Random numbers in the shape of `out`; with `gaps`, not contiguous."""
    made = _seed(out, rng.standard_normal(_components(out)))
    if not gaps:
        return made
    wide = np.repeat(np.array(array_of(made))[..., None], 2, axis=-1)
    return from_array(wide, out.dtype)[..., 0]
