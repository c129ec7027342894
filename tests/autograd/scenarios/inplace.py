"""Writes in place, through views and not, and the gradients that come of them."""

from tests.autograd.scenarios.case import refused, scenario


def start(torch, *shape):
    """A leaf of distinct numbers and a result to write into."""
    count = 1
    for n in shape:
        count *= n
    x = (torch.arange(float(count)) + 1).reshape(shape).requires_grad_()
    return x, x * 2


def weigh(torch, y):
    """Backward from y with a different weight for every element."""
    (y * torch.arange(1.0, y.numel() + 1).reshape(y.shape)).sum().backward()


@scenario
def whole(torch):
    x, y = start(torch, 3)
    y.mul_(3).add_(1)
    weigh(torch, y)
    return y, x.grad, y._version


@scenario
def augmented_assignments(torch):
    x, y = start(torch, 3)
    same = y
    y += 1
    y -= 2
    y *= 3
    y /= 4
    y **= 2
    weigh(torch, y)
    return y, x.grad, same is y


@scenario
def nonlinear(torch):
    x, y = start(torch, 3)
    y.exp_()
    y.add_(1)
    weigh(torch, y)
    return y, x.grad


@scenario
def linear_then_nonlinear(torch):
    x, y = start(torch, 3)
    y.mul_(0.1)
    y.tanh_()
    z = y * 1
    z.sigmoid_()
    weigh(torch, z)
    return y, z, x.grad


@scenario
def one_nonlinear_after_another(torch):
    x, y = start(torch, 3)
    y.exp_()
    y.sqrt_()
    weigh(torch, y)
    return y, x.grad


@scenario
def one_element(torch):
    x, y = start(torch, 3)
    y[1] = 5.0
    weigh(torch, y)
    return y, x.grad


@scenario
def a_slice_of_numbers(torch):
    x, y = start(torch, 2, 3)
    y[:, 1:] = 0.0
    weigh(torch, y)
    return y, x.grad


@scenario
def a_slice_of_a_tensor(torch):
    x, y = start(torch, 2, 3)
    w = torch.tensor([7.0, 8.0], requires_grad=True)
    y[:, 1:] = w * 2
    weigh(torch, y)
    return y, x.grad, w.grad


@scenario
def a_broadcast_write(torch):
    x, y = start(torch, 2, 3)
    w = torch.tensor([[7.0], [8.0]], requires_grad=True)
    y[:] = w
    weigh(torch, y)
    return y, x.grad, w.grad


@scenario
def a_scalar_tensor_write(torch):
    x, y = start(torch, 2, 3)
    w = torch.tensor(7.0, requires_grad=True)
    y[0] = w * w
    weigh(torch, y)
    return y, x.grad, w.grad


@scenario
def into_something_without_gradients(torch):
    out = torch.zeros(2, 3)
    w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out[0] = w
    out[1] = w * w
    flags = out.requires_grad, out.is_leaf, out.grad_fn.name()
    weigh(torch, out)
    return flags, out, w.grad


@scenario
def filling_row_by_row(torch):
    out = torch.zeros(4, 2)
    w = torch.ones(2, requires_grad=True)
    h = w
    for k in range(4):
        h = h * 2
        out[k] = h
    weigh(torch, out)
    return out, w.grad


@scenario
def through_a_view(torch):
    x, y = start(torch, 2, 3)
    v = y[:, 1]
    v.mul_(10)
    weigh(torch, y)
    return y, x.grad, v


@scenario
def through_a_transpose(torch):
    x, y = start(torch, 2, 3)
    y.t()[1:].mul_(10)
    weigh(torch, y)
    return y, x.grad


@scenario
def through_a_chain_of_views(torch):
    x, y = start(torch, 4, 6)
    y.view(2, 2, 6).transpose(1, 2)[1, ::2].mul_(3)
    y.view(24)[3:9].add_(1)
    y.diagonal().mul_(2)
    weigh(torch, y)
    return y, x.grad


@scenario
def through_a_view_of_a_transpose(torch):
    x, y = start(torch, 3, 2)
    t = y.t()
    t[0] = torch.tensor([1.0, 2.0, 3.0])
    t.mul_(2)
    weigh(torch, y)
    return y, t, x.grad


@scenario
def the_view_is_used_afterwards(torch):
    x, y = start(torch, 4)
    v = y[1:3]
    v.mul_(v)
    weigh(torch, v)
    return y, v, x.grad


@scenario
def an_older_view_sees_the_write(torch):
    x, y = start(torch, 4)
    older, written = y[:3], y[1:]
    written.mul_(5)
    weigh(torch, older)
    return older, x.grad, older.grad_fn.name()


@scenario
def two_writes_through_two_views(torch):
    x, y = start(torch, 4)
    a, b = y[:3], y[1:]
    a.mul_(2)
    b.mul_(3)
    weigh(torch, y)
    return y, a, b, x.grad


@scenario
def a_write_to_the_base_between(torch):
    x, y = start(torch, 4)
    v = y[:2]
    v.mul_(2)
    y.mul_(3)
    v.add_(1)
    weigh(torch, y)
    return y, v, x.grad


@scenario
def copying_with_gradients(torch):
    x, y = start(torch, 3)
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    y.copy_(w * 3)
    y[1:].copy_(x[1:])
    weigh(torch, y)
    return y, x.grad, w.grad


@scenario
def zeroing_and_filling(torch):
    x, y = start(torch, 4)
    y[:1].zero_()
    y[1:2].fill_(5)
    y[3].fill_(2.0)
    weigh(torch, y)
    x2, y2 = start(torch, 2)
    y2.zero_()
    flags = y2.requires_grad, y2.grad_fn.name()
    weigh(torch, y2)
    return y, x.grad, x2.grad, flags


