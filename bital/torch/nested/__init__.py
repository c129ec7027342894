"""`torch.nested`: tensors of tensors of different sizes; bital has none."""

from __future__ import annotations

from typing import Any, NoReturn

from bital.base.errors import Unsupported, missing_attribute


def nested_tensor(tensor_list: Any, **options: Any) -> NoReturn:
    """Raises: pad the tensors, with a mask, in their place."""
    raise Unsupported(
        "torch.nested: bital has no nested tensors. Use torch.nn.utils.rnn.pad_sequence and a mask"
    )


as_nested_tensor = nested_tensor_from_jagged = narrow = to_padded_tensor = nested_tensor
__getattr__ = missing_attribute("torch.nested")
