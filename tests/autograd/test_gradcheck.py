"""gradcheck and gradgradcheck: right gradients pass, wrong ones are named."""

import warnings

import pytest


def doubles(torch, *shape, dtype=None):
    generator = torch.Generator().manual_seed(3)
    made = torch.rand(shape, generator=generator, dtype=dtype or torch.float64) + 0.5
    return made.requires_grad_()


def scaled_wrongly(torch, by=2.0):
    """x * x with a gradient that is `by` times as large."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 2 * x * by

    return Wrong.apply


@pytest.fixture(params=["bital", "torch"])
def lib(request):
    return request.getfixturevalue("torch" if request.param == "bital" else "oracle")


def test_right_gradients(lib):
    x, y = doubles(lib, 2, 3), doubles(lib, 3)
    check, check2 = lib.autograd.gradcheck, lib.autograd.gradgradcheck
    for fast in (False, True):
        assert check(lambda a, b: a * b.exp() / a.sum(), (x, y), fast_mode=fast) is True
        assert check(lambda a: (a.sum(), a.tanh(), a.detach() * 0), x, fast_mode=fast)
        assert check2(lambda a, b: (a**3 * b).sin(), (x, y), fast_mode=fast)
    assert check(lambda a, k: a * k, (x, 3.0))
    assert check(lambda a: a.detach() * 0 + 1, x)
    assert check2(lambda a: a.tanh() * a, x, gen_non_contig_grad_outputs=True)
    assert check2(lambda a: a.exp(), (y,), lib.ones(3, dtype=lib.float64, requires_grad=True))
    assert check(lambda a: a * a, x, check_batched_grad=True, check_grad_dtypes=True)


def test_inputs_are_left_as_they_were(torch):
    x = doubles(torch, 4)
    before = x.tolist()
    torch.autograd.gradcheck(lambda a: a.sin(), x)
    assert x.tolist() == before
    assert x.grad is None


def test_strided_inputs(torch):
    x = doubles(torch, 3, 2).detach().t().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: a * a[0], x)


def test_complex(lib):
    z = doubles(lib, 3, dtype=lib.complex128)
    check = lib.autograd.gradcheck
    assert check(lambda a: a * a, z)
    assert check(lambda a: a.abs(), z)
    assert check(lambda a: (a * a.conj()).real, z)
    assert check(lambda a: a * 1j, doubles(lib, 2))


def test_a_wrong_gradient_is_named(lib):
    x = doubles(lib, 2)
    for fast in (False, True):
        with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0 with respect to"):
            lib.autograd.gradcheck(scaled_wrongly(lib), x, fast_mode=fast)
        assert not lib.autograd.gradcheck(
            scaled_wrongly(lib), x, raise_exception=False, fast_mode=fast
        )
    assert lib.autograd.gradcheck(scaled_wrongly(lib, 1 + 1e-5), x)
    with pytest.raises(lib.autograd.gradcheck.__globals__["GradcheckError"]):
        lib.autograd.gradcheck(scaled_wrongly(lib, 1 + 1e-5), x, atol=0, rtol=1e-8)


def test_a_wrong_second_gradient_is_found(lib):
    class Half(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x.detach() * g

    x = doubles(lib, 2)
    assert lib.autograd.gradcheck(Half.apply, x)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        lib.autograd.gradgradcheck(Half.apply, x)


def test_backward_that_varies(lib):
    class Varies(lib.autograd.Function):
        calls = 0

        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            Varies.calls += 1
            return g * (1 + 1e-9 * Varies.calls)

    with pytest.raises(RuntimeError, match="Backward is not reentrant"):
        lib.autograd.gradcheck(Varies.apply, doubles(lib, 2))
    assert lib.autograd.gradcheck(Varies.apply, doubles(lib, 2), nondet_tol=1e-3)


def test_what_it_refuses(lib):
    check = lib.autograd.gradcheck
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        check(lambda a: a, lib.ones(2, dtype=lib.float64))
    with pytest.raises(RuntimeError, match="dimension with stride 0"):
        check(lambda a: a * 2, doubles(lib, 1).detach().expand(3).requires_grad_())
    with pytest.raises(RuntimeError, match="expected to be zero"):
        check(lambda a: a.detach() * 2, doubles(lib, 2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check(lambda a: a * 2, doubles(lib, 2, dtype=lib.float32), eps=1e-2, atol=1e-2)
    assert any("not a double precision" in str(w.message) for w in caught)


def _square(torch, backward, jvp):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x**2

    Square.backward = staticmethod(lambda ctx, g: backward(ctx.saved_tensors[0], g))
    Square.jvp = staticmethod(lambda ctx, t: jvp(ctx.saved_tensors[0], t))
    return Square.apply


def test_forward_mode(torch):
    x = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    w = torch.full((2, 4), 0.3, dtype=torch.float64, requires_grad=True)

    def f(x, w):
        return (x @ w).tanh(), x.sum()

    assert torch.autograd.gradcheck(
        f, (x, w), check_forward_ad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(f, (x, w), check_fwd_over_rev=True)
    right, wrong = (lambda x, t: 2 * x * t), (lambda x, t: t)
    assert torch.autograd.gradcheck(_square(torch, right, right), (x,), check_forward_ad=True)
    assert torch.autograd.gradcheck(_square(torch, right, wrong), (x,))
    with pytest.raises(RuntimeError, match="forward mode mismatch"):
        torch.autograd.gradcheck(_square(torch, right, wrong), (x,), check_forward_ad=True)
