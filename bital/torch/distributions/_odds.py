"""Distributions given by probabilities or by logits, each computed from the other when needed."""

from __future__ import annotations

from typing import Any

from bital.torch.distributions.distribution import Distribution
from bital.torch.distributions.utils import (
    broadcast_all,
    lazy_property,
    logits_to_probs,
    one_of_two,
    probs_to_logits,
)


class Binary(Distribution):
    """What depends on the probability of the one of two outcomes, or on its log-odds."""

    def _set_odds(self, probs: Any, logits: Any, *others: Any) -> tuple:
        """Keep the one that is given, broadcast with `others`, which are returned."""
        given = one_of_two(probs, logits)
        *rest, self._param = broadcast_all(*others, given)
        setattr(self, "logits" if probs is None else "probs", self._param)
        return tuple(rest)

    def _expanded_odds(self, cls: type, batch_shape: Any, instance: Any, *names: str) -> Any:
        return self._expanded(cls, batch_shape, instance, "probs", "logits", "_param", *names)

    def _new(self, *args: Any, **kwargs: Any) -> Any:
        return self._param.new(*args, **kwargs)

    @lazy_property
    def logits(self) -> Any:
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Any:
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter that was given."""
        return self._param.size()


class OfCategories(Distribution):
    """What is made of a categorical distribution `_categorical`."""

    _categorical: Any

    def _expanded_categories(self, cls: type, batch_shape: Any, instance: Any) -> Any:
        new = self._expanded(cls, batch_shape, instance)
        new._categorical = self._categorical.expand(batch_shape)
        return new

    def _new(self, *args: Any, **kwargs: Any) -> Any:
        return self._categorical._new(*args, **kwargs)

    @property
    def probs(self) -> Any:
        return self._categorical.probs

    @property
    def logits(self) -> Any:
        return self._categorical.logits

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter that was given."""
        return self._categorical.param_shape


def enumerated(values: Any, batch_shape: Any, expand: bool) -> Any:
    """Values along the first axis, with the batch's axes after it."""
    values = values.view((-1, *[1] * len(batch_shape)))
    return values.expand((-1, *batch_shape)) if expand else values
