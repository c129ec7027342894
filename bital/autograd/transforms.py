"""grad, vjp, jvp, linearize, jacobians and hessians of functions (`torch.func`).

Room: autograd. Functions take and return trees of tensors. What is differentiated is kept on a Tape
(see `bital.autograd.tape`). Source of the rules: PyTorch's documentation of torch.func.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bital.autograd import api
from bital.autograd.tape import Pushforward, Tape
from bital.autograd.vmap import vmap
from bital.base.dtype import INT
from bital.base.tree import TreeSpec, tree_flatten, tree_leaves, tree_map, treespec_pprint
from bital.ir.meta import Meta, meta_of
from bital.ir.trace import given, local
from bital.ops.create import constant
from bital.tensor.tensor import Tensor, edge_of, wrap

Argnums = int | tuple[int, ...]


def _checked_argnums(argnums: Any, count: int) -> tuple[int, ...]:
    """The arguments to differentiate by, counted from the first, with PyTorch's errors."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    wanted = argnums if isinstance(argnums, tuple) else (argnums,)
    if not wanted:
        raise RuntimeError("argnums must be non-empty")
    if len(set(wanted)) != len(wanted):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    for each in wanted:
        if not isinstance(each, int):
            raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {argnums}")
        if not -count <= each < count:
            raise RuntimeError(f"Got argnum={each}, but only {count} positional inputs")
    return tuple([each % count for each in wanted])


def _entered(tape: Tape, tree: Any) -> Any:
    """The arguments of a tree as the function gets them."""

    def enter(leaf: Any) -> Tensor:
        if not isinstance(leaf, Tensor):
            raise ValueError(f"Thing passed to transform API must be Tensor, got {type(leaf)}")
        return tape.enter(leaf)

    return tree_map(enter, tree)


def _aux_outside(tape: Tape, aux: Any) -> Any:
    def leave(leaf: Any) -> Tensor:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(leaf)}")
        return tape.leave(leaf)

    return tree_map(leave, aux)


