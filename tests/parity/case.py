"""The words cases are written in: `Spec` (an input), `Op` (a case), `Family` (a table of cases).

A case is a small function of the namespace, `call(torch, *tensors)`, so the same one runs under
bital and under PyTorch. Inputs come from a seeded NumPy recipe; both sides get the same numbers.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

FLOATING = ("float32", "float64", "float16", "bfloat16")
COMPLEX = ("complex64", "complex128")
INTEGRAL = ("uint8", "int8", "int16", "int32", "int64")
KINDS = ("bool", *INTEGRAL, "float16", "bfloat16", "float32", "float64", *COMPLEX)


@dataclass(frozen=True)
class Spec:
    """How one input tensor is made.

    `kind` is "float" (normal, or uniform in [low, high) when given), "int" (uniform integers in
    [low, high)), "bool" or "const" (`value`). `dtype` None means the dtype the case is run in.
    `layout` is None (contiguous), "t" (last two axes swapped in memory), "strided" (every second
    element), "offset" (starts inside its storage) or "expanded" (first axis has stride 0).
    """

    shape: tuple[int, ...]
    kind: str = "float"
    low: float | None = None
    high: float | None = None
    dtype: str | None = None
    grad: bool = True
    layout: str | None = None
    value: Any = None

    @property
    def t(self) -> "Spec":
        """The same numbers, laid out transposed."""
        return replace(self, layout="t")

    @property
    def strided(self) -> "Spec":
        """The same numbers, with gaps between them."""
        return replace(self, layout="strided")

    @property
    def offset(self) -> "Spec":
        """The same numbers, not at the start of their storage."""
        return replace(self, layout="offset")

    @property
    def expanded(self) -> "Spec":
        """One row seen several times (stride 0)."""
        return replace(self, layout="expanded")

    @property
    def nograd(self) -> "Spec":
        """The same input, but no gradient is asked for."""
        return replace(self, grad=False)

    def array(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
        """The numbers of this input for a case run in `dtype`, in a NumPy dtype near it."""
        dtype = self.dtype or dtype
        if self.kind == "const":
            data = np.asarray(self.value)
        elif self.kind == "bool" or dtype == "bool":
            data = rng.integers(0, 2, self.shape)
        elif self.kind == "int" or dtype in INTEGRAL or dtype.startswith("uint"):
            low = -5 if self.low is None else int(np.ceil(self.low))
            high = 6 if self.high is None else int(np.ceil(self.high))
            low = max(low, 0) if dtype.startswith("uint") else low
            data = rng.integers(low, max(high, low + 1), self.shape)
        else:
            data = self._floats(rng)
            if dtype in COMPLEX:
                data = data + 1j * self._floats(rng)
        if self.layout == "expanded" and self.shape:
            data = np.broadcast_to(data[:1], data.shape)
        return data.astype(_near(dtype))

    def _floats(self, rng: np.random.Generator) -> np.ndarray:
        if self.low is None:
            data = rng.standard_normal(self.shape)
        else:
            data = rng.uniform(self.low, self.high, self.shape)
        return data.astype(np.float32).astype(np.float64)

    def tensor(self, torch, array: np.ndarray, dtype: str):
        """A leaf tensor of namespace `torch` that holds `array` in this spec's dtype and layout."""
        target = getattr(torch, self.dtype or dtype)

        def new(data):
            return torch.from_numpy(np.array(data, order="C")).to(target)

        if self.layout == "t" and array.ndim >= 2:
            out = new(np.swapaxes(array, -1, -2)).transpose(-1, -2)
        elif self.layout == "strided" and array.ndim:
            out = new(np.repeat(array, 2, axis=-1))[..., ::2]
        elif self.layout == "offset" and array.ndim:
            out = new(np.concatenate([array[:1], array]))[1:]
        elif self.layout == "expanded" and array.ndim:
            out = new(array[:1]).expand(array.shape)
        else:
            out = new(array)
        return out

    def differentiable(self, dtype: str) -> bool:
        """Whether a gradient is asked for when the case runs in `dtype`."""
        dtype = self.dtype or dtype
        return self.grad and (dtype in FLOATING or dtype in COMPLEX)


def _near(dtype: str) -> type:
    """The NumPy dtype that carries exactly the numbers of PyTorch's `dtype` used here."""
    if dtype in ("float16", "bfloat16"):
        return np.float32
    return {"bool": np.bool_}.get(dtype) or getattr(np, dtype)


