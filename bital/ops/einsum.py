"""einsum: sums of products of tensors, named by their indices.

Room: ops. Two operands at a time become one product of matrices in batches: axes that both have
and the result keeps are the batch, axes that both have and nobody else needs are summed. Made of
permutations and products, so gradients follow by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from bital.ops.api import public
from bital.ops.matmul import batch_product, matrix_product
from bital.tensor.tensor import Tensor

#: labels are numbers: 0…25 for A…Z, 26…51 for a…z, from here on the axes of an ellipsis
_ELLIPSIS = 52


class Term(NamedTuple):
    """An operand with a label per axis, no label twice."""

    tensor: Tensor
    labels: tuple[int, ...]


def _label(letter: str) -> int:
    return ord(letter) - 65 if letter <= "Z" else ord(letter) - 71


def _letter(label: int) -> str:
    return chr(label + 65) if label < 26 else chr(label + 71)


def _subscripts(text: str, start: int, whose: str) -> list[int | None]:
    """The labels of one operand (or the output), None for its ellipsis; `start` is its place."""
    labels: list[int | None] = []
    k = 0
    while k < len(text):
        letter = text[k]
        if letter == ".":
            output = whose == "output"
            if None in labels:
                already = "but an ellipsis (...)" if output else "for which an ellipsis"
                raise RuntimeError(
                    f"einsum(): found '.' for {whose} {already} was already found"
                )
            if text[k : k + 3] != "...":
                raise RuntimeError(
                    f"einsum(): found '.' for {whose} that is not part of any ellipsis"
                    f"{' (...)' if output else ''}"
                )
            labels.append(None)
            k += 3
            continue
        if letter != " ":
            if not (letter.isascii() and letter.isalpha()):
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {start + k} in the equation "
                    "string, subscripts must be in [a-zA-Z]"
                )
            labels.append(_label(letter))
        k += 1
    return labels


def _parse(equation: str) -> tuple[list[list[int | None]], list[int | None] | None]:
    left, arrow, right = equation.partition("->")
    inputs, start = [], 0
    for k, part in enumerate(left.split(",")):
        inputs.append(_subscripts(part, start, f"operand {k}"))
        start += len(part) + 1
    return inputs, _subscripts(right, len(left) + 2, "output") if arrow else None


def _from_sublists(args: Sequence[Any]) -> tuple[list, list, list | None]:
    """Operands, their labels and the result's of `einsum(x, [0, 1], y, [1, 2], [0, 2])`."""
    args = list(args)
    out = args.pop() if len(args) % 2 else None

    def labels(sublist: Sequence[Any]) -> list[int | None]:
        found: list[int | None] = []
        for s in sublist:
            if s is Ellipsis:
                found.append(None)
            elif not 0 <= int(s) < _ELLIPSIS:
                raise ValueError(
                    f"einsum(): expected subscript {int(s)} to be within the range [0, 52)"
                )
            else:
                # PyTorch numbers A…Z first, then a…z: implicit results are sorted so
                found.append(int(s))
        return found

    return args[::2], [labels(s) for s in args[1::2]], None if out is None else labels(out)


def _ellipsis_width(operands: Sequence[Tensor], inputs: list[list[int | None]]) -> int:
    """How many axes the widest ellipsis stands for; RuntimeError where labels do not fit."""
    width = 0
    for k, (t, labels) in enumerate(zip(operands, inputs)):
        named = len([x for x in labels if x is not None])
        ndim = t._meta.ndim
        if None in labels:
            if named > ndim:
                raise RuntimeError(
                    f"einsum(): the number of subscripts in the equation ({named}) is more than "
                    f"the number of dimensions ({ndim}) for operand {k}"
                )
            width = max(width, ndim - named)
        elif named != ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the "
                f"number of dimensions ({ndim}) for operand {k} and no ellipsis was given"
            )
    return width


def _spelled_out(labels: list[int | None], ndim: int, width: int) -> list[int]:
    """Labels with the ellipsis replaced by the numbers of the axes it stands for."""
    named = len([x for x in labels if x is not None])
    out: list[int] = []
    for x in labels:
        if x is None:
            out += range(_ELLIPSIS + width - (ndim - named), _ELLIPSIS + width)
        else:
            out.append(x)
    return out


