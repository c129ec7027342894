"""Products: the kernels of a group that a matrix product begins.

Room: codegen. A core reads fastest what it has written itself: of every array a range of the
outermost axis, since chunks are numbered along it. Where that axis is k, chunks are parts of k, and
what they add up to, and what follows, is a kernel of its own.
"""

from __future__ import annotations

import math
from collections.abc import Set

from bital.base.extent import Extent
from bital.codegen import gemm
from bital.codegen.cuts import Epilogue as HandedTo
from bital.codegen.cuts import plain_store
from bital.codegen.epilogue import Epilogue
from bital.codegen.kernel import Kernel, Operands, Scratch
from bital.codegen.nest import Nest, Product
from bital.codegen.scalar import Builder, Reg
from bital.codegen.split import CYCLES_PER_NS, FAR, chunks_for
from bital.codegen.target import Target
from bital.plan.fuse import Group
from bital.plan.node import Node

#: cycles that a region of the threads takes by itself
_MEETING = 2500
#: the threads for which parts of k are chosen
_THREADS = 4
#: the shortest part of k
_SHORTEST = 64


def products(
    group: Group, target: Target, in_memory: set[Node], across: Set[Node] | None
) -> list[Kernel]:
    """The kernel, or that of parts of k and the one that adds them up.

    Of nodes `across` cores have written ranges of columns; None: there is one core only.
    """
    epilogue = Epilogue(group, target, in_memory)
    p = epilogue.product(across or frozenset())
    if 0 in (p.M, p.N, *p.batch):
        return []
    if group.tracks:
        return [_tracks(p, group.tracks, target, epilogue)]
    nest = gemm.chosen(p, target, epilogue)
    parts = _parts(p, nest) if across is not None and nest.chunks > 1 else 1
    if parts > 1:
        scratch = Scratch(parts * p.M * p.N, p.kind)
        deep = _cut(p, parts)
        store = plain_store((parts, p.M, p.N))
        part = gemm.chosen(deep, target, store)
        if part.cost + _extra(p, nest, parts) < nest.cost + nest.far:
            part.write()
            first = Kernel(part.b, part.chunks, [*epilogue.factors, scratch], epilogue.ns)
            rest = Epilogue(group, target, in_memory)
            rest.operands = Operands(rest.b, (scratch,))
            rest.ns = _joining(p, parts, nest.lanes) / CYCLES_PER_NS
            joined = Joined(p, parts, target, rest)
            joined.write()
            return [first, rest.kernel(joined.b, joined.chunks)]
    nest.write()
    return [epilogue.kernel(nest.b, nest.chunks)._replace(across=nest.by_columns)]


def _tracks(p: Product, tracks: int, target: Target, epilogue: Epilogue) -> Kernel:
    """The kernel of a product whose rows are cut into so many ranges, each of which is a chunk."""
    rows = p.M // tracks
    cut = p._replace(batch=(tracks,), M=rows, a=(rows * p.a[0], *p.a), b=(0, *p.b))

    def follow(b: Builder, value: Reg, indices: tuple[Reg, ...], mask: Reg | None) -> None:
        track, row, col = indices
        epilogue(b, value, (b.affine(0, (track, rows), (row, 1)), col), mask)

    nest = gemm.chosen(cut, target, follow)
    nest.one_for_each_batch()
    nest.write()
    return epilogue.kernel(nest.b, nest.chunks)


def _cut(p: Product, parts: int) -> Product:
    """The product whose batches are parts of k."""
    K = p.K // parts
    return p._replace(batch=(parts,), K=K, a=(K * p.a[1], *p.a), b=(K * p.b[0], *p.b))


def _parts(p: Product, nest: Nest) -> int:
    """The number of parts of k that saves most time; 1: none does."""
    if p.batch or p.terms > 1 or any(isinstance(n, Extent) for n in (p.M, p.N, p.K)):
        return 1
    able = [n for n in range(2, nest.chunks + 1) if p.K % n == 0 and p.K // n >= _SHORTEST]
    extra = {n: _extra(p, nest, n) for n in able}
    return min((n for n in able if extra[n] < nest.far), key=extra.__getitem__, default=1)


def _extra(p: Product, nest: Nest, parts: int) -> float:
    """Cycles for what comes from other cores, and for adding up parts."""
    a, b = p.M * p.K / nest.lanes, p.K * p.N / nest.lanes
    near = min(parts / _THREADS, 1)
    a_by_k, b_by_k = (p.a[1] > p.a[0]) != p.across[0], (p.b[0] > p.b[1]) != p.across[1]
    far = a * (1 - near * a_by_k) + b * (1 - near * b_by_k)
    joining = _joining(p, parts, nest.lanes)
    return FAR * far + _MEETING + joining * (1 if chunks_for(joining) > 1 else 2)


def _joining(p: Product, parts: int, lanes: int) -> float:
    """Cycles for writing and adding up parts, half of which are another core's."""
    return p.M * -(-p.N // lanes) * parts * (2 + FAR / 2)


class Joined(Nest):
    """The parts of a product, each a matrix in scratch, added up in order."""

    factors = (0, 0)

    def __init__(self, p: Product, parts: int, target: Target, epilogue: HandedTo) -> None:
        sums = p._replace(K=parts, a=(p.N, p.M * p.N), b=(0, 0))
        super().__init__(Builder(target.masks, target.fused), sums, target, epilogue)
        self.parts = 1, min(chunks_for(_joining(p, parts, self.lanes)), p.M), 1

    def write(self) -> None:
        """The whole body."""
        b, p, lanes = self.b, self.p, self.lanes
        batches = self.open(p.M, 1)
        rows = b.loop(*self.row_range)
        line = b.at(self.left, p.kind, b.mul(rows.index, b.index(p.N)))
        whole = p.N // lanes * lanes
        few = min(2 ** math.ceil(math.log2(p.N - whole)), lanes) if whole < p.N else 1
        for begin, end, width in ((0, whole, lanes), (whole, p.N, few)):
            if begin == end:
                continue
            cols = b.loop(begin, end, width)
            at = b.at(line, p.kind, cols.index)
            mask = b.mask_below(end - begin, width) if end - begin < width else None
            total = b.load(at, p.kind, 0, width, mask)
            for k in range(1, p.K):
                total = b.add(total, b.load(at, p.kind, k * p.a[1], width, mask))
            self.finish_row([total], rows.index, cols.index, mask)
            cols.end()
        rows.end()
        batches.end()
