"""Random numbers equal to those of PyTorch's CPU generator.

Room: ops. Numbers are drawn when the operation is recorded, so that the stream stands where
PyTorch's would; in a trace they are ready inputs. The streams themselves are in the streams room.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.dtype import dtype
from bital.base.lines import placed
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import given, local
from bital.ops.api import method, public
from bital.ops.create import checked_sizes, empty_like, options
from bital.ops.family import zeros_for
from bital.ops.lanes import drawn_with, noise_meta, per_example
from bital.streams import Stream
from bital.tensor.dispatch import check_writable, composite
from bital.tensor.tensor import (
    Tensor,
    array_of,
    contiguous,
    from_array,
    read,
    strides_of,
    wrap,
    write,
)


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
        return self.stream.initial_seed()

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
    out = per_example(wrap(given(meta, array.reshape(meta.shape)), meta))
    if requires_grad:
        out.requires_grad = True
    return out


def _meta(
    fn: str, args: tuple, size: Any, d: dtype | None, device: Any, layout: Any = None
) -> Meta:
    kind, where = options(d, layout, device, fn=fn)
    if not args and size is None:
        raise TypeError(
            f"{fn}() received an invalid combination of arguments - got (), but expected one of: "
            "(tuple of ints size, *, torch.Generator generator, Tensor out, torch.dtype dtype, "
            "torch.layout layout, torch.device device, bool pin_memory, bool requires_grad)"
        )
    return noise_meta(meta_of(checked_sizes(fn, args, size), kind, where))


def _drawn(draw: Callable[[int, np.dtype], np.ndarray], meta: Meta) -> np.ndarray:
    """Numbers for a tensor of `meta`; a complex one takes two for each element."""
    if not meta.dtype.is_complex:
        return placed(meta.nbytes, lambda: draw(meta.numel, meta.np))
    return draw(2 * meta.numel, meta.dtype.to_real().np).view(meta.np)


def _needs_floats(fn: str, meta: Meta) -> None:
    if meta.dtype.category <= dtypes.INT:
        word = {"bool": "Bool"}.get(meta.dtype.name, meta.dtype.legacy_name)
        raise NotImplementedError(f"\"{fn}\" not implemented for '{word}'")


@public(method=False)
def rand(
    *args: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Uniform numbers from [0, 1)."""
    meta = _meta("rand", args, size, dtype, device, layout)
    _needs_floats("check_uniform_bounds", meta)
    array = _drawn(stream_of(generator).uniform, meta)
    return _into(out, _made(array, meta, requires_grad))


