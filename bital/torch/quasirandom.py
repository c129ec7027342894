"""`torch.quasirandom`: Sobol' points, which fill a cube more evenly than random ones.

Direction numbers: S. Joe and F. Y. Kuo, SIAM J. Sci. Comput. 30 (2008), as SciPy holds them.
Scrambling: a random linear matrix and a digital shift, drawn as PyTorch draws them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import bital.torch as torch


class SobolEngine:
    """Points of the Sobol' sequence in [0, 1) of `dimension` coordinates, at most 21201.

    `scramble` mixes their digits at random, from `seed` if one is given.
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(
                f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]"
            )
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        self._directions = _direction_numbers(dimension, self.MAXBIT)
        self.shift = torch.zeros(dimension, dtype=torch.long)
        if scramble:
            self._scramble()
        self.reset()

    def _scramble(self) -> None:
        generator = None
        if self.seed is not None:
            generator = torch.Generator()
            generator.manual_seed(self.seed)
        bits = self.MAXBIT
        size = (self.dimension, bits)
        shift = torch.randint(2, size, generator=generator).numpy()
        self.shift = torch.from_numpy(shift @ (1 << np.arange(bits)))
        mixing = torch.randint(2, (*size, bits), generator=generator).numpy()
        mixing = np.tril(mixing, -1) + np.eye(bits, dtype=np.int64)
        digits = np.arange(bits - 1, -1, -1)  # the first digit after the point is the highest bit
        old = self._directions[:, None, :] >> digits[:, None] & 1
        self._directions = ((mixing @ old & 1) << digits[:, None]).sum(1)

    def reset(self) -> SobolEngine:
        """Begin again with the first point."""
        self.quasi = self.shift.clone()
        self._first_point = (self.quasi / 2**self.MAXBIT).reshape(1, -1)
        self.num_generated = 0
        return self

    def _advance(self, n: int) -> np.ndarray:
        """The next n points' digits as integers, of shape (n, dimension)."""
        index = self.num_generated - 1 + (self.num_generated == 0) + np.arange(n)
        lowest_zero = np.frexp((~index & (index + 1)).astype(float))[1] - 1
        steps = self._directions.T[lowest_zero]
        made = np.bitwise_xor.accumulate(np.vstack([self.quasi.numpy()[None], steps]))[1:]
        if n:
            self.quasi = torch.from_numpy(made[-1].copy())
        return made

    def draw(self, n: int = 1, out: Any = None, dtype: Any = None) -> Any:
        """The next n points, of shape (n, dimension) and the default dtype or `dtype`."""
        if dtype is None:
            dtype = torch.get_default_dtype()
        first = self.num_generated == 0
        points = torch.from_numpy(self._advance(n - 1 if first else n)).to(dtype)
        points = points / 2**self.MAXBIT
        if first:
            points = torch.cat([self._first_point.to(dtype), points])
        self.num_generated += n
        return points if out is None else out.resize_as_(points).copy_(points)

    def draw_base2(self, m: int, out: Any = None, dtype: Any = None) -> Any:
        """The next 2 ** m points; ValueError where they would not make up a power of two."""
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: "
                f"n={self.num_generated}+2**{m}={total}. If you still want to do this, please "
                "use 'SobolEngine.draw()' instead."
            )
        return self.draw(n, out, dtype)

    def fast_forward(self, n: int) -> SobolEngine:
        """Leave out the next n points."""
        self._advance(n - 1 if self.num_generated == 0 else n)
        self.num_generated += n
        return self

    def __repr__(self) -> str:
        words = [f"dimension={self.dimension}"]
        if self.scramble:
            words.append("scramble=True")
        if self.seed is not None:
            words.append(f"seed={self.seed}")
        return f"{type(self).__name__}({', '.join(words)})"


def _direction_numbers(dimension: int, bits: int) -> np.ndarray:
    """(dimension, bits) integers: what is added, without carries, in each step."""
    from scipy.stats import qmc

    return qmc.Sobol(dimension, scramble=False, bits=bits)._sv.astype(np.int64)
