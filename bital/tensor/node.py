"""Node: what backward keeps of an operation.

Room: tensor. Nodes carry PyTorch's names (`AddBackward0`) and point at the nodes of their inputs
through `edges`. The engine in the autograd room walks them; here is what they keep and how they
turn gradients of results into gradients of inputs.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from types import FunctionType, NoneType
from typing import Any

from bital.base.dtype import INT, dtype
from bital.ir.meta import Meta
from bital.ir.op import ATTR, INPUT, META, OUTPUT, PARAM, SHAPE, TOGETHER, Op, Spec, Vjp
from bital.ir.prefix import UNKNOWN, Prefix
from bital.ir.trace import FORWARD_ONLY, Trace, local, user_line
from bital.tensor.handle import RemovableHandle
from bital.tensor.storage import Storage

next_number = itertools.count().__next__


class Extra:
    """What few nodes have: hooks, several results, a kept line, the user's metadata."""

    __slots__ = ("outputs", "hooks", "pre_hooks", "tensor_hooks", "retained", "line", "inputs",
                 "metadata", "forward_only")  # fmt: skip

    def __init__(self) -> None:
        self.outputs = 1
        self.hooks: OrderedDict = OrderedDict()
        self.pre_hooks: OrderedDict = OrderedDict()
        # those of tensors run before the node's own
        self.tensor_hooks: OrderedDict = OrderedDict()
        self.retained: dict = {}  # output index -> what keeps its gradient
        self.line: tuple | None = None
        self.inputs: list = []  # their values, where anomaly detection wants them
        self.metadata: dict = {}
        self.forward_only = False  # made in no_grad while forward mode was recorded


class Node:
    """One step of the backward graph, `tensor.grad_fn`.

    `edges` holds per input the node its gradient goes to, an Output of it, or None, and `metas`
    what that gradient must look like; `number` grows with creation, so that consumers have larger
    numbers than what they consume. `extra` is None for most nodes.
    """

    __slots__ = ("edges", "metas", "number", "extra", "__weakref__")
    __module__ = "torch.autograd"
    #: where its trace stood when one instruction and the node were made, and which trace that was
    prefix: Prefix = UNKNOWN
    epoch = -1

    def __init__(self, edges: tuple, metas: tuple) -> None:
        self.edges = edges
        self.metas = metas
        self.number = next_number()
        self.extra: Extra | None = None
        if hooks.active:
            self.note_modes()

    def note_modes(self) -> None:
        """Off the hot path: keep the user's line, or that the node is of no use backward."""
        if hooks.keep_lines:
            self.more().line = user_line()
        if local.trace.grad is FORWARD_ONLY:
            self.more().forward_only = True

    def more(self) -> Extra:
        """The node's Extra, made when first asked for."""
        if self.extra is None:
            self.extra = Extra()
        return self.extra

    @property
    def outputs(self) -> int:
        """How many results the operation has."""
        return 1 if self.extra is None else self.extra.outputs

    def apply(self, g: Any) -> list:
        """The gradients of the inputs, aligned with `edges`, from those of the results."""
        raise NotImplementedError

    def release(self) -> None:
        """Forget what was kept for backward."""

    def sign(self, key: list, named: list, trace: Trace, fresh: dict) -> bool:
        """Append to `key` and `named` what decides which instructions `apply` records.

        `named` gets the values that it uses: their numbers in the trace, or places in `fresh`, to
        which those without a number are added (see autograd.replay). False where it cannot be
        told, or `apply` is to raise an error.
        """
        return False

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> tuple:
        return tuple(
            (None, 0)
            if e is None or e is NOWHERE
            else (e.node, e.index)
            if type(e) is Output
            else (e, 0)
            for e in self.edges
        )

    @property
    def metadata(self) -> dict:
        """A dictionary for the user's own use."""
        return self.more().metadata

    def register_hook(self, fn: Callable) -> RemovableHandle:
        """Call `fn(grad_inputs, grad_outputs)` after the node has run; it may return new ones."""
        return RemovableHandle.to(self.more().hooks, fn)

    def register_prehook(self, fn: Callable) -> RemovableHandle:
        """Call `fn(grad_outputs)` before the node runs; it may return new ones."""
        return RemovableHandle.to(self.more().pre_hooks, fn)

    def _sequence_nr(self) -> int:
        return self.number

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self):x}>"


