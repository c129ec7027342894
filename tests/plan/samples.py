"""Small programs whose instructions the parity cases do not record; each gives its tensors."""

from collections.abc import Callable, Iterator
from typing import Any


def _tensors(out: Any) -> Iterator[Any]:
    """The tensors in whatever a module or a sample gives."""
    if hasattr(out, "batch_sizes"):
        yield out.data
    elif isinstance(out, (tuple, list, Iterator)):
        for each in out:
            yield from _tensors(each)
    elif out is not None:
        yield out


def _learn(module: Any, *inputs: Any) -> Iterator[Any]:
    """What comes out, and the gradients of everything that goes in."""
    out = list(_tensors(module(*inputs)))
    sum((t * t.new_tensor(range(t.numel())).reshape(t.shape)).sum() for t in out).backward()
    yield from out
    given = [t for t in _tensors(inputs) if t.is_leaf and t.requires_grad]
    for t in (*given, *(module.parameters() if hasattr(module, "parameters") else ())):
        yield t.grad


def _recurrent(torch: Any) -> Iterator[Any]:
    for kind in (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU):
        for options in ({}, {"num_layers": 2, "bidirectional": True, "bias": False}):
            yield _learn(kind(3, 4, **options), torch.randn(5, 2, 3))
            packed = torch.nn.utils.rnn.pack_padded_sequence(
                torch.randn(5, 3, 3), torch.tensor([5, 3, 2])
            )
            yield _learn(kind(3, 4, **options), packed)
    yield _learn(torch.nn.RNN(3, 4, nonlinearity="relu"), torch.randn(5, 2, 3))
    yield _learn(torch.nn.LSTM(3, 4, proj_size=2), torch.randn(5, 2, 3))


def _optimizers(torch: Any) -> Iterator[Any]:
    for name, options in (
        ("Adam", {}), ("Adam", {"weight_decay": 0.1, "maximize": True}),
        ("Adam", {"amsgrad": True}), ("AdamW", {"amsgrad": True}), ("Adam", {"betas": (0.4, 0.99)}),
        ("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.5, "nesterov": True}),
        ("SGD", {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1, "maximize": True}),
        ("RMSprop", {"centered": True}), ("Adagrad", {}),
        ("Adadelta", {}), ("NAdam", {}), ("RAdam", {}), ("Adamax", {}), ("Rprop", {}),
        ("ASGD", {}),
    ):  # fmt: skip
        weight = torch.nn.Parameter(torch.randn(3, 4))
        optimizer = getattr(torch.optim, name)([weight], **options)
        for _ in range(3):
            optimizer.zero_grad()
            (weight * weight).sum().backward()
            optimizer.step()
        yield weight


def _normalisations(torch: Any) -> Iterator[Any]:
    nn = torch.nn
    image = torch.randn(2, 4, 3, 3)
    for module in (
        nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.GroupNorm(2, 4),
        nn.InstanceNorm2d(4, affine=True), nn.LayerNorm((3, 3)), nn.LayerNorm(3, bias=False),
        nn.RMSNorm(3), nn.LocalResponseNorm(2),
    ):  # fmt: skip
        yield _learn(module, image.clone().requires_grad_())
        yield _learn(module.eval(), image.clone().requires_grad_())


def _attentions(torch: Any) -> Iterator[Any]:
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    yield _learn(layer, torch.randn(2, 5, 8))
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5)
    yield layer(torch.randn(2, 5, 8), src_mask=mask)
    q, k, v = (torch.randn(2, 2, 5, 4, requires_grad=True) for _ in range(3))
    attend = torch.nn.functional.scaled_dot_product_attention
    for options in ({"is_causal": True}, {"attn_mask": torch.rand(5, 5) > 0.4}, {}):
        yield _learn(lambda *t, o=options: attend(*t, **o), q, k, v)
    yield _learn(lambda *t: attend(*t), q * 30, k * 30, v)


def _products(torch: Any) -> Iterator[Any]:
    a, b, c = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(3, 5)
    yield torch.baddbmm(c, a, b), torch.addbmm(c, a, b), torch.addmv(c[:, 0], a[0], b[0, :, 0])
    yield torch.addr(c, a[0, :, 0], b[0, 0]), torch.einsum("bij,bjk->bik", a, b)
    yield torch.addmm(c, a[0], b[0], beta=0.5, alpha=2), torch.rsub(c, c, alpha=2)
    yield torch.tensordot(a, b, ([2], [1])), torch.outer(c[0], c[0]), torch.kron(c, c)
    yield torch.nn.functional.bilinear(a, a, torch.randn(5, 4, 4))


