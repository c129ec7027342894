"""Random training loops: layers, losses and updates, over batches whose size may change.

A loop is a list of lines, so that it can be shown and made shorter. All its numbers come from one
seed, and are the same for bital and PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: batch sizes, one for each iteration in turn
BATCHES = ["[24]", "[24]", "[7]", "[1]", "[33, 33, 33, 5]", "range(2, 90)", "range(40, 8, -1)",
           "[64, 17, 130, 16, 15, 300, 31]"]  # fmt: skip
WIDTHS = [1, 2, 3, 5, 8, 16, 17, 24, 33, 48]
SMOOTH = ["tanh", "sigmoid", "sin", "exp", "erf", "square", "neg", "abs"]
FUNCTIONAL = ["gelu", "silu", "softplus", "elu", "mish"]
# what a gradient of rounding errors is divided by must not be as small
OPTIMIZERS = ["SGD(weights, lr=1e-3)", "SGD(weights, lr=1e-3, momentum=0.9)",
              "Adam(weights, lr=1e-3, eps=0.01)", "AdamW(weights, lr=1e-3, eps=0.01)",
              "RMSprop(weights, lr=1e-4, eps=0.01)",
              "Adagrad(weights, lr=1e-3, eps=0.01)"]  # fmt: skip

HEAD = """
def loop(torch, times, dtype, given):
    F = torch.nn.functional
    kind = getattr(torch, dtype)
    weights, kept, found = [], [], []
    def weight(*shape):
        w = given(*shape, scale=0.5)
        w.requires_grad_()
        weights.append(w)
        return w
