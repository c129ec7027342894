"""autocast: which operators compute in which precision, and how a region is written."""

import threading

import pytest

from tests.both import same

CASES = {
    "matmul": lambda t, a: a @ a,
    "mm": lambda t, a: t.mm(a, a),
    "method": lambda t, a: a.mm(a),
    "bmm": lambda t, a: t.bmm(a[None], a[None]),
    "addmm": lambda t, a: t.addmm(a, a, a),
    "linear": lambda t, a: t.nn.functional.linear(a, a, a[0]),
    "module": lambda t, a: t.nn.Linear(3, 2)(a),
    "einsum": lambda t, a: t.einsum("ij,jk->ik", a, a),
    "einsum sum": lambda t, a: t.einsum("ij->i", a),
    "einsum outer": lambda t, a: t.einsum("i,j->ij", a[0], a[0]),
    "matrix by vector": lambda t, a: a @ a[0],
    "mv": lambda t, a: t.mv(a, a[0]),
    "dot": lambda t, a: t.dot(a[0], a[0]),
    "prelu": lambda t, a: t.nn.functional.prelu(a, a[0, :1]),
    "attention": lambda t, a: t.nn.functional.scaled_dot_product_attention(a, a, a),
    "heads": lambda t, a: t.nn.MultiheadAttention(4, 2)(*[t.ones(2, 1, 4)] * 3)[0],
    "rnn": lambda t, a: t.nn.RNN(3, 4)(a)[0],
    "written in place": lambda t, a: a.clone().addmm_(a, a),
    "out": lambda t, a: t.mm(a, a, out=t.empty(3, 3)),
    "double": lambda t, a: a.double() @ a.double(),
    "half": lambda t, a: a.half() @ a,
    "integers": lambda t, a: t.ones(2, 2, dtype=t.long) @ t.ones(2, 2, dtype=t.long),
    "mixed with double": lambda t, a: a.double() @ a,
    "sum": lambda t, a: a.bfloat16() + a,
    "softmax": lambda t, a: a.bfloat16().softmax(0),
    "mse_loss": lambda t, a: t.nn.functional.mse_loss(a.bfloat16(), a.half()),
    "cross_entropy": lambda t, a: t.nn.functional.cross_entropy(a.bfloat16(), t.tensor([0, 1, 2])),
    "loss module": lambda t, a: t.nn.BCEWithLogitsLoss()(a.bfloat16(), t.ones(3, 3)),
    "binary_cross_entropy": lambda t, a: t.nn.functional.binary_cross_entropy(
        a.bfloat16().sigmoid(), t.ones(3, 3)
    ),
    "pad": lambda t, a: t.nn.functional.pad(a.bfloat16(), (1, 1)),
    "pad reflect": lambda t, a: t.nn.functional.pad(a.bfloat16(), (1, 1), mode="reflect"),
    "conv": lambda t, a: t.nn.functional.conv1d(a[None], a[None]),
    "prod": lambda t, a: a.bfloat16().prod(),
    "trace": lambda t, a: a.bfloat16().trace(),
    "cat": lambda t, a: t.cat([a, a.bfloat16()]),
    "stack": lambda t, a: t.stack([a, a.bfloat16()]),
    "stack narrow": lambda t, a: t.stack([a.bfloat16(), a.bfloat16()]),
    "index_copy": lambda t, a: a.index_copy(0, t.tensor([0]), a[:1].bfloat16()),
    "after": lambda t, a: (a @ a).exp() + a,
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", CASES)
def test_precision(name, dtype, torch, oracle):
    def program(t):
        a = t.linspace(-1, 1, 9).reshape(3, 3)
        with t.autocast("cpu", dtype=getattr(t, dtype)):
            return CASES[name](t, a).detach()

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell"])
def test_dtype_of_recurrent_networks(name, torch, oracle):
    """PyTorch computes parts of a cell in lower precision, so that numbers differ a little."""

    def program(t):
        m = getattr(t.nn, name)(3, 4)
        with t.autocast("cpu"):
            out = m(t.ones(2, 3))
        return str((out[0] if isinstance(out, tuple) else out).dtype)

    same(program, torch, oracle)


def test_a_network_trains(torch, oracle):
    def program(t):
        net = t.nn.Sequential(t.nn.Linear(4, 8), t.nn.ReLU(), t.nn.Linear(8, 3))
        opt = t.optim.SGD(net.parameters(), lr=0.1)
        x, y = t.randn(6, 4), t.tensor([0, 1, 2, 0, 1, 2])
        dtypes = []
        for _ in range(3):
            opt.zero_grad()
            with t.autocast("cpu"):
                out = net(x)
                loss = t.nn.functional.cross_entropy(out, y)
            loss.backward()
            opt.step()
            dtypes.append((out.dtype, loss.dtype, net[0].weight.grad.dtype))
        return str(dtypes)

    same(program, torch, oracle)


def test_gradients(torch, oracle):
    def program(t):
        w = t.linspace(-1, 1, 9).reshape(3, 3).requires_grad_()
        x = t.linspace(0, 1, 9).reshape(3, 3).requires_grad_()
        with t.autocast("cpu"):
            out = (x @ w).relu() @ w + t.einsum("ij,jk->ik", x, w)
        out.float().sum().backward()
        return [g.bfloat16() for g in (w.grad, x.grad)], [g.dtype for g in (w.grad, x.grad)] == [
            t.float32
        ] * 2

    same(program, torch, oracle, order=1)


def test_regions(torch, oracle):
    def program(t):
        a = t.ones(2, 2)
        seen = []

        def look():
            seen.append((str((a @ a).dtype), t.is_autocast_enabled("cpu"),
                         str(t.get_autocast_dtype("cpu"))))  # fmt: skip

        @t.autocast("cpu", dtype=t.float16)
        def decorated():
            look()

        look()
        with t.autocast("cpu"):
            look()
            with t.autocast("cpu", enabled=False):
                look()
                with t.amp.autocast("cpu", dtype=t.float16):
                    look()
            decorated()
            look()
        decorated()
        look()
        with pytest.raises(ZeroDivisionError), t.autocast("cpu"):
            raise ZeroDivisionError
        look()
        with t.cpu.amp.autocast():
            look()
        return seen

    same(program, torch, oracle)


def test_parameters_are_cast_once(torch):
    w = torch.ones(2, 2, requires_grad=True)
    with torch.autocast("cpu"):
        (w @ w).sum().backward()
        first = torch.mm(w, w)
        with torch.no_grad():
            w.mul_(3)
        assert torch.equal(torch.mm(w, w), first)
        torch.clear_autocast_cache()
        assert not torch.equal(torch.mm(w, w), first)
    with torch.autocast("cpu", cache_enabled=False):
        first = torch.mm(w, w)
        with torch.no_grad():
            w.mul_(3)
        assert not torch.equal(torch.mm(w, w), first)


def test_other_threads_go_on_as_they_were(torch):
    seen = []
    a = torch.ones(2, 2)
    with torch.autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((a @ a).dtype))
        thread.start()
        thread.join()
        assert (a @ a).dtype is torch.bfloat16
    assert seen == [torch.float32]


