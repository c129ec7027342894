"""Random programs: lines of Python that make, view, write, read and differentiate tensors.

A program is drawn line by line; what a line may be depends on the sizes of the tensors alive so
far, read from one of the sides that run it. Lines may be mistakes: the sides must then refuse in
the same way. Every line is ordinary Python, so that a failing program can be printed and run.
"""

import contextlib
from typing import Any

import numpy as np
from hypothesis import strategies as st

PRELUDE = "import numpy as np\nimport torch\n"
SHAPES = [(), (3,), (4,), (2, 3), (3, 2), (1, 3), (2, 2, 2), (4, 1), (3, 3), (0, 2)]
NUMBERS = ["2", "-1", "0.5", "3", "1.5"]
UNARY = ["neg", "abs", "relu", "square", "sin", "tanh", "sigmoid", "clone", "detach", "contiguous",
         "sum", "mean", "max", "flatten", "floor"]  # fmt: skip
IN_PLACE = ["zero_()", "neg_()", "relu_()", "tanh_()", "sin_()", "abs_()", "clamp_(-1, 1)"]


class Side:
    """One namespace running the program: its variables and how the last line ended."""

    def __init__(self, torch, **more: Any) -> None:
        self.torch = torch
        self.names: dict[str, Any] = {"torch": torch, "np": np, **more}
        self.gradients: list[Any] = []

    def run(self, line: str) -> str | None:
        """Run one line; return the builtin class of what it raised, or None."""
        try:
            exec(compile(line, "<program>", "exec"), self.names)
        except Exception as error:
            builtin = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
            self.error = error
            if ".backward(" in line:  # which leaves it had reached before it failed is left open
                for name in self.tensors():
                    with contextlib.suppress(RuntimeError):  # views that refuse to be asked
                        if self.names[name].is_leaf:
                            self.names[name].grad = None
            return builtin.__name__
        self.error = None
        if line.endswith(".grad"):
            self.gradients.append(self.names[line.split()[0]])
        return None

    def settle(self) -> None:
        """Ask every tensor for its grad_fn.

        PyTorch finds that of a view anew only when it is asked; until then it takes a view whose
        base was given a history for a leaf, and dies where such a view is given a hook.
        """
        for name in self.tensors():
            with contextlib.suppress(RuntimeError):
                self.names[name].grad_fn  # noqa: B018

    def tensors(self) -> list[str]:
        """The names of the tensors alive, in the order they were made."""
        return [n for n, v in self.names.items() if isinstance(v, self.torch.Tensor)]

    def arrays(self) -> list[str]:
        """The names of the NumPy arrays alive."""
        return [n for n, v in self.names.items() if isinstance(v, np.ndarray)]

    def look(self, name: str) -> dict[str, Any]:
        """Everything of a tensor that does not need its values."""
        t = self.names[name]
        return {
            "dtype": str(t.dtype), "shape": tuple(t.shape), "stride": strides(t),
            "offset": t.storage_offset() if t.numel() else 0, "contiguous": t.is_contiguous(),
            "version": t._version, "requires_grad": t.requires_grad, **history(t),
        }  # fmt: skip

    def is_gradient(self, name: str) -> bool:
        """Whether a tensor is, or sees, what was somebody's `.grad`.

        Its version says whether PyTorch took the gradient over or copied it, which depends on who
        else held it just then.
        """
        place = memory(self.names[name])
        return any(g is not None and memory(g) == place for g in self.gradients)

    def values(self, name: str) -> list[np.ndarray]:
        """The numbers of a tensor and of its gradient, as lists of Python numbers read them."""
        t = self.names[name]
        found = [t, t.grad] if history(t).get("has grad") else [t]
        return [np.array(v.detach().tolist()).reshape(tuple(v.shape)) for v in found]


def history(t) -> dict[str, bool]:
    """What a tensor says of its place in the graph, where it does not refuse to be asked."""
    try:
        leaf = t.is_leaf
    except RuntimeError:
        return {"refused": True}
    return {"is_leaf": leaf, "has grad_fn": t.grad_fn is not None,
            "has grad": leaf and t.grad is not None}  # fmt: skip


def memory(t) -> int:
    """What two tensors on the same storage have in common."""
    own = getattr(t, "_storage", None)
    return t.untyped_storage().data_ptr() if own is None else id(own.memory)


def overlaps(t) -> bool:
    """Whether two elements of a tensor may share a place."""
    reach = 1
    for stride, n in sorted(zip(t.stride(), t.shape, strict=True)):
        if n > 1 and stride < reach:
            return True
        reach += stride * (n - 1)
    return False


