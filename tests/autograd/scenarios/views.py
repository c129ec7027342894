"""Views that know of writes, modes and bases only by what they ask: found by random programs.

Each comment tells what was otherwise before. Messages are compared where the story is in them.
"""

import copy

from tests.autograd.scenarios.case import refused, scenario


def history(t):
    """What a tensor says of its place in the graph."""
    name = None if t.grad_fn is None else t.grad_fn.name()
    return t.requires_grad, t.is_leaf, name


@scenario
def leaf_that_was_detached_gets_no_gradient(torch):
    # Numbers differed: the gradient was added to a leaf that no longer required one.
    x = torch.tensor([2.0], requires_grad=True)
    y = x * 3
    y.backward(retain_graph=True)
    x.detach_()
    y.backward(retain_graph=True)
    got = x.grad.clone()
    x.requires_grad_()
    y.backward()
    return got, x.grad


@scenario
def leaf_moved_into_the_graph(torch):
    # The leaf is a view whose base was then written to with a history of the leaf: its gradient
    # went to `.grad` though it was no leaf any more.
    base = torch.ones(3)
    leaf = base.view(3)
    leaf.requires_grad_()
    base.copy_(leaf.clone())
    return refused((base * base).sum().backward), leaf.grad


@scenario
def view_made_before_its_base_requires_gradients(torch):
    # It was said not to require any.
    base = torch.ones(4)
    view = base[:2]
    base.requires_grad_()
    used = (view * 2).sum()
    before = history(view), history(used), used.grad_fn.next_functions[0][0].next_functions[0]
    used.backward()  # its gradient goes nowhere
    kept = base.grad
    with torch.no_grad():
        base.mul_(2)
    view.sum().backward()  # and to the base, once that was written to
    return before, kept, history(view), base.grad


@scenario
def root_that_leads_nowhere(torch):
    base = torch.ones(4)
    view = base[:2]
    base.requires_grad_()
    return (
        refused(view.backward, torch.ones(2), chars=90),
        refused(torch.autograd.grad, view.sum(), view, chars=90),
        torch.autograd.grad(view.sum(), base, allow_unused=True),
        view.register_hook(print) is None,
    )


@scenario
def views_made_in_no_grad(torch):
    # requires_grad was False. It is the base's, though no gradient gets there.
    x = torch.ones(4, requires_grad=True)
    h = x * 2
    with torch.no_grad():
        of_leaf, of_result = x.view(2, 2), h[:2]
    of_view = of_result[:1]
    found = [history(each) for each in (of_leaf, of_result, of_view)]
    of_leaf.sum().backward()
    refusals = [refused(v.mul_, 2, chars=200) for v in (of_leaf, of_result, of_view)]
    h.mul_(2)
    later = [refused(lambda v=v: v.grad_fn, chars=200) for v in (of_result, of_view)]
    return found, x.grad, refusals, later, of_result.requires_grad, repr(of_result)


@scenario
def writes_to_one_of_several_views(torch):
    # In no_grad mode a write of a part of one asked for its history, which is refused.
    x = torch.arange(4.0, requires_grad=True)
    part = torch.stack([x, x]).unbind()[0]
    with torch.no_grad():
        part[1:] += 3
    return part, part.requires_grad, repr(part), refused(part.sum, chars=200)


@scenario
def several_views_of_a_leaf_that_is_written_to(torch):
    # They were taken for views of what the leaf was.
    x = torch.ones(4, requires_grad=True)
    part, row = x.chunk(2)[0], x.unbind()[0]
    seen = part.view(1, 2)
    with torch.no_grad():
        x.fill_(3)
    return [refused(lambda v=v: v * 2, chars=200) for v in (part, row, seen)], part.detach()


@scenario
def history_for_one_of_several_views_of_what_has_none(torch):
    # A write that would have given it one went through.
    w = torch.ones(2, requires_grad=True)
    buffer = torch.zeros(4)
    part = buffer.chunk(2)[0]
    part.mul_(2)
    with torch.no_grad():
        made = buffer.view(2, 2)
    outcomes = [
        refused(part.mul_, w, chars=400), refused(part.copy_, w, chars=60),
        refused(part.__setitem__, 0, w.sum(), chars=60), refused(made.add_, w, chars=60),
    ]  # fmt: skip
    return outcomes, buffer


@scenario
def views_of_a_leaf_that_is_a_view(torch):
    # They were bound to the leaf; PyTorch binds them to the leaf's own base.
    base = torch.arange(4.0)
    leaf = base.view(2, 2).requires_grad_()
    row = leaf[0]
    same = row._base is base
    with torch.no_grad():
        leaf.mul_(2)
    row.sum().backward()
    return same, history(row), leaf.grad, refused(row.mul_, 2)


@scenario
def written_before_anybody_asked(torch):
    # A view whose base got its history later is taken for a leaf until it is asked for its own.
    x = torch.ones(4, requires_grad=True)
    base = torch.zeros(4)
    view = base[:2]
    base.add_(x)
    first = refused(view.mul_, 2)
    view.grad_fn  # noqa: B018
    view.mul_(2)
    base.sum().backward()
    return first, x.grad


