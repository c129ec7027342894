"""einsum: sums of products of tensors, named by their indices.

Room: ops. Two operands at a time become one product of matrices in batches: axes that both have
and the result keeps are the batch, axes that both have and nobody else needs are summed. Made of
permutations and products, so gradients follow by themselves.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from bital.ops.api import public
from bital.ops.matmul import batch_product, matrix_product
from bital.tensor.tensor import Tensor

#: labels are numbers: 0…25 for A…Z, 26…51 for a…z, from here on the axes of an ellipsis
_ELLIPSIS = 52


Ints = tuple[int, ...]
Labels = tuple[int, ...]


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
                raise RuntimeError(f"einsum(): found '.' for {whose} {already} was already found")
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


def _ellipsis_width(shapes: Sequence[Ints], inputs: Sequence[list[int | None]]) -> int:
    """How many axes the widest ellipsis stands for; RuntimeError where labels do not fit."""
    width = 0
    for k, (shape, labels) in enumerate(zip(shapes, inputs)):
        named = len([x for x in labels if x is not None])
        ndim = len(shape)
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


def _repeats(labels: list[int], shape: Ints, operand: int) -> tuple[tuple, Labels, Ints]:
    """Which axes to take diagonals of where a label stands twice; the labels and sizes left."""
    labels, sizes = list(labels), list(shape)
    pairs = []
    k = 0
    while k < len(labels):
        first = labels.index(labels[k])
        if first == k:
            k += 1
            continue
        if sizes[first] != sizes[k]:
            raise RuntimeError(
                f"einsum(): subscript {_letter(labels[k])} is repeated for operand {operand} but "
                f"the sizes don't match, {sizes[k]} != {sizes[first]}"
            )
        pairs.append((first, k))
        del labels[k], sizes[k]
    return tuple(pairs), tuple(labels), tuple(sizes)


def _result_labels(
    inputs: Sequence[list[int | None]], spelled: list[list[int]], out: list[int | None] | None,
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


def _check_sizes(terms: Sequence[tuple[Labels, Ints]]) -> None:
    """RuntimeError where a label has two sizes; 1 broadcasts."""
    sizes: dict[int, int] = {}
    for k, (labels, shape) in enumerate(terms):
        for x, n in zip(labels, shape):
            seen = sizes.get(x, 1)
            if n != 1 and seen != 1 and n != seen:
                what = (
                    f"subscript {_letter(x)} has size {n} for operand {k} which"
                    if x < _ELLIPSIS
                    else f"dimension {x - _ELLIPSIS} covered by ellipsis has size {n} for operand "
                    f"{k} which"
                )
                raise RuntimeError(
                    f"einsum(): {what} does not broadcast with previously seen size {seen}"
                )
            sizes[x] = n if seen == 1 else seen


class Layout(NamedTuple):
    """How an operand is brought into the form of a matrix: summed, permuted, reshaped."""

    summed: Ints
    order: Ints | None
    shape: Ints | None

    def of(self, t: Tensor) -> Tensor:
        if self.summed:
            t = t.sum(self.summed)
        if self.order is not None:
            t = t.permute(self.order)
        return t if self.shape is None else t.reshape(self.shape)


def _layout(
    labels: Labels, shape: Ints, needed: Sequence[int], form: Sequence[int] | None
) -> Layout:
    """The layout that leaves the labels `needed`, in this order, in the shape `form`."""
    summed = tuple([k for k, x in enumerate(labels) if x not in needed])
    left = [x for x in labels if x in needed]
    order = tuple([left.index(x) for x in needed])
    sizes = dict(zip(labels, shape))
    plain = tuple([sizes[x] for x in needed])
    return Layout(
        summed,
        None if order == tuple(range(len(order))) else order,
        None if form is None or tuple(form) == plain else tuple(form),
    )


class Pair(NamedTuple):
    """Two terms multiplied: how each is laid out, which are turned (None where nothing is summed),
    and what the product's labels and sizes are."""

    first: Layout
    second: Layout
    turned: tuple[bool, bool] | None
    batched: bool
    labels: Labels
    shape: Ints

    def of(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = self.first.of(a), self.second.of(b)
        if self.turned is None:
            return a * b
        made = (batch_product if self.batched else matrix_product)(a, b, self.turned)
        return made if made._meta.shape == self.shape else made.reshape(self.shape)


def _matrix(
    labels: Labels, shape: Ints, batch: list[int], rows: list[int], columns: list[int]
) -> tuple[Layout, bool]:
    """A term as matrices (batch, rows, columns), or turned where that needs no permutation."""
    sizes = dict(zip(labels, shape))
    lead = [sizes[x] for x in batch]
    m, n = math.prod([sizes[x] for x in rows]), math.prod([sizes[x] for x in columns])
    plain = _layout(labels, shape, [*batch, *rows, *columns], [*lead, m, n])
    if plain.order is None:
        return plain, False
    turned = _layout(labels, shape, [*batch, *columns, *rows], [*lead, n, m])
    return (turned, True) if turned.order is None else (plain, False)


def _pair(a: tuple[Labels, Ints], b: tuple[Labels, Ints], keep: set[int], out: Labels) -> Pair:
    """How two terms are multiplied and summed over what neither the result nor others need."""
    sizes_a, sizes_b = dict(zip(*a)), dict(zip(*b))
    # an axis that one side broadcasts, or lacks, is summed on the other side alone
    gone = {x for x in (*a[0], *b[0]) if x not in keep}
    shared = [x for x in a[0] if x in gone and x in sizes_b]
    summed = [x for x in shared if (sizes_a[x] == 1) == (sizes_b[x] == 1)]
    alone = gone - set(summed)
    mine, other = [x for x in a[0] if x not in alone], [x for x in b[0] if x not in alone]
    batch = [x for x in mine if x in other and x not in summed]
    left, right = [x for x in mine if x not in other], [x for x in other if x not in mine]
    both = {x: sizes_b[x] if sizes_a.get(x, 1) == 1 and x in sizes_b else sizes_a[x]
            for x in (*batch, *left, *right)}  # fmt: skip
    if not summed:
        order = [x for x in out if x in both]
        order += [x for x in both if x not in out]
        forms = [[s.get(x, 1) for x in order] for s in (sizes_a, sizes_b)]
        return Pair(
            _layout(*a, [x for x in order if x in mine], forms[0]),
            _layout(*b, [x for x in order if x in other], forms[1]),
            None, False, tuple(order), tuple([both[x] for x in order]),
        )  # fmt: skip
    first, turn_a = _matrix(*a, batch, left, summed)
    second, turn_b = _matrix(*b, batch, summed, right)
    labels = (*batch, *left, *right)
    shape = tuple([both[x] for x in labels])
    return Pair(first, second, (turn_a, turn_b), bool(batch), labels, shape)


class Program(NamedTuple):
    """All that an equation does with operands of certain shapes."""

    diagonals: tuple[tuple, ...]
    pairs: tuple[tuple[bool, Pair], ...]  # with whether the next operand comes first
    order: Ints | None
    summed: Ints
    viewed: bool

    def run(self, operands: Sequence[Tensor]) -> Tensor:
        terms = list(operands)
        for k, axes in enumerate(self.diagonals):
            for first, second in axes:
                t = terms[k].diagonal(0, first, second)
                terms[k] = t.movedim(-1, first)
        result = terms[0]
        for following, (swapped, pair) in zip(terms[1:], self.pairs):
            result = pair.of(following, result) if swapped else pair.of(result, following)
        if self.order is not None:
            result = result.permute(self.order)
        if self.summed:
            result = result.sum(self.summed)
        return result.view(result._meta.shape) if self.viewed else result


def _program(
    inputs: Sequence[list[int | None]], out: list[int | None] | None, shapes: tuple[Ints, ...]
) -> Program:
    """Understand an equation for operands of `shapes`; all its errors are raised here."""
    width = _ellipsis_width(shapes, inputs)
    spelled = [_spelled_out(x, len(s), width) for x, s in zip(inputs, shapes)]
    wanted = _result_labels(inputs, spelled, out, width)
    parts = [_repeats(x, s, k) for k, (x, s) in enumerate(zip(spelled, shapes))]
    diagonals, terms = tuple([p[0] for p in parts]), [p[1:] for p in parts]
    _check_sizes(terms)
    if len(terms) == 1:
        labels = terms[0][0]
        # PyTorch permutes first and sums then, which names the node
        order = [*wanted, *[x for x in labels if x not in wanted]]
        places = tuple([labels.index(x) for x in order])
        return Program(diagonals, (), places, tuple(range(len(wanted), len(order))), False)
    current, contracted = terms[0], False
    pairs = []
    for k in range(1, len(terms)):
        later = {x for labels, _ in terms[k + 1 :] for x in labels}
        keep = set(wanted) | later
        labels = terms[k][0]
        contracted = bool((set(current[0]) | set(labels)) - keep)
        own = [x for x in wanted if (x in current[0]) != (x in labels)]
        swapped = bool(own) and own[0] in labels  # so that the result lies in order
        both = (terms[k], current) if swapped else (current, terms[k])
        pair = _pair(*both, keep, wanted)
        pairs.append((swapped, pair))
        current = pair.labels, pair.shape
    places = tuple([current[0].index(x) for x in wanted])
    plain = places == tuple(range(len(places)))
    return Program(diagonals, tuple(pairs), None if plain else places, (), contracted)


@functools.lru_cache(1024)
def _program_of(equation: str, shapes: tuple[Ints, ...]) -> Program:
    inputs, out = _parse(equation)
    _check_count(len(inputs), len(shapes))
    return _program(inputs, out, shapes)


def _check_count(named: int, given: int) -> None:
    if named != given:
        which = "fewer" if given < named else "more"
        raise RuntimeError(
            f"einsum(): {which} operands were provided than specified in the equation"
        )


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
        shapes = tuple([tuple(t._meta.shape) for t in operands])
        return _program_of(args[0], shapes).run(operands)
    operands, inputs, out = _from_sublists(args)
    shapes = tuple([tuple(t._meta.shape) for t in operands])
    return _program(inputs, out, shapes).run(operands)