@public(method=False)
def randn(
    *args: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Normal numbers of mean 0 and variance 1."""
    meta = _meta("randn", args, size, dtype, device, layout)
    _needs_floats("normal_kernel_cpu", meta)
    std = 0.5**0.5 if meta.dtype.is_complex else 1.0
    stream = stream_of(generator)
    array = _drawn(lambda n, d: stream.normal(n, d, 0.0, std), meta)
    return _into(out, _made(array, meta, requires_grad))


def _into(out: Tensor | None, made: Tensor) -> Tensor:
    if out is None:
        return made
    out.resize_(made._meta.shape)
    return out.copy_(made)


@public(method=False)
def randint(
    low: Any = None,
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
    if size is None:  # randint(high, size)
        low, high, size = 0, low, high
    low = 0 if low is None else low
    if high is None or size is None or isinstance(size, int):
        raise TypeError(
            "randint() received an invalid combination of arguments: expected one of (int high, "
            "tuple of ints size), (int low, int high, tuple of ints size)"
        )
    meta = _meta("randint", (size,), None, dtype or dtypes.int64, device, layout)
    _check_range(low, high, meta.dtype)
    array = stream_of(generator).random_int(meta.numel, meta.np, int(low), int(high))
    return _into(out, _made(array, meta, requires_grad))


def _check_range(low: Any, high: Any, d: dtype) -> None:
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )


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
        raise RuntimeError(f"randperm: Trying to create tensor with negative dimension {n}: [{n}]")
    stream, meta = stream_of(generator), noise_meta(meta_of((n,), dtype))
    rows = [stream.permutation(n, dtype.np) for _ in range(math.prod(meta.shape[:-1]))]
    array = rows[0] if len(rows) == 1 else np.array(rows, dtype.np)
    return _into(out, _made(array, meta, requires_grad))


@public(method=False)
def rand_like(input: Tensor, *, generator: Generator | None = None, **kwargs: Any) -> Tensor:
    """Uniform numbers from [0, 1) in the shape and layout of `input`."""
    return _drawn_like(input, kwargs, lambda t: uniform_(t, generator=generator))


@public(method=False)
def randn_like(input: Tensor, *, generator: Generator | None = None, **kwargs: Any) -> Tensor:
    """Normal numbers in the shape and layout of `input`."""
    return _drawn_like(input, kwargs, lambda t: normal_(t, generator=generator))


@public(method=False)
def randint_like(
    input: Tensor,
    low: Any = None,
    high: Any = None,
    *,
    generator: Generator | None = None,
    **kwargs: Any,
) -> Tensor:
    """Whole numbers from [low, high), or [0, low), in the shape and layout of `input`."""
    low, high = (0, low) if high is None else (low or 0, high)
    return _drawn_like(input, kwargs, lambda t: random_(t, low, high, generator=generator))


def _drawn_like(input: Tensor, kwargs: dict, fill: Callable[[Tensor], Tensor]) -> Tensor:
    requires_grad = kwargs.pop("requires_grad", False)
    made = fill(empty_like(input, **kwargs))
    if requires_grad:
        made.requires_grad = True
    return made


def fill_with(t: Tensor, array: np.ndarray) -> Tensor:
    """Write drawn numbers into `t`, in the order in which its elements lie in memory."""
    trace = local.trace
    if trace.grad:
        check_writable(t)
    meta = t._meta
    noise = noise_meta(meta)
    if contiguous(t):
        array = array.reshape(noise.shape)
    else:
        lead, strides = noise.ndim - meta.ndim, strides_of(t)
        order = list(range(lead))
        order += [lead + k for k in sorted(range(meta.ndim), key=lambda k: -strides[k])]
        array = array.reshape([noise.shape[k] for k in order])
        array = array.transpose([order.index(k) for k in range(noise.ndim)])
    drawn = per_example(wrap(given(noise, array), noise))
    if noise is not meta and not set(drawn._meta.device.lanes) <= set(meta.device.lanes):
        raise RuntimeError(
            "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will "
            "appear like same randomness. If this is necessary for your usage, please file an "
            "issue with functorch."
        )
    write(t, read(drawn, trace), trace)
    return t


@method
def uniform_(
    self: Tensor, *bounds: float, generator: Generator | None = None, **named: float
) -> Tensor:
    """Fill with uniform numbers from [from, to), by default [0, 1)."""
    low, high = _bounds("uniform_", bounds, named, 0, 1)
    _needs_floats("check_uniform_bounds", self._meta)
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    stream = stream_of(generator)
    return fill_with(
        self, _drawn(lambda n, d: stream.uniform(n, d, low, high), noise_meta(self._meta))
    )


def _bounds(fn: str, given: tuple, named: dict, *defaults: Any) -> tuple[Any, Any]:
    """The arguments `from` and `to`, the first of which is no name that Python lets us give."""
    values = dict(zip(("from", "to"), defaults)) | dict(zip(("from", "to"), given))
    for name, value in named.items():
        if name not in values:
            raise TypeError(f"{fn}() got an unexpected keyword argument '{name}'")
        values[name] = value
    return values["from"], values["to"]


@method
def normal_(
    self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with normal numbers."""
    _needs_floats("normal_kernel_cpu", self._meta)
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    stream, flat = stream_of(generator), contiguous(self)
    if self._meta.dtype.is_complex:
        std = std * 0.5**0.5

    def draw(n: int, d: np.dtype) -> np.ndarray:
        return stream.normal(n, d, mean, std, contiguous=flat)

    return fill_with(self, _drawn(draw, noise_meta(self._meta)))


@method
def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any) -> Tensor:
    """Fill with whole numbers from [from, to), [0, from), or over the dtype's whole range."""
    stream, meta = stream_of(generator), noise_meta(self._meta)
    from_, to = _bounds("random_", bounds, named, 0, None)
    if to is None and from_ == 0:
        return fill_with(self, stream.random_full(meta.numel, meta.np))
    low, high = (0, from_) if to is None else (from_, to)
    _check_range(low, high, meta.dtype)
    return fill_with(self, stream.random_int(meta.numel, meta.np, int(low), int(high)))


