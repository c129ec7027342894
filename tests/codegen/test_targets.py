"""Whole plans for processors other than this one: as assembly, and where this one can, run."""

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")

from bital.base import config
from bital.base.stride import contiguous_strides
from bital.codegen import generate, jit, stamp
from bital.codegen.native import Native
from bital.codegen.target import named
from bital.ir.task import Task, absent_of
from bital.runtime import executor


def programs(torch):
    """Steps of training that meet every kind of kernel."""
    torch.manual_seed(0)
    x, w, v = torch.randn(20, 37), torch.randn(37, 50), torch.randn(50, 3)
    labels = torch.randint(0, 3, (20,))
    conv = torch.nn.Conv2d(2, 5, 3, padding=1)
    images = torch.randn(3, 2, 9, 9)
    norm = torch.nn.LayerNorm(50)
    features, truth = torch.randn(401, 90), torch.rand(401)

    def network():
        a, b = w.clone().requires_grad_(), v.clone().requires_grad_()
        hidden = norm(torch.tanh(x @ a))
        loss = torch.nn.functional.cross_entropy(hidden @ b, labels)
        loss.backward()
        return loss, a.grad, b.grad

    def pictures():
        out = torch.nn.functional.max_pool2d(torch.relu(conv(images)), 3)
        return out.sum(), torch.cat([out, -out]).exp().mean((0, 2, 3)), (images > 0).sum()

    def regression():
        c = torch.ones(90, requires_grad=True)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(features @ c, truth)
        loss.backward()
        return loss, c.grad

    return network, pictures, regression


def more_programs(torch):
    """Recurrent layers, tables, and products of many forms."""
    torch.manual_seed(0)
    lstm, gates = torch.nn.LSTM(11, 13), torch.randn(13, 26) / 4
    sequence = torch.randn(6, 5, 11)

    def recurrent():
        out, _ = lstm(sequence)
        hidden = torch.zeros(5, 13)
        weight = gates.clone().requires_grad_()
        for step in out:  # a recurrence written by hand
            update, fresh = (hidden @ weight).chunk(2, 1)
            update = torch.sigmoid(update)
            hidden = update * hidden + (1 - update) * torch.tanh(fresh + step)
        grads = torch.autograd.grad(hidden.square().sum(), [weight, *lstm.parameters()])
        return hidden, *grads

    table, tokens, w = torch.randn(40, 23), torch.randint(0, 40, (6, 9)), torch.randn(23, 50)
    picks, long = torch.randint(0, 23, (54, 4)), torch.randn(3, 3000)

    def tables():
        rows = table.clone().requires_grad_()
        found = torch.nn.functional.embedding(tokens, rows).reshape(54, 23)
        some = torch.tanh(found).gather(1, picks)
        loss = (some * some.softmax(1)).sum() + (found @ w).relu().mean()
        loss.backward()
        order = torch.cumsum(table, 1), table.argmax(1)
        return loss, rows.grad, table[tokens[0]], table.index_add(0, tokens[1], table[:9]), *order

    def products():
        thin = long @ long.T, long[:1] @ long.T, table.T @ table, table[:, :1] @ table[:1, :]
        batch = (
            sequence @ sequence.transpose(1, 2),
            torch.einsum("tbi,tci->tbc", sequence, sequence),
        )
        return *thin, *batch, (table.double() @ table.double().T).exp()

    return recurrent, tables, products


def plans_of(torch):
    """(code, held, inputs, scalars, results of the interpreter) of the plans they make."""
    found = []
    plan_run = executor.Plan.run

    def run(self, arrays, params):
        kept = [np.array(a, order="C") for a in arrays], list(params)
        results = plan_run(self, arrays, params)
        found.append((self.compiler.code, self.held, *kept, [np.array(r) for r in results]))
        return results

    with pytest.MonkeyPatch.context() as patch, config.override(compile="never"):
        patch.setattr(executor.Plan, "run", run)
        for program in (*programs(torch), *more_programs(torch)):
            [np.asarray(each.detach()) for each in program()]
    return found


def aim(patch, target):
    """Let a target be taken for the host by every place that asks."""
    for place in (generate, jit):
        patch.setattr(place, "host", lambda: target)
    patch.setattr(stamp, "processor", lambda: target.name)


def task_of(code, held, arrays, params):
    """What is compiled of a plan."""
    layouts = [contiguous_strides(a.shape) for a in arrays]
    return Task(code, held, (False,) * len(arrays), layouts, absent_of(params))


@pytest.mark.parametrize("name", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_x86_of_all_widths(torch, name):
    if not runs(name):
        pytest.skip(f"this processor is no {name}")
    for code, held, arrays, params, expected in plans_of(torch):
        with pytest.MonkeyPatch.context() as patch:
            aim(patch, named(name))
            plan = Native(task_of(code, held, arrays, params))
        results = plan.run(list(arrays), params)
        for got, want in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def test_neon_down_to_assembly(torch, monkeypatch):
    target = named("aarch64-neon")
    plans = plans_of(torch)
    aim(monkeypatch, target)
    texts = [generate.Generated(task_of(*plan)).text for *plan, _ in plans]
    text = "".join(jit.assembly(t, target) for t in texts)
    assert "fmla\tv" in text and "fmul\tv" in text


def runs(name):
    """Whether this processor has what a level of x86-64 takes."""
    from llvmlite import binding

    have = binding.get_host_cpu_features()
    need = {"x86-64-v2": "sse4.2", "x86-64-v3": "avx2", "x86-64-v4": "avx512bw"}
    return bool(have.get(need[name]))
