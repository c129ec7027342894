"""Trees: nested tuples, lists, dictionaries and registered classes, taken apart and put together.

Room: base; the standard library only. What `torch.utils._pytree` offers and the function transforms
use. A leaf is whatever is of no registered class, None included.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

IsLeaf = Callable[[Any], bool] | None


class SequenceKey(NamedTuple):
    """Element `idx` of a sequence, as a step of a path."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, tree: Any) -> Any:
        return tree[self.idx]


class MappingKey(NamedTuple):
    """What a dictionary has under `key`, as a step of a path."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, tree: Any) -> Any:
        return tree[self.key]


class GetAttrKey(NamedTuple):
    """The attribute `name`, as a step of a path."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, tree: Any) -> Any:
        return getattr(tree, self.name)


class NodeDef(NamedTuple):
    """How a class is taken apart into (children, context) and made of them again."""

    type: type
    flatten_fn: Callable[[Any], tuple[list, Any]]
    unflatten_fn: Callable[[Iterable, Any], Any]
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Any]] | None


class namedtuple:
    """Stands for every class made by `collections.namedtuple`."""


SUPPORTED_NODES: dict[type, NodeDef] = {}


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[list, Any]],
    unflatten_fn: Callable[[Iterable, Any], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Callable | None = None,
    from_dumpable_context: Callable | None = None,
    flatten_with_keys_fn: Callable[[Any], tuple[list, Any]] | None = None,
) -> None:
    """Make instances of `cls` inner nodes of trees; ValueError where they are already."""
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)


def register_dataclass(
    cls: type,
    *,
    field_names: list[str] | None = None,
    drop_field_names: list[str] | None = None,
    serialized_type_name: str | None = None,
) -> None:
    """Make a dataclass an inner node whose children are its fields."""
    if field_names is None:
        field_names = [f.name for f in dataclasses.fields(cls) if f.init]
    names = [name for name in field_names if name not in (drop_field_names or ())]

    def flatten(node: Any) -> tuple[list, Any]:
        present = [name for name in names if getattr(node, name) is not None]
        absent = [name for name in names if name not in present]
        return [getattr(node, name) for name in present], [present, absent]

    def unflatten(children: Iterable, context: Any) -> Any:
        present, absent = context
        return cls(**dict(zip(present, children)), **dict.fromkeys(absent))

    def with_keys(node: Any) -> tuple[list, Any]:
        children, context = flatten(node)
        return [(GetAttrKey(name), c) for name, c in zip(context[0], children)], context

    register_pytree_node(cls, flatten, unflatten, flatten_with_keys_fn=with_keys)


def _sequence(cls: type) -> None:
    def with_keys(node: Any) -> tuple[list, Any]:
        return [(SequenceKey(k), child) for k, child in enumerate(node)], None

    register_pytree_node(
        cls, lambda node: (list(node), None), lambda children, _: cls(children),
        flatten_with_keys_fn=with_keys,
    )  # fmt: skip


def _mapping(cls: type, make: Callable[[Iterable, Any], Any], extra: Callable[[Any], Any]) -> None:
    def with_keys(node: Any) -> tuple[list, Any]:
        return [(MappingKey(key), child) for key, child in node.items()], extra(node)

    register_pytree_node(
        cls, lambda node: (list(node.values()), extra(node)), make, flatten_with_keys_fn=with_keys
    )


_sequence(tuple)
_sequence(list)
_mapping(dict, lambda children, keys: dict(zip(keys, children)), list)
_mapping(OrderedDict, lambda children, keys: OrderedDict(zip(keys, children)), list)
_mapping(
    defaultdict,
    lambda children, context: defaultdict(context[0], zip(context[1], children)),
    lambda node: [node.default_factory, list(node)],
)
register_pytree_node(
    deque,
    lambda node: (list(node), node.maxlen),
    lambda children, maxlen: deque(children, maxlen=maxlen),
    flatten_with_keys_fn=lambda node: (
        [(SequenceKey(k), child) for k, child in enumerate(node)], node.maxlen,
    ),
)  # fmt: skip
register_pytree_node(
    namedtuple,
    lambda node: (list(node), type(node)),
    lambda children, cls: cls(*children),
    flatten_with_keys_fn=lambda node: (
        [(GetAttrKey(name), child) for name, child in zip(node._fields, node)], type(node),
    ),
)  # fmt: skip

_DICTIONARIES = (dict, OrderedDict, defaultdict)


