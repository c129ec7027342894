"""Files that are damaged or mean harm: a clear error, soon and in little memory, no code run."""

import contextlib
import io
import os
import pickle
import random
import struct
import time
from pathlib import Path

import pytest

from bital.base.archive import Reader, Writer

CLEAN = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError)


def members_of(data):
    """The members of an archive, in order."""
    archive = Reader(lambda at, n: data[at : at + n], len(data))
    return {name: archive.read(name) for name in archive.members}


def archive_of(members):
    """An archive of these members, as a file."""
    out = io.BytesIO()
    writer = Writer(out.write)
    for name, data in members.items():
        writer.add(name, data)
    writer.close()
    return out.getvalue()


def saved(torch):
    """A small but usual file."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    buffer = io.BytesIO()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "s": {1, 2}}
    torch.save(state, buffer)
    return buffer.getvalue()


def with_pickle(pickled, storage=b"\0" * 8):
    """A file with that pickle, and one storage of 8 bytes."""
    return io.BytesIO(archive_of({"a/data.pkl": pickled, "a/data/0": storage}))


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


#: the persistent id of the storage of 2 floats
STORAGE = (
    b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x02tQ"
)  # fmt: skip


def tensor(offset, size, stride, requires_grad=b"\x89"):
    """A pickle of one tensor on that storage."""

    def ints(values):
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", v) for v in values) + b"t"

    where = b"\x8a\x08" + struct.pack("<q", offset)
    hooks = b"ccollections\nOrderedDict\n)R"
    call = STORAGE + where + ints(size) + ints(stride) + requires_grad + hooks
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + call + b"tR."


def test_the_tensor_that_is_right_loads(torch):
    assert torch.load(with_pickle(tensor(0, [2], [1]))).tolist() == [0, 0]
    assert torch.load(with_pickle(tensor(1, [2, 3], [0, 0]))).shape == (2, 3)


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (tensor(0, [3], [1]), "reaches element 2 of a storage of 2"),
        (tensor(2, [1], [1]), "reaches element 2"),
        (tensor(-1, [1], [1]), "offset has -1"),
        (tensor(0, [-2], [1]), "size has -2"),
        (tensor(0, [2], [-1]), "stride has -1"),
        (tensor(0, [2], [1, 1]), "has size"),
        (tensor(0, [1 << 40, 1 << 40], [0, 0]), "has size"),
        (tensor(0, [1] * 65, [1] * 65), "up to 64"),
        (tensor(0, [1 << 62], [1]), "reaches element"),
    ],
)
def test_windows_out_of_their_storage(torch, pickled, message):
    with pytest.raises(pickle.UnpicklingError, match=message):
        torch.load(with_pickle(pickled))


def test_storages_of_other_sizes(torch):
    with pytest.raises(pickle.UnpicklingError, match="has 4 bytes where 2 torch.float32"):
        torch.load(with_pickle(tensor(0, [2], [1]), b"\0" * 4))
    with pytest.raises(RuntimeError, match="file not found: a/data/0"):
        torch.load(io.BytesIO(archive_of({"a/data.pkl": tensor(0, [2], [1])})))


class Trap:
    """Would run a command where pickle loads it."""

    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize("protocol", range(6))
def test_no_code_is_run(torch, protocol, monkeypatch):
    pickled = pickle.dumps(Trap(), protocol)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("code was run"))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(with_pickle(pickled))


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02cbuiltins\neval\n" + text("1") + b"\x85R.",
        b"\x80\x02cbuiltins\ngetattr\n(ctorch\nTensor\n" + text("__init__") + b"tR.",
        b"\x80\x02ctorch\nTensor\n)R.",
        b"\x80\x02ctorch\nTensor\n)\x81.",
        b"\x80\x02ctorch\nSize\n}" + text("x") + b"K\x01sb.",
        b"\x80\x02ccollections\nOrderedDict\n)R}" + text("items") + b"K\x01sb.",
        b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        b"\x80\x02(" + text("module") + b"NNtQ.",
        b"\x80\x02ctorch._utils\n_rebuild_nested_tensor\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\nctorch\nsparse_coo\nN\x86R.",
        b"\x80\x06N.",
        b"\x80\x02cos\nsystem\n.",
    ],
)
def test_what_is_not_allowed(torch, pickled):
    with pytest.raises(pickle.UnpicklingError):
        torch.load(with_pickle(pickled))


def test_bombs(torch):
    doubled = b"\x80\x02(K\x01t" + b"2\x86" * 60  # a tuple of itself, twice, sixty times
    calls = b"](" + b"K\x01" * 50_000 + b"eq\x00"
    bombs = {
        "too many parts": b"\x80\x02}" + doubled[2:] + b"Ns.",
        "61 bits": b"\x80\x02}\x8a\x0a" + b"\1" * 10 + b"Ns.",
        "copy more": b"\x80\x02" + calls + b"cbuiltins\nset\nh\x00\x85R0" * 100 + b"N.",
        "cut short": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "damaged": b"\x80\x02N" + b"j\xff\xff\xff\xff.",
    }
    begin = time.perf_counter()
    for message, pickled in bombs.items():
        with pytest.raises(pickle.UnpicklingError, match=message):
            torch.load(with_pickle(pickled))
    torch.load(with_pickle(b"\x80\x02Nr\xff\xff\xff\xff."))  # a memo index of 4 milliards
    torch.load(with_pickle(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."))
    assert time.perf_counter() - begin < 10


def test_a_cycle_is_data(torch):
    got = torch.load(with_pickle(b"\x80\x02]q\x00h\x00a."))
    assert got[0] is got


def damage(data, *changes):
    data = bytearray(data)
    for at, new in changes:
        data[at : at + len(new)] = new
    return io.BytesIO(data)


def test_archives_that_contradict_themselves(torch):
    data = saved(torch)
    begin, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    second = data.index(b"PK\1\2", begin + 4)
    huge = b"\xff\xff\xff\x7f"
    wrong = {
        "overlap": damage(data, (data.rindex(b"PK\1\2") + 20, b"\x10\0\0\0\x10\0\0\0"),
                          (begin + 20, struct.pack("<2L", len(data) - 500, len(data) - 500))),
        "fewer entries": damage(data, (end + 8, b"\x99\0\x99\0")),
        "outside": damage(data, (begin + 20, huge * 2)),
        "compressed": damage(data, (begin + 10, b"\x08\0")),
        "encrypted": damage(data, (begin + 8, b"\x01\0")),
        "two sizes": damage(data, (begin + 20, b"\0\0\0\0")),
        "another header": damage(data, (begin + 42, data[second + 42 : second + 46])),
        "several parts": damage(data, (end + 4, b"\1\0")),
        "checksum": damage(data, (begin + 16, b"\0\0\0\0")),
    }  # fmt: skip
    for message, file in wrong.items():
        with pytest.raises(RuntimeError, match=message):
            torch.load(file)
    members = members_of(data)
    twice = archive_of({**members, "archive/data/x": b""}).replace(b"data/x", b"data/0")
    with pytest.raises(RuntimeError, match="two members"):
        torch.load(io.BytesIO(twice))
    for name in ("data.pkl", "a/b/data.pkl", "a/data.pkl/x"):
        with pytest.raises(RuntimeError, match=r"no data\.pkl"):
            torch.load(io.BytesIO(archive_of({name: b"\x80\x02N."})))
    program = {**members, "archive/constants.pkl": b""}
    with pytest.raises(RuntimeError, match="TorchScript"):
        torch.load(io.BytesIO(archive_of(program)))


def test_files_that_are_none(torch):
    for data in (b"", b"x", b"PK\3\4", b"PK\3\4" + b"\0" * 100, b"\x80\x02N.", b"hello world" * 9):
        with pytest.raises(CLEAN):
            torch.load(io.BytesIO(data))
    data = saved(torch)
    for size in range(0, len(data), 97):
        with pytest.raises(CLEAN):
            torch.load(io.BytesIO(data[:size]))
    with pytest.raises(AttributeError, match="seekable"):
        torch.load(5)


def mutated(rng, data):
    """`data` with a few bytes changed, taken out, doubled or made large."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at, kind = rng.randrange(len(data)), rng.randrange(6)
        if kind <= 1:
            data[at] = rng.randrange(256)
        elif kind == 2:
            del data[at : at + rng.randrange(1, 9)]
        elif kind == 3:
            other = rng.randrange(len(data))
            data[at:at] = data[other : other + rng.randrange(1, 60)]
        elif kind == 4:
            data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"])
        else:
            del data[max(at, 200) :]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutations_raise_clean_errors(torch, seed):
    data = saved(torch)
    members = members_of(data)
    pickled = members["archive/data.pkl"]
    rng = random.Random(seed)
    slowest = 0.0
    for _ in range(400):
        if rng.random() < 0.6:
            wrong = archive_of({**members, "archive/data.pkl": mutated(rng, pickled)})
        else:
            wrong = mutated(rng, data)
        begin = time.perf_counter()
        with contextlib.suppress(CLEAN):
            torch.load(io.BytesIO(wrong))
        slowest = max(slowest, time.perf_counter() - begin)
    assert slowest < 2


@pytest.mark.parametrize("seed", range(2))
def test_mutations_of_an_older_file_raise_clean_errors(torch, seed):
    data = (Path(__file__).parents[1] / "golden" / "files" / "legacy.pt").read_bytes()
    rng = random.Random(seed)
    refused = 0
    for _ in range(150):
        try:
            torch.load(io.BytesIO(mutated(rng, data)))
        except CLEAN:
            refused += 1
    assert refused > 50
