"""The draws that are compared: each with PyTorch's spelling and Stream's.

`theirs(T, g, n, dtype)` takes the real torch module, a generator, a count and a torch dtype;
`ours(stream, n, dtype)` takes a NumPy dtype.
"""

from collections.abc import Callable
from dataclasses import dataclass

import ml_dtypes
import numpy as np

SINGLE = ("float32", "float64")
REAL = ("float32", "float64", "float16", "bfloat16")
COMPLEX = ("complex64", "complex128")
SIGNED = ("uint8", "int8", "int16", "int32", "int64")
UNSIGNED = ("uint16", "uint32", "uint64")
SIZES = (1, 2, 15, 16, 17, 31, 100, 1000, 1001)
# Last places of a float64 (of 1, for smaller numbers) that separate NumPy's and the C library's
# log, log1p, sin, cos, tan and exp, once or twice in a row. Everything else has PyTorch's bits:
# float32 is narrowed from such numbers or follows PyTorch's own steps.
LAST_PLACES = 8


@dataclass(frozen=True)
class Draw:
    """One draw; `exact`: the bits are PyTorch's in float64 too."""

    name: str
    dtypes: tuple[str, ...]
    theirs: Callable
    ours: Callable
    exact: bool = True


def numpy_dtype(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def to_numpy(T, tensor) -> np.ndarray:
    """The numbers of a tensor of the torch module `T`; bfloat16 by its bits."""
    if tensor.dtype == T.bfloat16:
        return tensor.view(T.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def ramp(low: float, high: float, n: int, dtype) -> np.ndarray:
    """`n` numbers from `low` to `high`, computed alike for both sides."""
    return (low + (high - low) * (np.arange(n) / max(n - 1, 1))).astype(np.float32).astype(dtype)


def _given(T, low, high, n, dtype):
    return T.from_numpy(ramp(low, high, n, np.float32)).to(dtype)


def _int(low, high, names):
    return Draw(
        f"randint[{low},{high})", names,
        lambda T, g, n, d: T.randint(low, high, (n,), dtype=d, generator=g),
        lambda s, n, d: s.random_int(n, d, low, high),
    )  # fmt: skip


WIDE = ("float64", "int32", "int64", "uint32", "uint64")
DRAWS = [
    Draw("rand", REAL + COMPLEX,
         lambda T, g, n, d: T.rand(n, dtype=d, generator=g),
         lambda s, n, d: s.uniform(n, d)),
    Draw("uniform_", REAL + COMPLEX,
         lambda T, g, n, d: T.empty(n, dtype=d).uniform_(-0.1, 0.3, generator=g),
         lambda s, n, d: s.uniform(n, d, -0.1, 0.3)),
    Draw("randn", REAL + COMPLEX,
         lambda T, g, n, d: T.randn(n, dtype=d, generator=g),
         lambda s, n, d: s.normal(n, d), exact=False),
    Draw("normal_", REAL + COMPLEX,
         lambda T, g, n, d: T.empty(n, dtype=d).normal_(0.3, 1.7, generator=g),
         lambda s, n, d: s.normal(n, d, 0.3, 1.7), exact=False),
    Draw("normal_ strided", REAL,
         lambda T, g, n, d: T.empty(2 * n + 2, dtype=d)[2::2].normal_(0.3, 1.7, generator=g),
         lambda s, n, d: s.normal(n, d, 0.3, 1.7, contiguous=n == 1), exact=False),
    Draw("normal of two tensors", REAL,
         lambda T, g, n, d: T.normal(_given(T, -1, 1, n, d), _given(T, 0, 2, n, d), generator=g),
         lambda s, n, d: s.normal_with(ramp(-1, 1, n, d), ramp(0, 2, n, d)), exact=False),
    Draw("normal of a mean tensor", REAL,
         lambda T, g, n, d: T.normal(_given(T, -1, 1, n, d), 1.3, generator=g),
         lambda s, n, d: s.normal_with(ramp(-1, 1, n, d), 1.3), exact=False),
    Draw("normal of a std tensor", REAL,
         lambda T, g, n, d: T.normal(0.7, _given(T, 0, 2, n, d), generator=g),
         lambda s, n, d: s.normal_with(0.7, ramp(0, 2, n, d)), exact=False),
    Draw("log_normal_", REAL,
         lambda T, g, n, d: T.empty(n, dtype=d).log_normal_(0.5, 0.3, generator=g),
         lambda s, n, d: s.log_normal(n, d, 0.5, 0.3), exact=False),
    Draw("exponential_", REAL,
         lambda T, g, n, d: T.empty(n, dtype=d).exponential_(1.5, generator=g),
         lambda s, n, d: s.exponential(n, d, 1.5), exact=False),
    Draw("cauchy_", REAL,
         lambda T, g, n, d: T.empty(n, dtype=d).cauchy_(1.5, 0.3, generator=g),
         lambda s, n, d: s.cauchy(n, d, 1.5, 0.3), exact=False),
    Draw("geometric_", REAL + SIGNED,
         lambda T, g, n, d: T.empty(n, dtype=d).geometric_(0.3, generator=g),
         lambda s, n, d: s.geometric(n, d, 0.3)),
    Draw("bernoulli_", (*REAL, *SIGNED, "bool"),
         lambda T, g, n, d: T.empty(n, dtype=d).bernoulli_(0.3, generator=g),
         lambda s, n, d: s.bernoulli(n, d, 0.3)),
    Draw("bernoulli of a tensor", REAL,
         lambda T, g, n, d: T.bernoulli(_given(T, 0, 1, n, d), generator=g),
         lambda s, n, d: s.bernoulli(n, d, ramp(0, 1, n, d))),
    _int(3, 100, REAL + SIGNED + UNSIGNED),
    _int(0, 2, ("bool",)),
    _int(7, 2**28 + 6, WIDE),  # the largest range that takes one word
    _int(7, 2**28 + 7, WIDE),
    _int(-(2**63), 2**63 - 1, ("int64",)),
    _int(-2047, 2047, ("float16",)),
    Draw("random_ from 1", (*REAL, *SIGNED, "uint16", "uint32", "bool"),
         lambda T, g, n, d: T.empty(n, dtype=d).random_(1, None, generator=g),
         lambda s, n, d: s.random_int(n, d, 1)),
    Draw("random_ of all bits", ("int64", "float64", "float32", "bfloat16"),
         lambda T, g, n, d: T.empty(n, dtype=d).random_(-(2**63), None, generator=g),
         lambda s, n, d: s.random_int(n, d, -(2**63))),
    Draw("random_", (*REAL, *SIGNED, "bool"),
         lambda T, g, n, d: T.empty(n, dtype=d).random_(generator=g),
         lambda s, n, d: s.random_full(n, d)),
    Draw("randperm", ("int64", "int32", "float64"),
         lambda T, g, n, d: T.randperm(n, dtype=d, generator=g),
         lambda s, n, d: s.permutation(n, d)),
    Draw("multinomial", SINGLE,
         lambda T, g, n, d: T.multinomial(_given(T, 0.1, 1, n, d), min(n, 7), generator=g),
         lambda s, n, d: s.multinomial(ramp(0.1, 1, n, d), min(n, 7))),
    Draw("multinomial of rows", SINGLE,
         lambda T, g, n, d: T.multinomial(_given(T, 0.1, 1, 3 * n, d).view(3, n), 1, generator=g),
         lambda s, n, d: s.multinomial(ramp(0.1, 1, 3 * n, d).reshape(3, n), 1)),
    Draw("multinomial of a transposed matrix", SINGLE,
         lambda T, g, n, d: T.multinomial(
             _given(T, 0.1, 1, 3 * n, d).view(n, 3).t(), min(n, 2), generator=g),
         lambda s, n, d: s.multinomial(ramp(0.1, 1, 3 * n, d).reshape(n, 3).T, min(n, 2))),
    Draw("multinomial with replacement", REAL,
         lambda T, g, n, d: T.multinomial(_given(T, 0, 1, n + 1, d).expand(3, n + 1), 9, True,
                                          generator=g),
         lambda s, n, d: s.multinomial(np.tile(ramp(0, 1, n + 1, d), (3, 1)), 9, True)),
    Draw("poisson", REAL,
         lambda T, g, n, d: T.poisson(_given(T, 0, 30, n, d), generator=g),
         lambda s, n, d: s.poisson(ramp(0, 30, n, d))),
    Draw("binomial", SINGLE,
         lambda T, g, n, d: T.binomial(_given(T, 0, 99, n, d).round(), _given(T, 0, 1, n, d),
                                       generator=g),
         lambda s, n, d: s.binomial(np.round(ramp(0, 99, n, d)), ramp(0, 1, n, d))),
    Draw("gamma", SINGLE,
         lambda T, g, n, d: T._standard_gamma(_given(T, 0, 10, n, d), generator=g),
         lambda s, n, d: s.gamma(ramp(0, 10, n, d)), exact=False),
    Draw("dirichlet", SINGLE,
         lambda T, g, n, d: T._sample_dirichlet(_given(T, 0.1, 10, n, d), generator=g),
         lambda s, n, d: s.dirichlet(ramp(0.1, 10, n, d)), exact=False),
]  # fmt: skip
EACH = [(draw, dtype) for draw in DRAWS for dtype in draw.dtypes]
IDS = [f"{draw.name}-{dtype}" for draw, dtype in EACH]


def assert_same(ours: np.ndarray, theirs: np.ndarray, exact: bool, where: str) -> None:
    """Equal dtype and size; equal bits, or within LAST_PLACES where float64 may differ."""
    assert ours.dtype == theirs.dtype, where
    assert ours.shape == theirs.shape, where
    assert ours.flags.c_contiguous and ours.flags.writeable, where
    if exact or theirs.dtype.name not in ("float64", "complex128"):
        assert np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f"), where
        return
    ours, theirs = ours.view(np.float64), theirs.view(np.float64)
    room = LAST_PLACES * np.finfo(np.float64).eps * np.maximum(1, np.abs(theirs))
    assert (np.abs(ours - theirs) <= room).all(), where
