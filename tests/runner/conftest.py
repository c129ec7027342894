"""Running small programs under python and under bital, in a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.structure.source import ROOT


class Outcome(NamedTuple):
    """What a process left behind."""

    code: int
    stdout: str
    stderr: str


class Programs:
    """A folder of small programs, and processes that run them in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def python(self, *arguments: str, stdin: str = "", **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def bital(self, *arguments: str, stdin: str = "", **environment: str) -> Outcome:
        return self.python("-m", "bital", *arguments, stdin=stdin, **environment)

    def same(self, *arguments: str, stdin: str = "") -> Outcome:
        """Run under both; assert the same output, errors and exit code, and give them."""
        expected = self.python(*arguments, stdin=stdin)
        assert self.bital("run", *arguments, stdin=stdin) == expected
        return expected


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)
