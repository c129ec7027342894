"""What libraries use of it while they build masks under `vmap`: nothing needs to be changed."""

from contextlib import nullcontext as TransformGetItemToIndex

__all__ = ["TransformGetItemToIndex"]
