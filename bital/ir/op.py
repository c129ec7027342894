"""Op: the declaration of a primitive; Spec: a primitive for given operands and attributes.

Room: ir. An Op says in one place what a primitive is: how its result looks (`rule`), what it
computes (`impl`, against an array namespace), how gradients flow (`vjp`, made of recorded
operations) and what PyTorch calls its node. A Spec is that declaration resolved for operand metas
and attributes; it is made once, memoised, and named by identity in traces.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from bital.base import config
from bital.base.device import together
from bital.base.dtype import LOW_PRECISION, default, dtype
from bital.ir.batch import AS_IT_IS, Batch, Batching, into_contiguous, looped, placed
from bital.ir.batch import broadcast as broadcasting
from bital.ir.batch import elementwise as by_element
from bital.ir.meta import Meta, meta_of

#: a memo that outgrows this starts afresh (programs whose shapes never repeat)
_MEMO_LIMIT = 4096
#: bytes that recording one instruction counts, beside its result, towards the trace's bound
INSTRUCTION_BYTES = config.trace_max_bytes // config.trace_max_ops

REGISTRY: dict[str, Op] = {}


def _forget_specs() -> None:
    for op in REGISTRY.values():
        op.memo.clear()


default.forget.append(_forget_specs)


class Spec:
    """A primitive resolved for its operands: what an instruction names.

    `out` is the meta of the result, or a tuple of them; `fn` takes arrays (and run-time
    parameters) and returns the result; `compute` is the dtype that operands are cast to before,
    None where they come as they are; `attrs` are the normalised attributes `fn` was bound to.
    """

    __slots__ = ("op", "metas", "attrs", "out", "fn", "compute", "cost", "asked", "nodes")

    def __init__(
        self,
        op: Op,
        metas: tuple[Meta, ...],
        attrs: Mapping[str, Any],
        out: Meta | tuple[Meta, ...],
        fn: Callable,
        compute: dtype | None,
    ) -> None:
        self.op, self.metas, self.attrs, self.fn = op, metas, attrs, fn
        self.out: Any = out
        self.compute = compute
        outs = out if isinstance(out, tuple) else (out,)
        self.asked: tuple = ()  # the attributes as the operator's rule got them
        # made by the tensor room: per choice of inputs that need gradients how a node is made
        self.nodes: dict[int, Any] = {}
        self.cost = INSTRUCTION_BYTES + sum(m.nbytes * prod(m.device.sizes) for m in outs)

    def __repr__(self) -> str:
        attrs = "".join(f" {k}={v!r}" for k, v in self.attrs.items())
        return f"{self.op.name}({', '.join(map(repr, self.metas))}){attrs} -> {self.out!r}"


#: where a name that a vjp asks for comes from
INPUT, OUTPUT, ATTR, PARAM, SHAPE, META = range(6)
#: in place of an input's index: the rule gives the gradients of all inputs
TOGETHER = -1


def asking(fn: Callable, *names: str) -> Callable:
    """A gradient rule made of `fn`: it gets what comes in, and then what `names` say."""

    def rule(*values: Any) -> Any:
        return fn(*values)

    rule.asks = names  # type: ignore[attr-defined]
    return rule


def asked_by(rule: Callable) -> tuple[str, ...]:
    """What a gradient rule asks for: the names it was given, or those of its arguments."""
    names = getattr(rule, "asks", None)
    return own_names(rule)[1:] if names is None else names


def own_names(fn: Callable) -> tuple[str, ...]:
    """The names of a function's arguments; to ask `inspect` takes twenty times longer."""
    code = fn.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


