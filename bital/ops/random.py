"""Random numbers equal to those of PyTorch's CPU generator.

Room: ops. Numbers are drawn when the operation is recorded, so that the stream stands where
PyTorch's would; in a trace they are ready inputs. The streams themselves are in the streams room.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.dtype import dtype
from bital.ir.meta import Meta, meta_of
from bital.ir.trace import Value, local
from bital.ops.api import method, public
from bital.ops.create import in_layout_of, options
from bital.ops.view import sizes
from bital.streams import Stream
from bital.tensor.dispatch import check_writable
from bital.tensor.tensor import Tensor, array_of, contiguous, from_array, wrap, write


class Generator:
    """A stream of random numbers, `torch.Generator`."""

    __module__ = "torch"

    def __init__(self, device: Any = "cpu") -> None:
        from_options = options(None, None, device)
        self.device = from_options[1]
        self.stream = Stream()

    def manual_seed(self, seed: int) -> Generator:
        """Begin the stream of `seed`."""
        self.stream.manual_seed(seed)
        return self

    def initial_seed(self) -> int:
        """The seed the stream began with."""
        return self.stream.initial_seed

    def seed(self) -> int:
        """Begin a stream of the system's choice and return its seed."""
        return self.stream.seed()

    def get_state(self) -> Tensor:
        """Where the stream stands, as a byte tensor of PyTorch's layout."""
        return from_array(self.stream.get_state())

    def set_state(self, new_state: Tensor) -> None:
        """Put the stream where `get_state` said."""
        self.stream.set_state(array_of(_byte_tensor(new_state)))

    def clone_state(self) -> Generator:
        """Another generator standing at the same place."""
        other = Generator()
        other.stream = self.stream.clone()
        return other

    def __reduce__(self) -> tuple:
        return _restored, (self.stream.get_state(),)


def _restored(state: np.ndarray) -> Generator:
    made = Generator()
    made.stream.set_state(state)
    return made


def _byte_tensor(state: Any) -> Tensor:
    if not isinstance(state, Tensor) or state._meta.dtype is not dtypes.uint8:
        raise TypeError("RNG state must be a torch.ByteTensor")
    return state


default_generator = Generator()


@public(method=False)
def manual_seed(seed: Any) -> Generator:
    """Begin the default stream of `seed`."""
    return default_generator.manual_seed(int(seed))


@public(method=False)
def seed() -> int:
    """Begin a default stream of the system's choice and return its seed."""
    return default_generator.seed()


@public(method=False)
def initial_seed() -> int:
    """The seed of the default stream."""
    return default_generator.initial_seed()


@public(method=False)
def get_rng_state() -> Tensor:
    """Where the default stream stands."""
    return default_generator.get_state()


@public(method=False)
def set_rng_state(new_state: Tensor) -> None:
    """Put the default stream where `get_rng_state` said."""
    default_generator.set_state(new_state)


def stream_of(generator: Generator | None) -> Stream:
    """The stream to draw from."""
    return (default_generator if generator is None else generator).stream


def _made(array: np.ndarray, meta: Meta, requires_grad: bool) -> Tensor:
    out = wrap(Value(meta, None, array.reshape(meta.shape)), meta)
    if requires_grad:
        out.requires_grad = True
    return out


def _meta(size: tuple, d: dtype | None, device: Any, layout: Any = None) -> Meta:
    kind, where = options(d, layout, device)
    return meta_of(sizes(size), kind, where)


def _needs_floats(fn: str, meta: Meta) -> None:
    if meta.dtype.category <= dtypes.INT:
        word = {"bool": "Bool"}.get(meta.dtype.name, meta.dtype.legacy_name)
        raise NotImplementedError(f"\"{fn}\" not implemented for '{word}'")