def is_namedtuple(tree: Any) -> bool:
    """Whether something is an instance of a named tuple's class."""
    cls = type(tree)
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def node_type(tree: Any) -> type:
    """The class in SUPPORTED_NODES by which something would be taken apart."""
    return namedtuple if type(tree) not in SUPPORTED_NODES and is_namedtuple(tree) else type(tree)


class TreeSpec:
    """The shape of a tree: what it is besides its leaves."""

    __slots__ = ("type", "_context", "_children", "num_leaves", "num_nodes")

    num_nodes: int
    num_leaves: int

    def __init__(self, type: Any, context: Any, children: list[TreeSpec]) -> None:
        self.type, self._context, self._children = type, context, children
        self.num_nodes = 1 + sum(c.num_nodes for c in children)
        self.num_leaves = sum(c.num_leaves for c in children)

    @property
    def context(self) -> Any:
        return self._context

    @property
    def num_children(self) -> int:
        return len(self._children)

    def children(self) -> list[TreeSpec]:
        return list(self._children)

    def child(self, index: int) -> TreeSpec:
        return self._children[index]

    def is_leaf(self) -> bool:
        return False

    def unflatten(self, leaves: Iterable) -> Any:
        """The tree of this shape with the given leaves; ValueError where they are too many."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec "
                f"refers to a pytree that holds {self.num_leaves} items ({self})."
            )
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator) -> Any:
        children = [child._build(leaves) for child in self._children]
        return SUPPORTED_NODES[self.type].unflatten_fn(children, self._context)

    def flatten_up_to(self, tree: Any) -> list:
        """The parts of `tree` where this shape has leaves; ValueError where it is of another."""
        found: list = []
        self._collect(tree, found)
        return found

    def _collect(self, tree: Any, found: list) -> None:
        kind = node_type(tree)
        alike = kind is self.type or (kind in _DICTIONARIES and self.type in _DICTIONARIES)
        if not alike:
            raise ValueError(f"Node type mismatch; expected {self.type}, but got {kind}.")
        children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
        if len(children) != len(self._children):
            raise ValueError(
                f"Node arity mismatch; expected {len(self._children)}, but got {len(children)}."
            )
        if kind in _DICTIONARIES:
            keys = self._context[1] if self.type is defaultdict else self._context
            missing, more = set(keys) - set(tree), set(tree) - set(keys)
            if missing or more:
                raise ValueError(
                    f"Node keys mismatch; missing key(s): {missing or '{}'}; "
                    f"extra key(s): {more or '{}'}."
                )
            children = [tree[key] for key in keys]
        elif context != self._context:
            raise ValueError(
                f"Node context mismatch for node type {self.type}; expected {self._context!r}, but "
                f"got {context!r}."
            )
        for spec, child in zip(self._children, children):
            spec._collect(child, found)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TreeSpec)
            and (self.type, self._context) == (other.type, other._context)
            and self._children == other._children
        )

    def __hash__(self) -> int:
        keys = self._context if isinstance(self._context, (list, tuple)) else ()
        return hash((self.type, repr(keys), tuple(self._children)))

    def __repr__(self, indent: int = 0) -> str:
        children = [child.__repr__(indent + 2) for child in self._children]
        inner = f",\n{' ' * (indent + 2)}".join(children)
        return f"TreeSpec({self.type.__name__}, {self._context!r}, [{inner}])"


class LeafSpec(TreeSpec):
    """The shape of a leaf."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.num_leaves = 1

    def is_leaf(self) -> bool:
        return True

    def _build(self, leaves: Iterator) -> Any:
        return next(leaves)

    def _collect(self, tree: Any, found: list) -> None:
        found.append(tree)

    def __repr__(self, indent: int = 0) -> str:
        return "*"


_LEAF = LeafSpec()


def tree_is_leaf(tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether a tree is one leaf."""
    return (is_leaf is not None and is_leaf(tree)) or node_type(tree) not in SUPPORTED_NODES


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list, TreeSpec]:
    """The leaves in order, and the shape; `is_leaf` may call inner nodes leaves."""
    leaves: list = []
    return leaves, _flatten(tree, leaves, is_leaf)


def _flatten(tree: Any, leaves: list, is_leaf: IsLeaf) -> TreeSpec:
    if tree_is_leaf(tree, is_leaf):
        leaves.append(tree)
        return _LEAF
    kind = node_type(tree)
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    return TreeSpec(kind, context, [_flatten(child, leaves, is_leaf) for child in children])


def tree_unflatten(leaves: Iterable, treespec: TreeSpec) -> Any:
    """The tree of a shape with the given leaves."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "Expected `treespec` to be an instance of PyTreeSpec but got item of type "
            f"{type(treespec)}."
        )
    return treespec.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list:
    """The leaves in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: Any, is_leaf: IsLeaf = None) -> Iterator:
    """The leaves in order, one by one."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> TreeSpec:
    """The shape alone."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable, tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """The tree of func's results for the leaves of `tree` and what `rests` have in their place."""
    leaves, spec = tree_flatten(tree, is_leaf)
    return spec.unflatten(map(func, leaves, *[spec.flatten_up_to(rest) for rest in rests]))