ERRORS = {
    "type": lambda t: t.autocast(3),
    "no device": lambda t: t.autocast("foo"),
    "no callable": lambda t: t.autocast("cpu")(3),
    "state": lambda t: t.is_autocast_enabled("meta"),
    "custom_fwd": lambda t: t.amp.custom_fwd(abs, device_type=3),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, torch, oracle):
    same(ERRORS[name], torch, oracle)


def test_what_is_not_there_warns_and_is_off(torch):
    a = torch.ones(2, 2)
    for make, words in (
        (lambda: torch.autocast("cpu", dtype=torch.float32), "dtype is not supported"),
        (lambda: torch.autocast("cuda"), "CUDA is not available"),
        (lambda: torch.cuda.amp.autocast(), "deprecated|CUDA is not available"),
    ):
        with pytest.warns((UserWarning, FutureWarning), match=words):
            region = make()
        with region:
            assert (a @ a).dtype is torch.float32


@pytest.mark.parametrize("cast", [None, "float32", "bfloat16"])
@pytest.mark.parametrize("on", [True, False])
def test_custom_functions(cast, on, torch, oracle):
    def program(t):
        seen = []

        class Product(t.autograd.Function):
            @staticmethod
            @t.amp.custom_fwd(device_type="cpu", cast_inputs=cast and getattr(t, cast))
            def forward(ctx, a, b):
                ctx.save_for_backward(a, b)
                seen.append(("forward", str(a.dtype), t.is_autocast_enabled("cpu")))
                return a.mm(b)

            @staticmethod
            @t.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g):
                a, b = ctx.saved_tensors
                seen.append(("backward", str(g.dtype), t.is_autocast_enabled("cpu")))
                return g.to(b.dtype).mm(b.t()), a.t().mm(g.to(a.dtype))

        a = t.ones(2, 2, requires_grad=True)
        with t.autocast("cpu", enabled=on):
            out = Product.apply(a, a)
        out.sum().backward()
        return seen, str(out.dtype), a.grad

    same(program, torch, oracle)
