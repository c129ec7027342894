"""How far a number may lie from PyTorch's: the only place that says so.

A difference passes when `|ours - theirs| <= atol + rtol * |theirs|`; NaN and infinities must agree
in place and sign. Integers and booleans must be equal.
"""

import numpy as np

# dtype -> (rtol, atol)
BY_DTYPE = {
    "float64": (1e-11, 1e-11),
    "complex128": (1e-11, 1e-11),
    "float32": (2e-6, 4e-6),
    "complex64": (2e-6, 4e-6),
    "float16": (1.5e-3, 1e-4),
    "bfloat16": (1.2e-2, 1e-3),
}

# Gradients pass through several roundings, second derivatives through more.
ORDER_FACTOR = {0: 1, 1: 4, 2: 16}

# case name, perhaps with a dtype -> (factor, reason)
EXCEPTIONS = {
    "unary/lgamma": (8, "float32 series of different length near the roots at 1 and 2"),
    "unary/digamma": (8, "recurrence and asymptotic series are summed in another order"),
    "unary/erfinv": (8, "inverse found by rational approximation and Newton steps"),
    "unary/logit": (4, "PyTorch rounds half precision after every step, magnified at the root"),
    "unary/tan": (4, "ill-conditioned near pi/2"),
    "module_db/nn.BCELoss": (4, "terms of second derivatives cancel where both are near 0 or 1"),
    **{
        f"op_db/special.{name} float64": (1e5, "PyTorch's approximation has seven digits or eight")
        for name in ("airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1")
    },
    "op_db/fft.hfft2": (4, "sums of many integers as float32, added up in another order"),
    **{
        f"op_db/{name}_lowrank": (1e4, "second derivatives go through six decompositions")
        for name in ("svd", "pca")
    },
    "op_db/cov": (8, "terms cancel where there are two observations"),
    "op_db/linalg.householder_product": (1e3, "PyTorch divides reflections out, losing digits"),
    **{
        f"promotion/{word} double 0-d and windows": (
            1e6,
            "the double's gradient is a sum of float32 products, rounded in another order",
        )
        for word in ("add", "mul", "pow")
    },
}

# Where PyTorch's own result is not the true one, which it computes in double precision: ours passes
# if it is (within the tolerance, of the largest true number), or its largest gap is at most AS_GOOD
# times PyTorch's and that is below ROUGH of the largest true number (or of 1): both mean the same.
AS_GOOD = 3
ROUGH = {"float32": 1e-3, "complex64": 1e-3, "float16": 5e-2, "bfloat16": 1e-1, "complex32": 5e-2}

# How far compiled code may lie from the interpreter, of the largest number of a result: sums are
# added up in another order, and what is nearly nothing left of much has few digits either way.
BETWEEN_RUNS = {
    "float64": 1e-9, "complex128": 1e-9, "float32": 1e-4, "complex64": 1e-4, "float16": 1e-2,
    "bfloat16": 5e-2,
}  # fmt: skip

# Muon makes its update orthogonal in bfloat16: how far one of length 1 may lie from PyTorch's.
MUON_STEP = 0.06

# Central differences in float64: order -> (step, rtol, atol)
DIFFERENCES = {1: (1e-6, 1e-5, 1e-6), 2: (1e-5, 1e-4, 1e-5)}


def limits(dtype: str, name: str = "", order: int = 0) -> tuple[float, float]:
    """The (rtol, atol) for values (`order` 0) or derivatives of the case `name`."""
    if dtype not in BY_DTYPE:
        return 0.0, 0.0
    rtol, atol = BY_DTYPE[dtype]
    exception = EXCEPTIONS.get(f"{name} {dtype}") or EXCEPTIONS.get(name, (1, ""))
    factor = ORDER_FACTOR[order] * exception[0]
    return rtol * factor, atol * factor


def as_good(
    ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray, dtype: str, order: int
) -> bool:
    """Whether `ours` is about as near to the true result as `theirs`, both of that dtype."""
    if truth.shape != theirs.shape or dtype not in ROUGH:
        return False
    finite = np.isfinite(truth)
    if not finite.any() or not np.array_equal(ours[~finite], truth[~finite], equal_nan=True):
        return False
    largest = np.abs(truth[finite]).max()
    gaps = [float(np.abs(x - truth)[finite].max()) for x in (ours, theirs)]
    if gaps[0] <= limits(dtype, order=order)[0] * largest:
        return True
    return gaps[1] <= ROUGH[dtype] * max(1, largest) and gaps[0] <= AS_GOOD * gaps[1]


def difference(ours: np.ndarray, theirs: np.ndarray, rtol: float, atol: float) -> str | None:
    """What is wrong with `ours`, in one line, or None where it is close enough.

    `ours` and `theirs` have the same shape; NaN equals NaN.
    """
    if theirs.dtype.kind not in "fc":
        wrong = ours != theirs
    else:
        wrong = ~np.isclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)
    if not wrong.any():
        return None
    where = tuple(int(axis[0]) for axis in np.nonzero(np.atleast_1d(wrong)))
    at = where if np.ndim(theirs) else ()
    with np.errstate(all="ignore"):
        if theirs.dtype.kind in "fc":
            gap = np.nanmax(np.abs(np.asarray(ours - theirs)[wrong])) if wrong.any() else 0.0
        else:
            gap = "-"
    count = f"{int(wrong.sum())} of {wrong.size} differ"
    return f"{count}, first at {at}: {ours[at]!r} for {theirs[at]!r} (largest gap {gap})"
