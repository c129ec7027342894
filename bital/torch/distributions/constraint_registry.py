"""biject_to and transform_to: from constraints to transforms of real numbers into their regions."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any

from bital.torch.distributions import constraints, transforms

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Kinds of constraints, and what makes the transform for one of a kind."""

    def __init__(self) -> None:
        self._registry: dict[type, Callable] = {}

    def register(self, constraint: Any, factory: Callable | None = None) -> Any:
        """Let `factory(constraint)` make the transform; a decorator where no factory is given.

        constraint: a subclass of Constraint, or an instance of one, which stands for its class.
        """
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, constraints.Constraint) else constraint
        if not isinstance(kind, type) or not issubclass(kind, constraints.Constraint):
            raise TypeError(
                "Expected constraint to be either a Constraint subclass or instance, but got "
                f"{constraint}"
            )
        self._registry[kind] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        """The transform for `constraint`."""
        factory = self._registry.get(type(constraint))
        if factory is None:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints")
        return factory(constraint)


#: bijections, for changing variables in densities
biject_to = ConstraintRegistry()
#: transforms that need not be bijections, for optimizing without constraints
transform_to = ConstraintRegistry()


def _register(factory: Callable, *kinds: Any) -> None:
    for kind in kinds:
        biject_to.register(kind, factory)
        transform_to.register(kind, factory)


def _from_below(constraint: Any) -> Any:
    affine = transforms.AffineTransform(constraint.lower_bound, 1)
    return transforms.ComposeTransform([transforms.ExpTransform(), affine])


def _from_above(constraint: Any) -> Any:
    affine = transforms.AffineTransform(constraint.upper_bound, -1)
    return transforms.ComposeTransform([transforms.ExpTransform(), affine])


def _between(constraint: Any) -> Any:
    low, high = constraint.lower_bound, constraint.upper_bound
    if isinstance(low, Number) and low == 0 and isinstance(high, Number) and high == 1:
        return transforms.SigmoidTransform()
    affine = transforms.AffineTransform(low, high - low)
    return transforms.ComposeTransform([transforms.SigmoidTransform(), affine])


_register(lambda c: transforms.identity_transform, constraints.real)
_register(_from_below, constraints.greater_than, constraints.greater_than_eq)
_register(_from_above, constraints.less_than)
_register(_between, constraints.interval, constraints.half_open_interval)
_register(lambda c: transforms.CorrCholeskyTransform(), constraints.corr_cholesky)
biject_to.register(constraints.simplex, lambda c: transforms.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda c: transforms.SoftmaxTransform())
transform_to.register(constraints.lower_cholesky, lambda c: transforms.LowerCholeskyTransform())
for _kind in (constraints.positive_definite, constraints.positive_semidefinite):
    transform_to.register(_kind, lambda c: transforms.PositiveDefiniteTransform())


def _register_parts(registry: ConstraintRegistry) -> None:
    """Constraints made of others are transformed part by part."""

    def independent(c: Any) -> Any:
        return transforms.IndependentTransform(
            registry(c.base_constraint), c.reinterpreted_batch_ndims
        )

    def cat(c: Any) -> Any:
        return transforms.CatTransform([registry(part) for part in c.cseq], c.dim, c.lengths)

    def stack(c: Any) -> Any:
        return transforms.StackTransform([registry(part) for part in c.cseq], c.dim)

    registry.register(constraints.independent, independent)
    registry.register(constraints.cat, cat)
    registry.register(constraints.stack, stack)


_register_parts(biject_to)
_register_parts(transform_to)
