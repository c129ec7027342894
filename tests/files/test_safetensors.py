"""safetensors files: by bital's own functions, and by the package under `bital run`."""

import json
import os
import random
import struct
import subprocess
import sys

import pytest

from bital.safetensors import SafetensorError, load, load_file, load_metadata, save, save_file
from tests.files.objects import DTYPES
from tests.structure.source import ROOT

NAMES = [name for name in DTYPES if name != "complex128"]


def made(torch):
    tensors = {name: torch.arange(5).to(getattr(torch, name)) for name in NAMES}
    matrix = torch.arange(12.0).reshape(3, 4)
    return {**tensors, "turned": matrix.T, "empty": torch.empty(0, 3), "비탈": torch.tensor(2.5)}


def equal(torch, a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a
    )


def test_what_is_written_comes_back(torch, tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(made(torch), path, {"format": "pt"})
    assert equal(torch, load_file(path), made(torch))
    assert load_metadata(path) == {"format": "pt"}
    assert equal(torch, load(save(made(torch))), made(torch))
    with pytest.raises(ValueError, match="complex128"):
        save({"x": torch.ones(1, dtype=torch.complex128)})
    with pytest.raises(TypeError):
        save({"x": 1})


PROGRAM = """
import sys
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save_file, save_model

folder = sys.argv[1]
tensors = load_file(f"{folder}/in.safetensors")
with safe_open(f"{folder}/in.safetensors", framework="pt") as file:
    assert file.metadata() == {"format": "pt"}
    assert torch.equal(file.get_tensor("turned"), tensors["turned"])
    assert file.get_slice("turned")[1:, :2].tolist() == [[1, 5], [2, 6], [3, 7]]
save_file(tensors, f"{folder}/out.safetensors", metadata={"format": "pt"})
model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
model[1].weight = model[0].weight
save_model(model, f"{folder}/model.safetensors")
assert load_model(model, f"{folder}/model.safetensors") == (set(), [])
print(torch.__version__)
"""


def test_the_package_works_under_bital_run(torch, tmp_path):
    pytest.importorskip("safetensors")
    save_file(made(torch), tmp_path / "in.safetensors", {"format": "pt"})
    done = subprocess.run(
        [sys.executable, "-m", "bital", "run", "-", str(tmp_path)],
        input=PROGRAM,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "bital" in done.stdout
    assert equal(torch, load_file(tmp_path / "out.safetensors"), made(torch))


def file_of(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(dtype="F32", shape=(1,), where=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(where)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        b"\xff" * 100,
        file_of(b"[" * 100_000),
        file_of([]),
        file_of({"x": 1}),
        file_of({"x": entry()}),
        file_of({"x": entry(), "y": entry()}, b"\0" * 4),
        file_of({"x": entry(where=(4, 8))}, b"\0" * 8),
        file_of({"x": entry(where=(0, 8))}, b"\0" * 8),
        file_of({"x": entry(shape=(-1,), where=(4, 0))}, b"\0" * 4),
        file_of({"x": entry(dtype="F8")}, b"\0" * 4),
        file_of({"x": entry(dtype=[])}, b"\0" * 4),
        file_of({"x": entry(shape=(1 << 40, 1 << 40))}, b"\0" * 4),
        file_of({"x": entry()}, b"\0" * 5),
        file_of({"__metadata__": {"a": 1}}),
        file_of(b'{"x":1,"x":1}'),
    ],
)
def test_wrong_files(data):
    with pytest.raises(SafetensorError):
        load(data)


def test_mutations_raise_clean_errors(torch):
    data = save(made(torch))
    rng = random.Random(0)
    refused = 0
    for _ in range(500):
        wrong = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            wrong[rng.randrange(900)] = rng.randrange(256)
        try:
            load(bytes(wrong))
        except SafetensorError:
            refused += 1
    assert refused > 300
