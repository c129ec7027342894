"""Gemm: matrix products as kernels, each with what becomes of its elements as its last words.

Room: codegen. C[m, n] = sum over k of A[m, k] B[k, n] in one of several ways, chosen by shape and
strides alone.
"""

from __future__ import annotations

from math import prod

from bital.base.extent import Extent, hints
from bital.codegen.dots import Dots
from bital.codegen.nest import Epilogue, Nest, Product, offset
from bital.codegen.scalar import BYTES, Builder, Reg
from bital.codegen.target import Target
from bital.codegen.tiles import Tiles
from bital.codegen.turned import Crossed, Turned

__all__ = ["Epilogue", "Product", "plain_store", "prefers_library", "product"]

#: multiply-adds times the bytes of an element from which on a library is faster
_LIBRARY_BYTES = 3_500_000_000


def product(p: Product, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """The kernel's body and its number of chunks; args 0 and 1 are A and B, more the epilogue's."""
    if 0 in (p.M, p.N, *p.batch):
        return Builder(), 0
    nest = chosen(p, target, epilogue)
    nest.write()
    return nest.b, nest.chunks


def chosen(p: Product, target: Target, epilogue: Epilogue) -> Nest:
    """The way that takes least."""
    b = Builder(masks=target.vector_bytes == 64)
    lanes = target.lanes(BYTES[p.kind])
    found: list[Nest] = [Tiles(b, p, target, epilogue)]
    if any(isinstance(n, Extent) for n in (*p.batch, p.M, p.N, p.K)):
        return found[0]
    if Dots.suits(p, lanes):
        found.append(Dots(b, p, target, epilogue))
    if Turned.suits(p, lanes):
        turned = Turned(b, p, target, epilogue)
        found += [turned] if turned.whole else []
    if Crossed.suits(p, lanes, target):
        found.append(Crossed(b, p, target, epilogue))
    return min(found, key=lambda nest: nest.cost + nest.far)


def prefers_library(p: Product) -> bool:
    """Whether OpenBLAS takes less on one thread: large in every way.

    Measured on Emerald Rapids (AVX-512) against NumPy's OpenBLAS: as fast at 512 x 512 x 512, a
    tenth less at 1000, an eighth less at 1536; in float64 a tenth less at 768.
    """
    sizes = hints((p.M, p.N, p.K))
    work = prod(sizes) * BYTES[p.kind]
    return not p.batch and min(sizes) >= 256 and work >= _LIBRARY_BYTES


def plain_store(p: Product, c_strides: tuple[int, ...]) -> Epilogue:
    """The epilogue that stores to argument 2: strides of the batch axes, rows and columns."""

    def store(
        b: Builder, value: Reg, batch: tuple[Reg, ...], row: Reg, col: Reg, mask: Reg | None
    ) -> None:
        c = b.argument(2)
        place = b.at(c, p.kind, offset(b, (*batch, row, col), c_strides))
        if value.lanes == 1 or c_strides[-1] == 1:
            b.store(value, place, mask=mask)
        else:
            steps = b.mul(b.iota("i64", value.lanes), b.index(c_strides[-1]))
            b.scatter(value, place, steps, mask)

    return store
