"""Files are written whole: whoever is killed while writing leaves the old file or the new one."""

import os
import random
import signal
import stat
import subprocess
import sys
import time

import pytest

from bital.base.atomic import write_file
from tests.structure.source import ROOT

WRITER = """
import sys
from bital import torch
path, first = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
for k in range(first, first + 100_000):
    torch.save({"k": k, "x": torch.full((40_000,), float(k))}, path)
"""


def test_a_killed_process_leaves_a_whole_file(torch, tmp_path):
    path = tmp_path / "x.pt"
    rng = random.Random(0)
    last = -1
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(last + 1)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()
        time.sleep(0.01 + rng.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if path.exists():
            got = torch.load(path)
            assert got["k"] >= last and got["x"].min() == got["x"].max() == got["k"]
            last = got["k"]
    assert last > 0


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(path, fail)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(os.name != "posix", reason="permissions, links and devices as on POSIX")
def test_permissions_links_and_devices(tmp_path):
    path = tmp_path / "x"
    write_file(path, lambda file: file.write(b"1"))
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to("x")
    write_file(link, lambda file: file.write(b"2"))
    assert link.is_symlink() and path.read_bytes() == b"2"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    write_file("/dev/null", lambda file: file.write(b"3"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
