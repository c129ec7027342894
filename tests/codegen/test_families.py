"""Plans that differ in one size: their common code gives what each one's interpreter gives."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")

from bital.codegen import runner
from bital.codegen.native import Native
from bital.codegen.target import named
from bital.ir.task import Task, absent_of
from bital.ir.template import Differ, Template, outline
from bital.plan.node import Untraceable
from bital.runtime.compile import layouts_of
from bital.runtime.families import Family
from bital.runtime.plan import Plan
from tests.codegen.test_targets import aim, runs
from tests.compiled import agree

SIZES = (2, 3, 8, 9, 10, 15, 16, 17, 20, 31, 32, 33, 63, 64, 65, 100, 127, 200, 257, 300)
LONG = (70, 513, 520, 767, 768, 769, 1000, 1025, 2000)
VERY_LONG = (1000, 65536, 65537, 100003)


def recorded(monkeypatch, program, n):
    """The last plan that the program runs for a size, and copies of what it was given, and that."""
    found = []

    def run(plan, arrays, params):
        found[:] = plan, copies(arrays), list(params), list(arrays)
        return plan.interpret(arrays, params)

    with monkeypatch.context() as patch:
        patch.setattr(Plan, "run", run)
        program(n)
    return found


def copies(arrays):
    """Copies that lie in memory as the arrays do."""
    found = []
    for a in arrays:
        low, high = np.lib.array_utils.byte_bounds(a)
        start = a.__array_interface__["data"][0] - low
        memory = np.empty(high - low, np.uint8)
        copy = np.ndarray(a.shape, a.dtype, memory, start, a.strides)
        copy[...] = a
        found.append(copy)
    return found


@pytest.fixture(autouse=True)
def margins(monkeypatch):
    """Results and the arena have margins, in which nothing may be written."""
    made = []

    class Numbers:
        def __getattr__(self, name):
            return getattr(np, name)

        def empty(self, shape, dtype):
            count = int(np.prod(shape)) * np.dtype(dtype).itemsize
            memory = np.full(count + 1024, 165, np.uint8)
            made.append((memory, 512 + count))
            return memory[512 : 512 + count].view(dtype).reshape(shape)

    numbers = Numbers()
    monkeypatch.setattr(runner, "np", numbers)
    monkeypatch.setattr(runner, "new_arena", lambda size: numbers.empty(size, np.uint8))
    monkeypatch.setattr(runner, "_ARENAS", 0)
    yield
    for memory, end in made:
        assert (memory[:512] == 165).all() and (memory[end:] == 165).all()


def family_of(monkeypatch, program, sizes):
    """The family of the plans of three sizes, with its code."""
    plans = [recorded(monkeypatch, program, n) for n in sizes]
    compilers = [plan.compiler for plan, *_ in plans]
    assert len({outline(c.code) for c in compilers}) == 1
    family = Family(Template([c.code for c in compilers]), compilers[-1])
    *_, params, arrays = plans[-1]
    task = Task(
        family.code, family.held, family.donated, family._layouts(arrays), absent_of(params),
        family.bounds,
    )  # fmt: skip
    family.native = Native(task)
    return family


def served(monkeypatch, program, sizes, tried=SIZES):
    """The sizes for which the family's code runs, compared with the interpreter for each."""
    family = family_of(monkeypatch, program, sizes)
    found = []
    for n in tried:
        plan, given, params, _ = recorded(monkeypatch, program, n)
        size = family.template.size_of(plan.compiler.code)
        if size is None or size not in family.bounds:
            continue
        theirs = plan.interpret(copies(given), params)
        ours = family.native.run(copies(given), params)
        assert ours is not None, n
        agree(plan, given, ours, theirs)
        found.append(n)
    return found


