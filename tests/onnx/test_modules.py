"""Modules of module_db written as ONNX give in onnxruntime what they give in bital."""

import numpy as np
import pytest

from tests.onnx.modules import LEFT_OUT, MODULES

pytest.importorskip("onnx", reason="needs the packages of bital[onnx]")
pytest.importorskip("onnxruntime", reason="needs the packages of bital[onnx]")


def made(torch, name, options, inputs):
    """The module, and its inputs."""
    torch.manual_seed(0)
    options = options(torch.nn) if callable(options) else options
    cls = getattr(torch.nn, name)
    module = cls(**options) if isinstance(options, dict) else cls(*options)
    tensors = [i(torch) if callable(i) else torch.randn(i) for i in inputs]
    for buffer in module.buffers():  # statistics that are not those of a new module
        if buffer.dtype.is_floating_point:
            buffer.uniform_(0.5, 1.5)
    return module, tensors


def flat(torch, x):
    if isinstance(x, torch.Tensor):
        return [x]
    return [t for each in x if each is not None for t in flat(torch, each)]


@pytest.mark.parametrize("number", range(len(MODULES)), ids=lambda k: f"{MODULES[k][0]}-{k}")
def test_a_module_runs_the_same_in_onnxruntime(torch, number):
    name, options, inputs = MODULES[number]
    if not hasattr(torch.nn, name):
        pytest.skip(f"bital has no torch.nn.{name}")
    module, tensors = made(torch, name, options, inputs)
    module.eval()
    expected = flat(torch, module(*tensors))
    module.train()
    program = torch.onnx.export(module, tuple(tensors), training=torch.onnx.TrainingMode.EVAL)
    assert module.training
    names = {n.name for n in program.model_proto.graph.initializer}
    assert names & dict(module.named_parameters()).keys() or not list(module.parameters()) or (
        name in ("RNN", "GRU", "LSTM", "InstanceNorm2d")
    )  # fmt: skip
    got = program(*tensors)
    assert len(got) == len(expected)
    for ours, run in zip(expected, got):
        assert tuple(run.shape) == tuple(ours.shape)
        np.testing.assert_allclose(run.numpy(), ours.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_every_entry_of_module_db_is_exported_or_has_a_reason(oracle):
    common = pytest.importorskip("torch.testing._internal.common_modules")
    entries = {m.name.removeprefix("nn.") for m in common.module_db}
    exported = {name for name, _, _ in MODULES}
    assert exported | LEFT_OUT.keys() == entries and not exported & LEFT_OUT.keys()
