"""Kernel: the text of one function, with what it works on.

Room: codegen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bital.codegen import scalar
from bital.codegen.math import FUNCTIONS
from bital.codegen.scalar import Builder, Reg
from bital.plan.access import Access
from bital.plan.node import Node


class Scratch:
    """Memory that only the kernels of one group share: `elems` elements of `kind`."""

    __slots__ = ("elems", "kind")

    def __init__(self, elems: int, kind: str) -> None:
        self.elems, self.kind = elems, kind

    @property
    def nbytes(self) -> int:
        return self.elems * scalar.BYTES[self.kind]


class At(NamedTuple):
    """A place in a node's memory: `offset` elements on, and a run-time number of elements more."""

    root: Node
    offset: int
    moved: Node | None


Operand = Node | Scratch | At


def place(a: Access) -> Operand:
    """The operand that an access begins at."""
    return At(a.root, a.offset, a.moved) if a.offset or a.moved is not None else a.root


class Kernel(NamedTuple):
    """A function of (args, chunk): `operands` are what args point to, in order.

    `ns` is about how long it takes on one core, as far as that is known; `across` says that its
    chunks write ranges of columns, not rows.
    """

    builder: Builder
    chunks: int
    operands: list[Operand]
    ns: float = 0.0
    across: bool = False

    def of_size(self, param: Node) -> Kernel:
        """The kernel with a run-time scalar that is the size its code depends on, if it does."""
        if not self.builder.sizes:
            return self
        self.builder.size_argument = len(self.operands)
        return self._replace(operands=[*self.operands, param])


def scratch_of(kernels: Iterable[Kernel]) -> list[Scratch]:
    """What some kernels have of memory that nobody else reads."""
    return [o for k in kernels for o in k.operands if isinstance(o, Scratch)]


#: what a chunk is to take at least
_CHUNK_NS = 12_000
_MOST_CHUNKS = 64


def chunks_of(ns: float) -> int:
    """Into how many chunks a loop that takes so long on one core is cut.

    As many as threads share evenly, a power of two or one and a half: of eleven chunks one of two
    threads would do six.
    """
    wanted = min(int(ns / _CHUNK_NS), _MOST_CHUNKS)
    if wanted < 2:
        return 1
    unit = max(1 << wanted.bit_length() - 2, 2)
    return -(-wanted // unit) * unit


class Operands:
    """Hands out a kernel's arguments: every operand is named once."""

    def __init__(self, b: Builder, first: tuple[Operand, ...] = ()) -> None:
        self.b = b
        self.order: list[Operand] = list(first)
        self.places = {x: k for k, x in enumerate(self.order)}

    def pointer(self, x: Operand) -> Reg:
        """The pointer to an operand's memory, known from the entry on."""
        place = self.places.get(x)
        if place is None:
            place = self.places[x] = len(self.order)
            self.order.append(x)
        return self.b.argument(place)


def is_word(word: str) -> bool:
    """Whether `apply_word` knows a word."""
    return word in FUNCTIONS or word == "copy" or hasattr(Builder, word)


def apply_word(b: Builder, word: str, more: tuple, operands: list[Reg], kind: str) -> Reg:
    """A scalar word of the graph on registers."""
    if word == "cast":
        return b.cast(operands[0], more[0])
    if word == "copy":
        return operands[0]
    if word == "select":
        return b.select(*operands)
    function = FUNCTIONS.get(word)
    if function is not None:
        return function(b, *operands)
    return getattr(b, word)(*operands)
