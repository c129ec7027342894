"""Elementary functions against a wider format: errors, special values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code needs llvmlite")

import scipy.special

from bital.codegen.math import FUNCTIONS, exponential
from tests.codegen.written import DTYPES, Written

NAN, INF = np.nan, np.inf

#: word -> largest error allowed in f32 and in f64 (ulp), and the range that is looked at closely
LIMITS = {
    "exp": (1.1, 1.1, (-20, 20)),
    "exp2": (1.2, 1.2, (-20, 20)),
    "expm1": (1.6, 1.6, (-2, 2)),
    "log": (0.9, 0.9, (0, 4)),
    "log1p": (1.4, 1.1, (-1, 3)),
    "sin": (0.9, 0.9, (-30, 30)),
    "cos": (0.9, 0.9, (-30, 30)),
    "tan": (1.2, 1.2, (-30, 30)),
    "tanh": (1.6, 1.6, (-10, 10)),
    "erf": (1.3, 3.1, (-6, 6)),  # SciPy's own error is 2 ulp
}
REFERENCES: dict[str, Callable[..., np.ndarray]] = {
    "erf": lambda x: scipy.special.erf(x.astype(np.float64)).astype(x.dtype)
}
#: word -> (arguments, exact results), to the sign of zero
SPECIAL = {
    "exp": [(NAN, NAN), (INF, INF), (-INF, 0), (0, 1), (-0.0, 1), (1e4, INF), (-1e4, 0)],
    "exp2": [(NAN, NAN), (INF, INF), (-INF, 0), (-0.0, 1), (10, 1024), (-3, 0.125), (1e4, INF)],
    "expm1": [(NAN, NAN), (INF, INF), (-INF, -1), (0, 0), (-0.0, -0.0), (-1e4, -1), (1e4, INF)],
    "log": [(NAN, NAN), (INF, INF), (-INF, NAN), (0, -INF), (-0.0, -INF), (1, 0), (-1, NAN)],
    "log1p": [(NAN, NAN), (INF, INF), (-INF, NAN), (0, 0), (-0.0, -0.0), (-1, -INF), (-2, NAN)],
    "sigmoid": [(NAN, NAN), (INF, 1), (-INF, 0), (0, 0.5), (-1e4, 0)],
    "sin": [(NAN, NAN), (INF, NAN), (-INF, NAN), (0, 0), (-0.0, -0.0)],
    "cos": [(NAN, NAN), (INF, NAN), (-INF, NAN), (0, 1), (-0.0, 1)],
    "tan": [(NAN, NAN), (INF, NAN), (-INF, NAN), (0, 0), (-0.0, -0.0)],
    "tanh": [(NAN, NAN), (INF, 1), (-INF, -1), (0, 0), (-0.0, -0.0), (100, 1)],
    "erf": [(NAN, NAN), (INF, 1), (-INF, -1), (0, 0), (-0.0, -0.0), (7, 1)],
}
KINDS = pytest.mark.parametrize("kind", ["f32", "f64"])


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """The errors in units of the last place of `want`, which is of a wider format."""
    kind = got.dtype.type
    with np.errstate(over="ignore", invalid="ignore"):
        near = want.astype(kind)
        unit = np.spacing(np.abs(np.where(np.isfinite(near), near, 1)))
        error = np.abs(got.astype(want.dtype) - want) / unit.astype(want.dtype)
    agree = (got == near) | (np.isnan(got) & np.isnan(near))
    apart = ~np.isfinite(got) | ~np.isfinite(near)
    return np.where(apart, np.where(agree, 0, INF), error)


def arguments(kind: str, close: tuple[float, float]) -> np.ndarray:
    """Numbers of every exponent, and many in a range."""
    rng = np.random.default_rng(5)
    unsigned = np.uint32 if kind == "f32" else np.uint64
    bits = rng.integers(0, np.iinfo(unsigned).max, 30000, dtype=unsigned)
    every = bits.view(DTYPES[kind])
    return np.concatenate(
        [every[np.isfinite(every)], rng.uniform(*close, 50000).astype(every.dtype)]
    )


def wide(x: np.ndarray) -> np.ndarray:
    """The same numbers in a format with more digits."""
    if x.dtype == np.float32:
        return x.astype(np.float64)
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("no format wider than float64 here")
    return x.astype(np.longdouble)


def largest_error(name: str, kind: str) -> float:
    """Of a word, over its arguments."""
    x = arguments(kind, LIMITS[name][2])
    got = Written(FUNCTIONS[name], (kind,), 64 // DTYPES[kind]().nbytes)(x)
    with np.errstate(all="ignore"):
        want = REFERENCES.get(name, getattr(np, name, None))(wide(x))
    return float(ulps(got, want).max())


@KINDS
@pytest.mark.parametrize("name", LIMITS)
def test_error(name, kind):
    assert largest_error(name, kind) <= LIMITS[name][kind == "f64"]


@KINDS
@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_special_values(name, kind, lanes):
    x, want = np.array(SPECIAL[name], DTYPES[kind]).T
    got = Written(FUNCTIONS[name], (kind,), lanes)(x)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got[got == 0]), np.signbit(want[got == 0]))


@KINDS
def test_denormal_results_are_rounded_once(kind):
    x = np.linspace(*((-104, -90) if kind == "f32" else (-746, -711)), 5000).astype(DTYPES[kind])
    got = Written(FUNCTIONS["exp"], (kind,), 8)(x)
    assert np.count_nonzero((got > 0) & (got < np.finfo(got.dtype).tiny)) > 4500
    assert ulps(got, np.exp(wide(x))).max() < 0.6


def test_a_wrong_coefficient_is_found(monkeypatch):
    form = exponential._F32
    wrong = (form.q[0], form.q[1] * (1 + 1e-4), *form.q[2:])
    monkeypatch.setattr(exponential, "_F32", form._replace(q=wrong))
    assert largest_error("exp", "f32") > 10 * LIMITS["exp"][0]
