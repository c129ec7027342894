"""An unpickler that runs no code from the file: it knows the opcodes of plain data and no more.

Room: base; the standard library only. What a name in the file stands for, and what may be called,
is the business of whoever gives `find`, `construct` and `persistent`; here is the machine with a
stack. Memory and time stay in proportion to the file's size.
"""

from __future__ import annotations

import _compat_pickle
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

#: how many parts a key of a dictionary may have: tuples of tuples hash in exponential time
_KEY_PARTS = 64
#: integers as keys: larger ones can be chosen to have equal hashes
_KEY_INT = 1 << 61

#: what steps raise when the stack or the bytes are not what they must be
_DAMAGE = (AttributeError, LookupError, OverflowError, TypeError, ValueError, struct.error)


def refuse(what: str) -> NoReturn:
    """Raise the error of a pickle that is damaged or hostile."""
    raise pickle.UnpicklingError(f"Weights only load failed: {what}")


def check_key(key: Any) -> Any:
    """`key` if it may be one of a dictionary or an element of a set: small and quick to hash."""
    todo, left = [key], _KEY_PARTS
    while todo:
        each = todo.pop()
        left -= 1
        if isinstance(each, int) and not -_KEY_INT < each < _KEY_INT:
            refuse("a key is an integer of more than 61 bits")
        if isinstance(each, (tuple, frozenset)):
            left -= len(each)
            todo.extend(each if left >= 0 else ())
        if left < 0:
            refuse("a key has too many parts")
    return key


def check_keys(keys: Iterable[Any]) -> Iterator[Any]:
    """The keys, each looked at by `check_key`."""
    return map(check_key, keys)


