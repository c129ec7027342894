"""The cache on disk: found again, never trusted when damaged, bounded, shared by processes."""

import ctypes
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bital.base import config
from bital.codegen import cache, elf, jit, stamp, target

pytest.importorskip("llvmlite")


def text(number: int) -> str:
    """A function `f` that returns the number."""
    return f"define i64 @f() nounwind {{\n  ret i64 {number}\n}}\n"


def built(number: int) -> tuple[int, bool]:
    """What the built function returns, and whether its code came from the cache."""
    library = jit.build(text(number))
    return ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("f"))(), library.from_cache


def entries(root: Path) -> list[Path]:
    return sorted(root.glob("*/*"))


@pytest.fixture
def root(tmp_path):
    """The folder of an empty cache."""
    with config.override(cache=True, cache_dir=str(tmp_path / "code")):
        yield tmp_path / "code"


def test_code_is_found_again(root):
    assert built(5) == (5, False)
    assert built(5) == (5, True)
    assert built(6) == (6, False)
    assert len(entries(root)) == 2
    assert os.name == "nt" or stat.S_IMODE(root.stat().st_mode) == 0o700


def test_it_can_be_switched_off(root):
    with config.override(cache=False):
        assert [built(5), built(5)] == [(5, False)] * 2
    assert not root.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: b"",
        lambda entry: entry[:20],
        lambda entry: entry[:-1],
        lambda entry: entry + b"\0",
        lambda entry: b"x" + entry[1:],
        lambda entry: entry[:-9] + bytes([entry[-9] ^ 1]) + entry[-8:],
        lambda entry: os.urandom(len(entry)),
    ],
)
def test_a_damaged_entry_is_replaced(root, damage):
    assert built(7) == (7, False)
    (path,) = entries(root)
    right = path.read_bytes()
    path.write_bytes(damage(right))
    assert built(7) == (7, False)
    assert path.read_bytes() == right
    assert built(7) == (7, True)


def test_an_entry_under_another_key_is_ignored(root):
    built(7)
    (path,) = entries(root)
    built(8)
    other = next(entry for entry in entries(root) if entry != path)
    other.write_bytes(path.read_bytes())
    assert built(8) == (8, False)


def test_a_folder_that_cannot_be_used_is_tolerated(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for place in (tmp_path / "file", tmp_path / "file" / "inside", Path("/proc/no/such")):
        with config.override(cache=True, cache_dir=str(place)):
            assert [built(9), built(9)] == [(9, False)] * 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_tolerated(root):
    root.mkdir(mode=0o500)
    assert [built(9), built(9)] == [(9, False)] * 2


def test_the_key_holds_all_that_the_code_depends_on(monkeypatch):
    keys = {
        cache.key_of("text", "options"),
        cache.key_of("text", "others"),
        cache.key_of("texts", "options"),
    }
    for name in ("versions", "processor"):
        monkeypatch.setattr(stamp, name, lambda: "another")
        keys.add(cache.key_of("text", "options"))
    assert len(keys) == 5


def test_versions_and_the_processor_are_found_without_llvmlite():
    program = """
        import sys
        from bital.codegen import elf, stamp
        print(stamp.versions(), stamp.processor())
        assert "llvmlite" not in sys.modules or not elf.SERVED
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    from llvmlite import __version__, binding

    assert __version__ in done.stdout and "llvmlite" in done.stdout
    if elf.SERVED:  # the features that code generation goes by are among them
        have = set(done.stdout.split())
        wanted = [
            name for name in ("avx2", "fma", "avx512f") if binding.get_host_cpu_features()[name]
        ]
        assert have.issuperset(wanted)


def test_without_facts_the_processor_is_llvms(monkeypatch):
    monkeypatch.setattr(stamp, "_cpuinfo", lambda: {"flags": "fpu"})
    assert target.host().processor.features in stamp.processor.__wrapped__()


def test_source_that_changed_since_the_process_began_has_no_name(monkeypatch, tmp_path):
    (tmp_path / "plan").mkdir()
    for room in stamp._ROOMS:
        (tmp_path / room).mkdir(exist_ok=True)
    file = tmp_path / "plan" / "graph.py"
    names = set()
    monkeypatch.setattr(sys.modules["bital"], "__path__", [str(tmp_path)])
    for text, time in [("", 5.0), ("x", 5.0), ("x", 6.0)]:
        file.write_text(text)
        os.utime(file, (time, time))
        names.add(stamp.source())
    assert len(names) == 3 and None not in names
    os.utime(file, (2e9 * 4, 2e9 * 4))
    assert stamp.source() is None
    monkeypatch.setattr(sys.modules["bital"], "__path__", [str(tmp_path / "nowhere")])
    assert stamp.source() is None


def test_the_oldest_leave(root):
    keys = [bytes([number]) * 32 for number in range(1, 9)]
    for age, key in enumerate(keys):
        cache.put(key, [bytes(600), bytes(384)])
        (path,) = root.glob(f"*/{key.hex()}.o")
        os.utime(path, (1e9 - age, 1e9 - age))
    assert cache.get(keys[7]) == [bytes(600), bytes(384)]  # the oldest was used now
    half_written = root / "01" / ".left.tmp"
    half_written.touch()
    recent = root / "01" / ".new.tmp"
    recent.touch()
    os.utime(half_written, (1e9, 1e9))
    cache.trim(root, most_bytes=10000)
    assert all(cache.get(key) for key in keys) and recent.exists() and not half_written.exists()
    for age, key in enumerate(keys[:7]):
        os.utime(root / key.hex()[:2] / f"{key.hex()}.o", (1e9 - age, 1e9 - age))
    cache.trim(root, most_bytes=6000)
    assert [cache.get(key) is not None for key in keys] == [True] * 3 + [False] * 4 + [True]


def test_putting_trims(root, monkeypatch):
    monkeypatch.setattr(cache, "trim", lambda root: trimmed.append(root))
    trimmed = []
    for number in range(256):
        cache.put(bytes([number]) + bytes(31), [])
    assert trimmed == [root] * 8


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/bital"),
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/bital"),
        ("darwin", {"HOME": "/home/me", "XDG_CACHE_HOME": "/x"}, "/home/me/Library/Caches/bital"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/bital"),
        ("win32", {}, None),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths are POSIX's")
def test_the_folder_is_the_users(monkeypatch, platform, environment, expected):
    monkeypatch.setattr(cache.sys, "platform", platform)
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with config.override(cache=True, cache_dir=""):
        found = cache.folder()
    assert found == (Path(expected) if expected else None)


def compile_in_processes(root: Path, number: int) -> None:
    """So many processes, forked from one, build the same text at the same time."""
    program = f"""
        import os
        from bital.codegen import jit
        from tests.codegen.test_cache import built
        jit.build("define void @warm() nounwind {{ ret void }}")
        children = []
        begin, start = os.pipe()
        for _ in range({number}):
            if not (child := os.fork()):
                os.close(start)
                os.read(begin, 1)  # until the parent has forked all
                os._exit(0 if built(11)[0] == built(11)[0] == 11 else 1)
            children.append(child)
        os.close(start)
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert not any(ends), ends
        assert built(11) == (11, True)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "BITAL_CACHE": "1", "BITAL_CACHE_DIR": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in entries(root)] == [".o", ".o"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("number", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_processes_share_a_folder(tmp_path, number):
    compile_in_processes(tmp_path, number)
