"""The graph that can be seen: leaves, grad_fn, next_functions, what nodes keep."""

from tests.autograd.scenarios.case import refused, scenario


def names(node):
    """A node's name and those of what it leads to, as nested lists."""
    if node is None:
        return None
    below = [names(n) for n, _ in node.next_functions]
    return [node.name(), *below] if below else node.name()


@scenario
def leaves(torch):
    x = torch.ones(2, requires_grad=True)
    y = torch.ones(2)
    h = x * 2
    d = h.detach()
    return [
        [t.is_leaf, t.requires_grad, t.grad_fn is None]
        for t in (x, y, h, d, y * 2, x[0], x.t() if x.dim() > 1 else x.view(1, 2), h.data)
    ]


@scenario
def leaf_rules(torch):
    x = torch.ones(2, requires_grad=True)
    h = x * 2
    h.requires_grad_()
    x.requires_grad = False
    return (
        x.requires_grad,
        refused(lambda: setattr(h, "requires_grad", False)),
        refused(lambda: torch.ones(2, dtype=torch.int64).requires_grad_(), chars=0),
        refused(lambda: torch.ones(2, dtype=torch.bool, requires_grad=True)),
        refused(lambda: torch.tensor([1, 2], requires_grad=True)),
        torch.ones(2, dtype=torch.int64).requires_grad_(False).requires_grad,
    )


@scenario
def node_names(torch):
    x = torch.ones(2, 2, requires_grad=True)
    results = [
        x + 1, x - x, 1 - x, x * 2, x / 3, 3 / x, x**2, x**x, -x, x.exp(), x.log(), x.sqrt(),
        x.tanh(), x.sigmoid(), x.relu(), x.abs(), x.clamp(0, 1), x.sum(), x.sum(0), x.mean(),
        x.mean(1), x.mm(x), x @ x, x.t(), x.view(4), x.reshape(4), x[0], x[:, 1:], x[None],
        x.clone(), x.double(), x.expand(3, 2, 2), x.unsqueeze(0), x.squeeze(), x.transpose(0, 1),
        x.permute(1, 0), torch.cat([x, x]), torch.stack([x, x]), x.max(), x.max(0)[0], x.var(),
        x.prod(), x.cumsum(0), x.unbind()[1], x.split(1)[1], x.chunk(2)[0], x[x > 0],
        x.index_select(0, torch.tensor([0])), x.gather(0, torch.zeros(1, 2, dtype=torch.long)),
        torch.where(x > 0, x, x * 0), x.masked_fill(x > 0, 0.0), x.flatten(), x.diagonal(),
        x.repeat(2, 1), x.norm(), torch.addmm(x, x, x), x.contiguous().T,
    ]  # fmt: skip
    return [t.grad_fn.name() for t in results]


@scenario
def chains_of_nodes(torch):
    x = torch.ones(2, 2, requires_grad=True)
    y = torch.ones(2, 2)
    return [
        names((x * y + x).grad_fn),
        names((x.mm(y) * 2).sum().grad_fn),
        names((x + x).grad_fn),
        names((y @ x - 1).pow(2).mean().grad_fn),
        names(x.view(4)[1:].grad_fn),
    ]