"""


class Loop:
    """Draws the lines; `pick` chooses from a list. `widths` are those of the values in a step."""

    def __init__(self, pick: Callable[[list], Any], length: int) -> None:
        self.pick = pick
        self.dtype = pick(["float32", "float64"])
        self.batches = pick(BATCHES)
        self.before: list[str] = []
        self.lines: list[str] = []
        self.widths = {"x": pick(WIDTHS)}
        self.first = self.widths["x"]
        kinds = [self.linear, self.linear, self.linear, self.elementwise, self.elementwise,
                 self.combine, self.norm, self.rows, self.part, self.state, self.join,
                 self.embed, self.vector, self.keep, self.recur, self.convolve,
                 self.columns, self.window]  # fmt: skip
        for _ in range(length):
            pick(kinds)()
        self.lines.append(self.loss())
        self.end()

    def text(self) -> str:
        lines = [
            *["    " + line for line in self.before],
            f"    sizes = {self.batches}",
            "    for k in range(times):",
            "        n = sizes[k % len(sizes)]",
            f"        x = given(n, {self.first})",
            *["        " + line for line in self.lines],
            "    return [*found, *weights, *kept]",
        ]
        return HEAD + "\n".join(lines) + "\n"

    def run(self, torch: Any, times: int) -> list[np.ndarray]:
        """What is found: losses, weights, and what was kept."""
        dice = np.random.default_rng(0)

        def given(*shape: int, scale: float = 1.0) -> Any:
            numbers = dice.standard_normal(shape) * scale
            return torch.from_numpy(numbers.astype(self.dtype))

        def number(n: int, most: int) -> Any:
            return torch.from_numpy(dice.integers(0, most, n))

        names: dict[str, Any] = {"number": number}
        exec(self.text(), names)
        results = names["loop"](torch, times, self.dtype, given)
        return [np.array(r.detach().tolist()) for r in results]

    # lines

    def some(self) -> str:
        return self.pick(list(self.widths)[-3:])

    def add(self, value: str, width: int, before: str | None = None) -> None:
        if before is not None:
            self.before.append(before)
        name = f"h{len(self.widths)}"
        self.widths[name] = width
        self.lines.append(f"{name} = {value}")

    @property
    def own(self) -> str:
        """A new name for what lives on."""
        return f"w{len(self.before)}"

    def linear(self) -> None:
        x, own, wide = self.some(), self.own, self.pick(WIDTHS)
        turned = self.pick([True, False])
        shape = (wide, self.widths[x]) if turned else (self.widths[x], wide)
        product = f"F.linear({x}, {own})" if turned else f"{x} @ {own}"
        more = ""
        if self.pick([True, False]):
            self.before.append(f"b{len(self.before)} = weight({wide})")
            more = f" + b{len(self.before) - 1}"
            product, own = product.replace(own, self.own), self.own
        scale = max(1.0, self.widths[x] ** 0.5)
        self.add(f"torch.tanh({product} / {scale:.4f}{more})", wide, f"{own} = weight{shape}")

    def elementwise(self) -> None:
        x = self.some()
        word = self.pick([f"torch.{w}" for w in SMOOTH] + [f"F.{w}" for w in FUNCTIONAL])
        self.add(f"{word}({x}.clamp(-4, 4))", self.widths[x])

    def combine(self) -> None:
        x, y = self.some(), self.some()
        if 1 in (self.widths[x], self.widths[y]) or self.widths[x] == self.widths[y]:
            word = self.pick(["+", "-", "*"])
            self.add(f"{x} {word} {y}", max(self.widths[x], self.widths[y]))

    def norm(self) -> None:
        x = self.some()
        wide = self.widths[x]
        choice = self.pick([
            f"F.layer_norm({x}, ({wide},))", f"{x}.softmax(1)", f"{x}.log_softmax(-1)",
            f"{x} - {x}.mean(0)", f"{x} / (1 + {x}.abs().sum(1, keepdim=True))",
            f"{x} - {x}.logsumexp(1, keepdim=True)", f"{x} * {x}.square().mean().sqrt()",
            f"{x} / (0.5 + {x}.var(0, unbiased=False))", f"{x}.softmax(0)", f"{x}.cumsum(0) / n",
        ])  # fmt: skip
        self.add(choice, wide)

    def rows(self) -> None:
        x = self.some()
        self.add(self.pick([f"{x}.sum(1, keepdim=True).tanh()", f"{x}.amax(1, keepdim=True)",
                            f"{x}.mean(1, keepdim=True)"]), 1)  # fmt: skip

    def columns(self) -> None:
        """Products of columns with columns: sizes along k change with the batch."""
        x, y = self.some(), self.some()
        wide = self.widths[y]
        self.add(f"torch.tanh({x} @ ({x}.t() @ {y}) / (n * {self.widths[x]}))", wide)

    def vector(self) -> None:
        """A matrix by a vector."""
        x, own = self.some(), self.own
        wide = self.widths[x]
        self.add(f"torch.tanh({x} @ {own})[:, None]", 1, f"{own} = weight({wide})")

    def part(self) -> None:
        x = self.some()
        wide = self.widths[x]
        if wide > 2:
            cuts = [(f"{x}[:, ::2]", -(-wide // 2)), (f"{x}[:, 1:]", wide - 1),
                    (f"{x}.flip(1)", wide), (f"{x}[:, {wide // 2}:].contiguous()",
                    wide - wide // 2), (f"{x}.t().contiguous().t()", wide)]  # fmt: skip
            self.add(*self.pick(cuts))

    def join(self) -> None:
        x, y = self.some(), self.some()
        self.add(f"torch.cat([{x}, {y}], 1)", self.widths[x] + self.widths[y])

    def embed(self) -> None:
        own, wide, count = self.own, self.pick(WIDTHS), self.pick([2, 5, 40])
        table = f"{own} = weight({count}, {wide})"
        self.add(f"F.embedding(number(n, {count}), {own})", wide, table)

    def state(self) -> None:
        """Something that lives on and is written to, perhaps through a window."""
        x, own = self.some(), f"s{len(self.before)}"
        wide = self.widths[x]
        lines = [f"{own}.mul_(0.9).add_({x}.detach().mean(0), alpha=0.1)",
                 f"{own}[:] = {own}.flip(0) * 0.5 + {x}.detach().sum(0) / n",
                 f"{own}[{wide // 2}:] += {x}.detach()[0, {wide // 2}:] * 0.1",
                 f"{own}.copy_({x}.detach()[-1])"]  # fmt: skip
        self.before += [f"{own} = given({wide})", f"kept.append({own})"]
        if self.pick([True, False]):
            self.before.append(f"kept.append({own}[1:])")
        self.lines.append(self.pick(lines))
        self.add(f"{x} + {own}.clone()" if self.pick([True, False]) else f"{x} * 1", wide)

    def keep(self) -> None:
        """A value that somebody holds beyond the step, now and then."""
        x = self.some()
        self.lines.append(f"if k % 5 == 3: found.append({x}{self.pick(['', '[0]', '.t()'])})")

    def recur(self) -> None:
        """Steps of a recurrent layer."""
        x, wide = self.some(), self.pick([3, 8, 17])
        name, word = f"r{len(self.before)}", self.pick(["GRU", "LSTM", "RNN"])
        self.before += [
            f"{name} = torch.nn.{word}({self.widths[x]}, {wide}, batch_first=True).to(kind)",
            f"with torch.no_grad():\n        for p in {name}.parameters(): "
            f"p.copy_(given(*p.shape, scale=0.3))",
            f"weights += {name}.parameters()",
        ]
        steps = self.pick([2, 3])
        self.add(f"{name}(torch.stack([{x}] * {steps}, 1))[0][:, -1]", wide)

    def convolve(self) -> None:
        x, own = self.some(), self.own
        wide = self.widths[x]
        if wide >= 3:
            self.add(f"F.conv1d({x}[:, None], {own}, padding=1).mean(1)", wide,
                     f"{own} = weight(4, 1, 3)")  # fmt: skip

    def window(self) -> None:
        """Rows before and after."""
        x = self.some()
        self.add(f"torch.cat([{x}[1:], {x}[:1]])", self.widths[x])

    def loss(self) -> str:
        x = self.some()
        wide = self.widths[x]
        choices = [
            f"F.mse_loss({x}, given(n, {wide}))",
            f"{x}.square().mean()",
            f"F.smooth_l1_loss({x}, given(n, {wide}))",
            f"F.binary_cross_entropy_with_logits({x}, (given(n, {wide}) > 0).to(kind))",
        ]
        if wide > 1:
            choices += [f"F.cross_entropy({x}, number(n, {wide}))"] * 2
        return f"loss = {self.pick(choices)}"

    def end(self) -> None:
        """What is done with the loss."""
        gradients = "weights, allow_unused=True"
        ways = ["optimizer", "optimizer", "by hand", "gradients", "twice", "accumulated"]
        way = self.pick(ways)
        self.before.append("x0 = weight(3)")
        self.lines.append("loss = loss + (x0 * 0.1).square().sum()")
        if way == "optimizer":
            self.before.append(f"optimizer = torch.optim.{self.pick(OPTIMIZERS)}")
            self.lines += ["optimizer.zero_grad()", "loss.backward()"]
            if self.pick([True, False, False]):
                self.lines.append("torch.nn.utils.clip_grad_norm_(weights, 0.5)")
            self.lines.append("optimizer.step()")
        elif way == "accumulated":
            self.before.append("optimizer = torch.optim.SGD(weights, lr=1e-3)")
            self.lines += ["loss.backward()", "if k % 2:", "    optimizer.step()",
                           "    optimizer.zero_grad(set_to_none=False)"]  # fmt: skip
        else:
            if way == "by hand":
                self.lines += ["loss.backward()", "gradients = [w.grad for w in weights]"]
            elif way == "gradients":
                self.lines.append(f"gradients = torch.autograd.grad(loss, {gradients})")
            else:
                self.lines += [
                    f"gradients = torch.autograd.grad(loss, {gradients}, create_graph=True)",
                    "loss = sum(g.square().sum() for g in gradients if g is not None)",
                    f"gradients = torch.autograd.grad(loss, {gradients})",
                ]
            self.lines += [
                "with torch.no_grad():",
                "    for w, g in zip(weights, gradients):",
                "        if g is not None: w -= 1e-3 * g",
                "        w.grad = None",
            ]
        self.lines.append(self.pick(["found.append(loss.detach())", "loss.item()",
                                     "if k % 4 == 0: found.append(loss.detach())"]))  # fmt: skip