def _split_aux(result: Any, has_aux: bool, called: str) -> tuple[Any, Any]:
    """The result proper and what is returned beside it."""
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(
            f"{called}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return result


def _or_zeros(found: Sequence[Tensor | None], metas: Sequence[Meta]) -> list[Tensor]:
    return [constant(meta, 0) if g is None else g for g, meta in zip(found, metas)]


def grad_and_value(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function giving (gradient, value) of `func`, whose result is a scalar.

    The gradient is by the arguments `argnums`, one tree for an int and a tuple for a tuple. With
    `has_aux` func returns (value, aux) and the result is (gradient, (value, aux)).
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        wanted = _checked_argnums(argnums, len(args))
        called = "grad_and_value(f)(*args)"
        with Tape() as tape:
            given: list = list(args)
            for k in wanted:
                given[k] = _entered(tape, given[k])
            entered = [given[k] for k in wanted]
            out, aux = _split_aux(func(*given, **kwargs), has_aux, called)
            if not isinstance(out, Tensor):
                raise RuntimeError(
                    f"{called}: Expected f(*args) to return a Tensor, got {type(out)}"
                )
            if out._meta.ndim:
                raise RuntimeError(
                    f"{called}: Expected f(*args) to return a scalar Tensor, got tensor with "
                    f"{out._meta.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs "
                    "instead?"
                )
            aux = _aux_outside(tape, aux) if has_aux else None
        leaves, spec = tree_flatten(entered if isinstance(argnums, tuple) else entered[0])
        create = bool(tape.mode) and tape.reaches_out([out])
        found: list = [None] * len(leaves)
        if edge_of(out) is not None:
            found = tape.pull([out], [api._one(out)], create, create)
        grads = _tree(spec, _or_zeros(found, [leaf._meta for leaf in leaves]))
        if isinstance(argnums, tuple):
            grads = tuple(grads)
        value = tape.leave(out)
        return (grads, (value, aux)) if has_aux else (grads, value)

    return wrapper


def _tree(spec: TreeSpec, leaves: Sequence[Any]) -> Any:
    return spec.unflatten(leaves)


def grad(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function giving the gradient of `func`, or (gradient, aux) with `has_aux`."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        grads, value = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return wrapper


def _checked_outputs(result: Any, called: str, f: str) -> tuple[list, TreeSpec]:
    """The results as leaves, which must be tensors, and at least one."""
    leaves, spec = tree_flatten(result)
    if not leaves:
        raise RuntimeError(
            f"{called}: Expected f to be a function that has non-empty output (got output = "
            f"{leaves})"
        )
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{called}: expected {f} to return only tensors, got unsupported type {type(leaf)}"
            )
    return leaves, spec


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """(func(*primals), vjp_fn): vjp_fn(cotangents) gives a tuple of gradients by the primals.

    With `has_aux` func returns (output, aux) and the result is (output, vjp_fn, aux).
    """
    return _vjp(func, primals, tuple(range(len(primals))), has_aux)


def _vjp(func: Callable, primals: tuple, wanted: tuple[int, ...], has_aux: bool) -> tuple:
    called = "vjp(f, *primals)"
    with Tape() as tape:
        given: list = list(primals)
        for k in wanted:
            given[k] = _entered(tape, given[k])
        leaves, spec = tree_flatten(tuple([given[k] for k in wanted]))
        result, aux = _split_aux(func(*given), has_aux, called)
        aux = _aux_outside(tape, aux) if has_aux else None
        outs, out_spec = _checked_outputs(result, called, "f(*primals)")
        for out in outs:
            if out._meta.dtype.category <= INT:
                raise RuntimeError(
                    "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got "
                    f"Tensor with dtype {out._meta.dtype}"
                )
        outside = bool(tape.mode) and tape.reaches_out(outs)
    metas = [leaf._meta for leaf in leaves]

    def vjp_fn(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        """The gradients for the given ones of the results."""
        given, given_spec = tree_flatten(cotangents)
        if given_spec != out_spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {treespec_pprint(given_spec)}, primal "
                f"output: {treespec_pprint(out_spec)}"
            )
        seeds = api._check_grads(tuple(outs), tuple(given))
        create = outside or any(edge_of(g) is not None for g in seeds)
        create = create and (bool(local.trace.grad) if create_graph is None else create_graph)
        found = tape.pull(outs, seeds, retain_graph, create)
        return spec.unflatten(_or_zeros(found, metas))

    value = out_spec.unflatten([tape.leave(out) for out in outs])
    return (value, vjp_fn, aux) if has_aux else (value, vjp_fn)


def jvp(
    func: Callable,
    primals: Any,
    tangents: Any,
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> tuple:
    """(func(*primals), its derivative in the direction `tangents`), or with aux as a third.

    `strict` refuses results that do not depend on the primals.
    """
    called = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{called}: Expected primals to be a tuple. E.g. it should be valid to call "
            "f(*primals)."
        )
    leaves, spec = tree_flatten(primals)
    directions, other = tree_flatten(tangents)
    if spec != other:
        raise RuntimeError(
            f"{called}: Expected primals and tangents to have the same python structure. For "
            "example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {spec} and tangents with structure {other}"
        )
    _check_tensors(leaves, called, "primals")
    _check_tensors(directions, called, "tangents")
    with Tape(forward=True) as tape:
        duals = [_dual(tape, x, t) for x, t in zip(leaves, directions)]
        result, aux = _split_aux(func(*spec.unflatten(duals)), has_aux, called)
        aux = _aux_outside(tape, aux) if has_aux else None
        outs, out_spec = _checked_outputs(result, called, "f(*primals)")
        push = Pushforward(outs, tape.entries)
        create = bool(tape.mode) and (
            tape.reaches_out(outs) or any(edge_of(t) is not None for t in directions)
        )
        found = push(directions, create)
    if strict and any(t is None for t in found):
        raise RuntimeError(
            f"{called}: The output of f is independent of the inputs. This is not allowed with "
            "strict=True."
        )
    value = out_spec.unflatten([tape.leave(out) for out in outs])
    derivative = out_spec.unflatten(_or_zeros(found, push.metas))
    return (value, derivative, aux) if has_aux else (value, derivative)


def _check_tensors(leaves: list, called: str, what: str) -> None:
    if not leaves:
        raise RuntimeError(f"{called}: Expected {what} to contain at least one Tensor.")
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{called}: Expected {what} to contain only Tensors, got {type(leaf)}"
            )


def _dual(tape: Tape, primal: Tensor, tangent: Tensor) -> Tensor:
    check_tangent(primal, tangent)
    return tape.enter(primal)


def check_tangent(primal: Tensor, tangent: Tensor) -> None:
    """PyTorch's errors for a tangent that does not fit its primal."""
    for what, t in (("primal", primal), ("tangent", tangent)):
        if t._meta.dtype.category <= INT:
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {t.dtype}")
    if primal._meta.shape != tangent._meta.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {list(primal._meta.shape)} while "
            f"the given forward gradient is of size {list(tangent._meta.shape)}."
        )


def linearize(func: Callable, *primals: Any) -> tuple[Any, Callable]:
    """(func(*primals), jvp_fn): jvp_fn(*tangents) is the derivative there, func run once only."""
    called = "linearize(f, *primals)"
    leaves, spec = tree_flatten(primals)
    _check_tensors(leaves, called, "primals")
    with Tape(forward=True) as tape:
        duals = [tape.enter(x) for x in leaves]
        outs, out_spec = _checked_outputs(func(*spec.unflatten(duals)), called, "f(*primals)")
        push = Pushforward(outs, tape.entries)
        outside = bool(tape.mode) and tape.reaches_out(outs)

    def jvp_fn(*tangents: Any) -> Any:
        """The derivative in the direction `tangents`, which are like the primals."""
        given, given_spec = tree_flatten(tangents)
        if given_spec != spec:
            raise RuntimeError(
                f"Expected the tangents {given_spec} to have the same argspec as the primals {spec}"
            )
        for k, (x, t) in enumerate(zip(leaves, given)):
            for what, mine, other in (("shape", x.shape, t.shape), ("dtype", x.dtype, t.dtype)):
                if mine != other:
                    raise RuntimeError(
                        f"tangent:{k} with {what} {other} in flattened pytree doesn't match the "
                        f"{what} {mine} of the corresponding primal."
                    )
        create = outside or any(edge_of(t) is not None for t in given)
        found = push(given, create and bool(local.trace.grad))
        return out_spec.unflatten(_or_zeros(found, push.metas))

    return out_spec.unflatten([tape.leave(out) for out in outs]), jvp_fn