@public(method=False)
def rand(
    *size: Any,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Uniform numbers from [0, 1)."""
    meta = _meta(size, dtype, device, layout)
    _needs_floats("check_uniform_bounds", meta)
    return _into(out, _made(stream_of(generator).uniform(meta.numel, meta.np), meta, requires_grad))


@public(method=False)
def randn(
    *size: Any,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Normal numbers of mean 0 and variance 1."""
    meta = _meta(size, dtype, device, layout)
    _needs_floats("normal_kernel_cpu", meta)
    array = stream_of(generator).normal(meta.numel, meta.np)
    return _into(out, _made(array, meta, requires_grad))


def _into(out: Tensor | None, made: Tensor) -> Tensor:
    if out is None:
        return made
    out.resize_(made._meta.shape)  # type: ignore[attr-defined]
    return out.copy_(made)  # type: ignore[attr-defined]


@public(method=False)
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Whole numbers from [low, high): `randint(high, size)` or `randint(low, high, size)`."""
    if size is None:
        low, high, size = (0, low, high) if high is not None else (0, low, ())
    meta = _meta((size,), dtype or dtypes.int64, device, layout)
    _check_range(low, high, meta.dtype)
    array = stream_of(generator).random_int(meta.numel, meta.np, int(low), int(high))
    return _into(out, _made(array, meta, requires_grad))


def _check_range(low: Any, high: Any, d: dtype) -> None:
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")


@public(method=False)
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype = dtypes.int64,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The whole numbers below n in random order."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got{n}")
    array = stream_of(generator).permutation(n, dtype.np)
    return _into(out, _made(array, meta_of((n,), dtype), requires_grad))


def _like(draw: Any, name: str) -> Any:
    def make(input: Tensor, *args: Any, dtype: dtype | None = None, memory_format: Any = None,
             layout: Any = None, device: Any = None, requires_grad: bool = False,
             pin_memory: bool = False) -> Tensor:  # fmt: skip
        shape = input._meta.shape
        given = (*args, shape) if args else (shape,)
        made = draw(*given, dtype=dtype or input._meta.dtype)
        made = in_layout_of(input, made, memory_format)
        if requires_grad:
            made.requires_grad = True
        return made

    make.__name__, make.__doc__ = name, f"Random numbers in the shape of `input` (`torch.{name}`)."
    return make


rand_like = public(method=False)(_like(rand, "rand_like"))
randn_like = public(method=False)(_like(randn, "randn_like"))
randint_like = public(method=False)(
    _like(lambda *a, dtype: randint(*((0, a[0], a[1]) if len(a) == 2 else a), dtype=dtype),
          "randint_like")
)  # fmt: skip


def fill_with(t: Tensor, array: np.ndarray) -> Tensor:
    """Write drawn numbers into `t`, in the order of its elements."""
    trace = local.trace
    if trace.grad:
        check_writable(t)
    meta = meta_of(t._meta.shape, t._meta.dtype, t._meta.device)
    write(t, Value(meta, None, array.reshape(meta.shape)), trace)
    return t


@method
def uniform_(
    self: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None,
    **bounds: float,
) -> Tensor:  # fmt: skip
    """Fill with uniform numbers from [from, to)."""
    low, high = bounds.get("from", from_), to
    _needs_floats("check_uniform_bounds", self._meta)
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    drawn = stream_of(generator).uniform(self._meta.numel, self._meta.np, low, high)
    return fill_with(self, drawn)


@method
def normal_(
    self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with normal numbers."""
    _needs_floats("normal_kernel_cpu", self._meta)
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    drawn = stream_of(generator).normal(
        self._meta.numel, self._meta.np, mean, std, contiguous=contiguous(self)
    )
    return fill_with(self, drawn)


@method
def random_(
    self: Tensor, from_: Any = 0, to: Any = None, *, generator: Generator | None = None
) -> Tensor:
    """Fill with whole numbers from [from, to), or over the dtype's whole range."""
    stream, meta = stream_of(generator), self._meta
    if to is None and from_ == 0:
        return fill_with(self, stream.random_full(meta.numel, meta.np))
    low, high = (0, from_) if to is None else (from_, to)
    _check_range(low, high, meta.dtype)
    return fill_with(self, stream.random_int(meta.numel, meta.np, int(low), int(high)))


@method
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones of probability p and zeros."""
    if isinstance(p, Tensor):
        probability: Any = np.broadcast_to(array_of(p), self._meta.shape).ravel()
    else:
        probability = p
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    drawn = stream_of(generator).bernoulli(self._meta.numel, self._meta.np, probability)
    return fill_with(self, drawn)


def _filler(name: str, doc: str) -> Any:
    def fill(self: Tensor, *args: float, generator: Generator | None = None, **named: Any) -> Tensor:
        draw = getattr(stream_of(generator), name)
        return fill_with(self, draw(self._meta.numel, self._meta.np, *args, **named))

    fill.__name__, fill.__doc__ = f"{name}_", doc
    return method(fill)


exponential_ = _filler("exponential", "Fill with exponential numbers of rate `lambd`.")
cauchy_ = _filler("cauchy", "Fill with Cauchy numbers of `median` and `sigma`.")
geometric_ = _filler("geometric", "Fill with geometric numbers of probability `p`.")
log_normal_ = _filler("log_normal", "Fill with the exponentials of normal numbers.")


@public(out=True)
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """Ones with the probabilities in `input` (or `p`), and zeros."""
    meta = input._meta
    _needs_floats("bernoulli_tensor_cpu_self_", meta)
    probability = array_of(input).ravel() if p is None else p
    return _made(stream_of(generator).bernoulli(meta.numel, meta.np, probability), meta, False)


@public(out=True)
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn with the weights in the rows of `input`."""
    if input._meta.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not input._meta.dtype.is_floating_point:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{input._meta.dtype.legacy_name}"
        )
    drawn = stream_of(generator).multinomial(array_of(input), num_samples, replacement)
    return from_array(np.ascontiguousarray(drawn))


@public(method=False)
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    **kwargs: Any,
) -> Tensor:
    """Normal numbers of given means and standard deviations, numbers or tensors."""
    stream = stream_of(generator)
    if size is not None:
        meta = _meta((size,), dtype, kwargs.get("device"))
        return _into(out, _made(stream.normal(meta.numel, meta.np, mean, std), meta, False))
    arrays = [array_of(a) if isinstance(a, Tensor) else a for a in (mean, std)]
    if isinstance(std, Tensor) and std._meta.numel and (arrays[1] < 0).any():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    if not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    return _into(out, from_array(np.ascontiguousarray(stream.normal_with(*arrays))))


@public(method=False)
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson numbers of the rates in `input`."""
    drawn = stream_of(generator).poisson(array_of(input))
    return _made(np.asarray(drawn), input._meta, False)


class fork_rng:  # noqa: N801
    """Inside the block the default stream goes its own way; after it, on as if nothing was drawn."""

    def __init__(self, devices: Any = None, enabled: bool = True, **kwargs: Any) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        self.stream = default_generator.stream.clone()

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            default_generator.stream = self.stream


