"""Memory given away: what NumPy writes into one tensor is seen by its views and by nobody else."""

import copy

import numpy as np

from tests.parity.case import Family, const, f

export = Family("export", {"order": 0})


def given_away(make):
    """Make a tensor of x, let NumPy overwrite it, and return both, and fresh constants."""

    def call(T, x):
        y = make(T, x)
        y.detach().numpy()[...] = 9
        return [x, y, T.zeros(2, 2), T.ones(2, 2), T.zeros_like(x), T.full((2, 2), 3.0), x + 1]

    return call


COPIES = {
    "clone": lambda T, x: x.clone(),
    "to copy": lambda T, x: x.to(x.dtype, copy=True),
    "deepcopy": lambda T, x: copy.deepcopy(x),
    "copy": lambda T, x: copy.copy(x),
    "plus nothing": lambda T, x: x + 0,
    "copy_": lambda T, x: T.empty(2, 2).copy_(x),
    "assigned": lambda T, x: _assigned(T, x),
    "set data": lambda T, x: _data(T, x),
    "tensor of a list": lambda T, x: T.tensor(x.tolist()),
    "tensor of an array": lambda T, x: T.tensor(x.numpy()),
    "as_tensor of an array": lambda T, x: T.as_tensor(x.numpy()),
    "from_numpy of a copy": lambda T, x: T.from_numpy(x.numpy().copy()),
    "cat of one": lambda T, x: T.cat([x]),
    "stack of one": lambda T, x: T.stack([x])[0],
    "contiguous": lambda T, x: x.contiguous(),
    "contiguous of transposed": lambda T, x: x.t().contiguous(),
    "reshape": lambda T, x: x.reshape(4),
    "view": lambda T, x: x.t()[0],
    "repeat once": lambda T, x: x.repeat(1, 1),
    "where": lambda T, x: T.where(x == x, x, x),
    "clamp": lambda T, x: x.clamp(-99, 99),
    "masked_fill of nothing": lambda T, x: x.masked_fill(x != x, 0.0),
    "relu": lambda T, x: x.relu(),
    "type": lambda T, x: x.float(),
    "detach": lambda T, x: x.detach(),
    "data": lambda T, x: x.data,
    "zeros": lambda T, x: T.zeros(2, 2),
    "zeros_like": lambda T, x: T.zeros_like(x),
    "ones": lambda T, x: T.ones(2, 2),
    "full": lambda T, x: T.full((2, 2), 3.0),
    "fill_": lambda T, x: T.empty(2, 2).fill_(3.0),
    "zero_": lambda T, x: x.clone().zero_(),
    "empty": lambda T, x: T.empty(2, 2),
    "new_zeros": lambda T, x: x.new_zeros(2, 2),
    "ones of gradient": lambda T, x: _gradient(T, x, lambda w: w.sum()),
    "gradient of a product": lambda T, x: _gradient(T, x, lambda w: (w * x).sum()),
    "gradient of a transposed sum": lambda T, x: _gradient(T, x, lambda w: (w.t() * x).sum()),
    "gradient given": lambda T, x: _given(T, x),
    "identity function": lambda T, x: T.nn.functional.dropout(x, 0.5, training=False),
    "dropout of nothing": lambda T, x: T.nn.functional.dropout(x, 0.0),
    "expanded and copied": lambda T, x: x[0].expand(2, 2).clone(),
    "squeezed": lambda T, x: x[None].squeeze(0),
    "chunk": lambda T, x: x.chunk(1)[0],
    "eye": lambda T, x: T.eye(2),
    "arange": lambda T, x: T.arange(4.0).reshape(2, 2),
    "pow one": lambda T, x: x**1,
    "sum of one row": lambda T, x: x[:1].sum(0),
    "parameter": lambda T, x: T.nn.Parameter(x),
    "state_dict": lambda T, x: _state(T, x),
}
for name, make in COPIES.items():
    export(name, given_away(make), f(2, 2).nograd)
export("written later", lambda T, x: _later(x), const([[1.0, 2.0], [3.0, 4.0]]))
export("array held while the tensor is replaced", lambda T, x: _replaced(x), f(2, 2).nograd)
export("in-place operation seen by the array", lambda T, x: _seen(x), f(2, 2).nograd)
export("array outlives the tensor", lambda T, x: _outlives(T), f(1).nograd)
export("two arrays of one tensor", lambda T, x: _two(x), f(2, 2).nograd)


def _assigned(T, x):
    y = T.zeros(2, 2)
    y[:] = x
    return y


def _data(T, x):
    y = T.zeros(2, 2)
    y.data = x.clone()
    return y


def _gradient(T, x, loss):
    w = T.ones(2, 2, requires_grad=True)
    loss(w).backward()
    return w.grad


def _given(T, x):
    w = T.ones(2, 2, requires_grad=True)
    (w * 1).backward(x)
    return w.grad


def _state(T, x):
    net = T.nn.Linear(2, 2)
    with T.no_grad():
        net.weight.copy_(x)
    return net.state_dict()["weight"]


def _later(x):
    y = x * 2
    array = x.numpy()
    z = x * 2
    array[0, 0] = 7
    return [x, y, z, x * 2]


def _replaced(x):
    y = x + 0
    array = y.numpy()
    y = y * 2
    array[...] = 5
    return [x, y]


def _seen(x):
    array = x.numpy()
    x.mul_(2).add_(1)
    x[0] = 3
    return [array.tolist(), x]


def _outlives(T):
    array = T.arange(4.0).numpy()
    junk = [T.full((4,), float(n)) + 1 for n in range(5)]
    return [array.tolist(), np.asarray(junk[0]).tolist()]


def _two(x):
    first, second = x.numpy(), x.t().numpy()
    first[0, 1] = 5
    second[0, 0] = 6
    return [x, first.tolist(), second.tolist()]
