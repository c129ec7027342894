"""`torch.nn.attention.flex_attention`: attention with a user's own rule, not there yet."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from bital.base.errors import Unsupported, missing_attribute

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "and_masks", "create_block_mask", "create_mask",
    "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(NamedTuple):
    """What `flex_attention` would give besides its result."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What `flex_attention` was asked for besides its result."""

    lse: Any = None
    max_scores: Any = None


class BlockMask:
    """There for `isinstance`; making one is refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        flex_attention()


def flex_attention(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: attention with a mask or a bias is there as one function."""
    raise Unsupported(
        "bital lacks torch.nn.attention.flex_attention; "
        "torch.nn.functional.scaled_dot_product_attention takes a mask or a bias"
    )


create_block_mask = create_mask = and_masks = or_masks = noop_mask = flex_attention

__getattr__ = missing_attribute("torch.nn.attention.flex_attention")