class Output:
    """Result `index` of a node with several results, as an edge."""

    __slots__ = ("node", "index")
    prefix = UNKNOWN

    node: Node
    index: int


def output_of(node: Node, index: int) -> Output:
    """Result `index` of a node as an edge; without `__init__`, which would cost more than that."""
    edge = Output()
    edge.node, edge.index = node, index
    return edge


class AccumulateGrad(Node):
    """The end of the graph at a leaf: adds the gradient to `.grad`."""

    __slots__ = ("_variable", "tensor_hooks", "post_hooks")

    def __init__(self, variable: Any) -> None:
        super().__init__((), ())
        self._variable = weakref.ref(variable)
        self.tensor_hooks: OrderedDict | None = None
        self.post_hooks: OrderedDict | None = None

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    @property
    def variable(self) -> Any:
        """The leaf, or None when nobody holds it any more."""
        return self._variable()


def is_leaf_edge(edge: Any) -> bool:
    """Whether a tensor of that edge is a leaf: it has no history."""
    return edge is None or isinstance(edge, AccumulateGrad)


class _Nowhere(AccumulateGrad):
    """What takes the gradient of a view that requires one only because its base does."""

    __slots__ = ()

    def __init__(self) -> None:
        Node.__init__(self, (), ())

    variable = None

    def apply(self, g: Any) -> list:
        return []


SECOND_TIME = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)


class OpNode(Node):
    """The node of a declared operator: its Spec, what its gradient rule needs, and the rule.

    Each choice of inputs that need gradients has a subclass, `node_class`, whose `apply`, and what
    it keeps, are written out as Python, since forward and backward spend their time there.
    `saved` alternates tensors and their versions; what is not a plain tensor has the version None.
    """

    __slots__ = ("spec", "saved", "params", "prefix", "epoch")
    op: Op
    vjp: Vjp
    spec: Spec
    params: tuple
    saved: Any

    @property
    def outputs(self) -> int:
        return len(self.spec.out) if self.spec.out.__class__ is tuple else 1

    def keep_by_hooks(self, tensors: tuple) -> None:
        """Off the hot path: pack hooks are on, lines are wanted, or a mode must be noted."""
        if local.trace.grad is FORWARD_ONLY:
            self.more().forward_only = True
        if hooks.keep_lines:
            extra = self.more()
            extra.line, extra.inputs = user_line(), hooks.snapshot(tensors)
        if hooks.pack is not None:
            for k, (kind, i) in enumerate(self.vjp.saves):
                if kind == INPUT:
                    self.saved[2 * k : 2 * k + 2] = hooks.pack(tensors[i]), None

    @property
    def next_functions(self) -> tuple:
        return super().next_functions + ((None, 0),) * self.op.empty_edges

    def keep_output(self, k: int, tensor: Any) -> None:
        """Keep result `k` where the rule asks for it, without a cycle through the tensor."""
        place = self.vjp.outputs.get(k)
        if place is None:
            return
        if hooks.pack is None:
            self.saved[2 * place : 2 * place + 2] = saved_output(tensor, k), None
        else:
            self.saved[2 * place : 2 * place + 2] = (packed := hooks.pack(tensor.detach())), None
            packed.output = k

    def unpack(self, k: int) -> Any:
        """The k-th kept tensor, after checking that it was not overwritten."""
        if self.saved is None:
            raise RuntimeError(SECOND_TIME)
        kept, version = self.saved[2 * k : 2 * k + 2]
        if version is None:
            return kept.unpack(self)
        if isinstance(kept, Storage):  # of a result that was all of it
            if kept.version != version:
                raise_modified(self.spec.out, self, kept.version, version)
            tensor = hooks.rebuild(kept, self.spec.out, None)
            tensor._edge = self
            return tensor
        if kept._storage.version != version:
            raise_modified(kept._meta, kept._edge, kept._storage.version, version)
        return kept

    def kept_result(self, k: int) -> Any:
        """The k-th kept tensor, a result; None where hooks have packed it or it was overwritten."""
        kept, version = self.saved[2 * k : 2 * k + 2]
        if isinstance(kept, Storage):
            return self.unpack(k) if kept.version == version else None
        if not isinstance(kept, SavedOutput) or kept._storage.version != kept.version:
            return None
        return self.unpack(k)

    def release(self) -> None:
        if self.vjp.once:
            self.saved = None

    def look(self, wanted: str) -> Any:
        """PyTorch's `_saved_…`: the operand, result, scalar or attribute of that name."""
        op = self.spec.op
        name = f"_saved_{wanted}"
        sizes = wanted.endswith("_sym_sizes")
        wanted = wanted.removesuffix("_sym_sizes")
        place = op.locate({"self": op.inputs[0], "result": "out"}.get(wanted, wanted))
        if sizes and place[0] == INPUT:
            return self.spec.metas[place[1]].shape
        if place in self.vjp.saves:
            return self.unpack(self.vjp.saves.index(place))
        if place[0] == PARAM:
            return self.params[place[1]]
        if place[0] <= OUTPUT:
            return None
        if place[1] in self.spec.attrs:
            return self.spec.attrs[place[1]]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