def f(*shape: int, low: float | None = None, high: float | None = None, **kw) -> Spec:
    """Floats in the case's dtype: normal, or uniform in [low, high)."""
    return Spec(shape, "float", low, high, **kw)


def i(*shape: int, low: int = -5, high: int = 6, dtype: str = "int64") -> Spec:
    """Integers in [low, high)."""
    return Spec(shape, "int", low, high, dtype=dtype, grad=False)


def b(*shape: int) -> Spec:
    """Booleans."""
    return Spec(shape, "bool", dtype="bool", grad=False)


def const(value: Any, dtype: str | None = None, grad: bool = False) -> Spec:
    """These very numbers; `dtype` None means the case's."""
    if dtype is None and isinstance(value, (list, int)) and np.asarray(value).dtype.kind in "ib":
        dtype = {"b": "bool"}.get(np.asarray(value).dtype.kind, "int64")
    return Spec(np.shape(value), "const", value=value, dtype=dtype, grad=grad)


@dataclass(frozen=True)
class Op:
    """One case: `call(torch, *inputs)` run in each of `dtypes`.

    `order` is the highest derivative that is checked (0, 1 or 2). `differences` says whether the
    gradient is also held against central differences; a case whose function has a kink or a jump
    at its inputs says no. `strides` and `exact` say whether the layout of the outputs is part of
    the contract and whether values must be equal to the bit. `values=False` for outputs whose
    memory is not initialised.
    """

    name: str
    call: Callable[..., Any]
    inputs: tuple[Spec, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    order: int = 2
    differences: bool = True
    strides: bool = True
    exact: bool = False
    values: bool = True
    seed: int | None = None
    family: str = ""

    @property
    def key(self) -> str:
        """`family/name`."""
        return f"{self.family}/{self.name}"

    def arrays(self, dtype: str) -> list[np.ndarray]:
        """The inputs as NumPy arrays, the same on every call."""
        rng = np.random.default_rng(zlib.crc32(self.key.encode()))
        return [spec.array(rng, dtype) for spec in self.inputs]

    def rng(self) -> np.random.Generator:
        """The stream that cotangents and directions are drawn from."""
        return np.random.default_rng(zlib.crc32(self.key.encode()) ^ 0x5EED)

    def tensors(self, torch, dtype: str, arrays: list[np.ndarray] | None = None) -> list:
        """The inputs as leaf tensors of `torch`; those to be differentiated require grad."""
        arrays = self.arrays(dtype) if arrays is None else arrays
        out = []
        for spec, array in zip(self.inputs, arrays, strict=True):
            tensor = spec.tensor(torch, array, dtype)
            if self.order and spec.differentiable(dtype):
                tensor.requires_grad_()
            out.append(tensor)
        return out

    def run(self, torch, tensors: list) -> Any:
        """What the case returns, after seeding if it asks for it."""
        if self.seed is not None:
            torch.manual_seed(self.seed)
        return self.call(torch, *tensors)


@dataclass
class Family:
    """A named table of cases; calling it adds one."""

    name: str
    defaults: dict[str, Any] = field(default_factory=dict)
    cases: dict[str, Op] = field(default_factory=dict)

    def __call__(self, name: str, call: Callable[..., Any] | str, *inputs: Spec, **kw) -> None:
        """Add the case `name`; `call` may be a function's name in the namespace."""
        if name in self.cases:
            raise ValueError(f"the family {self.name} has two cases named {name}")
        if isinstance(call, str):
            call = function(call)
        options = {**self.defaults, **kw}
        self.cases[name] = Op(name, call, inputs, family=self.name, **options)

    def __iter__(self) -> Iterator[Op]:
        return iter(self.cases.values())


def function(path: str, *args, **kw) -> Callable[..., Any]:
    """`torch.<path>(*tensors, *args, **kw)`, e.g. `function("nn.functional.relu")`."""

    def call(torch, *tensors):
        target = torch
        for word in path.split("."):
            target = getattr(target, word)
        return target(*tensors, *args, **kw)

    return call


def method(name: str, *args, **kw) -> Callable[..., Any]:
    """`tensors[0].<name>(*tensors[1:], *args, **kw)`."""

    def call(torch, first, *rest):
        return getattr(first, name)(*rest, *args, **kw)

    return call


def inplace(name: str, *args, **kw) -> Callable[..., Any]:
    """The same on a copy of the first input, which an in-place method may change."""

    def call(torch, first, *rest):
        return getattr(first.clone(), name)(*rest, *args, **kw)

    return call
