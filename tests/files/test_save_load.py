"""torch.save and torch.load: what is written comes back, from PyTorch and to it."""

import copy
import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from bital.base.archive import Reader, Writer
from tests.files.objects import everything, shown

GOLDEN = Path(__file__).parents[1] / "golden" / "files"


def through_bytes(obj, source, target, **options):
    """`obj` saved by one namespace and loaded by another."""
    buffer = io.BytesIO()
    source.save(obj, buffer, **options)
    buffer.seek(0)
    return target.load(buffer)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_everything_comes_back(torch, protocol):
    made = everything(torch)
    again = through_bytes(made, torch, torch, pickle_protocol=protocol)
    assert shown(again, torch) == shown(made, torch)


def test_files_of_torch_load_here_and_the_reverse(torch, oracle):
    theirs = everything(oracle)
    assert shown(through_bytes(theirs, oracle, torch), torch) == shown(theirs, oracle)
    ours = everything(torch)
    assert shown(through_bytes(ours, torch, oracle), oracle) == shown(ours, torch)


@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt"])
def test_stored_files_of_torch_load(torch, name):
    made = everything(torch)
    got = shown(torch.load(GOLDEN / name), torch)
    # the numbers of training differ in the last bits
    for plain, key in zip(shown(made, torch)[0], made):
        if key not in ("model", "optimizer"):
            assert dict(map(tuple, got[0]))[key] == plain[1], key
    assert [k for k, _ in got[0]] == list(made)


def test_sparse_tensors(torch, oracle):
    def made(lib):
        return lib.sparse_coo_tensor([[0, 2, 2], [1, 0, 0]], [1.0, 2.0, 3.0], (3, 4))

    for source, target in ((torch, torch), (oracle, torch), (torch, oracle)):
        got = through_bytes([made(source), made(source).coalesce()], source, target)
        assert [t.is_coalesced() for t in got] == [False, True]
        for t in got:
            assert t.to_dense().tolist() == made(source).to_dense().tolist()


def test_compressed_rows_and_conjugates(torch, oracle):
    def made(lib):
        return [
            lib.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]]).to_sparse_csr(),
            lib.tensor([1j]).conj(),
        ]

    for source, target in ((torch, torch), (oracle, torch), (torch, oracle)):
        rows, conjugates = through_bytes(made(source), source, target)
        assert rows.layout is target.sparse_csr and rows.col_indices().tolist() == [1, 0, 2]
        assert rows.to_dense().tolist() == [[0, 1, 0], [2, 0, 3]]
        assert conjugates.tolist() == [-1j]


def test_shared_memory_stays_shared(torch):
    x = torch.zeros(4)
    got = through_bytes([x, x[1:3], x.view(2, 2), {"x": x}], torch, torch)
    got[0][1] = 5
    assert got[1].tolist() == [5, 0] and got[2].tolist() == [[0, 5], [0, 0]]
    assert got[3]["x"] is got[0]


def test_a_tensor_loads_as_a_leaf_that_can_be_trained(torch):
    w = through_bytes(torch.ones(3, requires_grad=True) * 2, torch, torch)
    assert w.is_leaf and w.requires_grad
    (w * w).sum().backward()
    assert w.grad.tolist() == [4, 4, 4]


def test_paths_and_mapping(torch, tmp_path):
    path = tmp_path / "model.pt"
    made = everything(torch)
    torch.save(made, path)
    for where in (path, str(path)):
        assert shown(torch.load(where), torch) == shown(made, torch)
    mapped = torch.load(path, mmap=True)
    assert shown(mapped, torch) == shown(made, torch)
    mapped["views"][0].add_(1)  # the file keeps its own
    assert torch.load(path)["views"][0][0, 0] == 0
    with pytest.raises(ValueError, match="file path"):
        torch.load(io.BytesIO(path.read_bytes()), mmap=True)


def test_members_are_those_that_torch_writes(torch, tmp_path):
    path = tmp_path / "net.v1.pt"
    torch.save({"a": torch.ones(5)}, path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = [i.filename for i in archive.infolist()]
    assert names == [
        f"net.v1/{member}"
        for member in ("data.pkl", ".format_version", ".storage_alignment", "byteorder", "data/0",
                       "version", ".data/serialization_id")
    ]  # fmt: skip


def relocated(torch, where):
    """A file whose tensors say they were on device `where`."""
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(2), "b": torch.zeros(3)}, buffer)
    data = buffer.getvalue()
    archive = Reader(lambda at, n: data[at : at + n], len(data))
    out = io.BytesIO()
    writer = Writer(out.write)
    for name in archive.members:
        member = archive.read(name)
        if name.endswith("data.pkl"):
            old, new = (b"X" + len(w).to_bytes(4, "little") + w for w in (b"cpu", where))
            member = member.replace(old, new)
        writer.add(name, member)
    writer.close()
    return io.BytesIO(out.getvalue())