class Vjp:
    """The gradient rule of an Op for one choice of inputs that need gradients.

    `saves` lists the tensors a node keeps for it, (INPUT, i) or (OUTPUT, k); `parts` holds per
    wanted input its index, its rule, and where each of the rule's arguments comes from. `once`
    says that backward uses up what the node keeps, be it a number that PyTorch keeps as a tensor.
    A rule for all inputs together has the index TOGETHER.
    """

    __slots__ = ("saves", "parts", "outputs", "once")

    def __init__(self, op: Op, wanted: list[int]) -> None:
        saves: list[tuple[int, Any]] = []
        parts = []
        for i in (TOGETHER,) if callable(op.vjp) else wanted:
            rule = op.vjp if callable(op.vjp) else op.vjp[min(i, len(op.vjp) - 1)]
            if rule is None:
                continue
            places = [op.locate(n) for n in asked_by(rule)]
            saves += [p for p in places if p[0] <= OUTPUT and p not in saves]
            parts.append((i, rule, places))
        self.saves = tuple(saves)
        self.parts = tuple(parts)
        self.outputs = {k: n for n, (kind, k) in enumerate(saves) if kind == OUTPUT}
        used = [kind for _, _, places in parts for kind, _ in places]
        self.once = bool(saves) or (op.empty_edges > 0 and PARAM in used)


