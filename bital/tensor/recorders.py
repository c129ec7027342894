"""Recorders: how operators of one or two tensors are recorded, written out.

Room: tensor. Recording spends its time here, so what `dispatch.apply` does in general is one
function per family of operators, made from a text: it looks where the trace stands in the tree of
known programs, makes the value, the tensor and its cell, and calls almost nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from bital.ir.op import INPUT, Op
from bital.ir.prefix import UNKNOWN, Prefix
from bital.ir.trace import PARAM, Trace, Value, after, local, new_value, record_many
from bital.ir.trace import hooks as traces
from bital.tensor import tensor as tensor_module
from bital.tensor.dispatch import apply, attach, in_order
from bital.tensor.node import hooks as nodes
from bital.tensor.node import keeper_of, next_number, node_kind
from bital.tensor.tensor import (
    Tensor,
    edge_of,
    new_tensor,
    note_update,
    read,
    strides_of,
    write,
)

#: what a family of operators does, with the parts that tell families apart
_FAMILY = """
def family(op):
    memo, fallible = op.memo, op.fallible
    def call({arguments}):
        {begin}
        trace = local.trace
        if {plain}:
            {values}
            {edges}
        else:
            {layout}
            {reads}
            {none}
            if trace.grad:
                {found}
        step = trace.prefix.likely
        {operands}
        if step.op is op and {same}:
            spec, number, trace.prefix = step.spec, step.number, step
        else:
            key = (({metas},), {attrs})
            spec = memo.get(key)
            if spec is None:
                spec = op.resolve(*key)
            if spec.compute is not None:
                return apply(op, ({tensors},), {attrs}, {params})
            number = trace.length
            trace.follow((spec, {numbers}))
            step = trace.prefix
        {scalar}
        spare = trace.spare
        if spare:  # `new_value`, without a call
            value = spare.pop()
        else:
            value = Value()
            value.trace = trace
            value.buf = None
            value.shared = False
        value.meta = meta = spec.out
        value.number = number
        trace.values.append(value)
        if trace.room < step.spent or traces.keep_lines or fallible:
            after(trace, spec)
            if trace.prefix is not step:
                step = UNKNOWN
        out = new_tensor()
        out._storage = cell = tensors.cell()
        cell.value = value
        cell.version = 0
        out._meta = meta
        out._view = out._edge = out._grad = None
        if {differentiable} and trace.grad:
            wanted = {wanted}
            if trace.grad is not True or nodes.active:
                return attach(trace, spec, ({given},), wanted, ({tensors},), out, {params})
            known, cls, keep = step.kind
            if known != wanted:
                kind = spec.nodes.get(wanted)
                if kind is None:
                    kind = node_kind(spec, wanted)
                if not kind:
                    return out
                cls, keep = kind
                if step is not UNKNOWN:
                    step.kind = wanted, cls, keep
            out._edge = node = cls()
            node.edges = ({given},)
            node.metas = spec.metas
            node.spec = spec
            node.params = {params}
            node.number = next_number()
            node.extra = None
            node.prefix = step
            node.epoch = trace.epoch
            if keep is None:
                node.saved = ()
            elif keep is usual:  # without a call
                node.saved = [{kept}]
            else:
                node.saved = keep({tensors}, out)
        return out
    return call
"""


#: `trace.number`, without a call where a value is met as an operand before or is ready; the meta of
#: one that is pending follows from its number
_NUMBER = """\
if {x}.trace is trace:
    {number} = {x}.number
