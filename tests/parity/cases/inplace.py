"""In-place variants: values, gradients, version counters, and what views of a storage see."""

from tests.parity.case import Family, b, f, i, inplace

in_place = Family("inplace")

for name, (low, high) in {
    "exp_": (-2, 2),
    "sin_": (-2, 2),
    "cos_": (-2, 2),
    "tanh_": (-2, 2),
    "sigmoid_": (-2, 2),
    "sqrt_": (0.2, 3),
    "rsqrt_": (0.2, 3),
    "log_": (0.2, 3),
    "log1p_": (-0.5, 3),
    "neg_": (-2, 2),
    "abs_": (-2, 2),
    "relu_": (-2, 2),
    "square_": (-2, 2),
    "reciprocal_": (0.3, 3),
    "erf_": (-2, 2),
    "floor_": (-3, 3),
    "ceil_": (-3, 3),
    "round_": (-3, 3),
    "trunc_": (-3, 3),
    "expm1_": (-1, 1),
    "exp2_": (-1, 1),
    "log2_": (0.2, 3),
    "atan_": (-2, 2),
    "frac_": (-3, 3),
    "sign_": (-2, 2),
}.items():
    in_place(
        name,
        inplace(name),
        f(3, 4, low=low, high=high),
        differences=name not in ("floor_", "ceil_", "round_", "trunc_", "frac_", "sign_"),
    )
in_place("clamp_", inplace("clamp_", -0.5, 0.5), f(3, 4))
in_place("clamp_ min", inplace("clamp_", min=0.1), f(3, 4))
in_place("zero_", inplace("zero_"), f(3, 4))
in_place("fill_", inplace("fill_", 2.5), f(3, 4))
in_place("fill_ tensor", lambda T, x, y: x.clone().fill_(y), f(3, 4), f())
in_place("copy_", inplace("copy_"), f(3, 4), f(3, 4))
in_place("copy_ broadcast and cast", inplace("copy_"), f(3, 4), i(4))
in_place("copy_ into integers", lambda T, x, y: x.clone().copy_(y * 3), i(3, 4), f(3, 4).nograd)
in_place("masked_fill_ number", lambda T, x, m: x.clone().masked_fill_(m, 1.5), f(3, 4), b(3, 4))
in_place("masked_fill_ tensor", lambda T, x, m, v: x.clone().masked_fill_(m, v), f(3, 4), b(4), f())
in_place(
    "masked_scatter_", lambda T, x, m, v: x.clone().masked_scatter_(m, v), f(3, 4), b(3, 4), f(12)
)
in_place("t_ and transpose_", lambda T, x: [x.clone().t_(), x.clone().transpose_(0, 1)], f(3, 4))
in_place(
    "squeeze_ unsqueeze_", lambda T, x: [x.clone().squeeze_(), x.clone().unsqueeze_(0)], f(3, 1)
)
in_place("resize of nothing", lambda T, x: x.clone().resize_(2, 6), f(3, 4).nograd)
in_place("cumsum_", lambda T, x: x.clone().cumsum_(1), f(3, 4))
in_place("tril_ triu_", lambda T, x: [x.clone().tril_(), x.clone().triu_(1)], f(3, 4))
in_place("fill_diagonal_", lambda T, x: x.clone().fill_diagonal_(3.0), f(3, 4).nograd)
in_place("leaf without gradient", lambda T, x: x.add_(1), f(3, 4).nograd)
in_place("leaf written twice", lambda T, x: [x.mul_(2), x.sub_(x)], f(3, 4).nograd)
in_place("clamp_ integers", lambda T, x: x.clamp_(0, 2), i(6))
in_place("logical_not_", lambda T, x: x.logical_not_(), b(6))
in_place("bitwise_not_", lambda T, x: x.bitwise_not_(), i(6))
in_place("integer add_ keeps dtype", lambda T, x: x.add_(1).mul_(3).sub_(2), i(6, dtype="int16"))
in_place("float add_ of double", lambda T, x, y: x.clone().add_(y), f(3), f(3, dtype="float64"))

views = Family("inplace-view")
views("write through a slice", lambda T, x: _then(x.clone(), lambda y: y[1:].mul_(2)), f(3, 4))
views("write through a transpose", lambda T, x: _then(x.clone(), lambda y: y.t().mul_(2)), f(3, 4))
views(
    "write through view of slice", lambda T, x: _then(x * 1, lambda y: y[:, 1:3][0].exp_()), f(3, 4)
)
views("write through diagonal", lambda T, x: _then(x * 1, lambda y: y.diagonal().zero_()), f(4, 4))
views("write through unbind", lambda T, x: _then(x * 1, lambda y: y[1].add_(y[0])), f(3, 4))
views("write through select", lambda T, x: _then(x * 1, lambda y: y.select(1, 2).fill_(1)), f(3, 4))
views(
    "write through narrow", lambda T, x: _then(x * 1, lambda y: y.narrow(0, 1, 2).sin_()), f(3, 4)
)
views("write through view", lambda T, x: _then(x * 1, lambda y: y.view(-1)[::2].mul_(3)), f(3, 4))
views(
    "write through as_strided",
    lambda T, x: _then(x * 1, lambda y: y.as_strided((2, 2), (4, 1), 1).mul_(3)),
    f(3, 4),
)
views("write to the base, read the view", lambda T, x: _base(x * 1), f(3, 4))
views("write to one view, read another", lambda T, x: _two(x * 1), f(3, 4))
views(
    "write a tracked value into an untracked tensor",
    lambda T, x: _then(T.zeros(3, 4, dtype=x.dtype), lambda y: y[0].copy_(x[1])),
    f(3, 4),
)
views("view made before the write", lambda T, x: _before(T.zeros(3, 4, dtype=x.dtype), x), f(3, 4))
views("detached view sees the write", lambda T, x: _detached(x * 1), f(3, 4))
views("squeeze then write", lambda T, x: _then(x * 1, lambda y: y.squeeze(1).mul_(2)), f(3, 1, 2))
views(
    "expand then add to base",
    lambda T, x: _then(x * 1, lambda y: y.add_(y[0].expand(3, 4) * 1)),
    f(3, 4),
)
views("chain of writes", lambda T, x: _chain(x * 1), f(3, 4))
views(
    "permute then write",
    lambda T, x: _then(x * 1, lambda y: y.permute(2, 0, 1)[0].mul_(2)),
    f(2, 3, 4),
)
views("unfold then read", lambda T, x: _unfold(x * 1), f(6))
views(
    "real part",
    lambda T, x: _then(T.complex(x, x), lambda z: z.real.mul_(2)),
    f(3),
    differences=False,
)


def _then(y, write):
    write(y)
    return y


def _base(y):
    view = y[1:, 2]
    y.mul_(3)
    return [view, y, view._version]


def _two(y):
    rows, columns = y[1], y[:, 1]
    rows.mul_(2)
    columns.add_(1)
    return [rows, columns, y, rows._version]


def _before(y, x):
    view = y.view(-1)
    y.copy_(x)
    view[3:5].mul_(2)
    return [view, y, view.is_leaf, y.is_leaf]


def _detached(y):
    other = y.detach()
    y.add_(1)
    return [other, y, other._version, other.requires_grad]


def _chain(y):
    y[0].mul_(2)
    y[:, 1].sub_(y[:, 0])
    y.t()[2].sin_()
    y.add_(1)
    return y * y


def _unfold(y):
    windows = y.unfold(0, 3, 1)
    y.mul_(2)
    return windows.sum(1)
