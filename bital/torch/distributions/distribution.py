"""Distribution: what all distributions have in common."""

from __future__ import annotations

import warnings
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions.utils import lazy_property

__all__ = ["Distribution"]


class Distribution:
    """A batch of distributions of one family.

    `batch_shape` is the shape of the parameters, `event_shape` that of a single draw; `sample(s)`
    has the shape s + batch_shape + event_shape, and `log_prob` of it s + batch_shape.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check parameters and values."""
        if value not in [True, False]:
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape = torch.Size(batch_shape)
        self._event_shape = torch.Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            wanted = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = "
                "{}` or initialize the distribution with `validate_args=False` to turn off "
                "validation.",
                stacklevel=4,
            )
            return
        for name, constraint in wanted.items():
            if constraints.is_dependent(constraint):
                continue
            lazy = isinstance(getattr(type(self), name, None), lazy_property)
            if name not in self.__dict__ and lazy:
                continue
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with a greater batch shape, which parameters are expanded to."""
        raise NotImplementedError

    def _expanded(self, cls: type, batch_shape: Any, instance: Any, *names: str) -> Any:
        """A copy whose parameters, those of `names` that there are, are expanded.

        The axes that a parameter has beyond the batch are kept. `cls` is the class whose `expand`
        this is.
        """
        new = self._get_checked_instance(cls, instance)
        batch_shape = torch.Size(batch_shape)
        before = len(self._batch_shape)
        for name in names:
            value = self.__dict__.get(name)
            if value is not None:
                setattr(new, name, value.expand(batch_shape + value.shape[before:]))
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _get_checked_instance(self, cls: type, instance: Any = None) -> Any:
        if instance is None and type(self).__init__ != cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if instance is None else instance

    @property
    def batch_shape(self) -> Any:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """The shape of one draw."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Any]:
        """What must hold for each parameter."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """Where draws lie."""
        raise NotImplementedError

    @property
    def mean(self) -> Any:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        """The likeliest value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Any:
        """The expected squared distance from the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        """The root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draws, `sample_shape` of them for each distribution of the batch."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draws that move with the parameters, so that gradients flow to them."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Any:
        """`sample((n,))`; deprecated, as it is in PyTorch."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning,
            stacklevel=2,
        )  # fmt: skip
        return self.sample((n,))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        """The probability of a draw up to `value`."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        """The number that draws lie below with probability `value`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values of a discrete distribution along a new first axis."""
        raise NotImplementedError

    def entropy(self) -> Any:
        """The expected `-log_prob`, in nats."""
        raise NotImplementedError

    def perplexity(self) -> Any:
        """exp(entropy)."""
        return torch.exp(self.entropy())

    def _extended_shape(self, sample_shape: Any = ()) -> Any:
        """The shape of `sample(sample_shape)`."""
        return torch.Size(sample_shape) + self._batch_shape + self._event_shape

    def _validated(self, value: Any) -> None:
        """Check a value, where this distribution checks values."""
        if self._validate_args:
            self._validate_sample(value)

    def _validate_sample(self, value: Any) -> None:
        """ValueError where `value` is no tensor, has a shape that does not fit, or is no draw."""
        if not isinstance(value, torch.Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        size = value.size()
        if size[len(size) - len(self._event_shape) :] != self._event_shape:
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{size} vs {self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        if any(i != 1 and j != 1 and i != j for i, j in zip(reversed(size), reversed(expected))):
            raise ValueError(
                f"Value is not broadcastable with batch_shape+event_shape: {size} vs {expected}."
            )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(size)}) to be "
                f"within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        given = {
            name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__
        }
        shown = [f"{name}: {p if p.numel() == 1 else p.size()}" for name, p in given.items()]
        return f"{type(self).__name__}({', '.join(shown)})"
