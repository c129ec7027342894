"""The benchmark command: its table, its verdicts, the rewriting of the README."""

import sys

import harness
import pytest
import run

RESULTS = [
    harness.Result("Main", "주", 0.5, 0.85, "x", 1e-4, 2e-4),
    harness.Result("Recording", "기록", 3e-6, 2.5e-6, "s", 3e-6),
    harness.Result("`import torch`", "`import torch`", 1.2, None, "s", torch_s=1.2),
]


def test_verdicts():
    assert [result.verdict for result in RESULTS] == ["ok", "over", ""]


def test_table():
    lines = harness.plain_table(run.rows(RESULTS)).splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["Main", "100", "µs", "200", "µs", "0.50", "0.85", "ok"],
        ["Recording", "3", "µs", "–", "–", "2.5", "µs", "over"],
        ["`import", "torch`", "–", "1.2", "s", "–", "–"],
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (1.5, "1.5 s"), (0.25, "250 ms"), (4e-7, "0.4 µs")]
)
def test_seconds(seconds, text):
    assert harness.show_seconds(seconds) == text


def test_readme(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{run.BEGIN}\nold\n{run.END}\nafter\n", encoding="utf-8")
    table = harness.markdown_table(run.rows(RESULTS, korean=True))
    run.write_readme(readme, table)
    text = readme.read_text(encoding="utf-8")
    assert text == f"before\n{run.BEGIN}\n{table}\n{run.END}\nafter\n"
    assert "| 주 | 100 µs | 200 µs | 0.50 | 0.85 | ok |" in text
    run.write_readme(readme, table)
    assert readme.read_text(encoding="utf-8") == text


def test_readme_without_marks(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="needs the lines"):
        run.write_readme(readme, "table")


def test_recording(quick):
    alone, among_runs = harness.recording(quick, lambda text: None, limit=1.0)
    assert alone.notes["operations"] > 10
    assert among_runs.notes["running"] > 0
    assert 0 < alone.measured < 1e-3


def test_importing(quick):
    result = run.importing("bital", 0.25, quick, lambda text: None, sys.executable)
    assert result.notes == {"heavy modules imported": []}