class Unpickler:
    """Reads one pickle of `data` from `at`.

    find        (module, name) -> what the name stands for; raises where it is not allowed
    construct   (callable, arguments) -> the object; raises where the callable must not be called
    make        (class, arguments, keyword arguments) -> a bare instance, likewise
    build       (object, state) -> None: give a bare instance its state, likewise
    persistent  (id) -> the object kept outside the pickle

    `at` stands behind the pickle after `load`. Raises pickle.UnpicklingError.
    """

    def __init__(
        self,
        data: bytes,
        *,
        find: Callable[[str, str], Any],
        construct: Callable[[Any, tuple], Any],
        make: Callable[[Any, tuple, dict], Any],
        build: Callable[[Any, Any], None],
        persistent: Callable[[Any], Any],
        at: int = 0,
        encoding: str = "utf-8",
    ) -> None:
        self.data, self.at, self.encoding = data, at, encoding
        self.find, self.construct, self.make = find, construct, make
        self.build, self.persistent = build, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}
        # elements that calls may copy: a few bytes can name a long list again and again
        self.copies_left = 100_000 + len(data)

    def load(self) -> Any:
        """The object that the pickle describes."""
        try:
            while True:
                opcode = self.take(1)[0]
                if opcode == _STOP:
                    return self.stack.pop()
                step = _STEPS.get(opcode)
                if step is None:
                    refuse(f"unsupported operand {opcode} (opcode {chr(opcode)!r})")
                step(self)
        except (RecursionError, MemoryError):
            refuse("the pickle is nested too deeply or too large")
        except _DAMAGE as error:
            raise pickle.UnpicklingError(
                f"Weights only load failed: the pickle is damaged ({type(error).__name__}: {error})"
            ) from error

    # --- reading

    def take(self, count: int) -> bytes:
        """The next bytes."""
        got = self.data[self.at : self.at + count]
        if len(got) != count or count < 0:
            refuse("the pickle is cut short")
        self.at += count
        return got

    def number(self, code: str) -> int:
        """The next number, in `struct`'s code."""
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def line(self) -> str:
        """The next line of text, without its end."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            refuse("the pickle is cut short")
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def above_mark(self) -> list[Any]:
        """What lies above the last mark, taken off with it."""
        items = self.stack
        self.stack = self.below.pop()
        return items

    def called(self, items: Any) -> Any:
        """Arguments of a call, counted towards what calls may copy."""
        for each in items:
            if isinstance(each, (list, tuple, dict, set, frozenset, str, bytes)):
                self.copies_left -= len(each)
        if self.copies_left < 0:
            refuse("calls copy more than the file holds")
        return items


def _push(value: Any) -> Callable[[Unpickler], None]:
    return lambda u: u.stack.append(value)


def _push_new(kind: type) -> Callable[[Unpickler], None]:
    return lambda u: u.stack.append(kind())


def _number(code: str) -> Callable[[Unpickler], None]:
    return lambda u: u.stack.append(u.number(code))


def _long(code: str) -> Callable[[Unpickler], None]:
    def step(u: Unpickler) -> None:
        u.stack.append(int.from_bytes(u.take(u.number(code)), "little", signed=True))

    return step


def _bytes(code: str, kind: type = bytes) -> Callable[[Unpickler], None]:
    return lambda u: u.stack.append(kind(u.take(u.number(code))))


def _text(code: str) -> Callable[[Unpickler], None]:
    def step(u: Unpickler) -> None:
        u.stack.append(str(u.take(u.number(code)), "utf-8", "surrogatepass"))

    return step


def _old_text(code: str) -> Callable[[Unpickler], None]:
    """Strings of Python 2."""

    def step(u: Unpickler) -> None:
        raw = u.take(u.number(code))
        u.stack.append(raw if u.encoding == "bytes" else str(raw, u.encoding))

    return step


def _last(count: int) -> Callable[[Unpickler], None]:
    """Make the last items a tuple."""

    def step(u: Unpickler) -> None:
        items = [u.stack.pop() for _ in range(count)]
        u.stack.append(tuple(items[::-1]))

    return step


def _get(code: str) -> Callable[[Unpickler], None]:
    return lambda u: u.stack.append(u.memo[u.number(code)])


def _put(code: str) -> Callable[[Unpickler], None]:
    def step(u: Unpickler) -> None:
        u.memo[u.number(code)] = u.stack[-1]

    return step


def _memoize(u: Unpickler) -> None:
    u.memo[len(u.memo)] = u.stack[-1]


def _proto(u: Unpickler) -> None:
    if u.number("<B") > 5:
        refuse("the pickle's protocol is newer than 5")


def _frame(u: Unpickler) -> None:
    if u.number("<Q") > len(u.data) - u.at:
        refuse("the pickle is cut short")


def _mark(u: Unpickler) -> None:
    u.below.append(u.stack)
    u.stack = []


def _pop(u: Unpickler) -> None:
    if u.stack:
        u.stack.pop()
    else:
        u.above_mark()


def _dict_into(u: Unpickler, target: Any, items: list) -> None:
    if not isinstance(target, dict) or len(items) % 2:
        refuse("items are set on what is no dictionary")
    for key, value in zip(check_keys(items[::2]), items[1::2]):
        target[key] = value


def _dict(u: Unpickler) -> None:
    items = u.above_mark()
    u.stack.append({})
    _dict_into(u, u.stack[-1], items)


def _set_item(u: Unpickler) -> None:
    value, key = u.stack.pop(), u.stack.pop()
    _dict_into(u, u.stack[-1], [key, value])


def _set_items(u: Unpickler) -> None:
    items = u.above_mark()
    _dict_into(u, u.stack[-1], items)


def _into(u: Unpickler, kind: type, add: Callable, items: Any) -> None:
    target = u.stack[-1]
    if type(target) is not kind:
        refuse(f"items are added to a {type(target).__name__}, not a {kind.__name__}")
    add(target, items)


def _append(u: Unpickler) -> None:
    item = u.stack.pop()
    _into(u, list, list.append, item)


def _appends(u: Unpickler) -> None:
    items = u.above_mark()
    _into(u, list, list.extend, items)


def _add_items(u: Unpickler) -> None:
    items = u.above_mark()
    _into(u, set, set.update, check_keys(items))


def _collect(kind: Callable) -> Callable[[Unpickler], None]:
    def step(u: Unpickler) -> None:
        items = u.above_mark()
        u.stack.append(kind(items))

    return step


def _global(u: Unpickler) -> None:
    module = u.line()
    u.stack.append(u.find(*python3_name(module, u.line())))


def _stack_global(u: Unpickler) -> None:
    name, module = u.stack.pop(), u.stack.pop()
    if type(name) is not str or type(module) is not str:
        refuse("a global's name is no text")
    u.stack.append(u.find(*python3_name(module, name)))


def python3_name(module: str, name: str) -> tuple[str, str]:
    """A name that Python 2 pickled, in Python 3's words."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _reduce(u: Unpickler) -> None:
    args, fn = u.stack.pop(), u.stack.pop()
    if type(args) is not tuple:
        refuse("a call's arguments are no tuple")
    u.stack.append(u.construct(fn, u.called(args)))