#: values that the trace has no number for yet are numbered from here on downwards
FRESH = -(1 << 40)


def sign_tensor(t: Any, key: list, named: list, trace: Trace, fresh: dict) -> bool:
    """Append how the elements of `t` are laid out to `key`, their value's number to `named`."""
    if t._view is None:
        value = t._storage.value
    else:
        value = hooks.read(t, trace)
        key.append(t._view.strides)
        base = trace.known(t._storage.value)
        if base is not None and base >= 0:  # pending: a rule may read another window of it
            key.append(t._view.offset)
            named.append(base)
    number = trace.known(value)
    if number is None:
        if value.buf is None or value.shared:
            return False
        number = fresh.setdefault(value, FRESH - len(fresh))
    named.append(number)
    return True


#: scalars that are told apart by their class and text
_SCALARS = frozenset((bool, int, float, complex, str, NoneType))


def told_apart(params: tuple) -> tuple | None:
    """Scalars so that those which are equal are the same: 1 and 1.0, 0.0 and -0.0 are not."""
    if not _SCALARS.issuperset([p.__class__ for p in params]):
        return None
    return tuple([(p.__class__, p if p.__class__ is int else repr(p)) for p in params])


#: what a gradient rule's closure may hold for two of the same content to do the same
_COMPARED = (int, float, str, NoneType, Meta, dtype)


def rule_form(rule: Any) -> Any:
    """What tells whether two gradient rules do the same: code and closure; None if unknown."""
    if rule.__class__ is not FunctionType or rule.__defaults__ or rule.__kwdefaults__:
        return None
    form = [rule.__code__]
    for cell in rule.__closure__ or ():
        held = cell.cell_contents
        part = rule_form(held) if held.__class__ is FunctionType else _content_form(held)
        if part is None:
            return None
        form.append(part)
    return tuple(form)


def _content_form(held: Any) -> Any:
    if isinstance(held, tuple):
        parts = [_content_form(each) for each in held]
        return None if None in parts else tuple(parts)
    return (held.__class__, held) if isinstance(held, _COMPARED) else None


class SavedOutput:
    """A result kept for its own node's rule: the parts of the tensor, not the tensor itself."""

    __slots__ = ("_storage", "version", "_meta", "_view", "index")

    _storage: Any
    version: int
    _meta: Meta
    _view: Any
    index: int

    def unpack(self, node: Node) -> Any:
        if self._storage.version != self.version:
            raise_modified(self._meta, node, self._storage.version, self.version)
        tensor = hooks.rebuild(self._storage, self._meta, self._view)
        tensor._edge = node if node.outputs == 1 else output_of(node, self.index)
        return tensor


def saved_output(tensor: Any, index: int) -> SavedOutput:
    """Result `index` of a node, to be kept for its rule."""
    kept = SavedOutput()
    kept.index, kept._storage, kept.version = index, tensor._storage, tensor._storage.version
    view = tensor._view
    kept._meta, kept._view = tensor._meta, view and view.bare()
    return kept


