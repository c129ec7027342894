"""Cores: how many this process may use, and how many threads it is to use.

Room: base; the standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

_CPUS = Path("/sys/devices/system/cpu")
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")

_threads = 0  # 0: nobody has asked or set it yet
#: called when the number of threads was set
changed: list[Callable[[], None]] = []


def set_threads(count: int) -> None:
    """Let what is computed from now on use up to so many threads; ValueError for none."""
    global _threads
    if count < 1:
        raise ValueError(f"expected a positive number of threads, got {count}")
    _threads = count
    for notice in changed:
        notice()


def get_threads() -> int:
    """How many threads may be used: as set, else OMP_NUM_THREADS, else the cores there are."""
    global _threads
    if not _threads:
        first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
        _threads = int(first) if first.isdecimal() and int(first) else available_cores()
    return _threads


def available_cores() -> int:
    """Physical cores that the process may run on, no more than its control group's share."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = {_siblings(cpu) for cpu in os.sched_getaffinity(0)}
    return max(1, min(len(cores), int(_quota())))


def _siblings(cpu: int) -> str:
    """The processors that share a core with this one, itself among them, as the system lists it."""
    try:
        return (_CPUS / f"cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def _quota() -> float:
    """How many processors' time the control groups around this process have, or very many."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return 1e9
    found = [1e9]
    for line in lines:  # "0::/path" for version 2, "4:cpu,cpuacct:/path" for version 1
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = _GROUPS / controllers
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            found.append(_group_quota(folder / group.relative_to("/")))
    return min(found)


def _group_quota(group: Path) -> float:
    """What one control group allows: quota over period, both in µs."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return float(quota) / float(period) if float(quota) > 0 else 1e9
    except (OSError, ValueError, ZeroDivisionError):  # "max", or no such file: no bound
        return 1e9