else:
    {number} = trace.inputs.get({x})
    if {number} is None:
        if {x}.buf is None or {x}.shared:
            {number} = trace.number({x})
        else:
            {number} = trace.inputs[{x}] = ~len(trace.inputs)
    if {different}:
        step = UNKNOWN"""

#: which inputs need gradients, by how many there are
_WANTED = {
    1: "1",
    2: "(1 if second is None else 3) if first is not None else 2",
    3: "(first is not None) + 2 * (second is not None) + 4 * (third is not None)",
}


def _family(tensors: str, attrs: str = "()", params: str = "()", windows: bool = False) -> Callable:
    """The maker of recorders of operators of `tensors`, up to three, from the text above.

    An operator that is not elementwise reads through `windows`; an elementwise one does where that
    is known to give a result in plain order, and leaves the rest to `apply`, which lays results
    out as their operands are.
    """
    names = tensors.split(", ")
    parts = list(zip(names, "xyz", "ijk", ("first", "second", "third")))
    scalar = params != "()"
    kept = (1, 0) if len(names) > 1 else (0,)  # as products: each for the other's gradient
    layout = "pass" if windows else (
        f"if ({', '.join(f'{t}._meta, strides_of({t})' for t in names)}) not in in_order: "
        f"return apply(op, ({tensors},), {attrs}, {params})"
    )  # fmt: skip
    same, operands = [], []
    for at, (t, x, number, _) in enumerate(parts):
        different = f"step.{('first', 'second')[at]} is not {t}._meta" if at < 2 else "False"
        operands += _NUMBER.format(x=x, number=number, different=different).split("\n")
        same.append(f"step.{('i', 'j', 'instruction[3]')[at]} == {number}")
    if len(names) > 2:
        same.append("step.spec.metas[2] is c._meta")
    if "kind" in attrs:
        same.append("step.attrs[0] is kind")
    elif attrs != "()":
        same.append("(step.attrs is attrs or step.attrs == attrs)")
    edges = [edge for *_, edge in parts]
    text = _FAMILY.format(
        arguments=", ".join([tensors] + ["scalar"] * scalar + ["attrs"] * (attrs == "attrs")),
        begin="kind = scalar.__class__" if "kind" in attrs else "pass",
        plain=" and ".join(f"{t}._view is None" for t in names),
        values="; ".join(f"{x} = {t}._storage.value" for t, x, *_ in parts),
        edges="; ".join(f"{edge} = {t}._edge" for t, *_, edge in parts),
        layout=layout,
        # all are read before one is numbered: to read may end the trace
        reads="; ".join(
            f"{x} = {t}._storage.value if {t}._view is None else read({t}, trace)"
            for t, x, *_ in parts
        ),
        none=f"{' = '.join(edges)} = None",
        found="; ".join(
            f"{edge} = {t}._edge if {t}._view is None else edge_of({t})" for t, *_, edge in parts
        ),
        operands="\n        ".join(operands),
        same=" and ".join(same),
        metas=", ".join(f"{t}._meta" for t in names),
        numbers=", ".join([part[2] for part in parts] + ["PARAM + len(trace.params)"] * scalar),
        scalar="trace.params.append(scalar)" if scalar else "pass",
        differentiable=f"({' or '.join(f'{edge} is not None' for edge in edges)})",
        wanted=_WANTED[len(names)],
        kept=", ".join(f"{names[k]}, {names[k]}._storage.version" for k in kept),
        given=", ".join(edges),
        tensors=tensors, attrs=attrs, params=params,
    )  # fmt: skip
    usual = keeper_of(tuple([(INPUT, k) for k in kept]), len(names))(None)
    return _maker(text, usual)


def _maker(text: str, usual: Callable) -> Callable:
    """What makes the recorder of an operator from its family's text."""
    space = {"__name__": __name__, "__package__": __package__, **_NAMES, "usual": usual}
    exec(compile(text, "<bital recorder>", "exec"), space)

    def recorder(op: Op) -> Callable:
        made = with_own_code(space["family"](op))
        made.op = op  # type: ignore[attr-defined]
        return made

    return recorder


def writing(record: Any, otherwise: Callable) -> Callable[..., Any]:
    """(a, b, *scalars) -> a: put the result of `record`, one like `a`, in the place of `a`. Hot.

    That is `a -= b` where no gradient is recorded, as in most updates; no tensor is made for the
    result. What is not whole tensors, or an instruction that is not known to follow, is left to
    `otherwise`, and all is where `record` is no recorder of an operator without attributes.
    """
    op = getattr(record, "op", None)
    if op is None:
        return otherwise
    fallible = op.fallible

    def write_result(a: Tensor, b: Any, *scalars: Any) -> Any:
        trace = local.trace
        if trace.grad or b.__class__ is not Tensor or a._view is not None or b._view is not None:
            return otherwise(a, b, *scalars)
        cell, step = a._storage, trace.prefix.likely
        old, y = cell.value, b._storage.value
        if (
            step.op is op and step.first is a._meta and step.spec.out is a._meta
            and step.second is b._meta and not (old.shared or y.shared)
        ):  # fmt: skip
            i = old.number if old.trace is trace else trace.inputs.get(old)
            if i is None:
                i = trace.number(old)
            j = y.number if y.trace is trace else trace.number(y)
            if (
                step.i == i and step.j == j
                and not (trace.room < step.spent or traces.keep_lines or fallible)
            ):  # fmt: skip
                if scalars:
                    trace.params += scalars
                trace.prefix, spare = step, trace.spare
                cell.value = value = spare.pop() if spare else new_value(trace)
                value.meta, value.number = a._meta, step.number
                trace.values.append(value)
                cell.version += 1
                if a._edge is not None or cell.apart:
                    trace.updated = True
                return a
        return otherwise(a, b, *scalars)

    return with_own_code(write_result)