@scenario
def saved_data_that_is_written_through(torch):
    # Writes through the very window that was saved were not noticed: old numbers were used.
    w = torch.ones(3, requires_grad=True)
    x = torch.ones(3)
    d = x.data
    outcomes = []
    for saved, write in (
        (d, lambda: d.add_(1)), (d, lambda: d[0].fill_(3)), (d, lambda: d.detach().add_(1)),
        (x, lambda: d.add_(1)), (d, lambda: x.add_(1)), (d, lambda: d.data.add_(1)),
    ):  # fmt: skip
        y = (saved * w).sum()
        write()
        w.grad = None
        outcomes.append([refused(y.backward), w.grad])
    return outcomes, x, d._version, x._version


@scenario
def resized_memory_is_shared_still(torch):
    # The tensor that grew got memory of its own: the others no longer saw what was written to it.
    a = torch.arange(4.0)
    b, c, d = a.detach(), a[1:3], a.data
    before = a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
    b.resize_(6).fill_(7)
    c.mul_(2)
    d[0] = 1
    a.resize_(2, 2)
    place = a.untyped_storage().data_ptr()
    same = [t.untyped_storage().data_ptr() == place for t in (b, c, d)]
    return before, same, a, b, c, d, a.untyped_storage().nbytes(), a._version, d._version


@scenario
def resized_after_it_was_saved(torch):
    # resize_ did not count as a write.
    w = torch.ones(4, requires_grad=True)
    x = torch.ones(4)
    y = (x * w).sum()
    x.resize_(4)
    kept = x._version
    x.resize_(2)
    return kept, x._version, refused(y.backward)


@scenario
def resized_memory_of_conjugates(torch):
    z = torch.tensor([1 + 1j, 2 - 2j])
    conjugate = z.conj()
    z.detach().resize_(3).mul_(2)
    conjugate[0] = 5j
    return z, conjugate, z.untyped_storage().nbytes()


@scenario
def folded_batches_are_kept_as_copies(torch):
    # A matrix by a batch: the batch was said to have been modified, where PyTorch keeps a copy.
    batch = torch.arange(8.0).reshape(2, 2, 2)
    m = torch.ones(3, 2, requires_grad=True)
    y = (m @ batch).sum()
    batch.zero_()
    y.backward()
    one = torch.ones(1, 2, 2).transpose(1, 2).contiguous().transpose(1, 2)
    other = (m @ one).sum()
    one.zero_()
    return m.grad, refused(other.backward)


@scenario
def windows_on_themselves_are_refused(torch):
    # A part of a tensor that lies otherwise than what is assigned to it, by an axis of one element.
    t = torch.arange(4.0).reshape(4, 1).t()
    plain = torch.arange(4.0).reshape(4, 1)
    plain[None] = plain
    repeated = torch.ones(1).expand(3)
    return refused(t.__setitem__, None, t), plain, refused(repeated.copy_, repeated)


@scenario
def copies_of_tensors_are_leaves(torch):
    # copy.copy kept the history: gradients went to what was copied.
    x = torch.ones(2, requires_grad=True)
    h = x * 2
    of_leaf, of_result = copy.copy(x), copy.copy(h)
    (of_leaf + of_result).sum().backward()
    of_leaf.data.add_(1)
    return history(of_result), x.grad, of_leaf.grad, of_result.grad, x


@scenario
def data_that_is_given_away(torch):
    # A tensor given a view as its .data became a view of that one's base.
    base = torch.arange(6.0, requires_grad=True) * 1
    p = torch.zeros(2, requires_grad=True)
    p.data = base[2:4]
    d = base.data
    q = torch.zeros(6, requires_grad=True)
    q.data = d
    d.add_(1)
    p.sum().backward()
    return p._base is None, history(p), p, p.grad, q, q._version


@scenario
def written_and_differentiated_twice_before_anybody_asked(torch):
    # The result that the write had kept shared its window with the view: backward brought that up
    # to date, and the view kept the history of its base, of another shape.
    x = torch.arange(4.0).reshape(2, 2).requires_grad_()
    h = x * 1
    view = h.t()
    view.exp_()
    (g,) = torch.autograd.grad(h.sum(), x, create_graph=True)
    (later,) = torch.autograd.grad((view * torch.arange(4.0).reshape(2, 2)).sum(), x)
    return g, later


@scenario
def views_of_another_class(torch):
    # as_subclass shared the window itself: whichever was asked first knew of a write, and the
    # other's gradient was that of what had been there before.
    x = torch.ones(2, requires_grad=True)
    h = x * 1
    view = h[:1]
    other = view.as_subclass(torch.nn.Parameter)
    h.mul_(3)
    return history(other), history(view), torch.autograd.grad(view.sum(), x)


@scenario
def elements_in_one_place_take_one_number(torch):
    # fill_ was refused where elements share a place, as other writes are.
    t = torch.zeros(1).expand(3)
    filled = t.fill_(2).tolist()
    refusals = [
        refused(t.__setitem__, ..., 3), refused(t.fill_, torch.tensor(3.0)), refused(t.add_, 1)
    ]  # fmt: skip
    return filled, refusals, t.zero_()