def mlp(torch, optimizer=None, loss="cross_entropy", widths=(20, 33, 10)):
    layers = [torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:])]
    net = torch.nn.Sequential(
        layers[0], torch.nn.ReLU(), torch.nn.LayerNorm(widths[1]), *layers[1:]
    )
    optimizer = (optimizer or torch.optim.SGD)(net.parameters(), lr=0.01)

    def program(n):
        x = torch.randn(n, widths[0])
        target = torch.randint(0, widths[-1], (n,))
        if loss != "cross_entropy":
            target = torch.randn(n, widths[-1])
        for _ in range(2):
            optimizer.zero_grad()
            getattr(torch.nn.functional, loss)(net(x), target).backward()
            optimizer.step()

    return program


PROGRAMS = {}


def program(make):
    PROGRAMS[make.__name__] = make
    return make


@program
def sgd(torch):
    return mlp(torch)


@program
def adam(torch):
    return mlp(torch, torch.optim.Adam, "mse_loss")


@program
def large(torch):
    return mlp(torch, widths=(784, 256, 128, 10))


@program
def elementwise(torch):
    w = torch.randn(7)

    def run(n):
        x = torch.randn(n, 7)
        return (torch.tanh(x * w) + x.exp()).tolist()

    return run


@program
def vector(torch):
    return lambda n: (torch.randn(n).sigmoid() * 3 - 1).tolist()


@program
def sums(torch):
    def run(n):
        x = torch.randn(n, 19)
        return torch.cat([x.sum(0), x.mean(0), x.amax(0), (x * x).sum().reshape(1)]).tolist()

    return run


@program
def rows(torch):
    def run(n):
        x = torch.randn(n, 40)
        return torch.softmax(x, -1).sum(-1).tolist()

    return run


@program
def whole_mean(torch):
    def run(n):
        x = torch.randn(n, 3)
        return ((x - x.mean()) ** 2).mean().item()

    return run


@program
def masked_loss(torch):
    def run(n):
        x = torch.randn(n, 5, requires_grad=True)
        keep = torch.rand(n) > 0.5
        per_row = (x * x).sum(1)
        loss = torch.where(keep, per_row, 0.0).sum() / keep.sum()
        loss.backward()
        return x.grad.tolist()

    return run


@program
def embedding_mean(torch):
    table = torch.nn.Embedding(50, 24)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)

    def run(n):
        for _ in range(2):
            optimizer.zero_grad()
            table(torch.randint(0, 50, (n,))).mean(0).square().sum().backward()
            optimizer.step()

    return run


@program
def inference(torch):
    net = torch.nn.Sequential(torch.nn.Linear(12, 40), torch.nn.GELU(), torch.nn.Linear(40, 3))

    def run(n):
        with torch.no_grad():
            return net(torch.randn(n, 12)).argmax(1).tolist()

    return run


@program
def images(torch):
    def run(n):
        x = torch.randn(n, 3, 8, 8)
        return (x.reshape(n, -1) @ torch.ones(192, 5)).tolist()

    return run


@program
def convolutions(torch):
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 5, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(5, 4, 3, stride=2), torch.nn.Tanh(), torch.nn.AvgPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(4, 3),
    )  # fmt: skip
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def run(n):
        x = torch.randn(n, 1, 10, 10)
        for _ in range(2):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()

    return run


@program
def normalised(torch):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.SiLU())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def run(n):
        x = torch.randn(n, 3, 4, 4)
        for _ in range(2):
            optimizer.zero_grad()
            net(x).mean().backward()
            optimizer.step()

    return run


@program
def texts_of_any_length(torch):
    table, net = torch.nn.Embedding(30, 12), torch.nn.Linear(12, 3)
    optimizer = torch.optim.SGD([*table.parameters(), *net.parameters()], lr=0.1)

    def run(n):
        text = torch.randint(0, 30, (5, n))
        for _ in range(2):
            optimizer.zero_grad()
            net(table(text).mean(1)).square().sum().backward()
            optimizer.step()

    return run


@program
def columns(torch):
    scale = torch.randn(5, 1)

    def run(n):
        x = torch.randn(5, n)
        return ((x * scale).exp() / x.abs().sum(0)).tolist()

    return run


