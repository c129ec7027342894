"""torch.utils._pytree: trees of containers, which programs take apart and put together."""

from typing import Any

from bital.base import tree as _tree
from bital.base.errors import missing_attribute
from bital.base.tree import (
    SUPPORTED_NODES,
    GetAttrKey,
    LeafSpec,
    MappingKey,
    NodeDef,
    SequenceKey,
    TreeSpec,
    is_namedtuple,
    key_get,
    keystr,
    register_dataclass,
    register_pytree_node,
    tree_all,
    tree_all_only,
    tree_any,
    tree_any_only,
    tree_flatten,
    tree_flatten_with_path,
    tree_is_leaf,
    tree_iter,
    tree_leaves,
    tree_leaves_with_path,
    tree_map,
    tree_map_,
    tree_map_only,
    tree_map_only_,
    tree_map_with_path,
    tree_structure,
    tree_unflatten,
    treespec_pprint,
)

__all__ = [
    "SUPPORTED_NODES", "GetAttrKey", "LeafSpec", "MappingKey", "NodeDef", "SequenceKey",
    "TreeSpec", "is_namedtuple", "key_get", "keystr", "register_dataclass",
    "register_pytree_node", "tree_all", "tree_all_only", "tree_any", "tree_any_only",
    "tree_flatten", "tree_flatten_with_path", "tree_is_leaf", "tree_iter", "tree_leaves",
    "tree_leaves_with_path", "tree_map", "tree_map_", "tree_map_only", "tree_map_only_",
    "tree_map_with_path", "tree_structure", "tree_unflatten", "treespec_pprint",
]  # fmt: skip

#: the name that programs written for older versions use
_register_pytree_node = register_pytree_node
_broadcast_to_and_flatten = _tree.broadcast_prefix

_get_node_type = _tree.node_type

#: for annotations: a tree, and what a class's flatten function gives besides the children
PyTree = Any
Context = Any

_dict_flatten = SUPPORTED_NODES[dict].flatten_fn
_dict_unflatten = SUPPORTED_NODES[dict].unflatten_fn
_dict_flatten_with_keys = SUPPORTED_NODES[dict].flatten_with_keys_fn

__getattr__ = missing_attribute("torch.utils._pytree")