@scenario
def masks_and_indices(torch):
    x, y = start(torch, 2, 3)
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    y[y > 9] = 0.0
    y[torch.tensor([0, 1]), torch.tensor([0, 2])] = w
    y.masked_fill_(y == 4, -1.0)
    weigh(torch, y)
    return y, x.grad, w.grad


@scenario
def scatter_and_index_writes(torch):
    x, y = start(torch, 4)
    w = torch.tensor([5.0, 6.0], requires_grad=True)
    y.index_add_(0, torch.tensor([0, 0]), w)
    y.scatter_(0, torch.tensor([3]), 9.0)
    y.index_fill_(0, torch.tensor([1]), 7.0)
    weigh(torch, y)
    return y, x.grad, w.grad


@scenario
def an_expanded_source(torch):
    x = torch.tensor([[1.0], [2.0]], requires_grad=True)
    out = torch.zeros(2, 3)
    out.copy_(x.expand(2, 3))
    weigh(torch, out)
    return out, x.grad


@scenario
def second_order_through_a_write(torch):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x**3
    y[1:].mul_(x[:2])
    (g,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    return g, h


@scenario
def relu_in_place(torch):
    x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    y = torch.relu_(x * 2)
    z = torch.nn.functional.relu(y - 5, inplace=True)
    weigh(torch, y + z)
    return y, z, x.grad


@scenario
def a_leaf_without_gradients_becomes_a_result(torch):
    x = torch.zeros(3)
    w = torch.ones(3, requires_grad=True)
    x.add_(w)
    return x.requires_grad, x.is_leaf, x.grad_fn.name()


@scenario
def versions(torch):
    x = torch.zeros(4)
    seen = [x._version]
    x.add_(1)
    seen.append(x._version)
    x[0] = 1
    seen.append(x._version)
    v = x[1:]
    v.mul_(2)
    seen += [x._version, v._version]
    x.data.add_(1)
    seen.append(x._version)
    x.detach().add_(1)
    seen.append(x._version)
    with torch.no_grad():
        x.add_(1)
    return [*seen, x._version]


@scenario
def a_write_after_use_that_is_allowed(torch):
    x, y = start(torch, 3)
    z = y + 1
    y.mul_(5)
    weigh(torch, z + y)
    return x.grad


@scenario
def a_write_after_use_that_is_not(torch):
    x, y = start(torch, 3)
    z = y * y
    y.mul_(5)
    e = (x * 2).exp()
    s = e.sum()
    e.add_(1)
    w = torch.ones(3, requires_grad=True)
    p = x * w
    with torch.no_grad():
        w.add_(1)
    return (
        refused(z.sum().backward, chars=250),
        refused(s.backward),
        refused((e * 1).sum().backward, chars=250),
        refused(p.sum().backward, chars=200),
    )


@scenario
def a_write_through_a_view_after_use(torch):
    x, y = start(torch, 3)
    z = y * y
    y[0] = 1.0
    return refused(z.sum().backward, chars=220)


@scenario
def a_write_through_detach_after_use(torch):
    x, y = start(torch, 3)
    z = y * y
    y.detach().mul_(2)
    first = refused(z.sum().backward)
    z = y * y
    y.data.mul_(2)
    z.sum().backward()
    return first, x.grad


@scenario
def writes_that_are_refused(torch):
    x = torch.ones(2, 2, requires_grad=True)
    expanded = (torch.ones(1, 2) * 1).expand(3, 2)
    y = x * 2
    rows = y.unbind()
    parts = (x * 2).split(1)

    def set_item():
        x[0] = 1.0

    return (
        refused(lambda: x.add_(1), chars=80),
        refused(set_item, chars=80),
        refused(lambda: x.view(4).mul_(2), chars=80),
        refused(lambda: x[0].mul_(2), chars=80),
        refused(lambda: x.zero_(), chars=80),
        refused(lambda: x.fill_(1.0), chars=80),
        refused(lambda: x.copy_(torch.ones(2, 2)), chars=80),
        refused(lambda: torch.nn.init.normal_(x) is None, chars=80),
        refused(lambda: x.uniform_(), chars=80),
        refused(lambda: expanded.add_(1), chars=80),
        refused(lambda: rows[0].mul_(2), chars=80),
        refused(lambda: parts[1].mul_(2), chars=80),
        refused(lambda: torch.ones(2, dtype=torch.int64).add_(1.5), chars=80),
        refused(lambda: torch.ones(2).add_(torch.ones(3, 2)), chars=80),
    )


@scenario
def swapping_through_a_temporary(torch):
    x, y = start(torch, 4)
    kept = y[:2].clone()
    y[:2] = y[2:]
    y[2:] = kept
    weigh(torch, y)
    return y, x.grad


@scenario
def overlapping_source_and_target(torch):
    x, y = start(torch, 4)
    y[1:] = y[:-1].clone() + y[1:]
    weigh(torch, y)
    return y, x.grad


@scenario
def the_same_view_in_both_places(torch):
    x, y = start(torch, 3)
    y.add_(y)
    y.mul_(y)
    weigh(torch, y)
    return y, x.grad


@scenario
def a_recurrence_in_one_buffer(torch):
    w = torch.tensor(0.5, requires_grad=True)
    h = torch.zeros(5)
    h[0] = w
    for k in range(1, 5):
        h[k] = h[k - 1] * w + 1
    return h, refused(h.sum().backward, chars=40)


@scenario
def complex_parts(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    z = torch.zeros(2, dtype=torch.complex64)
    z.real.copy_(x)
    z.imag.copy_(x * x)
    (z * z.conj()).real.sum().backward()
    return z, x.grad
