"""Elementary functions against a wider format: errors, special values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code needs llvmlite")

import scipy.special

from bital.codegen import jit
from bital.codegen.math import FUNCTIONS, exponential
from bital.codegen.target import Target, host, named
from tests.codegen.written import DTYPES, Written, text

NAN, INF = np.nan, np.inf

#: word -> largest error allowed in f32 and in f64 (ulp), and the range that is looked at closely
LIMITS = {
    "exp": (1.1, 1.1, (-20, 20)),
    "exp2": (1.2, 1.2, (-20, 20)),
    "expm1": (1.6, 1.6, (-2, 2)),
    "log": (1.0, 0.9, (0, 4)),
    "log2": (0.9, 0.9, (0, 4)),
    "log10": (0.9, 0.9, (0, 4)),
    "log1p": (1.4, 1.1, (-1, 3)),
    "sin": (0.9, 0.9, (-30, 30)),
    "cos": (0.9, 0.9, (-30, 30)),
    "tan": (1.2, 1.2, (-30, 30)),
    "arcsin": (1.3, 1.3, (-1, 1)),
    "arccos": (1.3, 1.3, (-1, 1)),
    "arctan": (1.9, 1.6, (-5, 5)),
    "sinh": (1.6, 1.6, (-10, 10)),
    "cosh": (1.6, 1.6, (-10, 10)),
    "tanh": (1.6, 1.6, (-10, 10)),
    "arcsinh": (1.9, 1.8, (-5, 5)),
    "arccosh": (1.9, 1.9, (1, 6)),
    "arctanh": (1.1, 1.1, (-1, 1)),
    "erf": (1.3, 1.1, (-6, 6)),
    "erfc": (1.5, 1.4, (-4, 10)),
    "erfinv": (1.8, 2.0, (-1, 1)),
    "power": (0.95, 0.95, (-30, 30)),
    "arctan2": (1.9, 1.9, (-5, 5)),
    "hypot": (1.0, 1.0, (-5, 5)),
}
REFERENCES: dict[str, Callable[..., np.ndarray]] = {
    name: getattr(scipy.special, name) for name in ("erf", "erfc", "erfinv")
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
    "log2": [(NAN, NAN), (INF, INF), (0, -INF), (-1, NAN), (8, 3), (2**-20, -20)],
    "log10": [(NAN, NAN), (INF, INF), (0, -INF), (-1, NAN), (1, 0)],
    "arcsin": [(NAN, NAN), (2, NAN), (-INF, NAN), (0, 0), (-0.0, -0.0)],
    "arccos": [(NAN, NAN), (2, NAN), (-INF, NAN), (1, 0)],
    "arctan": [(NAN, NAN), (INF, np.pi / 2), (-INF, -np.pi / 2), (0, 0), (-0.0, -0.0)],
    "sinh": [(NAN, NAN), (INF, INF), (-INF, -INF), (0, 0), (-0.0, -0.0), (1e4, INF)],
    "cosh": [(NAN, NAN), (INF, INF), (-INF, INF), (0, 1), (1e4, INF)],
    "arcsinh": [(NAN, NAN), (INF, INF), (-INF, -INF), (0, 0), (-0.0, -0.0)],
    "arccosh": [(NAN, NAN), (INF, INF), (-INF, NAN), (1, 0), (0.5, NAN), (-9, NAN)],
    "arctanh": [(NAN, NAN), (1, INF), (-1, -INF), (2, NAN), (0, 0), (-0.0, -0.0)],
    "tanh": [(NAN, NAN), (INF, 1), (-INF, -1), (0, 0), (-0.0, -0.0), (100, 1)],
    "erf": [(NAN, NAN), (INF, 1), (-INF, -1), (0, 0), (-0.0, -0.0), (7, 1)],
    "erfc": [(NAN, NAN), (INF, 0), (-INF, 2), (0, 1), (-0.0, 1), (40, 0), (-40, 2)],
    "erfinv": [(NAN, NAN), (1, INF), (-1, -INF), (2, NAN), (INF, NAN), (0, 0), (-0.0, -0.0)],
}
PAIRS = ("power", "arctan2", "hypot", "logaddexp", "logaddexp2")
GOLDEN = json.loads((Path(__file__).parent / "golden_math.json").read_text(encoding="utf-8"))
WIDER = host().is_x86 and host().vector_bytes == 64
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


def arguments(kind: str, close: tuple[float, float], seed: int = 5) -> np.ndarray:
    """Numbers of every exponent, and many in a range."""
    rng = np.random.default_rng(seed)
    unsigned = np.uint32 if kind == "f32" else np.uint64
    bits = rng.integers(0, np.iinfo(unsigned).max, 30000, dtype=unsigned)
    every = bits.view(DTYPES[kind])
    every[~np.isfinite(every)] = 1
    return np.concatenate([every, rng.uniform(*close, 50000).astype(every.dtype)])


def wide(x: np.ndarray) -> np.ndarray:
    """The same numbers in a format with more digits."""
    if x.dtype == np.float32:
        return x.astype(np.float64)
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("no format wider than float64 here")
    return x.astype(np.longdouble)


def written(name: str, kind: str, target: Target | None = None) -> Written:
    """A word over vectors of 64 bytes."""
    kinds = (kind, kind) if name in PAIRS else (kind,)
    return Written(FUNCTIONS[name], kinds, 64 // DTYPES[kind]().nbytes, target)


def largest_error(name: str, kind: str, target: Target | None = None) -> float:
    """Of a word, over its arguments."""
    x = [arguments(kind, LIMITS[name][2], seed) for seed in range(2 if name in PAIRS else 1)]
    got = written(name, kind, target)(*x)
    with np.errstate(all="ignore"):
        want = (REFERENCES.get(name) or getattr(np, name))(*map(wide, x))
    return float(ulps(got, want).max())


@KINDS
@pytest.mark.parametrize("name", LIMITS)
def test_error(name, kind):
    if name in REFERENCES and kind == "f64":
        pytest.skip("SciPy has no wider format: see the golden values")
    assert largest_error(name, kind) <= LIMITS[name][kind == "f64"]


@pytest.mark.skipif(not WIDER, reason="what runs here is what AVX2 runs")
@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh", "log", "erf"])
def test_narrower_vectors(name):
    """What has words of its own in AVX-512 is right without them, too."""
    narrow = written(name, "f32", named("x86-64-v3"))
    x = arguments("f32", (-9, 9))
    if name in LIMITS:
        assert largest_error(name, "f32", named("x86-64-v3")) <= LIMITS[name][0]
    np.testing.assert_allclose(narrow(x), written(name, "f32")(x), rtol=5e-7, atol=0)
    special, want = np.array(SPECIAL[name], np.float32).T
    np.testing.assert_array_equal(narrow(special), want)
    np.testing.assert_array_equal(
        np.signbit(narrow(special))[want == 0], np.signbit(want)[want == 0]
    )


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_values(name):
    # argument, and its exact result as the sum of two numbers (mpmath, 200 bits or more)
    x, near, rest = np.array([[float.fromhex(v) for v in row] for row in GOLDEN[name]]).T
    error = ((written(name, "f64")(x) - near) - rest) / np.spacing(np.abs(near))
    assert np.abs(error).max() <= LIMITS[name][1]


@KINDS
@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_logaddexp(name, kind):
    # the formula cancels where the result is small: errors are of the larger argument
    x, y = (np.random.default_rng(k).uniform(-30, 30, 20000).astype(DTYPES[kind]) for k in (1, 2))
    want = getattr(np, name)(wide(x), wide(y))
    scale = np.spacing(np.maximum(np.abs(np.maximum(x, y)), 1))
    assert (np.abs(written(name, kind)(x, y) - want) / scale).max() < 1.5


@KINDS
@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_special_values(name, kind, lanes):
    x, want = np.array(SPECIAL[name], DTYPES[kind]).T
    got = Written(FUNCTIONS[name], (kind,), lanes)(x)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got[got == 0]), np.signbit(want[got == 0]))


@KINDS
@pytest.mark.parametrize("name", PAIRS)
def test_special_values_of_pairs(name, kind):
    one = np.array([NAN, INF, 0, 1, 0.5, 2, 3, 2.5, 1e30, 2**24 - 1, 2**53 - 1], DTYPES[kind])
    x, y = (a.ravel() for a in np.meshgrid(np.append(one, -one), np.append(one, -one)))
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x, y)
    got = written(name, kind)(x, y)
    eps = np.finfo(got.dtype).eps
    np.testing.assert_allclose(got, want, rtol=4 * eps, atol=eps)
    np.testing.assert_array_equal(np.signbit(got[got == 0]), np.signbit(want[got == 0]))


@pytest.mark.skipif(not host().is_x86, reason="only x86 has processors without fma")
@KINDS
@pytest.mark.parametrize("name", LIMITS)
def test_without_fused_multiply_adds(name, kind):
    old = named("x86-64-v2")
    if kind == "f32" or name not in REFERENCES:
        assert largest_error(name, kind, old) <= LIMITS[name][kind == "f64"]
    if name in SPECIAL:
        special, want = np.array(SPECIAL[name], DTYPES[kind]).T
        np.testing.assert_array_equal(written(name, kind, old)(special), want)


@KINDS
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bits_do_not_depend_on_lanes(name, kind):
    kinds = (kind, kind) if name in PAIRS else (kind,)
    rng = np.random.default_rng(9)
    x = [np.exp(rng.uniform(-9, 9, 400)).astype(DTYPES[kind]) * (1 - 2 * (k % 2)) for k in (2, 4)]
    x = x[: len(kinds)]
    scalar, vector = (Written(FUNCTIONS[name], kinds, lanes)(*x) for lanes in (1, 16))
    np.testing.assert_array_equal(scalar, vector)
    np.testing.assert_array_equal(scalar, Written(FUNCTIONS[name], kinds, 4)(*x))


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64-neon"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_call_leaves_the_kernel(name, target):
    for kind in ("f32", "f64"):
        kinds = (kind, kind) if name in PAIRS else (kind,)
        lanes = named(target).lanes(DTYPES[kind]().nbytes)
        module = text(FUNCTIONS[name], kinds, lanes, named(target))[0]
        assembly = jit.assembly(module, named(target))
        calls = re.findall(r"^\s+(?:bl|callq?)\s+(\S+)", assembly, re.MULTILINE)
        assert {call.removesuffix("@PLT") for call in calls} <= {f"turns_beyond_{lanes}"}


@KINDS
@pytest.mark.parametrize("name", ["exp", "sinh", "erf", "tanh", "log", "sin", "power"])
def test_any_nan_stays_nan(name, kind):
    quiet = 0x7FC00000 if kind == "f32" else 0x7FF8 << 48
    bits = np.array(
        [quiet + 5, quiet + 1000, quiet + 77], np.uint32 if kind == "f32" else np.uint64
    )
    x = bits.view(DTYPES[kind])
    assert np.isnan(
        written(name, kind)(*([x, np.full_like(x, 3)] if name == "power" else [x]))
    ).all()


@KINDS
def test_denormal_results_are_rounded_once(kind):
    x = np.linspace(*((-104, -90) if kind == "f32" else (-746, -711)), 5000).astype(DTYPES[kind])
    got = Written(FUNCTIONS["exp"], (kind,), 8)(x)
    assert np.count_nonzero((got > 0) & (got < np.finfo(got.dtype).tiny)) > 4500
    assert ulps(got, np.exp(wide(x))).max() < 0.6


def test_a_wrong_coefficient_is_found(monkeypatch):
    form = exponential._F64
    wrong = (form.q[0], form.q[1] * (1 + 1e-4), *form.q[2:])
    monkeypatch.setattr(exponential, "_F64", form._replace(q=wrong))
    assert largest_error("exp", "f64") > 10 * LIMITS["exp"][1]
