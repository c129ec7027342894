"""torch.profiler: what is measured, when, and how it is shown."""

import json
import time

import pytest

from bital.runtime import plan


def work(torch):
    x = torch.ones(20, 30, requires_grad=True)
    (x @ x.T).tanh().sum().backward()
    return x.grad.sum().item()


def test_operators_are_counted_and_timed(torch):
    with (
        torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU],
            record_shapes=True,
            profile_memory=True,
        ) as prof,
        torch.profiler.record_function("one step"),
    ):
        work(torch)
        time.sleep(0.02)
    found = {e.key: e for e in prof.key_averages()}
    assert found["aten::tanh"].count == 1 and found["aten::tanh"].cpu_memory_usage == 1600
    step = found["one step"]
    assert step.cpu_time_total > 20_000 and step.is_user_annotation
    parts = [e for e in found.values() if e.key != "one step"]
    inside = sum(e.cpu_time_total for e in parts)
    assert step.self_cpu_time_total == pytest.approx(step.cpu_time_total - inside)
    whole = prof.profiler.self_cpu_time_total
    assert whole == pytest.approx(step.cpu_time_total)
    table = prof.key_averages().table(sort_by="cpu_time_total", row_limit=3)
    lines = table.splitlines()
    assert lines[0].startswith("---") and lines[1].split()[0] == "Name"
    assert lines[3].split()[:2] == ["one", "step"] and len(lines) == 8
    assert lines[-1].startswith("Self CPU time total:")
    by_shape = prof.key_averages(group_by_input_shape=True)
    assert [[20, 20]] in [e.input_shapes for e in by_shape if e.key == "aten::tanh"]
    with pytest.raises(AttributeError, match="sort_by"):
        prof.key_averages().table(sort_by="nothing")


def test_nothing_is_measured_outside(torch):
    with torch.autograd.profiler.profile() as prof:
        assert plan.hooks.watch is not None
        with pytest.raises(RuntimeError, match="another profiler"):
            torch.autograd.profiler.profile().__enter__()
        work(torch)
    count = len(prof.function_events)
    assert plan.hooks.watch is None and count
    with torch.autograd.profiler.record_function("outside"):
        work(torch)
    assert len(prof.function_events) == count
    with torch.autograd.profiler.profile(enabled=False) as off:
        work(torch)
    assert not off.function_events and "Self CPU" in str(off)


def test_results_are_the_same_bits(torch):
    expected = work(torch)
    with torch.profiler.profile():
        assert work(torch) == expected


def test_schedule(torch, oracle):
    options = {"wait": 1, "warmup": 1, "active": 2, "repeat": 2, "skip_first": 1}
    ours, theirs = torch.profiler.schedule(**options), oracle.profiler.schedule(**options)
    assert [ours(k).name for k in range(12)] == [theirs(k).name for k in range(12)]


def test_steps(torch, tmp_path):
    seen = []

    def ready(prof):
        seen.append({e.key: e.count for e in prof.key_averages()})

    plan_of_steps = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    with torch.profiler.profile(schedule=plan_of_steps, on_trace_ready=ready) as prof:
        for _ in range(6):
            work(torch)
            prof.step()
    assert len(seen) == 1 and seen[0]["aten::tanh"] == 2
    assert seen[0]["ProfilerStep#2"] == seen[0]["ProfilerStep#3"] == 1
    path = tmp_path / "trace.json"
    prof.export_chrome_trace(path)
    events = json.loads(path.read_text())["traceEvents"]
    assert {e["ph"] for e in events} == {"X"} and "aten::tanh" in {e["name"] for e in events}
    handler = torch.profiler.tensorboard_trace_handler(str(tmp_path / "log"), "worker")
    with torch.profiler.profile(on_trace_ready=handler):
        work(torch)
    assert len(list((tmp_path / "log").glob("worker.*.pt.trace.json"))) == 1


def test_record_function_as_a_decorator(torch):
    @torch.profiler.record_function("named")
    def step():
        return work(torch)

    with torch.profiler.profile() as prof:
        step()
        step()
    assert {e.key: e.count for e in prof.key_averages()}["named"] == 2