def _without_repeats(t: Tensor, labels: list[int]) -> Term:
    """Diagonals where a label stands twice."""
    k = 0
    while k < len(labels):
        first = labels.index(labels[k])
        if first == k:
            k += 1
            continue
        sizes = t._meta.shape
        if sizes[first] != sizes[k]:
            raise RuntimeError(
                f"einsum(): subscript {_letter(labels[k])} is repeated for operand 0 but the sizes "
                f"don't match, {sizes[k]} != {sizes[first]}"
            )
        t = t.diagonal(0, first, k).movedim(-1, first)  # type: ignore[attr-defined]
        labels = labels[:k] + labels[k + 1 :]
    return Term(t, tuple(labels))


def _result_labels(
    inputs: list[list[int | None]], spelled: list[list[int]], out: list[int | None] | None,
    width: int,
) -> tuple[int, ...]:  # fmt: skip
    """The labels of the result: those given, or the ellipsis and, sorted, what stands once."""
    ellipsis = list(range(_ELLIPSIS, _ELLIPSIS + width))
    if out is None:
        every = [x for labels in spelled for x in labels]
        return tuple(ellipsis + sorted({x for x in every if x < 52 and every.count(x) == 1}))
    found: list[int] = []
    known = {x for labels in spelled for x in labels}
    for x in out:
        if x is None:
            found += ellipsis
            continue
        if x in found:
            raise RuntimeError(
                f"einsum(): output subscript {_letter(x)} appears more than once in the output"
            )
        if x not in known:
            raise RuntimeError(
                f"einsum(): output subscript {_letter(x)} does not appear in the equation for any "
                "input operand"
            )
        found.append(x)
    return tuple(found)


def _check_sizes(terms: list[Term]) -> dict[int, int]:
    """The size of every label, 1 broadcasting; RuntimeError where two do not fit."""
    sizes: dict[int, int] = {}
    for k, (t, labels) in enumerate(terms):
        for x, n in zip(labels, t._meta.shape):
            seen = sizes.get(x, 1)
            if n != 1 and seen != 1 and n != seen:
                if x >= _ELLIPSIS:
                    raise RuntimeError(
                        f"einsum(): dimension {x - _ELLIPSIS} covered by ellipsis has size {n} for "
                        f"operand {k} which does not broadcast with previously seen size {seen}"
                    )
                raise RuntimeError(
                    f"einsum(): subscript {_letter(x)} has size {n} for operand {k} which does not "
                    f"broadcast with previously seen size {seen}"
                )
            sizes[x] = n if seen == 1 else seen
    return sizes


def _summed(term: Term, keep: set[int]) -> Term:
    """The term summed over the axes whose labels nobody needs."""
    over = tuple([k for k, x in enumerate(term.labels) if x not in keep])
    if not over:
        return term
    t = term.tensor.sum(over)  # type: ignore[attr-defined]
    return Term(t, tuple([x for x in term.labels if x in keep]))


def _arranged(t: Tensor, labels: tuple[int, ...], order: Sequence[int]) -> Tensor:
    """The axes of t put in the order of labels, which are all there."""
    dims = [labels.index(x) for x in order]
    return t if dims == list(range(len(dims))) else t.permute(dims)  # type: ignore[attr-defined]