def test_map_location(torch):
    file = relocated(torch, b"cuda:0")
    with pytest.raises(RuntimeError, match=r"map_location=torch.device\('cpu'\)"):
        torch.load(file)
    seen = []

    def keep(storage, location):
        seen.append((location, storage.nbytes()))
        return storage

    for where in ("cpu", torch.device("cpu"), {"cuda:0": "cpu"}, keep):
        file.seek(0)
        assert torch.load(file, map_location=where)["a"].tolist() == [1, 1]
    assert seen == [("cuda:0", 8), ("cuda:0", 12)]
    file.seek(0)
    with pytest.raises(RuntimeError, match="CUDA device"):
        torch.load(file, map_location=lambda storage, location: None)
    with pytest.raises(RuntimeError, match="tagged with npu"):
        torch.load(relocated(torch, b"npu"))


class Settings:
    """A class of the program."""

    def __init__(self, width):
        self.width = width


def test_weights_only_is_the_only_way(torch):
    serialization = torch.serialization
    buffer = io.BytesIO()
    torch.save({"s": Settings(3), "w": torch.ones(1)}, buffer)
    name = f"{__name__}.Settings"
    for options in ({}, {"weights_only": True}):
        buffer.seek(0)
        with pytest.raises(pickle.UnpicklingError, match=r"add_safe_globals\(\[Settings\]\)"):
            torch.load(buffer, **options)
    buffer.seek(0)
    with pytest.warns(UserWarning, match="never runs code"), pytest.raises(pickle.UnpicklingError):
        torch.load(buffer, weights_only=False)
    buffer.seek(0)
    assert serialization.get_unsafe_globals_in_checkpoint(buffer) == [name]
    buffer.seek(0)
    with serialization.safe_globals([Settings]):
        assert serialization.get_safe_globals() == [Settings]
        assert torch.load(buffer)["s"].width == 3
    assert serialization.get_safe_globals() == []
    serialization.add_safe_globals([(Settings, name)])
    buffer.seek(0)
    assert torch.load(buffer)["s"].width == 3
    serialization.clear_safe_globals()
    with pytest.raises(RuntimeError, match="pickle_module"):
        torch.load(buffer, pickle_module=pickle)


def test_modules_go_by_their_name_in_torch(torch):
    model = torch.nn.Linear(2, 1)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    names = torch.serialization.get_unsafe_globals_in_checkpoint(buffer)
    assert names == ["torch.nn.modules.linear.Linear"]
    buffer.seek(0)
    with torch.serialization.safe_globals([torch.nn.Linear]):
        again = torch.load(buffer)
    assert repr(again) == repr(model) and torch.equal(again.weight, model.weight)
    assert again(torch.ones(1, 2)).shape == (1, 1)


def network(lib):
    nn = lib.nn
    return nn.ModuleList([
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()),
        nn.LSTM(4, 3, 2), nn.LayerNorm(4), nn.Embedding(3, 2), nn.TransformerEncoderLayer(4, 2, 8),
    ])  # fmt: skip


def named(lib, names):
    """The classes that a file names, with their names there."""
    found = []
    for name in names:
        value = lib
        for part in name.split(".")[1:]:
            value = getattr(value, part)
        found.append((value, name))
    return found


def test_whole_modules_of_torch_load_here_and_the_reverse(torch, oracle):
    for source, target in ((oracle, torch), (torch, oracle)):
        made, buffer = network(source), io.BytesIO()
        source.save(made, buffer)
        buffer.seek(0)
        if target is torch:
            allowed = named(torch, torch.serialization.get_unsafe_globals_in_checkpoint(buffer))
            buffer.seek(0)
            with torch.serialization.safe_globals(allowed):
                got = torch.load(buffer)
        else:
            got = oracle.load(buffer, weights_only=False)
        assert repr(got) == repr(made)
        assert shown(got.state_dict(), target) == shown(made.state_dict(), source)
        assert got[0](target.ones(1, 1, 5, 5)).shape == (1, 18)
        assert got[1](target.ones(5, 2, 4))[0].shape == (5, 2, 3)
        assert got[4].eval()(target.ones(3, 2, 4)).shape == (3, 2, 4)


def test_what_cannot_be_written(torch, tmp_path):
    path = tmp_path / "x.pt"
    torch.save(1, path)
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        torch.save(lambda: 1, path)
    assert torch.load(path) == 1 and os.listdir(tmp_path) == ["x.pt"]
    with pytest.raises(RuntimeError, match="Parent directory .* does not exist"):
        torch.save(1, tmp_path / "no" / "x.pt")
    x = torch.ones(2)
    with pytest.raises(RuntimeError, match="as different types"):
        torch.save([x, x.view(torch.int32)], path)
    with pytest.raises(NotImplementedError, match="zip format only"):
        torch.save(1, path, _use_new_zipfile_serialization=False)


def test_pickle_and_copy(torch):
    x = torch.arange(6.0).reshape(2, 3).T
    x.requires_grad = True
    for again in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert shown(again, torch) == shown(x, torch)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    again = pickle.loads(pickle.dumps(model))
    assert repr(again) == repr(model)
    assert shown(again.state_dict(), torch) == shown(model.state_dict(), torch)
    assert copy.copy(x).untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