@method
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones of probability p and zeros."""
    noise = noise_meta(self._meta)
    if isinstance(p, Tensor):
        probability: Any = np.broadcast_to(array_of(drawn_with(p)), noise.shape).ravel()
    else:
        probability = p
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    drawn = stream_of(generator).bernoulli(noise.numel, noise.np, probability)
    return fill_with(self, drawn)


def _filler(name: str, doc: str) -> Any:
    def fill(
        self: Tensor, *args: float, generator: Generator | None = None, **named: Any
    ) -> Tensor:
        draw, noise = getattr(stream_of(generator), name), noise_meta(self._meta)
        return fill_with(self, draw(noise.numel, noise.np, *args, **named))

    fill.__name__, fill.__doc__ = f"{name}_", doc
    return method(fill)


exponential_ = _filler("exponential", "Fill with exponential numbers of rate `lambd`.")
cauchy_ = _filler("cauchy", "Fill with Cauchy numbers of `median` and `sigma`.")
geometric_ = _filler("geometric", "Fill with geometric numbers of probability `p`.")
log_normal_ = _filler("log_normal", "Fill with the exponentials of normal numbers.")


@public(out=True)
def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Ones with the probabilities in `input` (or `p`), and zeros."""
    _needs_floats("bernoulli_tensor_cpu_p_", input._meta)
    meta = noise_meta(input._meta)
    probability = array_of(drawn_with(input)).ravel() if p is None else p
    drawn = _made(stream_of(generator).bernoulli(meta.numel, meta.np, probability), meta, False)
    return _of_parameters(_BERNOULLI, drawn, input)


def _parameters(name: str, grad_fn: str, count: int = 1) -> Op:
    """The gradient of random numbers by the parameters of their distribution: zero."""
    return Op(
        name, lambda *metas: (metas[0], {}), None, inputs=("first", "second")[:count],
        vjp=(zeros_for,) * count, grad_fn=grad_fn,
    )  # fmt: skip


_BERNOULLI = _parameters("bernoulli", "BernoulliBackward0")
_POISSON = _parameters("poisson", "PoissonBackward0")
_NORMAL_OF_MEAN = _parameters("normal_of_mean", "NormalBackward1")
_NORMAL_OF_STD = _parameters("normal_of_std", "NormalBackward2")
_NORMAL_OF_BOTH = _parameters("normal_of_both", "NormalBackward3", 2)


def _of_parameters(op: Op, drawn: Tensor, *parameters: Tensor) -> Tensor:
    return composite(op, lambda *_: drawn, parameters)


@public(out="exact")
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
    weights = array_of(drawn_with(input))
    rows = weights.reshape(-1, weights.shape[-1]) if weights.ndim > 2 else weights
    drawn = stream_of(generator).multinomial(rows, num_samples, replacement)
    return per_example(from_array(drawn.reshape((*weights.shape[:-1], num_samples)).copy()))


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
        meta = _meta("normal", (size,), None, dtype, kwargs.get("device"))
        return _into(out, _made(stream.normal(meta.numel, meta.np, mean, std), meta, False))
    arrays = [array_of(drawn_with(a)) if isinstance(a, Tensor) else a for a in (mean, std)]
    if isinstance(std, Tensor) and std._meta.numel and (arrays[1] < 0).any():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    if not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    drawn = per_example(from_array(np.array(stream.normal_with(*arrays), order="C")))
    if isinstance(mean, Tensor) and isinstance(std, Tensor):
        drawn = _of_parameters(_NORMAL_OF_BOTH, drawn, mean, std)
    elif isinstance(mean, Tensor):
        drawn = _of_parameters(_NORMAL_OF_MEAN, drawn, mean)
    elif isinstance(std, Tensor):
        drawn = _of_parameters(_NORMAL_OF_STD, drawn, std)
    return _into(out, drawn)


@public(method=False)
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson numbers of the rates in `input`."""
    drawn = stream_of(generator).poisson(array_of(drawn_with(input)))
    made = _made(np.asarray(drawn), noise_meta(input._meta), False)
    return _of_parameters(_POISSON, made, input)


class fork_rng:
    """Inside the block the default stream goes its own way; after it, on from where it was."""

    def __init__(self, devices: Any = None, enabled: bool = True, **kwargs: Any) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        self.stream = default_generator.stream.clone()

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            default_generator.stream = self.stream
