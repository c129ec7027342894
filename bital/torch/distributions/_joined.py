"""Transforms of parts of a tensor, put side by side; and distribution functions as transforms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions._transform import Transform
from bital.torch.distributions.distribution import Distribution
from bital.torch.distributions.utils import _sum_rightmost, lazy_property


class _Joined(Transform):
    """Transforms of parts along the axis `dim`."""

    def __init__(self, tseq: Iterable[Transform], dim: int, cache_size: int) -> None:
        super().__init__(cache_size)
        tseq = list(tseq)
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else tseq
        self.dim = dim

    @property
    def bijective(self) -> bool:
        return all(t.bijective for t in self.transforms)

    def _count(self) -> int:
        """How many elements there must be along the axis."""
        return len(self.transforms)

    def _parts(self, x: Any) -> Sequence:
        if not -x.dim() <= self.dim < x.dim():
            raise AssertionError(
                f"dim {self.dim} out of range for tensor with {x.dim()} dimensions"
            )
        if x.size(self.dim) != self._count():
            raise AssertionError(
                f"x.size({self.dim}) = {x.size(self.dim)} must equal {self._count()}"
            )
        return self._split(x)

    def _split(self, x: Any) -> Sequence:
        raise NotImplementedError

    def _join(self, parts: list) -> Any:
        raise NotImplementedError

    def _call(self, x: Any) -> Any:
        return self._join([t(part) for t, part in zip(self.transforms, self._parts(x))])

    def _inverse(self, y: Any) -> Any:
        return self._join([t.inv(part) for t, part in zip(self.transforms, self._parts(y))])

    def _jacobians(self, x: Any, y: Any) -> list:
        pairs = zip(self.transforms, self._parts(x), self._parts(y))
        return [t.log_abs_det_jacobian(a, b) for t, a, b in pairs]


class CatTransform(_Joined):
    """Transforms of slices, `lengths` long, put together as torch.cat puts tensors together."""

    def __init__(
        self,
        tseq: Iterable[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(
                f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})"
            )

    @lazy_property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @lazy_property
    def length(self) -> int:
        """How many elements there are along the axis."""
        return sum(self.lengths)

    def _remade(self, cache_size: int) -> Transform:
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _count(self) -> int:
        return self.length

    def _split(self, x: Any) -> Sequence:
        return x.split(self.lengths, self.dim)

    def _join(self, parts: list) -> Any:
        return torch.cat(parts, self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        terms = [
            _sum_rightmost(term, self.event_dim - t.event_dim)
            for t, term in zip(self.transforms, self._jacobians(x, y))
        ]
        dim = (self.dim - x.dim() if self.dim >= 0 else self.dim) + self.event_dim
        return torch.cat(terms, dim) if dim < 0 else sum(terms)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(_Joined):
    """Transforms of slices, put together as torch.stack puts tensors together."""

    def __init__(self, tseq: Iterable[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, cache_size)

    def _remade(self, cache_size: int) -> Transform:
        return StackTransform(self.transforms, self.dim, cache_size)

    def _split(self, x: Any) -> Sequence:
        return x.unbind(self.dim)

    def _join(self, parts: list) -> Any:
        return torch.stack(parts, self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return self._join(self._jacobians(x, y))

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)


class CumulativeDistributionTransform(Transform):
    """The distribution function of `distribution`, which makes its draws uniform."""

    bijective = True
    codomain = constraints.unit_interval
    sign = +1  # type: ignore[assignment]

    def __init__(self, distribution: Distribution, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:
        return self.distribution.support

    def _call(self, x: Any) -> Any:
        return self.distribution.cdf(x)

    def _inverse(self, y: Any) -> Any:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return self.distribution.log_prob(x)

    def _remade(self, cache_size: int) -> Transform:
        return CumulativeDistributionTransform(self.distribution, cache_size)
