"""no_grad, enable_grad, set_grad_enabled and inference_mode: blocks, decorators, generators."""

from tests.autograd.scenarios.case import refused, scenario


@scenario
def no_grad_block(torch):
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        y = x * 2
        off = torch.is_grad_enabled()
        made = torch.ones(1, requires_grad=True)
    return y.requires_grad, y.is_leaf, y.grad_fn, off, torch.is_grad_enabled(), made.requires_grad


@scenario
def nested(torch):
    seen = []
    with torch.no_grad():
        seen.append(torch.is_grad_enabled())
        with torch.enable_grad():
            seen.append(torch.is_grad_enabled())
            with torch.set_grad_enabled(False):
                seen.append(torch.is_grad_enabled())
            seen.append(torch.is_grad_enabled())
        seen.append(torch.is_grad_enabled())
    seen.append(torch.is_grad_enabled())
    return seen


@scenario
def one_block_object_used_again(torch):
    block = torch.no_grad()
    seen = []
    for _ in range(2):
        with block:
            seen.append(torch.is_grad_enabled())
    return seen, torch.is_grad_enabled()


@scenario
def after_an_error(torch):
    try:
        with torch.no_grad():
            raise ValueError("stop")
    except ValueError:
        pass
    return torch.is_grad_enabled()


@scenario
def set_at_once(torch):
    torch.set_grad_enabled(False)
    off = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    with torch.set_grad_enabled(mode=False):
        inside = torch.is_grad_enabled()
    return off, inside, torch.is_grad_enabled()


@scenario
def decorators(torch):
    @torch.no_grad()
    def off(x):
        """Its text."""
        return x * 2

    @torch.no_grad
    def bare(x):
        return x * 2

    @torch.enable_grad()
    def on(x):
        return x * 2

    @torch.set_grad_enabled(False)
    def set_off(x):
        return x * 2

    @torch.inference_mode()
    def inference(x):
        return x * 2

    x = torch.ones(1, requires_grad=True)
    outside = torch.is_grad_enabled()
    with torch.no_grad():
        inside = on(x).requires_grad
    return [
        off(x).requires_grad, bare(x).requires_grad, inside, set_off(x).requires_grad,
        inference(x).requires_grad, off.__name__, off.__doc__, outside,
    ]  # fmt: skip


@scenario
def generators(torch):
    @torch.no_grad()
    def numbers():
        for k in range(2):
            got = yield k, torch.is_grad_enabled()
            seen.append(("got", got, torch.is_grad_enabled()))
        return "end"

    seen = []
    run = numbers()
    seen.append([next(run), torch.is_grad_enabled()])
    seen.append([run.send("a"), torch.is_grad_enabled()])
    try:
        next(run)
    except StopIteration as stop:
        seen.append(stop.value)
    return seen


@scenario
def a_generator_that_catches(torch):
    @torch.no_grad()
    def careful():
        try:
            yield 1
        except ValueError:
            yield torch.is_grad_enabled()

    run = careful()
    next(run)
    return run.throw(ValueError("x")), torch.is_grad_enabled()


@scenario
def a_generator_closed_early(torch):
    seen = []

    @torch.no_grad()
    def cleaning():
        try:
            yield 1
        finally:
            seen.append(torch.is_grad_enabled())

    run = cleaning()
    next(run)
    run.close()
    return seen, torch.is_grad_enabled()


@scenario
def in_place_on_a_leaf_under_no_grad(torch):
    w = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        w -= 0.5
        w[0] = 3.0
        w.add_(1)
    return w, w.requires_grad, w.is_leaf, w._version


@scenario
def inference_tensors(torch):
    x = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        y = x * 2
        inside = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
        z = torch.zeros(2)
        z.add_(1)
    with torch.inference_mode(False):
        plain = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    return (
        inside, plain, y.requires_grad, y.is_inference(), x.is_inference(), torch.is_inference(z),
        torch.is_inference_mode_enabled(), y.clone().is_inference(), z,
    )  # fmt: skip


@scenario
def what_inference_tensors_refuse(torch):
    x = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        y = torch.ones(2)
    return (
        refused(lambda: y.add_(1), chars=60),
        refused(lambda: y.requires_grad_()),
        refused(lambda: y._version),
        (x * y.clone()).requires_grad,
        (y * 2).is_inference(),
    )


@scenario
def in_place_in_inference_mode(torch):
    x = torch.ones(2)
    with torch.inference_mode():
        x.add_(1)
        view = x[:1]
    return x, x._version, x.is_inference(), view.is_inference(), x.requires_grad_().requires_grad


@scenario
def views_made_in_no_grad(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    with torch.no_grad():
        view = y[:1]
    return (
        view._is_view(),
        refused(lambda: view.mul_(2)),
    )


@scenario
def a_class_decorated(torch):
    @torch.no_grad()
    def method(self):
        return torch.is_grad_enabled()

    class Box:
        run = method

    return Box().run()


@scenario
def requires_grad_in_no_grad(torch):
    with torch.no_grad():
        x = torch.ones(2).requires_grad_()
        y = x * 2
    z = x * 2
    return x.requires_grad, y.requires_grad, z.requires_grad


@scenario
def representations(torch):
    mode = torch.set_grad_enabled(True)
    return str(mode)
