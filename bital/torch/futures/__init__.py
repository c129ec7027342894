"""Futures: values that come later (`torch.futures`), on Python's own."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, cast

from bital.base.errors import missing_attribute

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")


class Future(Generic[T]):
    """A value that somebody sets once, for others to wait for or to go on with."""

    def __init__(self, *, devices: Any = None) -> None:
        self._inner: concurrent.futures.Future = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether it has a value or an exception."""
        return self._inner.done()

    def wait(self) -> T:
        """The value, waited for; the exception is raised if there is one instead."""
        return cast(T, self._inner.result())

    def value(self) -> T:
        """The value, which must be there."""
        if not self.done():
            raise RuntimeError("value() is called on a Future that is not completed")
        return self.wait()

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        """The future of what `callback(self)` returns, called when this one is done."""
        following: Future[Any] = Future()

        def go_on(_: Any) -> None:
            try:
                following.set_result(callback(self))
            except Exception as error:
                following.set_exception(error)

        self._inner.add_done_callback(go_on)
        return following

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Call `callback(self)` when this one is done."""
        self._inner.add_done_callback(lambda _: callback(self))

    def set_result(self, result: T) -> None:
        """Give it its value; only once."""
        self._set(self._inner.set_result, result)

    def set_exception(self, result: BaseException) -> None:
        """Give it an exception in the place of a value."""
        self._set(self._inner.set_exception, result)

    @staticmethod
    def _set(setter: Callable, result: Any) -> None:
        try:
            setter(result)
        except concurrent.futures.InvalidStateError:
            raise RuntimeError(
                "Future can't be marked completed more than once: it has a value already"
            ) from None


def collect_all(futures: list[Future]) -> Future[list[Future]]:
    """The future of all of them, done when the last one is."""
    together: Future[list[Future]] = Future()
    left = len(futures)
    if not left:
        together.set_result([])

    def one_more(_: Future) -> None:
        nonlocal left
        left -= 1
        if not left:
            together.set_result(futures)

    for each in futures:
        each.add_done_callback(one_more)
    return together


def wait_all(futures: Iterable[Future]) -> list:
    """The values of all of them."""
    return [each.wait() for each in futures]


__getattr__ = missing_attribute("torch.futures")