def raise_modified(meta: Meta, edge: Any, now: int, expected: int) -> None:
    """PyTorch's error for a saved tensor, the result of `edge`, that was overwritten in place."""
    origin, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
    which = ""
    if not is_leaf_edge(origin):
        which = f", which is output {index} of {origin.name().partition('Backward')[0]},"
    raise RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [torch.{meta.dtype.legacy_name}Tensor {list(meta.shape)}]{which} is at "
        f"version {now}; expected version {expected} instead. Hint: enable anomaly detection to "
        "find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False)."
    )


class _Hooks:
    """What other modules give: saved-tensor hooks, and how a tensor is made of its parts."""

    rebuild: Callable
    read: Callable  # tensor, trace -> its elements as a value
    snapshot: Callable  # tensors -> their values, for anomaly detection
    zeros: Callable  # meta -> tensor
    rebase: Callable  # tensor, edge: the tensor was written in place
    descend: Callable  # results, their gradients, inputs -> gradients that have a graph

    def __init__(self) -> None:  # the class's own would be slow to read
        self.pack: Callable | None = None  # tensor -> object with unpack(node)
        self.keep_lines = False  # anomaly detection wants to name the user's line of every node
        self.forward_only = 0  # how many blocks of the mode FORWARD_ONLY are open
        self.active = False  # any of the three

    def set(self, **changes: Any) -> None:
        """Change `pack`, `keep_lines` or `forward_only`."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.active = self.pack is not None or self.keep_lines or self.forward_only > 0


hooks = _Hooks()


NOWHERE = _Nowhere()


def node_kind(spec: Spec, wanted: int) -> Any:
    """The nodes of `spec` where the inputs whose bits are set need gradients: class and `keep`.

    `keep(*tensors, out)` is what a node is to keep, None in its place where that is nothing. False
    where no rule gives any of the inputs a gradient, or the result cannot have one.
    """
    op = spec.op
    cls = op.nodes.get(wanted)
    if cls is None:
        cls = node_class(op, wanted)
    if cls:
        _name_saved(op.node_class, spec.attrs)  # type: ignore[arg-type]
    exact = type(spec.out) is Meta and spec.out.dtype.category <= INT
    kind: Any = False
    if cls and not exact:
        saves = cls.vjp.saves
        kind = cls, keeper_of(saves, len(spec.metas))(spec.out) if saves else None
    spec.nodes[wanted] = kind
    return kind


def new_node(
    kind: tuple, spec: Spec, edges: tuple, tensors: tuple, params: tuple, out: Any
) -> OpNode:
    """A node of a kind, made by no instruction; `out` is the result where there is only one."""
    cls, keep = kind
    node = cls()
    node.edges, node.metas = edges, spec.metas
    node.spec, node.params = spec, params
    node.number, node.extra = next_number(), None
    node.prefix, node.epoch = UNKNOWN, -1
    node.saved = () if keep is None else keep(*tensors, out)
    if out is not None and cls.vjp.outputs:
        place = cls.vjp.outputs.get(0)
        if place is not None and node.saved[2 * place] is None:
            node.keep_output(0, out)
    return node


def node_class(op: Op, wanted: int) -> Any:
    """The class of op's nodes where the inputs whose bits are set need gradients.

    False where no rule gives any of them one.
    """
    if op.node_class is None:
        named = {"__slots__": (), "op": op, "__module__": "torch.autograd"}
        op.node_class = type(op.grad_fn, (OpNode,), named)
        names = {"self", "result", *op.inputs, *op.params}
        _name_saved(op.node_class, [*names, *[f"{name}_sym_sizes" for name in names]])
    vjp = op.vjp_for(wanted) if op.vjp else None
    made: Any = False
    if vjp is not None and vjp.parts:
        # made without __init__, a call of which would cost more than all the rest
        members = {"__slots__": (), "__module__": "torch.autograd", "vjp": vjp,
                   "__init__": object.__init__, **_written_out(vjp)}  # fmt: skip
        made = type(op.grad_fn, (op.node_class,), members)
    op.nodes[wanted] = made
    return made


def _name_saved(cls: type, names: Iterable[str]) -> None:
    """Give nodes the properties `_saved_…`; a `__getattr__` would make all their others slow."""
    for name in names:
        if not hasattr(cls, f"_saved_{name}"):
            setattr(cls, f"_saved_{name}", property(functools.partial(OpNode.look, wanted=name)))


@functools.cache
def keeper_of(saves: tuple[tuple[int, int], ...], count: int) -> Callable:
    """What makes the `keep` of rules that ask for these, for `count` tensors and a result's meta.

    A result is kept as its cell where it is all of that, and else by `keep_output`.
    """
    kept = [
        f"t{i}, t{i}._storage.version" if kind == INPUT
        else "cell, cell and cell.version" if i == 0 else "None, None"
        for kind, i in saves
    ]  # fmt: skip
    lines = [
        "def keeper(whole):",
        f"    def keep({''.join([f't{i}, ' for i in range(count)])}out):",
        "        cell = None",
        "        if out is not None and out._view is None and out._meta is whole:",
        "            cell = out._storage",
        f"        return [{', '.join(kept)}]",
        "    return keep",
    ]
    if (OUTPUT, 0) not in saves:  # the same for every meta
        lines = [lines[1].strip(), lines[5], "def keeper(whole): return keep"]
    names: dict[str, Any] = {"__name__": "bital.vjp"}  # no user's line
    exec(compile("\n".join(lines), "<bital vjp>", "exec"), names)
    return names["keeper"]


def _written_out(vjp: Vjp) -> dict[str, Callable]:
    """`apply` and `sign` of the nodes of one gradient rule."""
    names: dict[str, Any] = {
        "__name__": "bital.vjp",  # no user's line
        "sign_tensor": sign_tensor,
        "told_apart": told_apart,
    }
    lines = [
        "def apply(node, g):",
        "    grads = [None] * len(node.edges)",
        "    saved = node.saved" if vjp.once else "",
        "    if saved is None: node.unpack(0)" if vjp.once else "",
    ]
    for k, (kind, _) in enumerate(vjp.saves):
        lines.append(f"    s{k} = saved[{2 * k}]")
        check = f"saved[{2 * k + 1}] is None or s{k}._storage.version != saved[{2 * k + 1}]"
        lines.append(f"    {f'if {check}: ' if kind == INPUT else ''}s{k} = node.unpack({k})")
    for i, rule, places in vjp.parts:
        names["rule" if i == TOGETHER else f"rule{i}"] = rule
        args = ["g"] + [_place(vjp, kind, where) for kind, where in places]
        call = f"({', '.join(args)})"
        lines.append(
            f"    grads = rule{call}" if i == TOGETHER else f"    grads[{i}] = rule{i}{call}"
        )
    lines.append("    return grads")
    lines += _signing(vjp)
    exec(compile("\n".join(lines), "<bital vjp>", "exec"), names)
    return {"apply": names["apply"], "sign": names["sign"]}


def _signing(vjp: Vjp) -> list[str]:
    """The source of `sign` of the nodes of one gradient rule."""
    lines = [
        "def sign(node, key, named, trace, fresh):",
        "    key.append(node.spec)",
        "    if node.params:",
        "        form = told_apart(node.params)",
        "        if form is None: return False",
        "        key.append(form)",
        "    saved = node.saved",
        "    if saved is None: return False",
    ]
    for k, (kind, _) in enumerate(vjp.saves):
        lines.append(f"    t = saved[{2 * k}]")
        if kind == INPUT:
            version = f"saved[{2 * k + 1}]"
            changed = f"{version} is None or {version} != t._storage.version"
            lines.append(f"    if {changed}: return False")
        else:
            lines.append(f"    t = node.kept_result({k})")
            lines.append("    if t is None: return False")
        lines += [
            "    number = trace.known(t._storage.value) if t._view is None else None",
            "    if number is not None: named.append(number)",
            "    elif not sign_tensor(t, key, named, trace, fresh): return False",
        ]
        if kind == OUTPUT:  # which a write in place may have made another
            lines.append("    key.append(t._meta)")
    lines.append("    return True")
    return lines


def _place(vjp: Vjp, kind: int, where: Any) -> str:
    """The Python that fetches an argument of a rule."""
    if kind <= OUTPUT:
        return f"s{vjp.saves.index((kind, where))}"
    return {
        ATTR: f"node.spec.attrs[{where!r}]",
        PARAM: f"node.params[{where}]",
        SHAPE: f"node.spec.metas[{where}].shape",
        META: f"node.spec.metas[{where}]",
    }[kind]