def _numbers(torch: Any) -> Iterator[Any]:
    x, n = torch.randn(3, 4), torch.randint(-3, 4, (3, 4))
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 0.0, 1.5, -2.5])
    for number in (2, 2.5, -1):
        for name in ("eq", "ne", "lt", "le", "gt", "ge"):
            yield getattr(x, name)(number), getattr(n, name)(number)
        yield x.copysign(number), torch.xlogy(x, number), torch.xlogy(number, x.abs())
        for t in (x, n, odd):
            yield t + number, number - t, t * number, t / number, number / t
            yield t // number, t % number, torch.fmod(t, number)
        yield x**number, number**x, odd**number, odd.clamp(min=number), odd.clamp(-1, number)
    yield n & 3, 3 | n, n ^ 5, n << 2, n >> 1, 3 << n.abs(), 70 >> n.abs(), ~n
    yield torch.clamp(x, min=torch.zeros(4)), torch.clamp(x, max=torch.zeros(4))
    yield torch.clamp(x, torch.zeros(4), torch.ones(4)), x.clamp(-0.5, 0.5), n.clamp(min=0)
    functions = "relu sigmoid tanh exp log sqrt sign floor round trunc isnan isinf isfinite abs"
    for name in functions.split():
        yield getattr(odd, name)()
    for name in ("maximum", "minimum", "fmax", "fmin", "eq", "lt", "remainder", "logical_xor"):
        yield getattr(torch, name)(odd, odd.flip(0))


def _joined(torch: Any) -> Iterator[Any]:
    scalars = [torch.tensor(float(k)) * 2 for k in range(3)]
    yield torch.stack(scalars), torch.cat([torch.randn(2, 3) + 1, torch.randn(4, 3) + 1])
    x = torch.randn(3, 4, requires_grad=True)
    yield _learn(lambda t: [t[1] * 2, t[:, 1:3] + 1, t.T * 2, (t * 2).T.reshape(2, 6)], x)
    yield _learn(lambda t: [t.unfold(1, 2, 1), (t + 1)[..., ::2], (t + 1).diagonal(), t[None]], x)
    y = torch.zeros(3, 4) + 1
    y[1] = 2.0
    y[:, 2] *= 3
    y.T[0] = y[2, :3]
    yield y


def _by_number(torch: Any) -> Iterator[Any]:
    """Rows wider than a vector, written and read by number, and scans along all axes."""
    table = torch.randn(7, 37, requires_grad=True)
    rows = torch.tensor([[3, 0, 6], [3, 3, 1]])
    yield _learn(lambda t: torch.nn.functional.embedding(rows, t, padding_idx=6), table)
    yield _learn(lambda t: t[rows], table)
    x = torch.zeros(7, 37).index_add(0, rows.reshape(-1), torch.randn(6, 37))
    yield x, x.index_copy(0, torch.tensor([2, 2]), torch.randn(2, 37))
    deep = torch.randn(2, 5, 37, requires_grad=True)
    for dim in range(3):
        yield _learn(lambda t, d=dim: [t.cumsum(d), t.cumprod(d), t.flip(d)], deep)
    yield torch.randint(-9, 9, (3, 20)).cumsum(0), torch.gather(x, 1, torch.randint(37, (7, 3)))


def _for_many(torch: Any) -> Iterator[Any]:
    """Under vmap: every kind of batching."""
    x, w, b = torch.randn(3, 4, 5), torch.randn(3, 6, 5), torch.randn(6)
    linear, norm = torch.nn.functional.linear, torch.nn.functional.layer_norm

    def loss(w: Any, x: Any) -> Any:
        return norm(linear(x, w, b).tanh(), (6,)).softmax(-1).pow(2).mean()

    yield torch.vmap(linear, (0, 0, None))(x, w, b), torch.vmap(linear, (None, 0, None))(x[0], w, b)
    yield torch.vmap(lambda t: [t.sum(0), t.t() * 2, t[1:], t.reshape(-1), t @ t.t(), t @ b[:5]])(x)
    yield torch.vmap(torch.func.grad(loss), (0, None))(w, x[0])
    yield torch.vmap(torch.func.grad(loss), (None, 0))(w[0], x)
    yield torch.func.jacrev(lambda t: (t @ w[0].t()).sin())(x[0])
    yield torch.vmap(torch.vmap(lambda s, t: s * t, (None, 0)), (0, None))(x[0], x[1])
    entropy, classes = torch.nn.functional.cross_entropy, torch.tensor([[1, 2]] * 3)
    yield torch.vmap(entropy)(torch.randn(3, 2, 6), classes)
    yield torch.vmap(torch.dot)(x[0], x[1])


def _resampled(torch: Any) -> Iterator[Any]:
    image = torch.randn(2, 3, 4, 5, requires_grad=True)
    resize = torch.nn.functional.interpolate
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        for options in ({"scale_factor": 2}, {"size": (3, 9)}):
            yield _learn(lambda t, o=options, m=mode: resize(t, mode=m, **o), image)
    yield resize(image, size=(6, 6), mode="bilinear", align_corners=True)
    line = torch.randn(2, 3, 4, requires_grad=True)
    yield _learn(lambda t: resize(t, scale_factor=2, mode="linear"), line)


SAMPLES: tuple[Callable[[Any], Iterator[Any]], ...] = (
    _recurrent, _optimizers, _normalisations, _attentions, _products, _numbers, _joined, _by_number,
    _for_many, _resampled,
)  # fmt: skip


def look(torch: Any) -> None:
    """Have all samples computed."""
    for sample in SAMPLES:
        torch.manual_seed(0)
        for t in _tensors(sample(torch)):
            t.tolist()
