"""Gemm: the way in which a matrix product is computed, chosen by shape and strides alone.

Room: codegen. C[m, n] = sum over k of A[m, k] B[k, n].
"""

from __future__ import annotations

from math import prod

from bital.base.extent import Extent, hints
from bital.codegen.cuts import Epilogue
from bital.codegen.dots import Dots
from bital.codegen.nest import Nest, Product
from bital.codegen.scalar import BYTES, Builder
from bital.codegen.target import Target
from bital.codegen.tiles import Tiles
from bital.codegen.turned import Crossed, Turned

#: multiply-adds times the bytes of an element from which on a library is faster
_LIBRARY_BYTES = 3_500_000_000


def chosen(p: Product, target: Target, epilogue: Epilogue) -> Nest:
    """The way that takes least; arguments 0 and 1 are A and B, more are the epilogue's."""
    b = Builder(target.masks, target.fused)
    lanes = target.lanes(BYTES[p.kind])
    found: list[Nest] = [Tiles(b, p, target, epilogue)]
    if p.terms > 1 or any(isinstance(n, Extent) for n in (*p.batch, p.M, p.N, p.K)):
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