@scenario
def next_functions(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    a, b = torch.ones(2, 2, requires_grad=True).unbind()
    (node, at), (other, _) = (a * b).grad_fn.next_functions
    return (
        [type(n).__name__ for n, _ in y.grad_fn.next_functions if n is not None],
        y.grad_fn.next_functions[0][0].variable is x,
        y.grad_fn.next_functions[1],
        [node.name(), at, (b * a).grad_fn.next_functions[0][1], node is other],
        [b.output_nr, a.output_nr, y.output_nr],
        y.grad_fn.next_functions[0][0] is (x + 1).grad_fn.next_functions[0][0],
    )


@scenario
def next_functions_of_leaves(torch):
    x = torch.ones(2, requires_grad=True)
    accumulate = (x * 2).grad_fn.next_functions[0][0]
    return accumulate.next_functions, accumulate.name(), x.grad_fn


@scenario
def metadata(torch):
    y = torch.ones(2, requires_grad=True) * 2
    y.grad_fn.metadata["mine"] = 3
    return y.grad_fn.metadata


@scenario
def what_nodes_keep(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    y = x * w
    e = x.exp()
    p = x**3
    s = (x * 2).sum()
    kept = [
        y.grad_fn._saved_self, y.grad_fn._saved_other, y.grad_fn._saved_self is x,
        e.grad_fn._saved_result, p.grad_fn._saved_self,
        s.grad_fn._saved_self_sym_sizes,
    ]  # fmt: skip
    y.sum().backward()
    return kept, refused(lambda: y.grad_fn._saved_self), refused(lambda: y.grad_fn._saved_nothing)


@scenario
def only_what_is_needed_is_kept(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    c = torch.tensor([3.0, 4.0])
    y = x * c
    return y.grad_fn._saved_other, y.grad_fn._saved_self


@scenario
def grad_fn_after_backward(torch):
    x = torch.ones(2, requires_grad=True)
    y = (x * 2).sum()
    y.backward()
    return y.grad_fn.name(), y.requires_grad


@scenario
def in_place_changes_grad_fn(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    first = y.grad_fn.name()
    y += 1
    second = y.grad_fn.name()
    y.mul_(3)
    third = y.grad_fn.name()
    y[0] = 5.0
    return first, second, third, y.grad_fn.name(), names(y.grad_fn)


@scenario
def views_and_bases(torch):
    x = torch.ones(4, requires_grad=True)
    y = x * 2
    v = y[1:]
    w = v.view(3, 1)
    d = y.detach()
    return (
        v._base is y, w._base is y, y._base is None, d._is_view(), v._is_view(), x[0]._base is x,
        w.grad_fn.name(),
    )  # fmt: skip


@scenario
def a_view_follows_its_base(torch):
    x = torch.ones(4, requires_grad=True)
    y = x * 2
    v = y[1:3]
    before = v.grad_fn.name()
    y.mul_(3)
    after = v.grad_fn.name()
    v.sum().backward()
    return before, after, v, x.grad


@scenario
def a_base_follows_its_view(torch):
    x = torch.ones(4, requires_grad=True)
    y = x * 2
    v = y[1:3]
    v.mul_(3)
    result = y.grad_fn.name(), v.grad_fn.name()
    y.sum().backward()
    return result, y, x.grad


@scenario
def equality_and_hash_of_tensors(torch):
    a, b = torch.ones(1), torch.ones(1)
    return a in {a}, b in {a}, len({a, b, a}), hash(a) == hash(a)


@scenario
def deepcopy_of_leaves(torch):
    import copy

    x = torch.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    y.data.add_(1)
    shared = torch.zeros(4)
    pair = copy.deepcopy([shared, shared[1:]])
    pair[0][1] = 5
    same = copy.deepcopy([x, x])
    shallow = copy.copy(x)
    return (
        x, y, y.grad, y.grad is x.grad, y.requires_grad, y.is_leaf, pair[1], shared,
        same[0] is same[1], shallow.requires_grad, refused(copy.deepcopy, x * 2),
    )  # fmt: skip


@scenario
def pickles(torch):
    import pickle

    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    p = torch.nn.Parameter(torch.ones(2))
    t = pickle.loads(pickle.dumps(torch.arange(6.0).reshape(2, 3).t()))
    y = pickle.loads(pickle.dumps(x))
    q = pickle.loads(pickle.dumps(p))
    return (
        y, y.requires_grad, y.is_leaf, t, t.stride(), q, type(q).__name__, q.requires_grad,
        pickle.loads(pickle.dumps(torch.tensor(3, dtype=torch.int16))),
        pickle.loads(pickle.dumps(torch.arange(6)[1::2])),
        pickle.loads(pickle.dumps(torch.arange(3).expand(2, 3))).stride(),
        pickle.loads(pickle.dumps(x * 2)).is_leaf,
    )  # fmt: skip


@scenario
def pickles_share_storage(torch):
    import pickle

    base = torch.zeros(4)
    a, b = pickle.loads(pickle.dumps((base, base[2:])))
    a[2] = 7
    return b


@scenario
def parameters(torch):
    p = torch.nn.Parameter(torch.ones(2))
    q = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    (p * 2).sum().backward()
    return (
        p.requires_grad, q.requires_grad, p.is_leaf, p.grad, type(p * 2).__name__,
        isinstance(p, torch.Tensor), type(p.data).__name__, type(p.detach()).__name__,
        repr(p),
    )  # fmt: skip
