"""Hooks: on tensors, on leaves after accumulation, on nodes, and on what nodes keep."""

from tests.autograd.scenarios.case import refused, scenario


@scenario
def on_a_leaf(torch):
    x = torch.ones(2, requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.clone()))
    (x * 3).sum().backward()
    return seen, x.grad


@scenario
def on_a_leaf_once_for_many_uses(torch):
    x = torch.ones(2, requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.clone()))
    (x * 3 + x * 4).sum().backward()
    return seen


@scenario
def on_a_result(torch):
    x = torch.ones(2, requires_grad=True)
    h = x * 2
    seen = []
    h.register_hook(lambda g: seen.append(g.clone()))
    (h * 3 + h).sum().backward()
    return seen, x.grad


@scenario
def replacing_the_gradient(torch):
    x = torch.ones(2, requires_grad=True)
    h = x * 2
    h.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    h.sum().backward()
    return x.grad


@scenario
def order(torch):
    x = torch.ones(1, requires_grad=True)
    h = x * 2
    seen = []
    h.register_hook(lambda g: seen.append("h1"))
    x.register_hook(lambda g: seen.append("x1"))
    h.register_hook(lambda g: seen.append("h2") or g * 2)
    x.register_hook(lambda g: seen.append(["x2", g.item()]))
    x.register_post_accumulate_grad_hook(lambda t: seen.append(["post", t.grad.item()]))
    h.sum().backward()
    return seen


@scenario
def removed(torch):
    x = torch.ones(1, requires_grad=True)
    h = x * 2
    seen = []
    a = x.register_hook(lambda g: seen.append("a"))
    b = h.register_hook(lambda g: seen.append("b"))
    x.register_hook(lambda g: seen.append("c"))
    a.remove()
    b.remove()
    b.remove()
    h.sum().backward()
    with x.register_hook(lambda g: seen.append("d")):
        (x * 1).sum().backward()
    (x * 1).sum().backward()
    return seen


@scenario
def with_autograd_grad(torch):
    x = torch.ones(1, requires_grad=True)
    h = x * 2
    seen = []
    x.register_hook(lambda g: seen.append("x") or g * 5)
    h.register_hook(lambda g: seen.append("h") or g * 7)
    x.register_post_accumulate_grad_hook(lambda t: seen.append("post"))
    got = torch.autograd.grad((h * 3).sum(), [x, h])
    return seen, got


@scenario
def retain_grad_sees_the_hooked_gradient(torch):
    x = torch.ones(1, requires_grad=True)
    h = x * 2
    h.retain_grad()
    h.register_hook(lambda g: g * 7)
    h.sum().backward()
    return h.grad, x.grad


@scenario
def refusals(torch):
    x = torch.ones(2, requires_grad=True)
    h = x * 2
    bad_shape = h.register_hook(lambda g: g.sum())
    wrong = refused(h.sum().backward)
    bad_shape.remove()
    h2 = x * 2
    h2.register_hook(lambda g: "text")
    return (
        wrong,
        refused(h2.sum().backward),
        refused(lambda: torch.ones(1).register_hook(print)),
        refused(lambda: h.register_post_accumulate_grad_hook(print)),
        refused(lambda: torch.ones(1).register_post_accumulate_grad_hook(print)),
        refused(lambda: torch.ones(1).retain_grad()),
    )


@scenario
def an_error_in_a_hook(torch):
    x = torch.ones(2, requires_grad=True)

    def fail(g):
        raise ValueError("from the hook")

    x.register_hook(fail)
    failed = refused((x * 2).sum().backward)
    return failed, x.grad, torch.is_grad_enabled()


@scenario
def post_accumulate(torch):
    x = torch.ones(2, requires_grad=True)
    seen = []

    def step(t):
        seen.append(t.grad.clone())
        with torch.no_grad():
            t -= 0.1 * t.grad
        t.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * 3).sum().backward()
    (x * x).sum().backward()
    handle.remove()
    (x * 3).sum().backward()
    return seen, x, x.grad


