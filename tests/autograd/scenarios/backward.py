"""backward() and grad(): which gradients come, where they go, what stays of the graph."""

from tests.autograd.scenarios.case import refused, scenario, warned


def leaf(torch, *numbers, **options):
    """A leaf of the given numbers."""
    return torch.tensor(numbers, requires_grad=True, **options)


@scenario
def of_a_scalar(torch):
    x = leaf(torch, 1.0, 2.0, 3.0)
    (x * x).sum().backward()
    return x.grad, x.grad.requires_grad, x.grad.is_leaf


@scenario
def with_a_gradient(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * 3
    y.backward(torch.tensor([1.0, 10.0]))
    return x.grad


@scenario
def with_a_gradient_that_requires_grad(torch):
    x, g = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
    y = x * x
    y.backward(g, create_graph=True)
    z = x.grad.sum()
    x.grad = None
    z.backward()
    return x.grad, g.grad


@scenario
def of_several_tensors(torch):
    x = leaf(torch, 1.0, 2.0)
    torch.autograd.backward([x.sum(), x * x], [None, torch.ones(2)])
    first = x.grad.clone()
    torch.autograd.backward((x.prod(), x.sum()))
    return first, x.grad


@scenario
def of_the_same_tensor_twice(torch):
    x = leaf(torch, 1.0, 2.0)
    y = (x * x).sum()
    torch.autograd.backward([y, y])
    return x.grad


@scenario
def of_a_leaf(torch):
    x = leaf(torch, 3.0)
    x.backward(torch.tensor([5.0]))
    once = x.grad.clone()
    x.sum().backward()
    return once, x.grad


@scenario
def accumulates(torch):
    x = leaf(torch, 1.0, 2.0)
    held = []
    for _ in range(3):
        (x**2).sum().backward()
        held.append(x.grad)
    return held[0], held[0] is x.grad, x.grad._version


@scenario
def accumulates_into_an_assigned_grad(torch):
    x = leaf(torch, 1.0, 2.0)
    mine = torch.tensor([10.0, 20.0])
    x.grad = mine
    (x * 2).sum().backward()
    return mine, x.grad is mine


@scenario
def replaces_the_grad_when_a_graph_is_made(torch):
    x = leaf(torch, 1.0, 2.0)
    (x**2).sum().backward()
    first = x.grad
    (x**3).sum().backward(create_graph=True)
    return first, x.grad, first is x.grad, x.grad.requires_grad


@scenario
def grad_set_to_none_and_zero(torch):
    x = leaf(torch, 1.0, 2.0)
    (x * 3).sum().backward()
    x.grad.zero_()
    zeroed = x.grad.clone()
    (x * 3).sum().backward()
    again = x.grad.clone()
    x.grad = None
    none = x.grad is None
    del x.grad
    (x * 4).sum().backward()
    return zeroed, again, none, x.grad


@scenario
def retain_graph(torch):
    x = leaf(torch, 1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad, refused(y.backward)


@scenario
def a_second_backward_without_saved_tensors(torch):
    x = leaf(torch, 1.0, 2.0)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    return x.grad


@scenario
def a_second_backward_through_a_shared_part(torch):
    x = leaf(torch, 1.0, 2.0)
    h = x * x
    (h * 2).sum().backward()
    return x.grad, refused((h + 1).sum().backward)


@scenario
def second_order(torch):
    x = leaf(torch, 1.0, 2.0)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    (k,) = torch.autograd.grad(h.sum(), x)
    return g, h, k, g.requires_grad, k.requires_grad


@scenario
def gradient_penalty(torch):
    w, x = leaf(torch, 0.5, -1.5), leaf(torch, 1.0, 2.0)
    y = torch.tanh(w * x).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    ((g.norm() - 1) ** 2).backward()
    return g, w.grad, x.grad


@scenario
def only_towards_inputs(torch):
    x, y = leaf(torch, 1.0), leaf(torch, 2.0)
    (x * y).sum().backward(inputs=[x])
    return x.grad, y.grad


@scenario
def only_towards_one_input(torch):
    x, y = leaf(torch, 1.0), leaf(torch, 2.0)
    (x * y).sum().backward(inputs=y)
    return x.grad, y.grad


@scenario
def towards_a_non_leaf(torch):
    x = leaf(torch, 1.0, 2.0)
    h = x * 2
    (h * h).sum().backward(inputs=[h, x])
    return h.grad, x.grad


@scenario
def grad_of_leaves_and_results(torch):
    x, y = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
    h = x * y
    out = torch.autograd.grad((h * h).sum(), [x, h, y])
    return out, x.grad, [g.requires_grad for g in out]


@scenario
def grad_of_the_output_itself(torch):
    x = leaf(torch, 1.0, 2.0)
    y = (x * x).sum()
    return torch.autograd.grad(y, [y, x])


@scenario
def grad_of_the_same_input_twice(torch):
    x = leaf(torch, 1.0, 2.0)
    return torch.autograd.grad((x * x).sum(), [x, x])


@scenario
def grad_with_outputs_gradients(torch):
    x = leaf(torch, 1.0, 2.0)
    return torch.autograd.grad([x * 2, x * x], x, [torch.ones(2), torch.tensor([10.0, 100.0])])


@scenario
def unused_inputs(torch):
    x, y = leaf(torch, 1.0), leaf(torch, 2.0, 3.0)
    z = (x * x).sum()
    return (
        refused(lambda: torch.autograd.grad(z, [x, y], retain_graph=True)),
        torch.autograd.grad(z, [x, y], retain_graph=True, allow_unused=True),
        torch.autograd.grad(z, [x, y], retain_graph=True, materialize_grads=True),
        refused(lambda: torch.autograd.grad(z, [x, y], allow_unused=False, materialize_grads=True)),
    )


@scenario
def batched_gradients(torch):
    x = leaf(torch, 1.0, 2.0, 3.0)
    y = x**2
    (jacobian,) = torch.autograd.grad(y, x, torch.eye(3), is_grads_batched=True)
    return jacobian


@scenario
def batched_gradients_of_two_inputs(torch):
    x, w = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
    y = x * w
    return torch.autograd.grad(y, [x, w], torch.eye(2), is_grads_batched=True, create_graph=True)


@scenario
def a_tensor_used_many_times(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x
    for _ in range(5):
        y = y * x + x
    (y + x + y * y).sum().backward()
    return x.grad


@scenario
def diamonds(torch):
    x = leaf(torch, 0.5)
    y = x
    for _ in range(20):
        y = (y + y) / 2 + x * 0
    y.sum().backward()
    return x.grad


@scenario
def through_broadcasting(torch):
    a = torch.ones(3, 1, requires_grad=True)
    b = torch.ones(4, requires_grad=True)
    c = leaf(torch, 2.0)
    (a * b * c + b).sum().backward()
    return a.grad, b.grad, c.grad, list(a.grad.shape)


@scenario
def through_a_cast(torch):
    x = leaf(torch, 1.0, 2.0, dtype=torch.float64)
    y = leaf(torch, 3.0, 4.0)
    (x.float() * y).sum().backward()
    half = leaf(torch, 1.0, 2.0).half()
    return x.grad, y.grad, half.grad_fn.name()


@scenario
def of_mixed_dtypes(torch):
    x = leaf(torch, 1.0, 2.0, dtype=torch.float64)
    y = leaf(torch, 3.0, 4.0, dtype=torch.float16)
    (x * y).sum().backward()
    return x.grad, y.grad


@scenario
def with_a_gradient_of_another_dtype(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * 2
    y.backward(torch.ones(2, dtype=torch.float64))
    return x.grad


@scenario
def complex_gradients(torch):
    z = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    (z * z.conj()).real.sum().backward()
    first = z.grad.clone()
    z.grad = None
    (z**2).backward(torch.tensor([1 + 0j, 1j]))
    second = z.grad.clone()
    z.grad = None
    z.abs().sum().backward()
    return first, second, z.grad


@scenario
def real_and_complex(torch):
    x = leaf(torch, 1.0, 2.0)
    z = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    (x * z).abs().pow(2).sum().backward()
    return x.grad, z.grad


@scenario
def the_layout_of_grad(torch):
    x = torch.arange(6.0).reshape(2, 3).t().requires_grad_()
    (x * x).sum().backward()
    y = torch.ones(2, 3, requires_grad=True)
    (y.t() * torch.ones(3, 2)).sum().backward()
    z = torch.ones(1, requires_grad=True)
    (z.expand(4)).sum().backward()
    w = torch.ones(2, 2, requires_grad=True)
    w.sum().backward()
    return [[g.stride(), g.is_contiguous(), g] for g in (x.grad, y.grad, z.grad, w.grad)]


@scenario
def the_grad_is_its_own_memory(torch):
    x, y = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
    g = torch.ones(2)
    (x + y).backward(g)
    x.grad.add_(5)
    g.mul_(7)
    return x.grad, y.grad, g


@scenario
def retain_grad(torch):
    x = leaf(torch, 1.0, 2.0)
    h = x * 2
    h.retain_grad()
    h.retain_grad()
    (h * h).sum().backward()
    return h.grad, x.grad, h.retains_grad, x.retains_grad, h.is_leaf


@scenario
def retain_grad_accumulates(torch):
    x = leaf(torch, 1.0, 2.0)
    h = x * 2
    h.retain_grad()
    for _ in range(2):
        (h * 3).sum().backward(retain_graph=True)
    return h.grad


@scenario
def retain_grad_of_a_view_written_to(torch):
    x = leaf(torch, 1.0, 2.0)
    h = x * 2
    h.retain_grad()
    h.mul_(3)
    h.sum().backward()
    return h.grad, x.grad


@scenario
def grad_of_a_non_leaf_warns(torch):
    h = leaf(torch, 1.0) * 2
    return warned(lambda: h.grad), warned(lambda: leaf(torch, 1.0).grad)


@scenario
def create_graph_warns(torch):
    x = leaf(torch, 1.0)
    return warned(lambda: (x * x).sum().backward(create_graph=True))


@scenario
def detached_parts(torch):
    x = leaf(torch, 1.0, 2.0)
    d = (x * 2).detach()
    (d * x).sum().backward()
    d2 = x.detach()
    d2[0] = 9.0
    return x.grad, d.requires_grad, d.is_leaf, d.grad_fn, x, d2.requires_grad_().is_leaf


@scenario
def detach_in_place(torch):
    x = leaf(torch, 1.0, 2.0)
    h = x * 2
    h.detach_()
    view = (x * 3)[:1]
    return h.requires_grad, h.is_leaf, refused(view.detach_)


@scenario
def data(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * x
    x.data.mul_(10)
    version = x._version
    y.sum().backward()
    x.data = torch.tensor([7.0, 8.0, 9.0])
    return x, x.grad, version, x.data.requires_grad, list(x.shape), x.is_leaf


@scenario
def data_updates_a_leaf_in_a_loop(torch):
    w = leaf(torch, 1.0, -2.0)
    seen = []
    for _ in range(4):
        loss = ((w - 3) ** 2).sum()
        loss.backward()
        seen.append(loss.detach())
        w.data -= 0.1 * w.grad.data
        w.grad.data.zero_()
    return seen, w


@scenario
def hand_written_loop(torch):
    torch.manual_seed(1)
    x, w = torch.randn(5, 3), torch.randn(3, 2).requires_grad_()
    losses = []
    for _ in range(5):
        loss = (torch.relu(x.mm(w)) - 1).pow(2).mean()
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            w -= 0.1 * w.grad
            w.grad.zero_()
    return losses, w
