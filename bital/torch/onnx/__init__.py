"""`torch.onnx`: writing a model as an ONNX file, by recording one run of it.

Needs the packages of `pip install "bital[onnx]"`, which are imported when they are used. What the
model runs is recorded function by function (see `_capture`); where axes are dynamic it is run
again with another size of each, and sizes that differ are computed in the graph.
"""

from __future__ import annotations

import enum
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import bital.torch as torch
from bital.base.atomic import write_file
from bital.base.errors import missing_attribute
from bital.torch.onnx import (  # the rules are declared when they are imported
    _elementwise,
    _layers,
    _losses,
    _recurrent,
    _shapes,
    errors,
)
from bital.torch.onnx._arguments import Call, dynamic_axes_of
from bital.torch.onnx._graph import Builder, Differs
from bital.torch.onnx.errors import OnnxExporterError, OnnxExporterWarning

producer_name = "bital"
producer_version = torch.__version__
#: the operators are written as of this version
_OPSET = 18
_RULES = (_elementwise, _layers, _losses, _recurrent, _shapes)


class TrainingMode(enum.Enum):
    """In which mode the model is recorded."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(enum.Enum):
    """How operators are written; bital writes ONNX's own."""

    ONNX = 0
    ONNX_ATEN = 1
    ONNX_ATEN_FALLBACK = 2
    ONNX_FALLTHROUGH = 3


class ONNXProgram:
    """An exported model: `model_proto`, `save(path)`, and a call runs it in onnxruntime."""

    def __init__(self, model_proto: Any) -> None:
        self.model_proto = model_proto
        self._session: Any = None

    def save(self, destination: str | os.PathLike, **kwargs: Any) -> None:
        """Write the file, whole or not at all."""
        data = self.model_proto.SerializeToString()
        write_file(destination, lambda file: file.write(data))

    def __call__(self, *args: Any, **kwargs: Any) -> tuple:
        """Run the model in onnxruntime on tensors, in the order of its inputs or by name."""
        import onnxruntime

        if self._session is None:
            self._session = onnxruntime.InferenceSession(
                self.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
            )
        names = [each.name for each in self._session.get_inputs()]
        given = dict(zip([n.name for n in self.model_proto.graph.input], args)) | kwargs
        feeds = {name: given[name].detach().numpy() for name in names}
        return tuple(torch.from_numpy(out) for out in self._session.run(None, feeds))

    def __repr__(self) -> str:
        graph = self.model_proto.graph
        inputs = ", ".join(each.name for each in graph.input)
        outputs = ", ".join(each.name for each in graph.output)
        return f"ONNXProgram({inputs} -> {outputs}; {len(graph.node)} nodes)"


def export(
    model: Any,
    args: Any = (),
    f: str | os.PathLike | None = None,
    *,
    kwargs: dict[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamic_shapes: Any = None,
    dynamic_axes: Mapping[str, Any] | None = None,
    training: TrainingMode = TrainingMode.EVAL,
    export_params: bool = True,
    **options: Any,
) -> ONNXProgram:
    """Run `model(*args, **kwargs)` and give what it ran as an ONNX program, written to `f` too.

    Parameters and buffers become initializers under their names in `state_dict`. dynamic_axes maps
    names of inputs to their dynamic axes ([0, 2] or {0: "batch"}); dynamic_shapes does so in
    torch.export's form. The options of PyTorch's exporters that are not named here are accepted.
    Raises UnsupportedOperatorError with the function and the line for what ONNX, or bital, cannot
    say; the model is as before, whatever happens.
    """
    _need_packages()
    if not export_params:
        raise OnnxExporterError("bital exports models with their parameters only")
    args = args if isinstance(args, (tuple, list)) else (args,)
    call = Call(model, tuple(args), dict(kwargs or {}), input_names, output_names)
    axes = dynamic_axes_of(call, dynamic_axes, dynamic_shapes)
    was_training = getattr(model, "training", None)
    try:
        if was_training is not None and training is not TrainingMode.PRESERVE:
            model.train(training is TrainingMode.TRAINING)
        first = call.record([])
        symbols = list({axis.name: axis for axis in reversed(axes)}.values())
        others = [call.record([a for a in axes if a.name == s.name]) for s in symbols]
    finally:
        if was_training is not None:
            model.train(was_training)
    try:
        proto = Builder(first, others, symbols).model(
            type(model).__name__, _OPSET, producer_name, producer_version
        )
    except Differs as error:
        raise OnnxExporterError(f"the axes cannot be dynamic: {error}") from None
    program = ONNXProgram(_as_opset(proto, opset_version))
    if f is not None:
        program.save(f)
    return program


def _need_packages() -> None:
    try:
        import onnx  # noqa: F401 (only whether it is there)
    except ImportError:
        raise OnnxExporterError(
            'torch.onnx.export needs the package onnx: pip install "bital[onnx]"'
        ) from None


def _as_opset(proto: Any, wanted: int | None) -> Any:
    """The model with the operators of another opset, where onnx can translate it."""
    if wanted is None or wanted == _OPSET:
        return proto
    from onnx import version_converter

    try:
        return version_converter.convert_version(proto, wanted)
    except Exception as error:
        warnings.warn(
            f"the model stays at opset {_OPSET}, as onnx cannot translate it to {wanted}: {error}",
            OnnxExporterWarning,
            stacklevel=3,
        )
        return proto


def is_in_onnx_export() -> bool:
    """Whether a model is being exported in this moment."""
    return Call.running > 0


__all__ = [
    "ONNXProgram", "OnnxExporterError", "OperatorExportTypes", "TrainingMode", "errors", "export",
    "is_in_onnx_export",
]  # fmt: skip
__getattr__ = missing_attribute("torch.onnx")