def standard_basis(metas: Sequence[Meta]) -> list[Tensor]:
    """Per meta the rows (N, *shape) of the N by N unit matrix, N being all elements together."""
    total = sum(meta.numel for meta in metas)
    basis, start = [], 0
    for meta in metas:
        rows = np.eye(total, meta.numel, -start).astype(meta.np)
        whole = meta_of((total, *meta.shape), meta.dtype)
        basis.append(wrap(given(whole, rows.reshape(whole.shape)), whole))
        start += meta.numel
    return basis


def _refuse_complex(called: str, leaves: Sequence[Tensor], what: str) -> None:
    for k, leaf in enumerate(leaves):
        if isinstance(leaf, Tensor) and leaf._meta.dtype.is_complex:
            raise RuntimeError(
                f"{called}: Expected all {what} to be real but received complex tensor at "
                f"flattened input idx: {k}"
            )


def jacrev(
    func: Callable,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable:
    """A function giving the Jacobian of `func` by the arguments `argnums`, in reverse mode.

    For every result a tree like the arguments, of tensors (*result's shape, *argument's shape).
    `chunk_size` says how many rows are computed at once, by default all.
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        wanted = _checked_argnums(argnums, len(args))
        _refuse_complex("jacrev", tree_leaves(args), "inputs")
        bound = functools.partial(func, **kwargs) if kwargs else func
        value, vjp_fn, *aux = _vjp(bound, args, wanted, has_aux)
        outs, out_spec = tree_flatten(value)
        _refuse_complex("jacrev", outs, "outputs")
        basis = standard_basis([out._meta for out in outs])
        rows = vmap(lambda *b: vjp_fn(out_spec.unflatten(b)), chunk_size=chunk_size)(*basis)
        rows = rows if isinstance(argnums, tuple) else rows[0]
        leaves, spec = tree_flatten(rows)
        sizes = [out._meta.numel for out in outs]
        parts = [leaf.split(sizes) if leaf.numel() else [leaf] * len(sizes) for leaf in leaves]
        jacobians = [
            spec.unflatten([p[k].reshape((*out.shape, *p[k].shape[1:])) for p in parts])
            for k, out in enumerate(outs)
        ]
        jacobian = out_spec.unflatten(jacobians)
        return (jacobian, *aux) if has_aux else jacobian

    return wrapper


def jacfwd(
    func: Callable,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Callable:
    """A function giving the Jacobian of `func` by the arguments `argnums`, in forward mode."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        wanted = _checked_argnums(argnums, len(args))
        _refuse_complex("jacfwd", tree_leaves(args), "inputs")
        primals = tuple([args[k] for k in wanted])
        leaves, spec = tree_flatten(primals)
        _check_tensors(leaves, "jacfwd", "primals")

        def of_wanted(*some: Any) -> Any:
            given = list(args)
            for k, each in zip(wanted, some):
                given[k] = each
            return func(*given, **kwargs)

        def push(*basis: Any) -> Any:
            result = jvp(of_wanted, primals, spec.unflatten(basis), has_aux=has_aux)
            _refuse_complex("jacfwd", tree_leaves(result[0]), "outputs")
            return result[1:]

        basis = standard_basis([leaf._meta for leaf in leaves])
        dims = (0, None) if has_aux else (0,)
        columns, *aux = vmap(push, out_dims=dims, randomness=randomness)(*basis)
        outs, out_spec = tree_flatten(columns)
        sizes = [leaf._meta.numel for leaf in leaves]
        jacobians = []
        for out in outs:
            parts = [
                part.movedim(0, -1).reshape((*out.shape[1:], *leaf.shape))
                for part, leaf in zip(out.split(sizes), leaves)
            ]
            tree = spec.unflatten(parts)
            jacobians.append(tree if isinstance(argnums, tuple) else tree[0])
        jacobian = out_spec.unflatten(jacobians)
        return (jacobian, *aux) if has_aux else jacobian

    return wrapper


def hessian(func: Callable, argnums: Argnums = 0) -> Callable:
    """A function giving the second derivatives of `func`: the Jacobian of its Jacobian."""
    return jacfwd(jacrev(func, argnums), argnums)
