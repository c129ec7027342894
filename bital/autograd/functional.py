"""Jacobians, Hessians and products with them of functions of tensors.

Room: autograd. `torch.autograd.functional`: the arguments and results are tensors or tuples of
them, and `create_graph` and `strict` mean what they mean in PyTorch. For functions of trees see
`bital.autograd.transforms`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bital.autograd import api
from bital.autograd.mode import enable_grad
from bital.autograd.transforms import jacfwd, standard_basis
from bital.ops.api import NAMESPACES
from bital.ops.create import constant
from bital.tensor.tensor import Tensor, detached, edge_of

Tensors = tuple[Tensor, ...]
_STRICT = "This is not allowed in strict mode"


def _as_tuple(given: Any, what: str, fn: str) -> tuple[bool, Tensors]:
    """Whether a tuple was given, and the tensors as a tuple."""
    several = isinstance(given, tuple)
    for k, each in enumerate(given if several else (given,)):
        if not isinstance(each, Tensor):
            which = f"value at index {k}" if several else f"given {what}"
            raise TypeError(
                f"The {what} given to {fn} must be either a Tensor or a tuple of Tensors but the "
                f"{which} has type {type(each)}."
            )
    return several, given if several else (given,)


def _entered(inputs: Any, fn: str, create_graph: bool) -> tuple[bool, Tensors]:
    """Whether a tuple of arguments was given, and what the function gets."""
    api.refuse_in_transforms(api.REQUIRES)
    several, given = _as_tuple(inputs, "inputs", fn)
    return several, _point(given, create_graph)


def _point(inputs: Tensors, create_graph: bool, differentiable: bool = True) -> Tensors:
    """The arguments that the function gets: aliases, of which the history is kept or is not."""
    made = []
    for t in inputs:
        if create_graph and edge_of(t) is not None:
            made.append(t.view_as(t))
        else:
            inner = detached(t)
            inner.requires_grad = differentiable
            made.append(inner)
    return tuple(made)


def _grads(outs: Sequence, inputs: Sequence, v: Sequence | None, create: bool) -> tuple:
    """The gradients of those of `outs` that have any; None where nothing depends on an input."""
    pairs = [(o, None if v is None else v[k]) for k, o in enumerate(outs) if _has_history(o)]
    if not pairs:
        return (None,) * len(inputs)
    heads, seeds = [o for o, _ in pairs], [g for _, g in pairs]
    return api.grad(heads, inputs, seeds, retain_graph=True, create_graph=create, allow_unused=True)


def _has_history(t: Any) -> bool:
    return t is not None and edge_of(t) is not None


def _result(found: Any, create_graph: bool, *several: bool) -> Any:
    """What the user gets: tuples only where tuples were given, cut off unless a graph is wanted."""
    if isinstance(found, Tensor):
        return found if create_graph else detached(found)
    parts = tuple([_result(each, create_graph, *several[1:]) for each in found])
    return parts if not several or several[0] else parts[0]


def _zeros_like(t: Tensor) -> Tensor:
    return constant(t._meta, 0)


def _filled(found: Sequence, like: Tensors, strict: bool, create: bool, what: str) -> Tensors:
    """The gradients with zeros for None; `what` has no history or is missing in strict errors."""
    out = []
    for k, (g, t) in enumerate(zip(found, like)):
        first = what if g is None else {"output": "jacobian"}.get(what, "hessian")
        if strict and (g is None or (create and not _has_history(g))):
            raise RuntimeError(
                f"The {first} of the user-provided function is independent of input {k}. {_STRICT}"
                + ("." if g is None else " when create_graph=True.")
            )
        out.append(_zeros_like(t) if g is None else g)
    return tuple(out)


def _check_differentiable(outs: Sequence, strict: bool) -> None:
    for k, out in enumerate(outs):
        if strict and not _has_history(out):
            raise RuntimeError(
                f"Output {k} of the user-provided function does not require gradients. The outputs "
                "must be computed in a differentiable manner from the input when running in strict "
                "mode."
            )


def _check_gradient(grads: Sequence, strict: bool) -> None:
    """In strict mode a gradient must depend on the arguments."""
    for k, g in enumerate(grads):
        if not strict or _has_history(g):
            continue
        if g is None:
            raise RuntimeError(
                f"The output of the user-provided function is independent of input {k}. {_STRICT}."
            )
        raise RuntimeError(
            "While computing the hessian, found that the jacobian of the user-provided function "
            f"with respect to input {k} is independent of the input. {_STRICT}. You should ensure "
            "that your function is twice differentiable and that the jacobian depends on the "
            "inputs (this would be violated by a linear function for example)."
        )


def _vector(v: Any, like: Tensors, several: bool, fn: str, create: bool, owner: str) -> Tensors:
    """The vector of a product, checked; None stands for 1 where there is one element."""
    if v is None:
        if len(like) != 1 or like[0]._meta.numel != 1:
            raise RuntimeError(
                f"The vector v can only be None if {owner} a single Tensor with a single element."
            )
        return (constant(like[0]._meta, 1),)
    given = _point(_as_tuple(v, "v", fn)[1], create, False)
    if len(given) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(given)}."
            if several
            else "The given v should contain a single Tensor."
        )
    for k, (mine, other) in enumerate(zip(given, like)):
        if mine._meta.shape != other._meta.shape:
            entry = f"Entry {k} in " if several else ""
            raise RuntimeError(
                f"{entry}v has invalid size: should be {other._meta.shape} but got "
                f"{mine._meta.shape}."
            )
    return given


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """(func(*inputs), v^T J): v is like the results, by default 1 for a single number."""
    with enable_grad():
        many, given = _entered(inputs, "vjp", create_graph)
        several, outs = _as_tuple(func(*given), "outputs of the user-provided function", "vjp")
        _check_differentiable(outs, strict)
        owner = "the user-provided function returns"
        seeds = _vector(v, outs, several, "vjp", create_graph, owner)
        found = _grads(outs, given, seeds, create_graph)
        found = _filled(found, given, strict, create_graph, "output")
    return _result(outs, create_graph, several), _result(found, create_graph, many)


def jvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """(func(*inputs), J v): v is like the inputs, by default 1 for a single number."""
    with enable_grad():
        many, given = _entered(inputs, "jvp", create_graph)
        direction = _vector(
            v, given, many, "jvp", create_graph, "the input to the user-provided function is"
        )
        several, outs = _as_tuple(func(*given), "outputs of the user-provided function", "jvp")
        _check_differentiable(outs, strict)
        seeds = _point(tuple([_zeros_like(out) for out in outs]), False)
        back = _grads(outs, given, seeds, True)
        for k, g in enumerate(back):
            if strict and g is None:
                raise RuntimeError(
                    "The output of the user-provided function is independent of input "
                    f"{k}. {_STRICT}."
                )
        found = _grads(back, seeds, direction, create_graph)
        for k, g in enumerate(found):
            if strict and create_graph and not _has_history(g):
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {k}. "
                    f"{_STRICT} when create_graph=True."
                )
        found = _filled(found, outs, False, False, "output")
    return _result(outs, create_graph, several), _result(found, create_graph, several)


def _single(out: Any, fn: str, strict: bool) -> Tensor:
    """The only number that a function returns."""
    several, outs = _as_tuple(out, "outputs of the user-provided function", fn)
    _check_differentiable(outs, strict)
    if several:
        raise RuntimeError(f"The function given to {fn} should return a single Tensor")
    if out._meta.numel != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {fn} should contain a single element"
        )
    return out


def _with_hessian(fn: str) -> Callable:
    def product(
        func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
    ) -> tuple:
        with enable_grad():
            many, given = _as_tuple(inputs, "inputs", fn)
            given = _point(given, create_graph)
            owner = "the input to the user-provided function is"
            direction = _vector(v, given, many, fn, create_graph, owner)
            out = _single(func(*given), fn, strict)
            gradient = _grads((out,), given, None, True)
            _check_gradient(gradient, strict)
            found = _grads(gradient, given, direction, create_graph)
            found = _filled(found, given, strict, create_graph, "jacobian")
        return _result(out, create_graph), _result(found, create_graph, many)

    product.__name__ = product.__qualname__ = fn
    product.__doc__ = (
        "(func(*inputs), the product of its Hessian with v), func returning one number; v is like "
        "the inputs. A Hessian is symmetric, so its products from both sides are the same."
    )
    return product


vhp = _with_hessian("vhp")
hvp = _with_hessian("hvp")


def _refuse(what: str) -> str:
    return f"torch.autograd.functional.jacobian: {what} are not supported together"


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: per result and input, a tensor (*result's shape, *input's shape).

    `vectorize` computes all rows at once, and with `strategy="forward-mode"` all columns.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your '
            'function has more outputs than inputs, "forward-mode" tends to be more performant. '
            'Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        return _forward(func, inputs, create_graph, strict, vectorize)
    with enable_grad():
        many, given = _entered(inputs, "jacobian", create_graph)
        several, outs = _as_tuple(func(*given), "outputs of the user-provided function", "jacobian")
        _check_differentiable(outs, strict)
        if vectorize and strict:
            advice = "Please either set `strict=False` or `vectorize=False`."
            raise RuntimeError(f"{_refuse('`strict=True` and `vectorized=True`')}. {advice}")
        of = _rows_at_once if vectorize else _rows
        found = of(outs, given, create_graph, strict)
    return _result(found, create_graph, several, many)


def _rows(outs: Tensors, given: Tensors, create: bool, strict: bool) -> list:
    """The Jacobians, row by row."""
    stack = NAMESPACES["torch"]["stack"]
    found = []
    for k, out in enumerate(outs):
        rows = []
        flat = out.reshape(-1)
        for j in range(out._meta.numel):
            row = _grads((flat[j],), given, None, create)
            for i, g in enumerate(row):
                if strict and g is None:
                    raise RuntimeError(
                        f"Output {k} of the user-provided function is independent of input {i}. "
                        f"{_STRICT}."
                    )
                if strict and create and not _has_history(g):
                    raise RuntimeError(
                        f"The jacobian of the user-provided function is independent of input {k}. "
                        f"{_STRICT} when create_graph=True."
                    )
            rows.append(_filled(row, given, False, False, "output"))
        found.append(
            [
                stack([row[i] for row in rows]).view((*out._meta.shape, *t._meta.shape))
                for i, t in enumerate(given)
            ]
        )
    return found


def _rows_at_once(outs: Tensors, given: Tensors, create: bool, strict: bool) -> list:
    """The Jacobians by one backward pass of all rows."""
    sizes = [out._meta.numel for out in outs]
    basis = standard_basis([out._meta for out in outs])
    pairs = [(o, b) for o, b in zip(outs, basis) if _has_history(o)]
    rows: Sequence = (None,) * len(given)
    if pairs:
        rows = api.grad(
            [o for o, _ in pairs], given, [b for _, b in pairs], retain_graph=True,
            create_graph=create, allow_unused=True, is_grads_batched=True,
        )  # fmt: skip
    parts = [
        (t.new_zeros((sum(sizes), *t.shape)) if g is None else g).split(sizes)
        for g, t in zip(rows, given)
    ]
    return [
        [p[k].reshape((*out._meta.shape, *t._meta.shape)) for p, t in zip(parts, given)]
        for k, out in enumerate(outs)
    ]


def _forward(func: Callable, inputs: Any, create: bool, strict: bool, vectorize: bool) -> Any:
    """The Jacobian in forward mode, all columns at once."""
    advice = 'Please either set `{}=False` or `strategy="reverse-mode"`.'
    if create:
        what = '`create_graph=True` and `strategy="forward-mode"`'
        raise NotImplementedError(f"{_refuse(what)} (yet). {advice.format('create_graph')}")
    if strict:
        what = '`strict=True` and `strategy="forward-mode"`'
        raise RuntimeError(f"{_refuse(what)} (yet). {advice.format('strict')}")
    many, given = _as_tuple(inputs, "inputs", "jacobian")
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only "
            "implemented for `vectorize=True`."
        )
    found = jacfwd(func, tuple(range(len(given))))(*given)
    several = not (found and isinstance(found[0], Tensor))
    return _result(found if several else (found,), False, several, many)


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a function returning one number, per pair of inputs."""
    many, given = _as_tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def gradient(*at: Tensor) -> Any:
        at = _point(at, True)
        out = _single(func(*at), "hessian", strict)
        found = _grads((out.squeeze(),), at, None, True)
        for k, g in enumerate(found):
            if strict and g is None:
                raise RuntimeError(
                    f"Output 0 of the user-provided function is independent of input {k}. "
                    f"{_STRICT}."
                )
        _check_gradient(found, strict)
        return _filled(found, at, False, False, "output")

    found = jacobian(gradient, given, create_graph, strict, vectorize, outer_jacobian_strategy)
    return _result(found, create_graph, many, many)