def _new_object(u: Unpickler) -> None:
    args, kind = u.stack.pop(), u.stack.pop()
    if type(args) is not tuple:
        refuse("a call's arguments are no tuple")
    u.stack.append(u.make(kind, u.called(args), {}))


def _new_object_ex(u: Unpickler) -> None:
    named, args, kind = u.stack.pop(), u.stack.pop(), u.stack.pop()
    if type(args) is not tuple or type(named) is not dict:
        refuse("a call's arguments are no tuple")
    u.called(named.values())
    u.stack.append(u.make(kind, u.called(args), named))


def _build(u: Unpickler) -> None:
    state = u.stack.pop()
    target = u.stack[-1]
    if isinstance(state, dict):
        u.called((state,))
    if type(target) is OrderedDict:
        if type(state) is not dict:
            refuse("an OrderedDict's state is no dictionary")
        if any(hasattr(OrderedDict, name) for name in state):
            refuse("an OrderedDict's attribute would hide a method")
        target.__dict__.update(state)
    else:
        u.build(target, state)


def _persistent(u: Unpickler) -> None:
    u.stack.append(u.persistent(u.stack.pop()))


def _binfloat(u: Unpickler) -> None:
    u.stack.append(u.number(">d"))


_STOP = pickle.STOP[0]
_STEPS: dict[int, Callable[[Unpickler], None]] = {
    code[0]: step
    for code, step in {
        pickle.PROTO: _proto, pickle.FRAME: _frame, pickle.MARK: _mark, pickle.POP: _pop,
        pickle.POP_MARK: Unpickler.above_mark, pickle.DUP: lambda u: u.stack.append(u.stack[-1]),
        pickle.NONE: _push(None), pickle.NEWTRUE: _push(True), pickle.NEWFALSE: _push(False),
        pickle.BININT: _number("<i"), pickle.BININT1: _number("<B"), pickle.BININT2: _number("<H"),
        pickle.LONG1: _long("<B"), pickle.LONG4: _long("<i"), pickle.BINFLOAT: _binfloat,
        pickle.BINUNICODE: _text("<I"), pickle.SHORT_BINUNICODE: _text("<B"),
        pickle.BINUNICODE8: _text("<Q"), pickle.BINSTRING: _old_text("<i"),
        pickle.SHORT_BINSTRING: _old_text("<B"), pickle.BINBYTES: _bytes("<I"),
        pickle.SHORT_BINBYTES: _bytes("<B"), pickle.BINBYTES8: _bytes("<Q"),
        pickle.BYTEARRAY8: _bytes("<Q", bytearray), pickle.EMPTY_TUPLE: _push(()),
        pickle.TUPLE: _collect(tuple), pickle.TUPLE1: _last(1), pickle.TUPLE2: _last(2),
        pickle.TUPLE3: _last(3), pickle.EMPTY_LIST: _push_new(list), pickle.LIST: _collect(list),
        pickle.APPEND: _append, pickle.APPENDS: _appends, pickle.EMPTY_DICT: _push_new(dict),
        pickle.DICT: _dict, pickle.SETITEM: _set_item, pickle.SETITEMS: _set_items,
        pickle.EMPTY_SET: _push_new(set), pickle.ADDITEMS: _add_items,
        pickle.FROZENSET: _collect(lambda items: frozenset(check_keys(items))),
        pickle.BINGET: _get("<B"), pickle.LONG_BINGET: _get("<I"), pickle.BINPUT: _put("<B"),
        pickle.LONG_BINPUT: _put("<I"), pickle.MEMOIZE: _memoize, pickle.GLOBAL: _global,
        pickle.STACK_GLOBAL: _stack_global, pickle.REDUCE: _reduce, pickle.NEWOBJ: _new_object,
        pickle.NEWOBJ_EX: _new_object_ex, pickle.BUILD: _build, pickle.BINPERSID: _persistent,
    }.items()
}  # fmt: skip