def tree_map_(func: Callable, tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """Call func for every leaf; returns the tree itself."""
    leaves, spec = tree_flatten(tree, is_leaf)
    deque(map(func, leaves, *[spec.flatten_up_to(rest) for rest in rests]), maxlen=0)
    return tree


def _selects(which: Any) -> Callable[[Any], bool]:
    if isinstance(which, (type, tuple)) or not callable(which):
        return lambda leaf: isinstance(leaf, which)
    return which


def _only(which: Any, func: Callable) -> Callable:
    selected = _selects(which)
    return lambda leaf: func(leaf) if selected(leaf) else leaf


def tree_map_only(which: Any, /, func: Callable, tree: Any, is_leaf: IsLeaf = None) -> Any:
    """tree_map of the leaves of some types, or that a function selects; others stay."""
    return tree_map(_only(which, func), tree, is_leaf=is_leaf)


def tree_map_only_(which: Any, /, func: Callable, tree: Any, is_leaf: IsLeaf = None) -> Any:
    """Call func for the leaves of some types; returns the tree itself."""
    return tree_map_(_only(which, func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether pred holds for all leaves."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether pred holds for any leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(which: Any, /, pred: Callable, tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether pred holds for all leaves of some types."""
    return all(pred(leaf) for leaf in tree_iter(tree, is_leaf) if isinstance(leaf, which))


def tree_any_only(which: Any, /, pred: Callable, tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether pred holds for any leaf of some types."""
    return any(pred(leaf) for leaf in tree_iter(tree, is_leaf) if isinstance(leaf, which))


def tree_flatten_with_path(tree: Any, is_leaf: IsLeaf = None) -> tuple[list, TreeSpec]:
    """The leaves as pairs (path, leaf), a path being a tuple of keys; and the shape."""
    return list(_paths(tree, (), is_leaf)), tree_structure(tree, is_leaf)


def _paths(tree: Any, path: tuple, is_leaf: IsLeaf) -> Iterator[tuple[tuple, Any]]:
    if tree_is_leaf(tree, is_leaf):
        yield path, tree
        return
    with_keys = SUPPORTED_NODES[node_type(tree)].flatten_with_keys_fn
    if with_keys is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {type(tree)}. Please pass a "
            "flatten_with_keys_fn argument to register_pytree_node."
        )
    for key, child in with_keys(tree)[0]:
        yield from _paths(child, (*path, key), is_leaf)


def tree_leaves_with_path(tree: Any, is_leaf: IsLeaf = None) -> list:
    """The pairs (path, leaf)."""
    return list(_paths(tree, (), is_leaf))


def tree_map_with_path(func: Callable, tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """tree_map of a function that gets the path first."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    paths, leaves = [path for path, _ in found], [leaf for _, leaf in found]
    others = [spec.flatten_up_to(rest) for rest in rests]
    return spec.unflatten(map(func, paths, leaves, *others))


def keystr(kp: tuple) -> str:
    """A path as it is written after the tree's name."""
    return "".join(str(key) for key in kp)


def key_get(obj: Any, kp: tuple) -> Any:
    """What lies at a path."""
    for key in kp:
        obj = key.get(obj)
    return obj


def broadcast_prefix(tree: Any, spec: TreeSpec, is_leaf: IsLeaf = None) -> list | None:
    """`tree`, a leaf of which may stand for a whole branch of `spec`, with one leaf per leaf."""
    if tree_is_leaf(tree, is_leaf):
        return [tree] * spec.num_leaves
    if spec.is_leaf() or node_type(tree) is not spec.type:
        return None
    children, context = SUPPORTED_NODES[spec.type].flatten_fn(tree)
    if len(children) != spec.num_children or context != spec.context:
        return None
    found: list = []
    for child, inner in zip(children, spec.children()):
        part = broadcast_prefix(child, inner, is_leaf)
        if part is None:
            return None
        found.extend(part)
    return found


def treespec_pprint(spec: TreeSpec) -> str:
    """The shape written as the tree would be, with * for leaves."""

    class Star:
        def __repr__(self) -> str:
            return "*"

    return repr(spec.unflatten([Star()] * spec.num_leaves))
