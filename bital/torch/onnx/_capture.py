"""Recording a model's run as a graph of ONNX operators.

While a model runs, PyTorch's public functions and Tensor's methods are replaced by ones that also
record: a call that a rule knows becomes nodes, a call that is declared as a composition runs that
instead, and what is called inside any other function is recorded in its place. A tensor that comes
from an input by a way that was not recorded is an error where it is used, never a constant.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import bital.torch as torch
from bital.base.dtype import dtype
from bital.ir.trace import user_line
from bital.tensor.tensor import Tensor, array_of, edge_of, strides_of
from bital.torch.onnx._graph import ELEMENT, Constant, Graph, Sizes, Value
from bital.torch.onnx._table import MADE_OF, NODES, SAME, NotExpressible
from bital.torch.onnx.errors import (
    OnnxExporterWarning,
    UnsupportedOperatorError,
)

#: the namespaces whose functions are recorded, and how their names begin in the table of rules
_PLACES = (
    (torch, ""), (torch.nn.functional, ""), (torch.linalg, "linalg."), (torch.special, ""),
    (torch.fft, "fft."), (Tensor, ""),
)  # fmt: skip
#: methods that give a tensor's numbers to Python, which a graph cannot follow
_LOOKS = ("item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__", "__array__")
#: functions that ask a tensor for its shape and dtype only: what they give is a constant
_SHAPED = {"zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones",
           "new_full", "new_empty", "new_tensor"}  # fmt: skip
#: methods that make or describe tensors and are not recorded
_LEFT = {"__new__", "__init__", "__len__", "__repr__", "__format__", "__hash__", "__iter__",
         "__deepcopy__", "__copy__", "__reduce_ex__", "size", "stride", "dim", "ndimension",
         "storage_offset", "numel", "nelement", "element_size", "is_floating_point", "is_complex",
         "is_contiguous", "requires_grad_", "is_inference", "_is_view", "data_ptr", "manual_seed",
         "is_tensor", "is_grad_enabled", "get_default_dtype", "result_type"}  # fmt: skip
_PROPERTIES = ("T", "mT", "H", "mH", "data", "real", "imag")


def tensors_in(x: Any) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dictionaries, in order."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, (list, tuple)):
        for each in x:
            yield from tensors_in(each)
    elif isinstance(x, dict):
        for each in x.values():
            yield from tensors_in(each)


def _place(t: Tensor) -> tuple:
    """What a tensor looks at: its storage and the window on it."""
    meta = t._meta
    return id(t._storage.shown), t.storage_offset(), tuple(meta.shape), strides_of(t), meta.dtype


class Arguments(types.SimpleNamespace):
    """A call's arguments by name."""


