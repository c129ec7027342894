"""Stream: PyTorch's CPU generator.

Room: streams; NumPy and the standard library only.
"""

from __future__ import annotations

import os

import numpy as np

from bital.streams import choice, continuous, integers, normal, rejection
from bital.streams.arithmetic import F32, REAL, fma64, narrow, real_part_dtype, require, shown
from bital.streams.mt19937 import BLOCK_WORDS, Engine

DEFAULT_SEED = 67280421310721
INT64 = np.dtype(np.int64)
STATE_BYTES = 5056
# The layout of torch.Generator.get_state(): natural alignment, one state word per eight bytes.
_STATE = np.dtype(
    {
        "names": ["seed", "left", "seeded", "next", "words", "normal", "has_normal"],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", BLOCK_WORDS), "<f8", "<i4"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040],
        "itemsize": STATE_BYTES,
    }
)


class Stream:
    """Random numbers equal to those of torch.Generator(device="cpu"), PyTorch 2.13.

    Draws return fresh contiguous arrays, one-dimensional where a count is given, filled in order.
    Uniform numbers, whole numbers and permutations have PyTorch's bits, and so have float32 normal
    numbers; other functions of float64 uniforms may differ from it in the last place of a float64.

    >>> stream = Stream(0)
    >>> stream.uniform(2, np.float32)
    array([0.4962566, 0.7682218], dtype=float32)
    """

    __slots__ = ("_engine", "_kept", "_seed")

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._engine = Engine()
        self.manual_seed(seed)

    # --- where the stream stands

    def manual_seed(self, seed: int) -> Stream:
        """Start over; returns the stream. A negative seed counts down from 2**64.

        Raises RuntimeError for what is no integer, ValueError outside [-2**63, 2**64).
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed % (1 << 64)
        self._kept: float | None = None  # the second of a pair of normal numbers
        self._engine.seed(self._seed)
        return self

    def initial_seed(self) -> int:
        """The seed that the stream started from, in [0, 2**64)."""
        return self._seed

    def seed(self) -> int:
        """Start over from 64 bits of the operating system's entropy; returns them."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def get_state(self) -> np.ndarray:
        """Seed, place and kept normal number: (5056,) uint8, byte for byte PyTorch's."""
        state = np.zeros((), _STATE)
        state["words"], state["left"], state["next"] = self._engine.place()
        state["seed"] = self._seed
        state["seeded"] = 1
        if self._kept is not None:
            state["normal"] = self._kept
            state["has_normal"] = 1
        return state.reshape(1).view(np.uint8)

    def set_state(self, state: np.ndarray) -> Stream:
        """Go to a state that `get_state`, or PyTorch's, returned.

        Raises TypeError unless uint8, RuntimeError for another size or an impossible place.
        """
        state = np.asarray(state)
        if state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if state.size != STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE_BYTES} "
                f"but found the input RNG state size to be {state.size}"
            )
        fields = np.ascontiguousarray(state).ravel().view(_STATE)[0]
        if not fields["seeded"]:
            raise RuntimeError("Invalid mt19937 state")
        self._engine.move_to(fields["words"], int(fields["left"]), int(fields["next"]))
        self._seed = int(fields["seed"])
        self._kept = float(fields["normal"]) if fields["has_normal"] else None
        return self

    def clone(self) -> Stream:
        """A second stream that goes on from the same place."""
        return Stream.from_state(self.get_state())

    @classmethod
    def from_state(cls, state: np.ndarray) -> Stream:
        """A new stream at `state`."""
        return cls().set_state(state)

    def __reduce__(self):
        return Stream.from_state, (self.get_state(),)

    # --- real numbers

    def uniform(self, n: int, dtype=np.float32, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """torch.rand and Tensor.uniform_: real dtypes, or complex ones as pairs of reals."""
        return continuous.uniform(self._engine, n, np.dtype(dtype), low, high)

    def normal(
        self,
        n: int,
        dtype=np.float32,
        mean: float = 0.0,
        std: float = 1.0,
        contiguous: bool = True,
    ) -> np.ndarray:
        """torch.randn and Tensor.normal_: real dtypes, or complex ones as pairs of reals.

        A complex number's parts have the standard deviation std / sqrt(2). PyTorch draws 16
        numbers and more in another way where the tensor is contiguous than where it is not; the
        second, `contiguous=False`, fills elements in the order in which they lie in memory.
        """
        dtype = np.dtype(dtype)
        if not std >= 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {shown(std)}")
        part = real_part_dtype(dtype.name)
        if part is not None:
            return self._normal(2 * n, part, mean, std / np.sqrt(2.0), contiguous).view(dtype)
        return self._normal(n, dtype, mean, std, contiguous)

    def _normal(
        self, n: int, dtype: np.dtype, mean: float, std: float, contiguous: bool
    ) -> np.ndarray:
        require(dtype.name, REAL, "normal_kernel_cpu")
        if contiguous and n >= 16:
            return normal.in_sixteens(self._engine, n, dtype, mean, std)
        if n < 16 and dtype == F32 and std == 1 and mean == 0:
            made, self._kept = normal.in_pairs(self._engine, n, self._kept)
            return np.array(made, F32)
        return narrow(self._pairs(n, mean, std), dtype)

    def _pairs(self, n: int, mean: float, std: float) -> np.ndarray:
        made, self._kept = normal.in_pairs(self._engine, n, self._kept)
        x = np.asarray(made, np.float64)
        return x if std == 1 and mean == 0 else fma64(x, float(std), float(mean))

    def normal_with(self, mean: float | np.ndarray, std: float | np.ndarray) -> np.ndarray:
        """torch.normal with an array for `mean`, `std` or both, which are broadcast.

        The result has their common size and the dtype of `mean`, or of `std` where `mean` is a
        number.
        """
        given = mean if isinstance(mean, np.ndarray) else np.asarray(std)
        dtype = given.dtype
        size = np.broadcast_shapes(np.shape(mean), np.shape(std))
        n = int(np.prod(size))
        if not isinstance(std, np.ndarray):
            out = self.normal(n, dtype, 0.0, std).reshape(size)
            return self._combined(np.add, out, mean)
        if std.dtype.kind == "c":
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if not (std >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
        out = self._combined(np.multiply, self.normal(n, dtype).reshape(size), std)
        return self._combined(np.add, out, mean)

    @staticmethod
    def _combined(operation, out: np.ndarray, other: float | np.ndarray) -> np.ndarray:
        """`operation` as in place: the result keeps the dtype of `out`."""
        if np.ndim(other) == 0:
            other = np.asarray(other).astype(out.dtype)
        return operation(out, other).astype(out.dtype, copy=False)

    def log_normal(self, n: int, dtype=np.float32, mean: float = 1.0, std: float = 2.0):
        """Tensor.log_normal_: exp of a normal number; real dtypes."""
        dtype = np.dtype(dtype)
        if not std > 0:
            raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={shown(std)}")
        require(dtype.name, REAL, "log_normal_cpu")
        with np.errstate(over="ignore"):
            return narrow(np.exp(self._pairs(n, mean, std)), dtype)

    def exponential(self, n: int, dtype=np.float32, lambd: float = 1.0) -> np.ndarray:
        """Tensor.exponential_: real dtypes."""
        return continuous.exponential(self._engine, n, np.dtype(dtype), lambd)

    def cauchy(self, n: int, dtype=np.float32, median: float = 0.0, sigma: float = 1.0):
        """Tensor.cauchy_: real dtypes."""
        return continuous.cauchy(self._engine, n, np.dtype(dtype), median, sigma)

    # --- whole numbers

    def geometric(self, n: int, dtype=np.float32, p: float = 0.5) -> np.ndarray:
        """Tensor.geometric_: real dtypes, signed integers and uint8."""
        return continuous.geometric(self._engine, n, np.dtype(dtype), p)

    def bernoulli(self, n: int, dtype=np.float32, p: float | np.ndarray = 0.5) -> np.ndarray:
        """Tensor.bernoulli_, torch.bernoulli and (with p = 1 - dropout's p) what dropout keeps.

        An array `p` has one or `n` elements; its dtype decides which uniforms are drawn.
        """
        return continuous.bernoulli(self._engine, n, np.dtype(dtype), p)

    def random_int(self, n: int, dtype=INT64, low: int = 0, high: int | None = None) -> np.ndarray:
        """torch.randint and Tensor.random_ with bounds: whole numbers in [low, high).

        `high` None: up to the dtype's largest (2**digits for real dtypes).
        """
        return integers.random_int(self._engine, n, np.dtype(dtype), low, high)

    def random_full(self, n: int, dtype=INT64) -> np.ndarray:
        """Tensor.random_ without bounds: [0, largest], or [0, 2**digits] for real dtypes."""
        return integers.random_full(self._engine, n, np.dtype(dtype))

    def permutation(self, n: int, dtype=INT64) -> np.ndarray:
        """torch.randperm."""
        return integers.permutation(self._engine, n, np.dtype(dtype))

    def multinomial(
        self, probs: np.ndarray, num_samples: int, replacement: bool = False
    ) -> np.ndarray:
        """torch.multinomial: (num_samples,) or (rows, num_samples) int64."""
        return choice.multinomial(self._engine, probs, num_samples, replacement)

    def poisson(self, rate: np.ndarray) -> np.ndarray:
        """torch.poisson: the size and dtype of `rate`."""
        return rejection.poisson(self, rate)

    def binomial(self, count: np.ndarray, prob: np.ndarray) -> np.ndarray:
        """torch.binomial: arrays of equal size and dtype, float32 or float64."""
        return rejection.binomial(self, count, prob)

    def gamma(self, shape: np.ndarray) -> np.ndarray:
        """torch._standard_gamma: the size and dtype of `shape`, float32 or float64."""
        return rejection.gamma(self, shape)

    def dirichlet(self, concentration: np.ndarray) -> np.ndarray:
        """torch._sample_dirichlet: sums to one over the last axis; float32 or float64."""
        return rejection.dirichlet(self, concentration)

    # --- one number at a time, for the draws that reject

    def one_uniform(self) -> float:
        """A float64 in [0, 1), from two words."""
        return normal.one_uniform(*self._engine.pair())

    def one_normal(self) -> float:
        """A standard normal float64; the second of a pair is kept for the next call."""
        kept = self._kept
        if kept is not None:
            self._kept = None
            return kept
        first, self._kept = normal.one_pair(self.one_uniform(), self.one_uniform())
        return first
