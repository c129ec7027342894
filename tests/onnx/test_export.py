"""torch.onnx.export: names, dynamic axes, what is refused, and that the model stays as it was."""

import math
import os

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the packages of bital[onnx]")
pytest.importorskip("onnxruntime", reason="needs the packages of bital[onnx]")


def same(program, model, *args):
    """Assert that the program gives what the model gives."""
    expected = model(*args)
    expected = expected if isinstance(expected, tuple) else (expected,)
    got = program(*args)
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5)


def network(torch):
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(inplace=True),
        torch.nn.Dropout(0.5), torch.nn.Linear(4, 2),
    )  # fmt: skip


def test_a_file_with_names(torch, tmp_path):
    model, x = network(torch), torch.randn(5, 3)
    path = tmp_path / "net.onnx"
    program = torch.onnx.export(
        model, (x,), path, input_names=["x"], output_names=["y"], opset_version=18,
        dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, do_constant_folding=True,
    )  # fmt: skip
    graph = onnx.load(path).graph
    assert os.listdir(tmp_path) == ["net.onnx"]
    assert [i.name for i in graph.input] == ["x"] and [o.name for o in graph.output] == ["y"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {i.name for i in graph.initializer} == {
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "4.weight",
        "4.bias",
    }  # fmt: skip
    assert model.training and all(p.requires_grad for p in model.parameters())
    model.eval()
    for n in (5, 1, 9):
        same(program, model, torch.randn(n, 3))


def test_other_opsets(torch):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    x = torch.randn(2, 3)
    for wanted in (17, 18, 20):
        program = torch.onnx.export(model, x, opset_version=wanted)
        assert program.model_proto.opset_import[0].version == wanted
        same(program, model, x)


def gpt(torch):
    """A decoder of one block, with the shapes that programs work out themselves."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(11, 8), nn.Embedding(16, 8)
            self.norm, self.qkv = nn.LayerNorm(8), nn.Linear(8, 24)
            self.out, self.head = nn.Linear(8, 8), nn.Linear(8, 11, bias=False)
            self.head.weight = self.tokens.weight
            self.register_buffer("mask", torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16))

        def forward(self, ids):
            B, T = ids.shape
            x = self.tokens(ids) + self.places(torch.arange(T))
            q, k, v = self.qkv(self.norm(x)).split(8, dim=2)
            q, k, v = (y.view(B, T, 2, 4).transpose(1, 2) for y in (q, k, v))
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
            y = (scores.softmax(-1) @ v).transpose(1, 2).contiguous().view(B, T, 8)
            x = x + self.out(y)
            return self.head(x[:, -1, :]), x.mean(dim=(0, 1))

    return Block()


def test_a_transformer_with_a_dynamic_batch(torch):
    model, ids = gpt(torch), torch.randint(11, (2, 5))
    program = torch.onnx.export(model, (ids,), dynamic_shapes={"ids": {0: "batch"}})
    for batch in (2, 1, 6):
        same(program, model, torch.randint(11, (batch, 5)))
    names = [i.name for i in program.model_proto.graph.initializer]
    assert names.count("tokens.weight") == 1 and "head.weight" not in names


def test_a_dynamic_size_that_stands_in_numbers_is_refused(torch):
    model, ids = gpt(torch), torch.randint(11, (2, 5))
    with pytest.raises(torch.onnx.OnnxExporterError, match="axes cannot be dynamic"):
        torch.onnx.export(model, (ids,), dynamic_shapes={"ids": {1: "time"}})


def test_sizes_are_computed_from_the_inputs(torch):
    def program(x, y):
        n, m = x.shape[0], y.shape[0]
        z = x.reshape(n * 2, 3).expand(4, n * 2, 3).transpose(0, 1)
        return z.flatten(1), torch.cat([y, y, y[:1]]).unsqueeze(1).expand(2 * m + 1, 5)

    x, y = torch.randn(4, 6), torch.randn(3)
    axes = {"x": [0], "y": {0: "m"}}
    exported = torch.onnx.export(program, (x, y), dynamic_axes=axes)
    for n, m in ((4, 3), (1, 1), (5, 2)):
        same(exported, program, torch.randn(n, 6), torch.randn(m))


def test_numbers_whose_shape_is_dynamic(torch):
    def program(x):
        n = x.shape[0]
        return x + torch.zeros(n, 1), torch.arange(n) * 2, torch.full((2, n), 3.0) @ x

    x = torch.randn(4, 3)
    exported = torch.onnx.export(program, x, dynamic_axes={"x": {0: "n"}})
    for n in (1, 4, 7):
        same(exported, program, torch.randn(n, 3))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_recurrent_networks_with_dynamic_axes(torch, name):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            options = {"num_layers": 2, "batch_first": True, "bidirectional": True}
            self.net = getattr(torch.nn, name)(3, 4, **options)
            self.head = torch.nn.Linear(8, 2)

        def forward(self, x):
            out, _ = self.net(x)
            return self.head(out[:, -1])

    model = Model()
    axes = {"x": {0: "batch", 1: "time"}}
    exported = torch.onnx.export(model, (torch.randn(2, 5, 3),), dynamic_axes=axes)
    for shape in ((2, 5, 3), (1, 1, 3), (4, 9, 3)):
        same(exported, model, torch.randn(shape))


def test_a_convolutional_network_with_a_dynamic_batch(torch):
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    x = torch.randn(2, 1, 12, 12)
    exported = torch.onnx.export(model, x, input_names=["image"], dynamic_axes={"image": [0]})
    model.eval()
    for n in (1, 2, 5):
        same(exported, model, torch.randn(n, 1, 12, 12))


def test_views_and_indices(torch):
    def program(x, index):
        a = x[..., 1:, ::2].permute(2, 0, 1)
        b = x[0, -1].unsqueeze(0).squeeze(0) + x[1, 0]
        c = x[:, index].sum(dim=(1, 2))
        d = torch.stack([x.T[0], x.mT[..., 0, :].t()], dim=1) if x.dim() == 2 else x.flip(0)
        e, f = x.chunk(2, dim=-1)
        g = torch.roll(x, 1, 1)[:, None].amax(-1)
        h = x[:, [-1, 0], :] + torch.zeros_like(x[:, :2])
        return a, b, c, d, torch.maximum(e, f), g, h, *x.max(dim=1), *x[0].unbind(0)

    x, index = torch.randn(2, 3, 4), torch.tensor([2, 0])
    same(torch.onnx.export(program, (x, index)), program, x, index)


def test_order_and_scattering(torch):
    def program(x, index):
        low, places = torch.topk(x, 2, dim=0, largest=False)
        into = torch.zeros_like(x).scatter(1, index, x) + x.scatter_add(1, index, x)
        sums = x.scatter_reduce(0, index % 3, x, "amax") * torch.outer(x[:, 0], x[0])
        return low, places, *x.sort(-1, descending=True), x.argsort(0), into, sums

    x, index = torch.randn(3, 4), torch.tensor([[3, 2, 1, 0]] * 3)
    same(torch.onnx.export(program, (x, index)), program, x, index)


def test_numbers_and_dtypes(torch):
    def program(x, n):
        y = (x + n) / 2 - 3 * n + (1 - x) ** 2 / (x.abs() + 1)
        mask = (y > 0) & ~(x >= 1) | (n == 2)
        z = torch.where(mask, y, -1.0).clamp(-2, 2)
        return z, (n // 2) % 3, y.to(torch.int64), z.double().mean(), mask.any(dim=0), n.float()

    x, n = torch.randn(3, 4), torch.arange(4)
    same(torch.onnx.export(program, (x, n)), program, x, n)


def test_operations_in_place(torch):
    def program(x):
        y = x * 2
        y += 1
        y.mul_(x).relu_()
        z = torch.nn.functional.relu(y - 1, inplace=True)
        return y, z

    x = torch.randn(3, 4)
    same(torch.onnx.export(program, x), program, x)

    def writes_a_part(x):
        y = x * 2
        y[0] = 1
        return y

    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError, match="shares memory"):
        torch.onnx.export(writes_a_part, x)


def test_functions_under_other_names(torch):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.act = torch.nn.functional.gelu

        def forward(self, x):
            return self.act(torch.nn.functional.normalize(x))

    model, x = Model(), torch.randn(3, 4)
    same(torch.onnx.export(model, x), model, x)
    assert model.act is torch.nn.functional.gelu


def test_what_is_not_known_is_named_with_its_line(torch):
    def program(x):
        return torch.linalg.inv(x) + 1

    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError) as caught:
        torch.onnx.export(program, torch.eye(3))
    line = program.__code__.co_firstlineno + 1
    assert "inv" in str(caught.value) and f"line {line}" in str(caught.value)
    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError, match="'randn_like'"):
        torch.onnx.export(lambda x: x + torch.randn_like(x), torch.ones(3))
    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError, match="random"):
        preserve = torch.onnx.TrainingMode.TRAINING
        torch.onnx.export(torch.nn.Dropout(), torch.ones(3), training=preserve)


def test_a_look_at_numbers_warns(torch):
    def program(x):
        return x * 2 if x.sum() > 0 else x

    with pytest.warns(torch.onnx.errors.OnnxExporterWarning, match="__bool__"):
        program = torch.onnx.export(program, torch.ones(3))
    assert program(torch.ones(3))[0].tolist() == [2, 2, 2]


def test_everything_is_put_back(torch):
    before = torch.relu, torch.Tensor.__add__, torch.nn.functional.linear
    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError):
        torch.onnx.export(lambda x: torch.linalg.inv(x), torch.eye(3))
    assert (torch.relu, torch.Tensor.__add__, torch.nn.functional.linear) == before
    assert not torch.onnx.is_in_onnx_export()


def test_constants_and_outputs_that_are_inputs(torch):
    weight = torch.randn(3)

    def program(x, flag=True):
        return x, {"w": weight * 2, "y": x + torch.ones(3) if flag else x}

    x = torch.randn(3)
    got = torch.onnx.export(program, (x,), kwargs={"flag": True})(x)
    for a, b in zip(got, (x, weight * 2, x + 1)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
