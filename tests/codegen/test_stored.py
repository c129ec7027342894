"""Compiled plans on disk: loaded without generating anything, named alike in every process."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")

from bital.base import config
from bital.codegen import cache, generate, identity, stamp
from bital.codegen.form import Form
from bital.codegen.native import Native
from bital.ir.task import Task, absent_of
from bital.runtime import executor
from bital.runtime.compile import layouts_of


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of an empty cache; bital's source is taken to be what runs."""
    monkeypatch.setattr(stamp, "SOURCE", "source")
    with config.override(cache=True, cache_dir=str(tmp_path)):
        yield tmp_path


def training(torch):
    """Products, opaque instructions, windows, scalars, conditions, a held input."""
    torch.manual_seed(0)
    x, w = torch.randn(12, 20), torch.randn(20, 6, requires_grad=True)
    index = torch.tensor([3, 1, 4])
    hidden = torch.relu(x[:, 2:] @ w[2:] * 0.3)
    values, places = torch.topk(hidden, 2)
    loss = values.sum() + hidden[index, places[index, 0]].exp().mean() + w.T[1:3, ::2].sum()
    loss.backward()
    eigen = torch.linalg.eigvalsh(hidden.detach().T @ hidden.detach()).reshape(2, 3)
    return loss.detach(), w.grad, eigen, torch.cat([values.detach(), eigen.T[:, :2]])


class Met:
    """A trace as it was run, and what the interpreter made of it."""

    def __init__(self, plan, arrays, params):
        compiler = plan.compiler
        self.arrays, self.params = [np.array(a, order="C") for a in arrays], list(params)
        layouts = layouts_of(self.arrays, (False,) * len(arrays))
        donated = (False,) * len(arrays)
        self.task = Task(compiler.code, compiler.held, donated, layouts, absent_of(params))

    def run(self):
        """The plan, from the disk or generated now, and its results as bytes."""
        native = Native(self.task)
        results = native.run([np.array(a) for a in self.arrays], list(self.params))
        return native, [r.tobytes() for r in results]


@pytest.fixture
def met(torch, monkeypatch):
    """The traces of the training."""
    found = []
    run = executor.Plan.run

    def watched(plan, arrays, params):
        found.append(Met(plan, arrays, params))
        return run(plan, arrays, params)

    with config.override(compile="never"), monkeypatch.context() as patch:
        patch.setattr(executor.Plan, "run", watched)
        [np.asarray(result) for result in training(torch)]
    return found


def test_a_stored_plan_runs_as_it_did_and_nothing_is_generated(root, met, monkeypatch):
    made = [each.run() for each in met]
    assert any(s for native, _ in made for s in native.generated.form.stretches)  # opaque ones
    monkeypatch.setattr(generate, "Generated", None)
    for each, (native, results) in zip(met, made, strict=True):
        again, same = each.run()
        assert same == results and again.library.from_cache and not native.library.from_cache
        assert again.cycles() and len(again.cycles()) == len(native.cycles())


def test_what_people_look_at_is_generated_when_they_look(root, met):
    for each in met:
        text = each.run()[0].text
        again = each.run()[0]
        assert "generated" not in vars(again) and again.text == text


def test_a_form_is_the_same_after_it_was_packed(root, met):
    for each in met:
        form = each.run()[0].generated.form
        packed = form.pack()
        assert Form.unpack(packed).pack() == packed
        assert [s is None for s in Form.unpack(packed).stretches] == [
            s is None for s in form.stretches
        ]


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: os.urandom(len(b))])
def test_damaged_entries_are_made_anew(root, met, damage):
    each = max(met, key=lambda m: len(m.task.code))
    expected = each.run()[1]
    entries = sorted(root.glob("*/*.o"))
    for path in entries:
        right = path.read_bytes()
        path.write_bytes(damage(right))
        assert each.run()[1] == expected
        assert path.read_bytes() == right
        path.unlink()  # another process made room
        assert each.run()[1] == expected
        assert path.read_bytes() == right


def test_without_a_name_a_plan_is_generated_every_time(root, met, monkeypatch):
    each = met[0]
    monkeypatch.setattr(stamp, "SOURCE", None)
    each.run()
    made = set(root.glob("*/*.o"))  # of the texts, and of the thread pool
    each.run()
    assert set(root.glob("*/*.o")) == made
    monkeypatch.setattr(stamp, "SOURCE", "source")
    monkeypatch.setattr(identity, "_WRITERS", {})
    assert cache.key_of_plan(each.task) is None
    assert each.run()[1]


def test_the_name_tells_plans_apart(root, met, torch):
    task = max(met, key=lambda m: len(m.task.code)).task
    others = (
        task._replace(code=task.code[:-1]),
        task._replace(held=task.held[:-1]),
        task._replace(donated=(True, *task.donated[1:])),
        task._replace(layouts=[(7,), *task.layouts[1:]]),
        task._replace(absent=frozenset([3])),
    )
    keys = [*map(cache.key_of_plan, (task, *others))]
    torch.set_default_dtype(torch.float64)
    keys.append(cache.key_of_plan(task))
    torch.set_default_dtype(torch.float32)
    assert len(set(keys)) == 7 and None not in keys
    assert keys[0] == cache.key_of_plan(task)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), (0.0, -0.0), ((1, 2), (12,)), ("a", ("a",)), (None, "None"),
     ((("a", "b"),), (("a,b",),)), (slice(1, 2), (1, 2, None)), (np.float32(1), np.float64(1)),
     (np.dtype("f4"), np.dtype("f8")), (int, float), (1j, -1j)],
)  # fmt: skip
def test_words_of_values_are_their_own(one, other):
    assert identity._word(one) != identity._word(other)
    assert identity._word(one) == identity._word(one)


def test_what_has_no_words_is_refused():
    for value in (object(), lambda: 0, {1, 2}, [object()]):
        with pytest.raises(TypeError, match="has no words"):
            identity._word(value)


def test_every_process_gives_a_plan_the_same_name(tmp_path):
    program = """
        import numpy as np
        from bital import torch
        from bital.base import config
        from bital.codegen import cache, stamp
        from tests.codegen.test_stored import Met, executor, training
        stamp.SOURCE = "source"
        met = []
        run = executor.Plan.run
        def watched(plan, arrays, params):
            met.append(Met(plan, arrays, params))
            return run(plan, arrays, params)
        executor.Plan.run = watched
        [np.asarray(result) for result in training(torch)]
        for each in met:
            print(cache.key_of_plan(each.task).hex())
        """
    found = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    assert found[0] == found[1] and found[0].strip()