def _as(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    return t if t._meta.shape == shape else t.reshape(shape)  # type: ignore[attr-defined]


def _pair(a: Term, b: Term, keep: set[int], out: tuple[int, ...]) -> Term:
    """Two terms multiplied and summed over what neither the result nor another term needs."""
    size_a = dict(zip(a.labels, a.tensor._meta.shape))
    size_b = dict(zip(b.labels, b.tensor._meta.shape))
    both = [x for x in a.labels if x in size_b]
    # a sum over an axis that one side broadcasts is the other side's alone
    lone = {x for x in both if x not in keep and (size_a[x] == 1) != (size_b[x] == 1)}
    a, b = _summed(a, keep | (size_b.keys() - lone)), _summed(b, keep | (size_a.keys() - lone))
    if lone:
        a, b = _dropped(a, lone), _dropped(b, lone)
    summed = [x for x in a.labels if x in b.labels and x not in keep]
    batch = [x for x in a.labels if x in b.labels and x in keep]
    left = [x for x in a.labels if x not in b.labels]
    right = [x for x in b.labels if x not in a.labels]
    if not summed:
        mine = [*batch, *left, *right]
        rest = [x for x in mine if x not in out]
        return _multiplied(a, b, [x for x in out if x in mine] + rest)
    rows = _arranged(a.tensor, a.labels, [*batch, *left, *summed])
    columns = _arranged(b.tensor, b.labels, [*batch, *summed, *right])
    shapes = [[size_a[x] for x in group] for group in (left, summed)] + [[size_b[x] for x in right]]
    m, k, n = (math.prod(s) for s in shapes)
    lead_a, lead_b = tuple([size_a[x] for x in batch]), tuple([size_b[x] for x in batch])
    rows, columns = _as(rows, (*lead_a, m, k)), _as(columns, (*lead_b, k, n))
    multiply = batch_product if batch else matrix_product
    made = multiply(rows, columns, (False, False))
    lead = tuple(made._meta.shape[: len(batch)])
    return Term(_as(made, (*lead, *shapes[0], *shapes[2])), (*batch, *left, *right))


def _dropped(term: Term, labels: set[int]) -> Term:
    """The term without axes of length 1 (or already summed)."""
    over = tuple([k for k, x in enumerate(term.labels) if x in labels])
    if not over:
        return term
    t = term.tensor.sum(over)  # type: ignore[attr-defined]
    return Term(t, tuple([x for x in term.labels if x not in labels]))


def _multiplied(a: Term, b: Term, order: list[int]) -> Term:
    """Products where nothing is summed: broadcasting."""
    factors = []
    for term in (a, b):
        t = _arranged(term.tensor, term.labels, [x for x in order if x in term.labels])
        sizes = dict(zip(term.labels, term.tensor._meta.shape))
        factors.append(_as(t, tuple([sizes.get(x, 1) for x in order])))
    return Term(factors[0] * factors[1], tuple(order))


def _as_in_result(a: Term, b: Term, out: tuple[int, ...]) -> tuple[Term, Term]:
    """The two terms, that one first whose own labels come first in the result."""
    own = [x for x in out if (x in a.labels) != (x in b.labels)]
    return (b, a) if own and own[0] in b.labels else (a, b)


def _contract(terms: list[Term], out: tuple[int, ...]) -> Tensor:
    if len(terms) == 1:
        (only,) = terms
        # PyTorch permutes first and sums then, which names the node
        rest = [x for x in only.labels if x not in out]
        t = only.tensor.permute([only.labels.index(x) for x in (*out, *rest)])  # type: ignore[attr-defined]
        return t.sum(tuple(range(len(out), len(only.labels)))) if rest else t
    current = terms[0]
    for k in range(1, len(terms)):
        later = {x for term in terms[k + 1 :] for x in term.labels}
        keep = set(out) | later
        contracted = (set(current.labels) | set(terms[k].labels)) - keep
        current = _pair(*_as_in_result(current, terms[k], out), keep, out)
    result = _arranged(current.tensor, current.labels, out)
    return result.view(result._meta.shape) if contracted else result  # type: ignore[attr-defined]


@public(method=False)
def einsum(*args: Any) -> Tensor:
    """The sums of products that an equation names: `einsum("ij,jk->ik", a, b)`.

    Also `einsum(equation, [a, b])` and `einsum(a, [0, 1], b, [1, 2], [0, 2])`. An ellipsis stands
    for axes that are broadcast; without `->` the result has the labels that stand once, sorted.
    RuntimeError where the equation does not fit the operands.
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    if isinstance(args[0], str):
        listed = len(args) == 2 and isinstance(args[1], (list, tuple))
        operands = list(args[1] if listed else args[1:])
        inputs, out = _parse(args[0])
    else:
        operands, inputs, out = _from_sublists(args)
    if len(inputs) != len(operands):
        which = "fewer" if len(operands) < len(inputs) else "more"
        verb = "were provided than specified in the equation"
        raise RuntimeError(f"einsum(): {which} operands {verb}")
    width = _ellipsis_width(operands, inputs)
    spelled = [_spelled_out(x, t._meta.ndim, width) for x, t in zip(inputs, operands)]
    result = _result_labels(inputs, spelled, out, width)
    terms = [_without_repeats(t, x) for t, x in zip(operands, spelled)]
    _check_sizes(terms)
    return _contract(terms, result)