@program
def few_sums_in_a_row(torch):
    def run(n):
        return (torch.randn(3, n).abs() + 1).sum(0).tolist()

    return run


@program
def differences(torch):
    def run(n):
        x = torch.randn(n, 3)
        return torch.cat([x, x[1:] - x[:-1]]).tolist()

    return run


@program
def batches_of_rows(torch):
    net = torch.nn.Linear(16, 16)

    def run(n):
        with torch.no_grad():
            return net(torch.randn(n, 6, 16)).relu().sum(1).tolist()

    return run


#: sizes of PROGRAMS that their code is not for: it has tiles of rows, or other sizes are the same
FEW = {
    "sgd": {2, 3, 10, 33}, "adam": {2, 3, 10, 33}, "large": {2, 3, 10, 256}, "images": {2, 3},
    "inference": {2, 3, 40}, "batches_of_rows": {16}, "convolutions": {2, 3}, "differences": {2},
}  # fmt: skip


@pytest.fixture(params=["x86-64-v3", None])
def target(request, monkeypatch):
    """Code for vectors of another width, and for this processor."""
    if request.param is None:
        return
    if not runs(request.param):
        pytest.skip(f"this processor is no {request.param}")
    aim(monkeypatch, named(request.param))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_family_gives_what_the_interpreter_gives(torch, monkeypatch, target, name):
    torch.manual_seed(0)
    found = served(monkeypatch, PROGRAMS[name](torch), (40, 90, 70))
    missing = {n for n in SIZES if n < 128} - {*found}
    assert missing <= FEW.get(name, set())


def test_long_ones(torch, monkeypatch, target):
    """Sums over many rows in blocks and in parts, more chunks, and sums kept for many rows."""
    torch.manual_seed(0)
    w, v = torch.randn(40, 70), torch.randn(700, 20)

    def gradient(n):
        x = torch.randn(n, 40)
        np.asarray(x.T @ torch.tanh(x @ w))

    def sums(n):
        x = torch.randn(n, 4)
        np.asarray(torch.cat([x.sum(0), x.square().mean().reshape(1)]))

    def deep(n):
        np.asarray(torch.randn(n, 700) @ v)

    for program in gradient, sums, deep:
        assert {*LONG} - {70} <= {*served(monkeypatch, program, (900, 600, 777), LONG)}
    assert [*VERY_LONG] == served(monkeypatch, sums, (70000, 90001, 80000), VERY_LONG)


@pytest.mark.parametrize("kind", ["int32", "int16", "int8"])
def test_the_last_of_narrowed_numbers_alone(torch, monkeypatch, kind):
    """Of a constant size, 8 k + 1: LLVM writes the last one as wide as it was, if it is let."""
    x = torch.arange(129) % 100
    plan, given, params, _ = recorded(monkeypatch, lambda _: x.to(getattr(torch, kind)).tolist(), 0)
    compiler = plan.compiler
    layouts = layouts_of(given, compiler.donated)
    native = Native(Task(compiler.code, compiler.held, compiler.donated, layouts))
    assert native.run(given, params)[0].tolist() == [*range(100), *range(29)]


def test_three_vectors_side_by_side(torch, monkeypatch):
    def sums(n):
        return (torch.from_numpy(np.ones((3, n), np.float32)).abs() + 1).sum(0).tolist()

    assert [n for n in SIZES if n < 188] == served(monkeypatch, sums, (40, 47, 45))


@pytest.mark.parametrize(
    "program",
    [
        lambda torch, n: torch.ones(n, n).exp().tolist(),
        lambda torch, n: torch.ones(n, 2 * n + n % 2).exp().tolist(),
        lambda torch, n: torch.ones(n).cumsum(0).add(n * 0.5).sort().values.tolist(),
    ],
)
def test_what_is_no_family(torch, monkeypatch, program):
    with pytest.raises((Differ, Untraceable, TypeError)):
        family_of(monkeypatch, lambda n: program(torch, n), (40, 91, 70))
