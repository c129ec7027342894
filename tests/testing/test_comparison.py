"""assert_close: what passes and, where it does not, PyTorch's message."""

import numpy as np
import pytest

from tests.both import same

CASES = {
    "equal": lambda t, c: c(t.ones(3), t.ones(3)),
    "near": lambda t, c: c(t.ones(3), t.ones(3) + 1e-7),
    "far": lambda t, c: c(t.tensor([[1.0, 2.0], [3.0, 4.0]]), t.tensor([[1.0, 2.5], [3.0, 0.0]])),
    "integers": lambda t, c: c(t.tensor([1, 2, 3]), t.tensor([1, 5, 3])),
    "booleans": lambda t, c: c(t.tensor([True, False]), t.tensor([True, True])),
    "unsigned": lambda t, c: c(t.tensor([1], dtype=t.uint8), t.tensor([2], dtype=t.uint8)),
    "complex": lambda t, c: c(t.tensor([1 + 1j]), t.tensor([1 + 2j])),
    "scalar tensors": lambda t, c: c(t.tensor(1.0), t.tensor(2.0)),
    "numbers": lambda t, c: c(1.0, 1.5),
    "number zero": lambda t, c: c(1.0, 0.0),
    "equal numbers": lambda t, c: c(3, 3),
    "kinds": lambda t, c: c(1, 1.0),
    "kinds unchecked": lambda t, c: c(1, 1.0, check_dtype=False),
    "nan": lambda t, c: c(t.tensor([float("nan")]), t.tensor([float("nan")])),
    "nan equal": lambda t, c: c(t.tensor([np.nan]), t.tensor([np.nan]), equal_nan=True),
    "nan numbers": lambda t, c: c(float("nan"), float("nan")),
    "infinite": lambda t, c: c(float("inf"), float("inf")),
    "shape": lambda t, c: c(t.ones(2), t.ones(3)),
    "dtype": lambda t, c: c(t.ones(2), t.ones(2).double()),
    "dtype unchecked": lambda t, c: c(t.ones(2), t.ones(2).double(), check_dtype=False),
    "stride": lambda t, c: c(t.ones(2, 3), t.ones(3, 2).t(), check_stride=True),
    "strides": lambda t, c: c(t.ones(2, 3), t.ones(3, 2).t()),
    "one tolerance": lambda t, c: c(t.ones(2), t.ones(2), rtol=1e-3),
    "no tolerance": lambda t, c: c(t.ones(2), t.ones(2) * 2, rtol=0, atol=0),
    "loose": lambda t, c: c(t.ones(2), t.ones(2) * 2, rtol=0.5, atol=0),
    "halves": lambda t, c: c(t.ones(2).half(), (t.ones(2) * 1.01).half()),
    "bfloat16": lambda t, c: c(t.ones(2).bfloat16(), (t.ones(2) * 1.01).bfloat16()),
    "none": lambda t, c: c(None, t.ones(1)),
    "nones": lambda t, c: c(None, None),
    "python booleans": lambda t, c: c(True, False),
    "text": lambda t, c: c("a", "a"),
    "unrelated": lambda t, c: c(t.ones(1), np.ones(1)),
    "arrays": lambda t, c: c(np.ones(2), np.ones(2) * 2),
    "lists": lambda t, c: c([t.ones(2), [1.0, t.zeros(1)]], [t.ones(2), [1.0, t.ones(1)]]),
    "lengths": lambda t, c: c([1.0], [1.0, 2.0]),
    "mappings": lambda t, c: c({"b": 1.0, "a": t.ones(1)}, {"a": t.ones(1), "b": 2.0}),
    "keys": lambda t, c: c({"a": 1.0}, {"b": 1.0}),
    "own message": lambda t, c: c([1.0], [2.0], msg="here"),
    "made message": lambda t, c: c([1.0], [2.0], msg=lambda text: f"[{text}]"),
    "subclass": lambda t, c: c(t.nn.Parameter(t.ones(1)), t.ones(1), allow_subclasses=False),
    "parameter": lambda t, c: c(t.nn.Parameter(t.ones(1)), t.ones(1)),
    "empty": lambda t, c: c(t.ones(0), t.ones(0)),
}


@pytest.mark.parametrize("name", CASES)
def test_assert_close(name, torch, oracle):
    def program(t):
        return CASES[name](t, t.testing.assert_close)

    same(program, torch, oracle)


@pytest.mark.parametrize("name", ["equal", "far", "dtype", "nan", "scalar tensors"])
def test_assert_allclose(name, torch, oracle):
    same(lambda t: CASES[name](t, t.testing.assert_allclose), torch, oracle)


MADE = {
    "float32": {},
    "float64": {"low": 1, "high": 2},
    "complex64": {"low": -1},
    "int64": {},
    "uint8": {"low": 0},
    "bool": {},
    "float16": {"exclude_zero": True},
    "int32": {"low": 0, "high": 3, "exclude_zero": True},
}


@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize("dtype", MADE)
def test_make_tensor(dtype, gaps, torch, oracle):
    def program(t):
        made = t.testing.make_tensor(
            3, 4, dtype=getattr(t, dtype), device="cpu", noncontiguous=gaps, **MADE[dtype]
        )
        return made, made.stride(), made.is_contiguous()

    same(program, torch, oracle)


ERRORS = {
    "bounds": {"dtype": "float32", "low": 3, "high": 2},
    "out of range": {"dtype": "uint8", "low": -5, "high": -1},
    "nan": {"dtype": "float32", "low": float("nan")},
    "gradient": {"dtype": "int64", "requires_grad": True},
}


@pytest.mark.parametrize("name", ERRORS)
def test_make_tensor_errors(name, torch, oracle):
    def program(t):
        options = {**ERRORS[name], "dtype": getattr(t, ERRORS[name]["dtype"])}
        t.testing.make_tensor((2,), device="cpu", **options)

    same(program, torch, oracle)


def test_make_tensor_requires_grad(torch):
    made = torch.testing.make_tensor((2, 3), dtype=torch.float32, device="cpu", requires_grad=True)
    assert made.requires_grad and made.is_leaf and made.shape == (2, 3)