class Recorder:
    """Records one run into `graph`; `names` gives parameters their names."""

    def __init__(self, names: dict[tuple, str]) -> None:
        self.graph = Graph()
        self.names = names
        self.known: dict[tuple, tuple[Value, int]] = {}
        self.storages: set[int] = set()
        self.lost: dict[tuple, tuple[str, tuple]] = {}  # results of what no rule knows
        self.kept: list[Any] = []  # so that an id is not used again
        self.own = {place[0] for place in names}  # the parameters' storages
        self.depth = 0
        self.composing = 0
        self.held: dict[int, Any] = {}

    # --- values

    def bind(self, t: Tensor, value: Any) -> None:
        """From now on the tensor stands for that value of the graph."""
        self.known[_place(t)] = value, t._storage.version
        if id(t._storage.shown) not in self.own:
            self.storages.add(id(t._storage.shown))
        self.kept.append(t._storage.shown)

    def is_known(self, t: Tensor) -> bool:
        """Whether the tensor came from the inputs by recorded ways."""
        found = self.known.get(_place(t))
        return found is not None and found[1] == t._storage.version

    def ref(self, t: Any) -> Any:
        """The value that a tensor stands for; a constant where it does not depend on inputs."""
        if t is None or isinstance(t, (Value, Sizes, Constant)):
            return t
        if id(t) in self.held:
            return self.held[id(t)]
        place = _place(t)
        found = self.known.get(place)
        if found is not None and found[1] == t._storage.version:
            return found[0]
        lost = self.lost.get(place)
        if lost is not None:
            raise UnsupportedOperatorError(_not_known(*lost))
        if found is not None or id(t._storage.shown) in self.storages:
            raise UnsupportedOperatorError(
                f"a tensor{_at(user_line())} shares memory with another in a way that ONNX cannot "
                "say: write without operations in place, or clone() it"
            )
        if edge_of(t) is not None:
            raise UnsupportedOperatorError(
                f"a tensor that is used{_at(user_line())} was made of the inputs by an operator "
                "that has no rule for ONNX"
            )
        self.kept.append(t)
        return Constant(place, array_of(t), t._meta.dtype, self.names.get(place, ""))

    def number(self, x: Any, kind: dtype) -> Any:
        """A Python number as a constant of a dtype, or a tensor cast to it."""
        if isinstance(x, Tensor):
            return self.cast(x, kind)
        array = torch.tensor(x, dtype=kind)
        return Constant((kind, repr(x)), array_of(array), kind, "")

    def cast(self, t: Any, kind: dtype) -> Any:
        """A tensor's value in another dtype."""
        if t._meta.dtype is kind:
            return self.ref(t)
        return self.op("Cast", t, to=kind)

    # --- nodes

    def op(self, kind: str, *inputs: Any, results: int = 1, **attributes: Any) -> Any:
        """Add a node: inputs are values, tensors, lists of sizes, or None."""
        refs = [Sizes(tuple(map(int, i))) if isinstance(i, list) else self.ref(i) for i in inputs]
        if isinstance(attributes.get("to"), dtype):
            attributes["to"] = ELEMENT[attributes["to"]]
        return self.graph.add(kind, refs, results, attributes)

    # --- the functions that record

    def replaced(self, name: str, fn: Callable) -> Callable:
        """`fn`, recording what it does."""
        base = name if name in NODES or name in MADE_OF or name in SAME else name.rstrip("_")
        if name.startswith("__i") and name.endswith("__") and f"__{name[3:]}" in NODES:
            base = f"__{name[3:]}"  # __iadd__ is __add__ in place
        if base in MADE_OF:
            return self._composed(name, fn, MADE_OF[base])
        if base in NODES or base in SAME:
            return self._noded(name, fn, NODES.get(base))
        return self._watched(name, fn)

    def _composed(self, name: str, fn: Callable, made: Callable) -> Callable:
        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.depth or not self._depends(args, kwargs):
                return fn(*args, **kwargs)
            self.composing += 1
            try:
                out = made(*args, **kwargs)
            except NotExpressible as error:
                raise UnsupportedOperatorError(_not_known(name, user_line(), error)) from None
            finally:
                self.composing -= 1
            if name.endswith("_") and not name.endswith("__"):
                value, target = self.ref(out), args[0]
                target.copy_(out.detach())
                self.bind(target, value)
                return target
            return out

        return call

    def _noded(self, name: str, fn: Callable, rule: Callable | None) -> Callable:
        signature = inspect.signature(fn)

        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.depth or not self._depends(args, kwargs):
                return fn(*args, **kwargs)
            outer = self.held
            self.held = {id(t): self.ref(t) for t in tensors_in([args, kwargs])}
            self.depth += 1
            try:
                out = fn(*args, **kwargs)
                if rule is None:
                    values = self.held[id(next(tensors_in([args, kwargs])))]
                    if name in ("to", "type_as", "type") or out.dtype is not args[0].dtype:
                        values = self.cast(args[0], out.dtype)
                else:
                    bound = signature.bind(*args, **kwargs)
                    bound.apply_defaults()
                    values = rule(self, Arguments(**bound.arguments), out)
            except NotExpressible as error:
                raise UnsupportedOperatorError(_not_known(name, user_line(), error)) from None
            finally:
                self.depth -= 1
                self.held = outer
            values = values if type(values) in (list, tuple) else [values]
            for t, value in zip(tensors_in(out), values):
                if value is not None:
                    self.bind(t, value)
            return out

        return call

    def _watched(self, name: str, fn: Callable) -> Callable:
        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.depth or not self._depends(args, kwargs):
                return fn(*args, **kwargs)
            if name in _LOOKS:
                warnings.warn(
                    f"{name}{_at(user_line())} looks at a tensor's numbers: the exported graph "
                    "keeps what they were in this run",
                    OnnxExporterWarning,
                    stacklevel=2,
                )
                return fn(*args, **kwargs)
            out = fn(*args, **kwargs)
            if name in _SHAPED:
                return out
            for t in tensors_in(out):
                if not self.is_known(t):
                    self.lost[_place(t)] = name, user_line()
                    self.kept.append(t)
            return out

        return call

    def _depends(self, args: Any, kwargs: Any) -> bool:
        """Whether a call has a tensor that came from the inputs.

        In a composition also one that is a parameter, which so keeps its name in the graph.
        """
        return any(
            id(t._storage.shown) in self.storages
            or _place(t) in self.lost
            or (self.composing and (_place(t) in self.names or self.is_known(t)))
            for t in tensors_in([args, kwargs])
        )

    def run(self, fn: Callable, args: tuple, kwargs: dict) -> Any:
        """Call `fn` with everything recorded."""
        undo: list[tuple[Any, str, Any]] = []
        recording: dict[int, Callable] = {}  # by the id of what is replaced

        def replace(place: Any, name: str, old: Any, new: Any) -> None:
            undo.append((place, name, old))
            setattr(place, name, new)

        for place, prefix in _PLACES:
            for name, old in list(vars(place).items()):
                if isinstance(old, property) and place is Tensor and name in _PROPERTIES:
                    new = property(self.replaced(name, old.fget), old.fset)  # type: ignore
                    replace(place, name, old, new)
                elif isinstance(old, types.FunctionType) and _is_public(name):
                    for each in (old, getattr(old, "__wrapped__", None)):
                        if each is not None and id(each) not in recording:
                            recording[id(each)] = self.replaced(prefix + name, each)
                    replace(place, name, old, recording[id(old)])
        for holder in _holders(fn):
            for name, old in list(vars(holder).items()):
                if isinstance(old, types.FunctionType) and id(old) in recording:
                    replace(holder, name, old, recording[id(old)])
        try:
            return fn(*args, **kwargs)
        finally:
            for place, name, old in reversed(undo):
                setattr(place, name, old)


def _holders(fn: Any) -> list[Any]:
    """Who may hold a public function under a name of its own and call it so.

    The operators' files, the model's modules (`self.activation = F.relu`) and the files that these
    are written in (`from torch.nn.functional import relu`).
    """
    own = list(fn.modules()) if isinstance(fn, torch.nn.Module) else []
    files = {type(each).__module__ for each in own} | {getattr(fn, "__module__", None)}
    names = [n for n in sys.modules if n.startswith("bital.ops.") or n in files]
    spaces = [sys.modules[n] for n in names]
    return [each for each in (*spaces, *own) if each not in (torch, torch.nn.functional)]


def _is_public(name: str) -> bool:
    return name not in _LEFT and (not name.startswith("_") or name.startswith("__"))


def _at(line: tuple) -> str:
    return f' at File "{line[0]}", line {line[1]}'


def _not_known(name: str, line: tuple, reason: Any = "") -> str:
    why = f": {reason}" if str(reason) else ""
    return f"bital does not export {name!r} to ONNX{why}. It is used{_at(line)}, in {line[2]}"