def strides(t) -> tuple[int, ...]:
    """The strides of the axes that have more than one element."""
    if t.numel() == 0:
        return ()
    return tuple(s for s, n in zip(t.stride(), t.shape, strict=True) if n > 1)


class Program:
    """Draws lines; `side` is where sizes are read from.

    With `numpy` memory is shared with arrays, and without it memory that is shared may move.
    """

    def __init__(self, data: st.DataObject | None, side: Side, numpy: bool = True) -> None:
        self.data, self.side, self.numpy = data, side, numpy
        self.lines: list[str] = []
        self.made = 0

    def text(self) -> str:
        """The program so far, as Python that can be run."""
        return PRELUDE + "\n".join(self.lines)

    def pick(self, choices: list) -> Any:
        return self.data.draw(st.sampled_from(choices))

    def name(self) -> str:
        self.made += 1
        return f"t{self.made}"

    def line(self) -> str:
        """Draw the next line and keep it."""
        tensors = self.side.tensors()
        if not tensors or len(tensors) < 2:
            line = self.create()
        else:
            kinds = [self.create, self.view, self.view, self.view, self.compute, self.compute,
                     self.write, self.write, self.write, self.assign, self.assign, self.read,
                     self.backward, self.flags, self.forget]  # fmt: skip
            if self.numpy:
                kinds += [self.share, self.share]
            line = self.pick(kinds)()
        self.lines.append(line)
        return line

    def some(self) -> str:
        return self.pick(self.side.tensors())

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.side.names[name].shape)

    def target(self) -> str:
        """A tensor to write into: one whose elements lie apart, as other writes are undefined."""
        whole = [n for n in self.side.tensors() if not overlaps(self.side.names[n])]
        return self.pick(whole or self.side.tensors())

    def beside(self, name: str) -> str:
        """A tensor to write into `name`; where memory is shared, a copy of it.

        What a write gives that reads its own target through another window depends on the order
        of the elements, and is not defined. What needs a gradient does not go into integers: some
        writes then make PyTorch give them a history that cannot be used.
        """
        other = self.some()
        here, there = self.side.names[name], self.side.names[other]
        if there.requires_grad and not here.is_floating_point():
            return f"{other}.detach().clone()"
        return f"{other}.clone()" if other != name and memory(here) == memory(there) else other

    def axis(self, name: str) -> int:
        return self.pick(list(range(max(len(self.shape(name)), 1))))

    def index(self, name: str) -> str:
        """What may stand between [ and ]."""
        shape = self.shape(name)
        if not shape or shape[0] == 0:
            return self.pick(["...", "None"])
        n = shape[0]
        choices = ["0", "-1", "1:", ":-1", "::2", "None", "...", f"{n // 2}:{n}", "[0]",
                   f"[0, {n - 1}]", f"torch.tensor([{n - 1}, 0])", f"{name} > 0"]  # fmt: skip
        if len(shape) > 1:
            choices += [":, 0", ":, 1:", "..., -1", f"{n - 1}, ::2", ":, None", ":, [0]"]
        return self.pick(choices)

    def create(self) -> str:
        shape = self.pick(SHAPES)
        count = int(np.prod(shape))
        start = self.pick([-3, 0, 2])
        dtype = self.pick(["float64", "float64", "float64", "float32", "int64"])
        tracked = dtype != "int64" and self.pick([True, False])
        end = self.pick([".clone()", ""]) + ".requires_grad_()" if tracked else ""
        make = f"torch.arange({start}, {start + count}, dtype=torch.{dtype}).reshape({shape})"
        return f"{self.name()} = {make}{end}"

    def view(self) -> str:
        name = self.some()
        shape, d = self.shape(name), self.axis(name)
        e = self.axis(name)
        n = shape[d] if shape else 1
        count, backwards = int(np.prod(shape)), tuple(reversed(range(len(shape))))
        choices = [f"[{self.index(name)}]", f".transpose({d}, {e})", ".reshape(-1)", ".view(-1)",
                   f".unsqueeze({d})", ".squeeze()", f".expand(2, *{shape})", ".flatten()",
                   f".narrow({d}, 0, {max(n - 1, 0)})", f".select({d}, {max(n - 1, 0)})",
                   f".reshape({count}, 1)", f".view(1, {count})", f".unfold({d}, 2, 1)",
                   ".diagonal()", ".detach()", ".t()", f".permute({backwards})",
                   f".flip({d})", f".movedim({d}, {e})", ".data", f".chunk(2, {d})[0]",
                   ".unbind()[-1]", f".split(1, {d})[0]"]  # fmt: skip
        if self.side.names[name].is_contiguous():  # else it may reach what the tensor has not
            choices.append(f".as_strided(({min(count, 2)},), (1,))")
        line = f"{self.name()} = {name}{self.pick(choices)}"
        return self.perhaps_without_grad(line)

    def compute(self) -> str:
        a, b = self.some(), self.some()
        number = self.pick(NUMBERS)
        choices = [f"{a} + {b}", f"{a} * {b}", f"{a} - {number}", f"{number} * {a}", f"{a} / 2",
                   f"{a}.{self.pick(UNARY)}()", f"{a}.sum({self.axis(a)})", self.product(a, b),
                   f"torch.where({a} > 0, {a}, {number})", f"{a}.max({self.axis(a)})[0]",
                   f"torch.cat([{a}, {b}])", f"torch.stack([{a}, {a}], {self.axis(a)})",
                   f"{a}.masked_fill({a} > 1, {number})", f"{a}.to(torch.float32)"]  # fmt: skip
        return f"{self.name()} = {self.pick(choices)}"

    def product(self, a: str, b: str) -> str:
        """A matrix product, without two ways of PyTorch's own.

        It does not look at the dtypes of some that are empty, and writes in place to the product of
        a vector and a matrix, whose version is 1.
        """
        first, second = self.side.names[a], self.side.names[b]
        alike = first.dtype == second.dtype or first.numel() and second.numel()
        return f"{a} @ {b if alike and (first.dim(), second.dim()) != (1, 2) else a}"

    def write(self) -> str:
        a = self.target()
        b = self.beside(a)
        number = self.pick(NUMBERS)
        choices = [f"{a}.add_({b})", f"{a}.mul_({number})", f"{a}.copy_({b})", f"{a} += {number}",
                   f"{a}.fill_({number})", f"{a}.{self.pick(IN_PLACE)}", f"{a} *= {b}",
                   f"{a}.masked_fill_({a} > 0, {number})", f"{a}.sub_({b}, alpha=2)"]  # fmt: skip
        return self.perhaps_without_grad(self.pick(choices))

    def assign(self) -> str:
        a = self.target()
        b = self.beside(a)
        index = self.index(a)
        value = self.pick([*NUMBERS, b, f"{b}[0] * 1", f"{a}[{index}] * 2"])
        line = self.pick([f"{a}[{index}] = {value}", f"{a}[{index}] += {self.pick(NUMBERS)}",
                          f"{a}[{index}].mul_(2)"])  # fmt: skip
        return self.perhaps_without_grad(line)

    def perhaps_without_grad(self, line: str) -> str:
        """The line as it is, or under `no_grad`."""
        return f"with torch.no_grad(): {line}" if self.pick([True, False, False, False]) else line

    def read(self) -> str:
        a = self.some()
        return self.pick([f"{a}.tolist()", f"{a}.sum().item()", f"bool(({a} > 0).any())",
                          f"str({a})", f"float({a})"])  # fmt: skip

    def share(self) -> str:
        """Memory that NumPy sees too: held, written through, read for a moment."""
        a, arrays = self.some(), self.side.arrays()
        self.made += 1
        choices = [f"n{self.made} = {a}.detach().numpy()", f"{a}.detach().numpy().sum()",
                   f"n{self.made} = {a}.detach().numpy().copy()"]  # fmt: skip
        if arrays:
            n = self.pick(arrays)
            choices += [f"{n}[...] = 7", f"{n} *= 2", f"{n}[:1] = -1", f"{n}[0] = 5", f"del {n}",
                        f"t{self.made} = torch.from_numpy({n})"]  # fmt: skip
        return self.pick(choices)

    def backward(self) -> str:
        a = self.some()
        return self.pick([f"{a}.sum().backward()", f"({a} * {a}).sum().backward()",
                          f"{a}.backward(torch.ones_like({a}))",
                          f"{a}.sum().backward(retain_graph=True)"])  # fmt: skip

    def flags(self) -> str:
        a = self.some()
        choices = [f"{self.name()} = {a}.detach().clone().requires_grad_()", f"{a}.grad = None",
                   f"{self.name()} = {a}.grad", f"{a}.retain_grad()", f"{a}.requires_grad_()",
                   f"{a}.requires_grad_(False)", f"{a}.detach_()", f"{a}.t_()",
                   f"{a}.unsqueeze_(0)", f"{a}.squeeze_()",
                   f"torch.autograd.grad({self.some()}.sum(), {a})"]  # fmt: skip
        # PyTorch dies of arrays on memory that moved, and of windows on memory that was none
        if not self.numpy and self.side.names[a].numel():
            choices.append(f"{a}.resize_({self.pick([1, 2, 4, 9])}).fill_(2)")
        return self.pick(choices)

    def forget(self) -> str:
        return f"del {self.pick([*self.side.tensors(), *self.side.arrays()])}"
