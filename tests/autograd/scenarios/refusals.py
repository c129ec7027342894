"""What backward and its neighbours refuse, with PyTorch's classes and words."""

from tests.autograd.scenarios.case import refused, scenario


@scenario
def non_scalar_outputs(torch):
    x = torch.ones(2, requires_grad=True)
    z = torch.ones((), dtype=torch.complex64, requires_grad=True)
    return (
        refused((x * 2).backward),
        refused(lambda: torch.autograd.grad(x * 2, x)),
        refused((z * 2).backward, chars=80),
    )


@scenario
def nothing_to_differentiate(torch):
    x = torch.ones(2)
    y = torch.ones(2, requires_grad=True)
    return (
        refused(x.sum().backward, chars=80),
        refused(lambda: torch.autograd.grad(x.sum(), x), chars=80),
        refused(lambda: torch.autograd.grad(y.sum(), x), chars=80),
        refused(lambda: torch.autograd.backward([y.sum(), x.sum()]), chars=80),
        refused(lambda: y.sum().backward(inputs=[]), chars=80),
        refused(lambda: y.sum().backward(inputs=[x]), chars=80),
        refused(lambda: torch.autograd.grad([], [y]), chars=40),
        refused(lambda: torch.autograd.grad(y.sum(), []), chars=40),
    )


@scenario
def wrong_gradients(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    return (
        refused(lambda: y.backward(torch.ones(3)), chars=90),
        refused(lambda: y.backward(torch.ones(1)), chars=90),
        refused(lambda: y.backward(1.0), chars=60),
        refused(lambda: y.backward(torch.ones(2, dtype=torch.complex64)), chars=90),
        refused(lambda: torch.autograd.backward([y, y], [torch.ones(2)]), chars=60),
        refused(lambda: torch.autograd.grad(y, x, "text"), chars=30),
        refused(lambda: torch.autograd.grad(y, x, torch.ones(2, dtype=torch.int64)), chars=30),
    )


@scenario
def assigned_grads(torch):
    x = torch.ones(2, requires_grad=True)

    def assign(g):
        x.grad = g

    return (
        refused(assign, torch.ones(3), chars=80),
        refused(assign, torch.ones(2, dtype=torch.float64), chars=100),
        refused(assign, 1.0, chars=60),
        refused(assign, x, chars=60),
        refused(assign, torch.ones(2)),
    )


@scenario
def numbers_of_tensors_that_require_grad(torch):
    x = torch.ones(1, requires_grad=True)
    return (
        x.item(),
        float(x),
        x.tolist(),
        refused(x.numpy, chars=80),
        refused(lambda: __import__("numpy").asarray(x), chars=80),
        x.numpy(force=True).tolist(),
        x.detach().numpy().tolist(),
    )


@scenario
def integer_results_carry_no_gradient(torch):
    x = torch.tensor([1.5, 2.5], requires_grad=True)
    return [
        t.requires_grad
        for t in (x.long(), x > 2, x.argmax(), x.sort()[1], x.sort()[0], x.floor(), x.bool())
    ]


@scenario
def after_saved_tensors_are_freed(torch):
    x = torch.ones(2, requires_grad=True)
    h = x.exp()
    y = h.sum()
    y.backward()
    return refused(y.backward, chars=70), refused(lambda: torch.autograd.grad(h.sum(), x))


@scenario
def data_assignments(torch):
    x = torch.ones(2, requires_grad=True)

    def assign(value):
        x.data = value

    return refused(assign, 3.0, chars=40), refused(assign, torch.ones(3)), x


@scenario
def anomaly_of_the_mode(torch):
    with torch.autograd.set_detect_anomaly(True):
        inside = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    with torch.autograd.detect_anomaly(check_nan=False):
        second = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    return inside, second, torch.is_anomaly_enabled()


@scenario
def anomaly_raises(torch):
    x = torch.tensor([0.0, 1.0], requires_grad=True)

    def run():
        with torch.autograd.detect_anomaly():
            y = (x * 0) / (x * 0)
            y.sum().backward()

    def root():
        with torch.autograd.detect_anomaly():
            (torch.sqrt(x) * 0).sum().backward()

    return refused(run, chars=60), refused(root, chars=60)
