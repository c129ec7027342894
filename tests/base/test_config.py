"""Switches: how the environment is read, and overrides for a while."""

import os
import subprocess
import sys

import pytest

from bital.base import config
from tests.structure.source import ROOT


def in_process(expression: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from bital.base import config; print({expression})"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def test_values_come_from_the_environment():
    done = in_process(
        "sorted(config.log), config.eager, config.trace_max_ops",
        BITAL_LOG="plan, trace",
        BITAL_EAGER="1",
        BITAL_TRACE_MAX_OPS="12",
    )
    assert done.stdout == "['plan', 'trace'] True 12\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("BITAL_LOG", "traces"), ("BITAL_EAGER", "yes"), ("BITAL_PLAN_CACHE", "0")],
)
def test_a_wrong_value_is_refused_by_name(name, value):
    done = in_process("0", **{name: value})
    assert done.returncode == 1
    assert f"ValueError: {name} must be " in done.stderr and repr(value) in done.stderr


def test_every_switch_is_an_attribute():
    for switch in config.SWITCHES:
        assert hasattr(config, switch.name.removeprefix("BITAL_").lower())


def test_override_lasts_as_long_as_its_block():
    before = config.eager
    with pytest.raises(KeyError), config.override(eager=not before, plan_cache=3):
        assert config.eager is not before and config.plan_cache == 3
        raise KeyError
    assert config.eager is before
    with pytest.raises(AttributeError, match="no switch 'speed'"), config.override(speed=1):
        pass