def with_own_code(fn: Callable) -> Callable:
    """A closure with code of its own: Python is fast where a line always meets the same things."""
    code, own = fn.__code__.replace(), fn.__globals__
    made = FunctionType(code, own, fn.__name__, fn.__defaults__, fn.__closure__)
    return functools.update_wrapper(made, fn, updated=())


_NAMES = {
    "PARAM": PARAM, "Value": Value, "after": after, "apply": apply, "attach": attach,
    "edge_of": edge_of, "in_order": in_order, "local": local, "new_tensor": new_tensor,
    "next_number": next_number, "node_kind": node_kind, "nodes": nodes, "read": read,
    "strides_of": strides_of, "tensors": tensor_module, "traces": traces, "UNKNOWN": UNKNOWN,
}  # fmt: skip

#: `apply` for an elementwise operator of one tensor and no attributes: op -> (x) -> tensor
unary: Callable[[Op], Callable[..., Tensor]] = _family("a")
#: of two tensors
binary: Callable[[Op], Callable[..., Tensor]] = _family("a, b")
#: for an operator of one tensor and attributes that is not elementwise
unary_with: Callable[[Op], Callable[..., Tensor]] = _family("a", "attrs", windows=True)
#: of two tensors and attributes
binary_with: Callable[[Op], Callable[..., Tensor]] = _family("a, b", "attrs", windows=True)
#: of three tensors, without attributes
ternary: Callable[[Op], Callable[..., Tensor]] = _family("a, b, c", windows=True)
#: for an elementwise operator of a tensor and a run-time scalar; the rule gets the scalar's Python
#: type, which decides dtypes, the value is no part of programs
with_scalar: Callable[[Op], Callable[..., Tensor]] = _family("a", "(kind,)", "(scalar,)")
#: of two tensors and a run-time scalar
binary_with_scalar: Callable[[Op], Callable[..., Tensor]] = _family("a, b", "()", "(scalar,)")


def updating(op: Op) -> Callable[[list[Tensor], tuple, tuple, tuple], None]:
    """(tensors, more, attrs, scalars) -> None: put op's results in the place of `tensors`. Hot.

    There are two or more of these, which are op's first operands; `more` are the other ones,
    `scalars` the run-time ones, at least one. Each result looks like what it replaces; no gradient
    is recorded.
    """

    def update(tensors: list[Tensor], more: tuple, attrs: tuple, scalars: tuple) -> None:
        trace = local.trace
        step = trace.prefix.likely
        last = step
        for _ in tensors:
            last = last.likely
        operands = [*tensors, *more]
        if not (
            step.op is op
            and step.attrs == attrs
            and _are(operands, step, trace)
            and last.number == step.number + len(tensors)
            and trace.room >= last.spent
            and not traces.keep_lines
        ):
            _update(op, tensors, operands, attrs, scalars)
            return
        trace.prefix = last
        trace.params += scalars
        number, spare, values = step.number, trace.spare, trace.values
        for t in tensors:
            value = spare.pop() if spare else new_value(trace)
            number += 1
            value.meta, value.number = t._meta, number
            values.append(value)
            storage = t._storage
            storage.value = value
            storage.version += 1
            if storage.apart:
                note_update(t, trace)
            elif t._edge is not None and not trace.grad:
                trace.updated = True

    return with_own_code(update)


def _are(tensors: list[Tensor], step: Prefix, trace: Trace) -> bool:
    """Whether they and the next scalars are the operands of a known instruction; windows never."""
    inputs, instruction = trace.inputs, step.instruction
    if instruction[len(tensors) + 1] != PARAM + len(trace.params):
        return False
    for t, meta, wanted in zip(tensors, step.spec.metas, instruction[1:]):
        if t._view is not None or t._meta is not meta:
            return False
        value = t._storage.value
        number = value.number if value.trace is trace else inputs.get(value)
        if number is None:
            if value.buf is None or value.shared:
                return False
            number = inputs[value] = ~len(inputs)
        if number != wanted:
            return False
    return True


def _update(
    op: Op, tensors: list[Tensor], operands: list[Tensor], attrs: tuple, scalars: tuple
) -> None:
    """The same for an instruction that is not known to follow."""
    trace = local.trace
    key = (tuple([t._meta for t in operands]), attrs)
    spec = op.memo.get(key) or op.resolve(*key)
    values: Any = record_many(trace, spec, [read(t, trace) for t in operands], scalars)
    for t, value in zip(tensors, values, strict=True):
        write(t, value, trace)