@scenario
def node_hooks(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * torch.tensor([2.0, 3.0])
    seen = []

    def after(grad_inputs, grad_outputs):
        seen.append([list(grad_inputs), list(grad_outputs)])
        return tuple(None if g is None else g * 10 for g in grad_inputs)

    y.grad_fn.register_hook(after)
    y.sum().backward()
    return seen, x.grad


@scenario
def node_prehooks(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    seen = []

    def before(grad_outputs):
        seen.append(list(grad_outputs))
        return tuple(g * 10 for g in grad_outputs)

    y.grad_fn.register_prehook(before)
    y.sum().backward()
    return seen, x.grad


@scenario
def hooks_and_second_order(torch):
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    h = x * x
    h.register_hook(lambda g: g * g)
    seen = []
    h.register_hook(lambda g: seen.append(g.requires_grad))
    (g,) = torch.autograd.grad((h * x).sum(), x, create_graph=True)
    g.sum().backward()
    return g, x.grad, seen


@scenario
def hooks_run_without_gradients(torch):
    x = torch.ones(2, requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append([g.requires_grad, torch.is_grad_enabled()]))
    (x * 2).sum().backward()
    (x * x).sum().backward(create_graph=True)
    return seen


@scenario
def on_one_of_several_outputs(torch):
    x = torch.ones(2, 2, requires_grad=True)
    a, b = x.unbind()
    seen = []
    a.register_hook(lambda g: seen.append(["a", g.clone()]) or g * 2)
    b.register_hook(lambda g: seen.append(["b", g]) or (None if g is None else g * 3))
    (a * 5).sum().backward(retain_graph=True)
    first = x.grad.clone()
    (a + b).sum().backward()
    return first, x.grad, seen


@scenario
def after_an_in_place_write(torch):
    x = torch.ones(2, requires_grad=True)
    h = x * 2
    seen = []
    h.register_hook(lambda g: seen.append(["before", g.clone()]))
    h.mul_(5)
    h.register_hook(lambda g: seen.append(["after", g.clone()]))
    h.sum().backward()
    return seen, x.grad


@scenario
def saved_tensors_hooks(torch):
    seen = []

    def pack(t):
        seen.append(["pack", list(t.shape)])
        return t.numpy(force=True).copy()

    def unpack(kept):
        seen.append(["unpack", list(kept.shape)])
        return torch.from_numpy(kept)

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = x * w
        e = x.exp()
    (y + e).sum().backward()
    return x.grad, w.grad, sorted(map(str, seen))


@scenario
def saved_tensors_hooks_nested(torch):
    seen = []

    def hooks(name):
        return torch.autograd.graph.saved_tensors_hooks(
            lambda t: seen.append(name) or t, lambda t: t
        )

    x = torch.ones(2, requires_grad=True)
    with hooks("outer"):
        with hooks("inner"):
            x.exp()
        x.exp()
    x.exp()
    return seen


@scenario
def saved_tensors_hooks_and_second_order(torch):
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = (x**3).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    return g, h


@scenario
def saved_tensors_hooks_errors(torch):
    graph = torch.autograd.graph
    x = torch.ones(2, requires_grad=True)

    def spoil(t):
        t.add_(1)
        return t

    with graph.saved_tensors_hooks(lambda t: t, lambda t: "text"):
        y = x.exp()
    with graph.saved_tensors_hooks(spoil, lambda t: t):
        spoiled = refused(lambda: (x * 1).exp() * x.detach().clone().requires_grad_())
    with graph.disable_saved_tensors_hooks("not here"):
        disabled = refused(graph.saved_tensors_hooks(lambda t: t, lambda t: t).__enter__)
    return refused(y.sum().backward), spoiled[:20], disabled


@scenario
def save_on_cpu(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with torch.autograd.graph.save_on_cpu():
        y = (x * x).exp()
    y.sum().backward()
    return x.grad


@scenario
def multi_grad_hooks(torch):
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    c = torch.ones(2, requires_grad=True)
    seen = []
    handle = torch.autograd.graph.register_multi_grad_hook(
        (a, b, c), lambda grads: seen.append([None if g is None else g.clone() for g in grads])
    )
    (a * 2 + b * 3).sum().backward()
    (a * c).sum().backward()
    handle.remove()
    (a * c).sum().backward()
    return seen


@scenario
def gradient_edges(torch):
    x = torch.ones(2, requires_grad=True)
    h = x * 2
    edge = torch.autograd.graph.get_gradient_edge(h)
    y = (h * 3).sum()
    return torch.autograd.grad(y, [edge]), edge.node.name(), edge.output_nr
