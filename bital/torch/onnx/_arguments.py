"""What an exported model is called with: names of inputs and outputs, and dynamic axes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import bital.torch as torch
from bital.torch.onnx._capture import Recorder, _place, tensors_in
from bital.torch.onnx._graph import Axis, Graph
from bital.torch.onnx.errors import OnnxExporterError


def _mapped(x: Any, change: Any) -> Any:
    """Nested containers with each tensor changed."""
    if isinstance(x, torch.Tensor):
        return change(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*[_mapped(each, change) for each in x])
    if isinstance(x, (list, tuple)):
        return type(x)(_mapped(each, change) for each in x)
    if isinstance(x, dict):
        return {key: _mapped(each, change) for key, each in x.items()}
    return x


def _signature_names(model: Any, args: tuple, kwargs: dict) -> list[tuple[str, Any]]:
    """The arguments with the names of the model's parameters."""
    fn = model.forward if isinstance(model, torch.nn.Module) else model
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return [(f"input_{k}", a) for k, a in enumerate(args)] + list(kwargs.items())
    named: list[tuple[str, Any]] = []
    for name, value in bound.arguments.items():
        kind = inspect.signature(fn).parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            named += [(f"{name}_{k}", each) for k, each in enumerate(value)]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            named += list(value.items())
        else:
            named.append((name, value))
    return named


class Call:
    """A model and its arguments; `record` runs it."""

    running: ClassVar[int] = 0

    def __init__(
        self,
        model: Any,
        args: tuple,
        kwargs: dict[str, Any],
        input_names: Sequence[str] | None,
        output_names: Sequence[str] | None,
    ) -> None:
        self.model, self.args, self.kwargs = model, args, kwargs
        self.output_names = list(output_names or ())
        self.arguments = _signature_names(model, args, kwargs)
        self.inputs: list[tuple[str, Any]] = []
        for name, value in self.arguments:
            found = list(tensors_in(value))
            alone = isinstance(value, torch.Tensor)
            self.inputs += [(name if alone else f"{name}_{k}", t) for k, t in enumerate(found)]
        for k, name in enumerate(input_names or ()):
            if k < len(self.inputs):
                self.inputs[k] = (name, self.inputs[k][1])

    def _parameter_names(self) -> dict[tuple, str]:
        if not isinstance(self.model, torch.nn.Module):
            return {}
        tensors = [*self.model.named_parameters(), *self.model.named_buffers()]
        return {_place(t): name for name, t in reversed(tensors)}

    def record(self, axes: Sequence[Axis]) -> Graph:
        """The graph of one run, with the second sizes of the axes given."""
        recorder = Recorder(self._parameter_names())
        made: dict[int, Any] = {}
        for k, (name, t) in enumerate(self.inputs):
            mine = [axis for axis in axes if axis.input == k]
            copy = t.detach().clone()
            for axis in mine:
                order = torch.arange(axis.second) % axis.first
                copy = copy.index_select(axis.axis, order)
            # whatever is made of it can be told, since it needs a gradient
            if copy.is_floating_point():
                copy = copy.requires_grad_().clone()
            made[id(t)] = copy
            value = recorder.graph.value()
            recorder.bind(copy, value)
            recorder.graph.inputs.append((name, value, copy.dtype, tuple(copy.shape)))
        args, kwargs = _mapped((self.args, self.kwargs), lambda t: made[id(t)])
        is_module = isinstance(self.model, torch.nn.Module)
        parameters = list(self.model.parameters()) if is_module else []
        wanted = [p.requires_grad for p in parameters]
        Call.running += 1
        try:
            for p in parameters:
                p.requires_grad = False
            with torch.enable_grad():
                out = recorder.run(self.model, args, kwargs)
            self._outputs(recorder, out)
        finally:
            Call.running -= 1
            for p, flag in zip(parameters, wanted):
                p.requires_grad = flag
        return recorder.graph

    def _outputs(self, recorder: Recorder, out: Any) -> None:
        tensors = list(tensors_in(out))
        if not tensors:
            raise OnnxExporterError("the model returns no tensor")
        names = list(self.output_names)
        for k in range(len(names), len(tensors)):
            names.append("output" if len(tensors) == 1 else f"output_{k}")
        for name, t in zip(names, tensors):
            entry = name, recorder.ref(t), t.dtype, tuple(t.shape)
            recorder.graph.outputs.append(entry)


def dynamic_axes_of(call: Call, dynamic_axes: Any, dynamic_shapes: Any) -> list[Axis]:
    """The dynamic axes of a call's inputs, each with a second size, one for equal names."""
    found: list[tuple[int, int, str]] = []
    places = {name: k for k, (name, _) in enumerate(call.inputs)}
    if dynamic_axes:
        for name, spec in dynamic_axes.items():
            if name in places:
                found += _axes_in(places[name], name, spec)
    if dynamic_shapes:
        specs = _shape_specs(call, dynamic_shapes)
        for k, ((name, _), spec) in enumerate(zip(call.inputs, specs)):
            found += _axes_in(k, name, spec)
    axes: list[Axis] = []
    second: dict[str, int] = {}
    for number, axis, name in found:
        t = call.inputs[number][1]
        axis %= t.dim()
        first = int(t.shape[axis])
        second.setdefault(name, first + 3)
        axes.append(Axis(name, number, axis, first, second[name]))
    return axes


def _axes_in(number: int, name: str, spec: Any) -> list[tuple[int, int, str]]:
    """(input, axis, axis's name) of one input's dynamic axes."""
    if spec is None:
        return []
    if isinstance(spec, Mapping):
        pairs = list(spec.items())
    elif all(isinstance(each, int) for each in spec):
        pairs = [(each, None) for each in spec]
    else:
        pairs = list(enumerate(spec))
        pairs = [(axis, each) for axis, each in pairs if each is not None]
    found = []
    for axis, each in pairs:
        words = each if isinstance(each, str) else getattr(each, "__name__", None)
        if isinstance(spec, Mapping) and each is None:
            continue
        found.append((number, int(axis), words or f"{name}_{axis}"))
    return found


def _shape_specs(call: Call, dynamic_shapes: Any) -> list[Any]:
    """torch.export's form, a spec per argument, as one per tensor."""
    specs: list[Any] = []
    by_name = isinstance(dynamic_shapes, Mapping)
    for k, (name, value) in enumerate(call.arguments):
        if by_name:
            spec = dynamic_shapes.get(name)
        else:
            spec = dynamic_shapes[k] if k < len(dynamic_shapes) else None
        found = list(tensors_in(value))
        if isinstance(value, torch.Tensor):
            specs.append(spec)
        elif isinstance(spec, (list, tuple)) and len(spec) == len(found):
            specs += list(spec)
        else:
            specs += [None] * len(found)
    return specs
