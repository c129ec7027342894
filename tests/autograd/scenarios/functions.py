"""torch.autograd.Function: operations with a gradient of the user's own."""

from tests.autograd.scenarios.case import refused, scenario


@scenario
def with_context(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = Square.apply(x)
    y.sum().backward(retain_graph=True)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    return y, y.grad_fn.name(), x.grad, g, h, y.is_leaf, type(y.grad_fn).__name__


@scenario
def with_setup_context(torch):
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(x, factor):
            return x * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, factor = inputs
            ctx.factor = factor
            ctx.save_for_backward(x, output)

        @staticmethod
        def backward(ctx, g):
            x, out = ctx.saved_tensors
            return g * ctx.factor + 0 * x + 0 * out, None

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = Scale.apply(x, 3.0)
    y.sum().backward()
    return y, x.grad


@scenario
def saved_outputs(torch):
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, g):
            (out,) = ctx.saved_tensors
            return g * out

    x = torch.tensor([0.0, 1.0], requires_grad=True)
    y = Exp.apply(x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    (k,) = torch.autograd.grad(h.sum(), x)
    return g, h, k


@scenario
def several_inputs_and_outputs(torch):
    seen = []

    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b, flag):
            ctx.save_for_backward(a, b)
            seen.append(list(ctx.needs_input_grad))
            return a + b, a * b

        @staticmethod
        def backward(ctx, gs, gp):
            a, b = ctx.saved_tensors
            seen.append([list(ctx.needs_input_grad), gs, gp])
            return gs + gp * b, gs + gp * a, None

    a = torch.tensor([1.0, 2.0], requires_grad=True)
    b = torch.tensor([3.0, 4.0])
    s, p = Both.apply(a, b, "flag")
    first = s.requires_grad, p.requires_grad, s.output_nr, p.output_nr, s.grad_fn is p.grad_fn
    p.sum().backward()
    return first, a.grad, b.grad, seen


@scenario
def without_materialized_gradients(torch):
    seen = []

    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append([a is None, b is None])
            return (0 if a is None else a) + (0 if b is None else 2 * b)

    x = torch.ones(2, requires_grad=True)
    a, b = Pair.apply(x)
    b.sum().backward()
    return x.grad, seen


