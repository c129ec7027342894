"""Gradients of convolutions as functions: `conv2d_input`, `conv2d_weight` and their like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.torch.nn import functional as F


def _input_gradient(conv: Callable, name: str) -> Callable:
    def gradient(
        input_size: Any,
        weight: Any,
        grad_output: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        """The gradient of a convolution's input of that size, given its result's."""
        with torch.enable_grad():
            x = grad_output.new_zeros(input_size).requires_grad_()
            out = conv(x, weight.detach(), None, stride, padding, dilation, groups)
        return torch.autograd.grad(out, x, grad_output)[0]

    gradient.__name__ = gradient.__qualname__ = name
    return gradient


def _weight_gradient(conv: Callable, name: str) -> Callable:
    def gradient(
        input: Any,
        weight_size: Any,
        grad_output: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        """The gradient of a convolution's weight of that size, given its result's."""
        with torch.enable_grad():
            w = grad_output.new_zeros(weight_size).requires_grad_()
            out = conv(input.detach(), w, None, stride, padding, dilation, groups)
        return torch.autograd.grad(out, w, grad_output)[0]

    gradient.__name__ = gradient.__qualname__ = name
    return gradient


conv1d_input = _input_gradient(F.conv1d, "conv1d_input")
conv1d_weight = _weight_gradient(F.conv1d, "conv1d_weight")
conv2d_input = _input_gradient(F.conv2d, "conv2d_input")
conv2d_weight = _weight_gradient(F.conv2d, "conv2d_weight")
conv3d_input = _input_gradient(F.conv3d, "conv3d_input")
conv3d_weight = _weight_gradient(F.conv3d, "conv3d_weight")