class Op:
    """A primitive (or, with `impl=None`, the gradient half of a composite).

    name      PyTorch's name of the operator
    inputs    names of its tensor operands, by which a vjp asks for them
    params    names of run-time scalar operands, in order, after the tensors
    rule      (*metas, *attrs) -> (meta or metas, attributes for impl[, compute dtype])
    impl      name of a function of the array namespace, or a function (xp, *arrays, **attributes)
    vjp       per input a function (g, *names) -> gradient, or None where there is none; names are
              those of inputs, params, attributes, `out` (or `out0`, `out1`…), or an input's name
              with `_shape` or `_meta`. For several results g is a tuple with None for absent ones.
              One function instead of a tuple of them gives the gradients of all inputs, in order.
    grad_fn   PyTorch's name of the node, "AddBackward0"
    elementwise  results follow their operands' memory order, as PyTorch's TensorIterator does
    out       "any": impl takes out=, which may be any operand of the result's meta; "first": impl
              takes out=, which must be the first operand; "each": impl has several results and
              takes out=, a tuple with for each result k the buffer of operand k, or None where
              that one must be left alone; None: it takes no out
    alias     the result may share memory with the first operand
    fresh     the result is a buffer of its own, contiguous
    positive_zero  results are no -0 (short of underflow), so that adding them to zeros changes
              nothing: sums of products, which begin at +0
    fallible  impl may raise for the data it meets; the user's line is kept for the message
    empty_edges  edges that PyTorch's node has beside the inputs', where it takes a number for a
              tensor
    native    what impl does, in array words only (see bital.plan.symbolic), where impl itself is
              written for NumPy alone; compiled plans are made of it
    batch     how impl is applied to the arrays of many examples at once (see bital.ir.batch), by
              default as a whole for elementwise operators, in a loop for others; `AS_IT_IS` where
              rule and impl mean those arrays themselves
    """

    __slots__ = (
        "name", "inputs", "params", "rule", "impl", "vjp", "grad_fn", "elementwise", "out",
        "alias", "fresh", "fallible", "positive_zero", "empty_edges", "native", "batch", "memo",
        "node_class", "nodes",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        rule: Callable,
        impl: str | Callable | None,
        *,
        inputs: tuple[str, ...] = ("x",),
        params: tuple[str, ...] = (),
        vjp: tuple[Callable | None, ...] | Callable = (),
        grad_fn: str | None = None,
        elementwise: bool = False,
        out: str | None = None,
        alias: bool = False,
        fresh: bool = True,
        fallible: bool = False,
        positive_zero: bool = False,
        empty_edges: int = 0,
        native: Callable | None = None,
        batch: Batching | None = None,
    ) -> None:
        self.name, self.rule, self.impl, self.inputs, self.params = name, rule, impl, inputs, params
        self.vjp, self.elementwise, self.out = vjp, elementwise, out
        self.alias, self.fresh, self.fallible = alias, fresh and not alias, fallible
        self.positive_zero = positive_zero
        self.empty_edges = empty_edges
        self.native = native
        self.batch: Batching = batch or _default_batching(impl, elementwise)
        self.grad_fn = grad_fn or f"{name.title().replace('_', '')}Backward0"
        self.memo: dict[tuple, Spec] = {}
        # made by the tensor room when first needed: what the operator's nodes are, and per choice
        # of inputs that need gradients
        self.node_class: type | None = None
        self.nodes: dict[int, Any] = {}
        if name in REGISTRY:
            raise ValueError(f"operator {name!r} is declared twice")
        REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"<Op {self.name}>"

    def resolve(self, metas: tuple[Meta, ...], attrs: tuple) -> Spec:
        """The Spec for operands and attributes; argument errors are raised here, once."""
        got = self.rule(*metas, *attrs)
        out, kwargs = got[0], got[1]
        compute = got[2] if len(got) > 2 else None
        if compute is not None and all(m.dtype is compute for m in metas):
            compute = None
        fn = self._bind(metas, out, kwargs)
        where = together([m.device for m in metas])
        if where is not None and self.batch is not AS_IT_IS:
            out = placed(out, where)
            fn = self.batch(Batch(metas, attrs, out, kwargs, fn, where.sizes, self.resolve))
            fn = into_contiguous(fn) if self.out == "first" else fn
        spec = Spec(self, metas, kwargs, out, fn, compute)
        spec.asked = attrs
        if len(self.memo) >= _MEMO_LIMIT:
            self.memo.clear()
        return self.memo.setdefault((metas, attrs), spec)

    def _bind(self, metas: tuple[Meta, ...], out: Any, kwargs: Mapping[str, Any]) -> Callable:
        if self.impl is None:
            return _not_run
        if isinstance(self.impl, str):
            fn = getattr(np, self.impl)
            fn = functools.partial(fn, **kwargs) if kwargs else fn
        else:
            fn = functools.partial(self.impl, np, **kwargs)
        low = isinstance(out, Meta) and out.dtype in LOW_PRECISION
        if self.elementwise and low and any(m.dtype in LOW_PRECISION for m in metas):
            return functools.partial(_in_float32, fn, out.np)
        return fn

    def vjp_for(self, wanted: int) -> Vjp:
        """The gradient rule when the inputs whose bits are set in `wanted` need gradients."""
        return Vjp(self, [i for i in range(wanted.bit_length()) if wanted >> i & 1])

    def locate(self, name: str) -> tuple[int, Any]:
        """Where the value that a vjp calls `name` comes from."""
        if name in self.inputs:
            return INPUT, self.inputs.index(name)
        if name in self.params:
            return PARAM, self.params.index(name)
        if name.startswith("out") and (name == "out" or name[3:].isdigit()):
            return OUTPUT, int(name[3:] or 0)
        for suffix, kind in (("_shape", SHAPE), ("_meta", META)):
            if name.endswith(suffix) and name.removesuffix(suffix) in self.inputs:
                return kind, self.inputs.index(name.removesuffix(suffix))
        return ATTR, name


def _default_batching(impl: Any, elementwise: bool) -> Batching:
    if not elementwise:
        return looped
    return broadcasting if isinstance(impl, str) else by_element


def _in_float32(fn: Callable, np_dtype: np.dtype, *args: Any, out: Any = None) -> np.ndarray:
    """Half-precision arithmetic as PyTorch's CPU kernels do it: in float32, rounded once."""
    wide = [
        a.astype(np.float32)
        if a.__class__ is np.ndarray or isinstance(a, np.generic) and a.dtype.itemsize == 2
        else a
        for a in args
    ]
    result = fn(*wide).astype(np_dtype)
    if out is None:
        return result
    out[...] = result
    return out


def _not_run(*args: Any) -> Any:
    raise RuntimeError("a composite operator has no implementation of its own")


def same_as(x: Meta, *_: Any) -> tuple[Meta, dict]:
    """The rule of an operator whose result looks like its first operand."""
    return x, {}


def like(x: Meta, shape: tuple[int, ...], dtype: dtype | None = None) -> Meta:
    """The meta of another shape, and perhaps dtype, on x's device."""
    return meta_of(shape, x.dtype if dtype is None else dtype, x.device)
