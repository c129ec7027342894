"""Random steps of a training loop: lines that read, view, combine, reduce and write tensors.

Numbers are small halves, integers of any size, NaN, infinities and zeros of both signs, and what is
multiplied is cut to small integers, so that no order of adding rounds: every way to run a step must
give the same numbers, to the bit. Where `smooth`, functions that are approximated come in too, and
nothing that jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.property.program import overlaps

SIZES = [0, 1, 1, 2, 3, 5, 8, 16, 17, 33, 70]
FLOATS = ["float32", "float32", "float64"]
INTEGERS = ["int64", "int32", "int16", "int8", "uint8", "bool"]
NUMBERS = ["0.5", "2", "-1", "0", "3"]
UNARY = ["neg", "abs", "relu", "floor", "ceil", "trunc", "sign", "clone", "isnan", "isfinite",
         "logical_not", "sgn"]  # fmt: skip
SMOOTH = ["exp", "tanh", "sigmoid", "sin", "cos", "erf", "expm1", "square"]
BINARY = ["add", "sub", "maximum", "minimum", "lt", "ge", "eq", "ne", "fmax", "fmin"]
OF_BOOLS = ["logical_and", "logical_or", "logical_xor"]
OF_INTEGERS = ["bitwise_and", "bitwise_or", "bitwise_xor", "mul"]
REDUCTIONS = ["sum", "amax", "amin", "mean", "any", "all", "count_nonzero", "cumsum", "argmax"]


def numbers(kind: str, count: int, seed: int, special: bool) -> np.ndarray:
    """So many numbers of a dtype, some of them at the edge."""
    rng = np.random.default_rng(seed)
    if kind == "bool":
        return rng.integers(0, 2, count).astype(bool)
    if kind in INTEGERS:
        about = np.iinfo(kind)
        found = rng.integers(-3, 4, count)
        edges = rng.choice([about.min, about.max, about.max - 1], count)
        found = np.where(rng.random(count) < 0.2, edges, found) if special else found
        return found.astype(np.int64).astype(kind)
    found = rng.integers(-8, 9, count) / 2
    if special:
        edges = rng.choice([np.nan, np.inf, -np.inf, -0.0], count)
        found = np.where(rng.random(count) < 0.15, edges, found)
    return found.astype(kind)


class Step:
    """Draws the lines of a step; `pick` chooses from a list, `probe` tells shapes and dtypes.

    `state` are the tensors that live on from one run to the next.
    """

    def __init__(self, pick: Callable[[list], Any], torch: Any, smooth: bool = False) -> None:
        self.pick, self.smooth = pick, smooth
        self.given: dict[str, tuple] = {}
        self.lines: list[str] = []
        self.probe: dict[str, Any] = {"torch": torch}
        shape = [pick(SIZES) for _ in range(pick([1, 2, 2, 3]))]
        for k in range(pick([2, 3])):
            kind = "float32" if smooth else pick(FLOATS if k == 0 else FLOATS + INTEGERS)
            own = [n if pick([True, True, False]) else 1 for n in shape[pick([0, 0, 0, 1]) :]]
            special = not smooth and pick([True, False, False])
            self.given[f"s{k}"] = (tuple(own), kind, pick(range(100)), special)
            self.probe[f"s{k}"] = self.make(torch, f"s{k}")

    def make(self, torch: Any, name: str) -> Any:
        """A tensor of the state, anew."""
        shape, kind, seed, special = self.given[name]
        data = numbers(kind, int(np.prod(shape)), seed, special)
        return torch.from_numpy(data).clone().reshape(shape)

    def text(self) -> str:
        return "\n".join([f"{n} = {about}" for n, about in self.given.items()] + self.lines)

    def add(self) -> None:
        """One more line, unless it is a mistake."""
        kinds = [self.combine, self.combine, self.unary, self.reduce, self.view, self.view,
                 self.scalar, self.write, self.write, self.choose, self.join, self.cast,
                 self.product, self.gather]  # fmt: skip
        line = self.pick(kinds)()
        made = f"t{len(self.lines)}"
        if line is None:
            return
        line = line if line.startswith("!") else f"{made} = {line}"
        try:
            exec(line.lstrip("!"), self.probe)
        except Exception:
            self.probe.pop(made, None)
            return
        if made in self.probe and self.probe[made].numel() > 40_000:
            del self.probe[made]
            return
        self.lines.append(line.lstrip("!"))

    def run(self, torch: Any, times: int = 3) -> list[list[np.ndarray]]:
        """What the step gives, time after time, and what it leaves of the state."""
        made = [line.partition(" =")[0] for line in self.lines if line[0] == "t" and " = " in line]
        made = [name for name in dict.fromkeys(made) if name[1:].isdigit()]
        held = made[::-3]
        body = "\n".join(f"    {line}" for line in self.lines)
        names: dict[str, Any] = {"torch": torch}
        head, end = f"def step({', '.join(self.given)}):", f"    return [{', '.join(held)}]"
        exec(f"{head}\n{body}\n{end}", names)
        state = [self.make(torch, name) for name in self.given]
        found = []
        for _ in range(times):
            seen = [*names["step"](*state), *state]
            found.append([np.array(t.tolist()).reshape(tuple(t.shape)) for t in seen])
        return found

    # what there is

    def some(self, wanted: Callable[[Any], bool] = lambda t: True) -> str | None:
        names = [n for n, t in self.probe.items() if hasattr(t, "shape") and wanted(t)]
        return self.pick(names[-6:]) if names else None

    def kind(self, name: str) -> str:
        return str(self.probe[name].dtype).removeprefix("torch.")

    def dims(self, name: str) -> list[int]:
        return list(self.probe[name].shape)

    # lines

    def combine(self) -> str:
        x, y = self.some(), self.some()
        kinds = {self.kind(x), self.kind(y)}
        words = BINARY + (OF_BOOLS if not self.smooth else [])
        words = words[:4] if self.smooth else words
        if not kinds & {"float32", "float64"}:
            words = words + OF_INTEGERS
        elif not self.smooth and self.pick([True, False]):
            return f"torch.trunc({x} * {y}).clamp(-8, 8)"
        if self.smooth and self.pick([True, False]):
            return f"{x} * {y}"
        return f"torch.{self.pick(words)}({x}, {y})"

    def unary(self) -> str:
        if self.smooth:
            x = self.some()
            return f"torch.{self.pick(SMOOTH)}({x}.clamp(-3, 3))"
        return f"torch.{self.pick(UNARY)}({self.some()})"

    def scalar(self) -> str:
        x = self.some()
        return f"{x} {self.pick(['+', '-', '*'])} {self.pick(NUMBERS)}"

    def reduce(self) -> str:
        x = self.some()
        dims = self.dims(x)
        how = self.pick(REDUCTIONS[:4] if self.smooth else REDUCTIONS)
        keep = ", keepdim=True" if self.pick([True, False]) else ""
        if not dims:
            return f"{x}.{how}()" if how not in ("cumsum",) else f"{x}.cumsum(0)"
        axis = self.pick(range(len(dims)))
        if how in ("cumsum", "argmax", "count_nonzero", "any", "all"):
            return f"{x}.{how}({axis})"
        if self.smooth and self.pick([True, False]):
            return f"torch.{self.pick(['softmax', 'log_softmax', 'logsumexp'])}({x}, {axis})"
        if how == "mean":
            x = f"{x}.to(torch.float64)" if not self.smooth else x
        floor = how == "mean" and not self.smooth  # of a quotient, which may be rounded
        some = [axis] if self.pick([True, False]) else list(range(self.pick([0, 1]), len(dims)))
        if not some:
            return None
        found = f"{x}.{how}(dim={tuple(some)}{keep})"
        return f"torch.floor({found})" if floor else found

    def view(self) -> str:
        x = self.some()
        dims = self.dims(x)
        choices = [f"{x}.unsqueeze(0)", f"{x}[None]", f"{x}.reshape(-1)"]
        if dims:
            a = self.pick(range(len(dims)))
            n = dims[a]
            at = ":, " * a
            choices += [f"{x}[{at}1:]", f"{x}[{at}::2]", f"{x}[{at}:{max(n - 1, 0)}]",
                        f"{x}[{at}{max(n // 2, 0)}]", f"{x}.flip({a})", f"{x}.unsqueeze(-1)",
                        f"{x}.transpose(0, {a})", f"{x}.unfold({a}, 2, 1)",
                        f"{x}.flatten()"]  # fmt: skip
            if n == 1:
                sizes = ["-1"] * a + ["4"] + ["-1"] * (len(dims) - a - 1)
                choices.append(f"{x}.expand({', '.join(sizes)})")
        return self.pick(choices)

    def write(self) -> str | None:
        x, y = self.some(lambda t: not overlaps(t)), self.some()
        if x is None:
            return None
        dims = self.dims(x)
        if dims and self.pick([True, False]):
            a = self.pick(range(len(dims)))
            at = ":, " * a + self.pick(["1:", "::2", "0", "-1:"])
            value = self.pick([self.pick(NUMBERS), f"{y}.clone()", f"{x}[{at}].clone() + 1"])
            return f"!{x}[{at}] = {value}"
        if self.pick([True, False]):
            return f"!{x}.{self.pick(['add_', 'sub_', 'copy_'])}({y}.clone())"
        return f"!{x}.{self.pick(['neg_()', 'zero_()', 'add_(1)', 'clamp_(-2, 2)', 'fill_(2)'])}"

    def choose(self) -> str:
        x, y = self.some(), self.some()
        mask = self.some(lambda t: str(t.dtype) == "torch.bool")
        if mask is None or self.smooth:
            return f"torch.where({x} > {x}, {x}, {y})" if not self.smooth else f"{x} + {y}"
        return f"torch.where({mask}, {x}, {y})"

    def join(self) -> str:
        x, y = self.some(), self.some()
        axis = self.pick([0, -1])
        return f"torch.{self.pick(['cat', 'stack'])}([{x}, {y}, {x}], {axis})"

    def cast(self) -> str | None:
        if self.smooth:
            return f"{self.some()}.clone()"
        x = self.some()
        kind = self.pick(FLOATS + INTEGERS)
        if self.kind(x) in FLOATS and kind in INTEGERS:
            if kind == "bool":
                return f"{x}.to(torch.bool)"
            return f"torch.nan_to_num({x}, 1.0, 2.0, 3.0).clamp(0, 9).to(torch.{kind})"
        return f"{x}.to(torch.{kind})"

    def product(self) -> str | None:
        x = self.some(lambda t: len(t.shape) > 1 and t.is_floating_point())
        if x is None:
            return None
        y = self.some(lambda t: len(t.shape) > 1 and t.is_floating_point())
        turned = self.pick([f"{x} @ {y}.transpose(-1, -2)", f"{x}.transpose(-1, -2) @ {y}"])
        return turned if self.smooth else f"({turned}).clamp(-8, 8)"

    def gather(self) -> str | None:
        x = self.some(lambda t: len(t.shape) > 0 and t.shape[0] > 0 and not overlaps(t))
        if x is None:
            return None
        n = self.dims(x)[0]
        at = [self.pick([0, n - 1, n // 2]) for _ in range(3)]
        if self.pick([True, False]):
            return f"!{x}[torch.tensor({sorted(set(at))})] = {self.pick(NUMBERS)}"
        return f"{x}[torch.tensor({at})]"
