"""The command that holds all programs against their limits: verdicts, tables and pages."""

import json

import harness
import performance
import pytest
import report

MAIN, TANH = performance.PROGRAMS[0], performance.PROGRAMS[2]
BREAKDOWN = {
    "step": 2e-3, "running": 1.5e-3, "recording": 5e-4, "instructions": 250.0, "cuts": 1.0,
    "kernels": 1.2e-3, "dearest": [["product [2, 4]: mm", 1e-3, 2]], "opaque": [["sort", 3]],
}  # fmt: skip


def figures(best, value=1.0):
    found = harness.Figures()
    found.add({"best": 2 * best, "first": 3.0, "median": 3 * best, "value": value})
    found.add({"best": best, "first": 2.0, "median": 3 * best, "value": value})
    return found


def row(program, bital, torch, **others):
    sides = {"torch": figures(torch), "bital": figures(bital), **others}
    return performance.Row(program, sides, {}, BREAKDOWN)


@pytest.fixture
def measured(quick):
    rows = [row(MAIN, 0.2, 1.0, jax=figures(0.5)), row(TANH, 0.5, 1.0, jax=figures(0.1))]
    rows[0].absent["compiled"] = "no compiler"
    others = [harness.Result("Loading", "읽기", float("inf"), 0.02, "s", float("inf"))]
    busy = [harness.Result("Main", "주", 0.9, 1.05, "x", 9e-4, None, {"one thread": 1e-3})]
    floors = {1: {"flops": 1e11, "bandwidth": 2e10}}
    return performance.Measured("a machine", quick, 0.1, rows, others, busy, floors)


def test_best_of_rounds():
    found = figures(0.5)
    assert (found.best, found.first, found.medians) == (0.5, 2.0, [1.5, 1.5])


def test_verdicts(measured):
    main, tanh = measured.rows
    assert (main.ratio("torch"), main.verdict("torch")) == (0.2, "ok")
    assert (main.ratio("jax"), main.verdict("jax")) == (0.4, "ok")
    assert (tanh.ratio("torch"), tanh.verdict("torch")) == (0.5, "over")
    assert (tanh.ratio("jax"), tanh.verdict("jax")) == (5.0, "")  # not limited
    assert main.ratio("compiled") is None
    assert measured.fails()


def test_differing_values_fail(measured):
    measured.rows = measured.rows[:1]
    measured.others = []
    assert not measured.fails()
    measured.rows[0].sides["bital"].value = 1 + 2 * harness.TOLERANCE
    assert measured.rows[0].strays() == ["bital"]
    assert measured.fails()
    measured.rows[0].sides["bital"].value = float("nan")
    assert measured.rows[0].strays() == ["bital"]


def test_table(measured):
    heading, main, tanh = report.programs(measured, report.ENGLISH)
    assert len(heading) == len(main) == len(tanh)
    assert main[1:] == [
        "200 ms", "1 s", "0.20", "0.33", "ok", "–", "500 ms", "0.40", "0.80", "ok",
    ]  # fmt: skip
    assert tanh[-3:] == ["5.00", "–", ""]


@pytest.mark.parametrize("words", [report.ENGLISH, report.KOREAN])
def test_page(measured, words):
    text = report.page(measured, words)
    assert f"| {words.title(MAIN)} | 200 ms | 1 s | 0.20 | 0.33 | ok |" in text
    assert "no compiler" in text
    assert "| 1 | 100 GFLOP/s | 20.0 GB/s |" in text
    assert "| – | – | – | 20 ms | over |" in text
    paragraph = text[text.index(f"**{words.title(TANH)}.**") :]
    assert all(part in paragraph for part in ("2 ms", "500 µs", "1.5 ms", "1.2 ms"))
    assert "`product [2, 4]: mm` 1 ms (2)" in paragraph and "`sort` (3)" in paragraph
    assert f"**{words.title(MAIN)}.**" not in text
    assert "{" not in text


def test_a_busy_machine_is_told(measured):
    assert "load" not in report.page(measured, report.ENGLISH)
    measured.load = 3.14
    assert "load 3.1" in report.page(measured, report.ENGLISH)
    assert "부하 3.1" in report.page(measured, report.KOREAN)


def test_figures_are_json(measured):
    assert json.loads(json.dumps(measured.figures()))["verdicts"]["main_example"] == ["ok", "ok"]


def test_limits_of_the_table():
    limits = {program.name: program.limit for program in performance.PROGRAMS}
    assert len(limits) == 12
    assert (limits["main_example"], limits["black_scholes"]) == (0.33, 0.15)
    assert sum(program.jax_limit is not None for program in performance.PROGRAMS) == 9


def test_write_replaces(tmp_path):
    path = tmp_path / "page.md"
    for text in ("old", "새 글"):
        harness.write(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]