@scenario
def mark_non_differentiable(torch):
    class Sorted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out, index = x.sort()
            extra = x * 2
            ctx.mark_non_differentiable(index, extra)
            ctx.save_for_backward(index)
            return out, index, extra

        @staticmethod
        def backward(ctx, g, gi, ge):
            seen.append([gi, ge])
            (index,) = ctx.saved_tensors
            return torch.zeros_like(g).scatter(0, index, g)

    seen = []
    x = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    out, index, extra = Sorted.apply(x)
    (out * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    return out.requires_grad, index.requires_grad, extra.requires_grad, x.grad, seen


@scenario
def integer_outputs(torch):
    class Count(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, (x > 1).long()

        @staticmethod
        def backward(ctx, g, gi):
            return g * 2

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y, n = Count.apply(x)
    y.sum().backward()
    return y.requires_grad, n.requires_grad, x.grad


@scenario
def mark_dirty(torch):
    class AddOne(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = torch.ones(2, requires_grad=True)
    h = x * 3
    version = h._version
    y = AddOne.apply(h)
    same = y is h
    y.sum().backward()
    return same, h, h.grad_fn.name(), h._version - version, x.grad


@scenario
def mark_dirty_on_a_view(torch):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = torch.ones(4, requires_grad=True)
    h = x * 3
    v = h[1:3]
    Double.apply(v)
    (h * torch.arange(4.0)).sum().backward()
    return h, x.grad


@scenario
def mark_dirty_on_a_leaf(torch):
    class AddOne(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g

    x = torch.ones(2, requires_grad=True)
    return refused(AddOne.apply, x, chars=30)


@scenario
def returning_an_input(torch):
    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 5

    x = torch.ones(2, requires_grad=True)
    y = Same.apply(x)
    y.sum().backward()
    return y is x, y.grad_fn.name(), x.grad, y.data_ptr() == x.data_ptr(), x.grad_fn


@scenario
def returning_a_view(torch):
    class First(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:2]

        @staticmethod
        def backward(ctx, g):
            return torch.cat([g * 5, torch.zeros(1)])

    x = torch.ones(3, requires_grad=True)
    h = x * 2
    y = First.apply(h)
    y.sum().backward()
    return y, y.grad_fn.name(), x.grad


@scenario
def once_differentiable(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (first,) = torch.autograd.grad(Square.apply(x).sum(), x)
    (g,) = torch.autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    return first, g, refused(lambda: torch.autograd.grad(g.sum(), x))


@scenario
def a_straight_through_estimator(torch):
    class Round(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, g):
            return g

    x = torch.tensor([0.4, 1.6], requires_grad=True)
    (Round.apply(x) ** 2).sum().backward()
    return x.grad


@scenario
def without_gradients(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            seen.append([list(ctx.needs_input_grad), torch.is_grad_enabled(), x.requires_grad])
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g

    seen = []
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        a = Square.apply(x)
    b = Square.apply(torch.ones(2))
    c = Square.apply(x)
    return a.requires_grad, b.requires_grad, c.requires_grad, b.grad_fn, seen


@scenario
def gradients_inside_forward(torch):
    class Inner(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            with torch.enable_grad():
                inside = x.detach().requires_grad_()
                out = (inside**3).sum()
            (g,) = torch.autograd.grad(out, inside)
            ctx.save_for_backward(g)
            return out.detach()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    Inner.apply(x).backward()
    return x.grad


@scenario
def other_arguments(torch):
    class Many(torch.autograd.Function):
        @staticmethod
        def forward(ctx, text, x, numbers, y=None):
            ctx.k = numbers[0]
            return x * ctx.k

        @staticmethod
        def backward(ctx, g):
            return None, g * ctx.k, None, None

    x = torch.ones(2, requires_grad=True)
    Many.apply("a", x, [4.0, 5.0], None).sum().backward()
    return x.grad


@scenario
def a_tuple_of_one(torch):
    class One(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return (x * 2,)

        @staticmethod
        def backward(ctx, g):
            return (g * 2,)

    x = torch.ones(2, requires_grad=True)
    out = One.apply(x)
    out[0].sum().backward()
    return type(out).__name__, x.grad


@scenario
def results_that_are_no_tensors(torch):
    class Mixed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, "text", None, 5

        @staticmethod
        def backward(ctx, g, *others):
            seen.append(list(others))
            return g * 2

    seen = []
    x = torch.ones(2, requires_grad=True)
    out = Mixed.apply(x)
    out[0].sum().backward()
    return out[1:], x.grad, seen


def _returning(torch, gradients, inputs=1):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *xs):
            return xs[0] * 2

        @staticmethod
        def backward(ctx, g):
            return gradients(g)

    x = [torch.ones(2, requires_grad=True) for _ in range(inputs)]
    return refused(Wrong.apply(*x).sum().backward, chars=60)


@scenario
def wrong_gradients(torch):
    return (
        _returning(torch, lambda g: (g, g)),
        _returning(torch, lambda g: (g, None)),
        _returning(torch, lambda g: g, 2),
        _returning(torch, lambda g: (g, None), 2),
        _returning(torch, lambda g: torch.ones(3)),
        _returning(torch, lambda g: g.sum()),
        _returning(torch, lambda g: g.double()),
        _returning(torch, lambda g: "text"),
        _returning(torch, lambda g: None),
    )


@scenario
def a_gradient_for_a_number(torch):
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g, g

    x = torch.ones(2, requires_grad=True)
    return refused(Scale.apply(x, 3.0).sum().backward, chars=60)


@scenario
def mistakes(torch):
    class Nothing(torch.autograd.Function):
        pass

    class NoBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    class SavesText(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward("text")
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    x = torch.ones(2, requires_grad=True)
    return (
        refused(Nothing.apply, x, chars=30),
        refused(NoBackward.apply(x).sum().backward, chars=30),
        refused(SavesText.apply, x, chars=40),
        refused(lambda: Nothing()(x), chars=20),
    )


@scenario
def a_modified_saved_tensor(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = torch.ones(2, requires_grad=True)
    h = x * 2
    y = Square.apply(h)
    h.add_(1)
    first = refused(y.sum().backward)
    z = Square.apply(x)
    z.sum().backward()
    return first, refused(z.sum().backward)


@scenario
def names_and_attributes(torch):
    class Mine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.note = "kept"
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    x = torch.ones(2, requires_grad=True)
    y = Mine.apply(x)
    return y.grad_fn.note, [n.name() for n, _ in y.grad_fn.next_functions], y.grad_fn.name()


@scenario
def double_backward_through_a_backward_of_functions(torch):
    class CubeBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, g):
            ctx.save_for_backward(x, g)
            return 3 * x**2 * g

        @staticmethod
        def backward(ctx, gg):
            x, g = ctx.saved_tensors
            return 6 * x * g * gg, 3 * x**2 * gg

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return CubeBackward.apply(ctx.saved_tensors[0], g)

    x = torch.tensor([2.0, 3.0], requires_grad=True)
    (g,) = torch.autograd.grad(Cube.apply(x).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    return g, h


@scenario
def in_a_module(torch):
    class Clip(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, low, high):
            ctx.save_for_backward((x >= low) & (x <= high))
            return x.clamp(low, high)

        @staticmethod
        def backward(ctx, g):
            (mask,) = ctx.saved_tensors
            return g * mask, None, None

    x = torch.tensor([-2.0, 0.5, 3.0], requires_grad=True)
    (Clip.apply(x, -1.0, 1.0) * 3).sum().backward()
    return x.grad
