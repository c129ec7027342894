"""How many cores a process may use, on machines made of files."""

import pytest

from bital.base import cores


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of four processors on two cores, without control groups so far."""
    for cpu in range(4):
        folder = tmp_path / f"cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    monkeypatch.setattr(cores, "_CPUS", tmp_path / "cpu")
    monkeypatch.setattr(cores, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_threads_of_one_core_count_once(machine, monkeypatch):
    assert cores.available_cores() == 2
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda pid: {1, 3}, raising=False)
    assert cores.available_cores() == 1
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda pid: {7, 8, 9}, raising=False)
    assert cores.available_cores() == 3  # nothing is known about these


@pytest.mark.parametrize(("quota", "expected"), [("max", 2), ("150000", 1), ("50000", 1)])
def test_a_control_group_bounds_them(machine, quota, expected):
    write(machine / "own", "0::/outer/inner\n")
    write(machine / "groups/outer/cpu.max", f"{quota} 100000\n")
    write(machine / "groups/outer/inner/cpu.max", "max 100000\n")
    assert cores.available_cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 2), ("100000", 1)])
def test_a_control_group_of_version_1_bounds_them(machine, quota, expected):
    write(machine / "own", "4:cpu,cpuacct:/here\n3:cpuset:/\n0::/\n")
    write(machine / "groups/cpu,cpuacct/here/cpu.cfs_quota_us", f"{quota}\n")
    write(machine / "groups/cpu,cpuacct/here/cpu.cfs_period_us", "100000\n")
    assert cores.available_cores() == expected
