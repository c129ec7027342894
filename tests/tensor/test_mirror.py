"""conj() is a view: it shows its source conjugated, and writes through it reach the source."""

import copy

import numpy as np
import pytest

from tests.both import same


def pair(torch):
    x = torch.tensor([1 + 2j, 3 - 1j, 0.5j])
    return x, x.conj()


def test_each_sees_what_is_written_to_the_other(torch):
    x, y = pair(torch)
    x[0] = 5 + 5j
    y[1] = 7 + 1j
    assert x.tolist() == [5 + 5j, 7 - 1j, 0.5j]
    assert y.tolist() == [5 - 5j, 7 + 1j, -0.5j]
    x.mul_(2j)
    assert y.tolist() == [-10 - 10j, 2 - 14j, -1 + 0j]
    assert y._version == x._version == 3


def test_views_of_conjugates(torch):
    x, y = pair(torch)
    y[1:].add_(1j)
    y.imag[0] = 0
    assert x.tolist() == [1 + 0j, 3 - 2j, 0 - 0.5j]
    assert y.real.tolist() == [1, 3, 0] and y.imag.tolist() == [0, 2, 0.5]
    assert y.view(3, 1).is_conj() and not y.clone().is_conj()


def test_twice_is_the_source(torch):
    x, y = pair(torch)
    twice = y.conj()
    assert y.is_conj() and not twice.is_conj()
    twice[0] = 9
    assert x[0] == 9 and y[0] == 9
    assert torch.ones(2).conj().is_conj() is False


def test_memory_shared_with_numpy(torch):
    x, y = pair(torch)
    with pytest.raises(RuntimeError, match="conjugate bit"):
        y.numpy()
    array = x.numpy()
    array[0] = 4 + 1j
    assert y.tolist()[0] == 4 - 1j
    y[1] = 1j
    assert array[1] == -1j and x[1] == -1j
    y.mul_(2)
    assert array.tolist() == [8 + 2j, -2j, 1j]
    assert y.numpy(force=True).tolist() == [8 - 2j, 2j, -1j]
    assert y.data_ptr() == x.data_ptr()


def test_copies_are_independent(torch):
    x, y = pair(torch)
    for made in (copy.deepcopy(y), y.clone(), y.resolve_conj(), y.conj_physical()):
        assert not made.is_conj() or made._base is None
        before = made.tolist()
        x.add_(1)
        assert made.tolist() == before


PROGRAMS = {
    "written through": lambda c: c.mul_(1j),
    "part written through": lambda c: c[0:1].mul_(3j),
    "imaginary parts written through": lambda c: c.imag.mul_(3.0),
    "twice conjugated": lambda c: c.conj().mul_(2j),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_of_writes(torch, oracle, name):
    def program(lib):
        w = lib.tensor([1 + 2j, 3 - 1j], requires_grad=True)
        v = w * 2
        PROGRAMS[name](v.conj())
        (v * lib.tensor([1 + 1j, 2j])).real.sum().backward()
        return v, w.grad

    same(program, torch, oracle)


@pytest.mark.parametrize("part", ["", "imag", "real"])
def test_gradients_after_the_source_is_written(torch, oracle, part):
    def program(lib):
        w = lib.tensor([1 + 2j, 3 - 1j], requires_grad=True)
        v = w * 2
        c = getattr(v.conj(), part) if part else v.conj()
        v.mul_(3j)
        (c * c * lib.tensor([2.0, 5.0])).sum().abs().backward()
        return c, w.grad

    same(program, torch, oracle)


def test_gradcheck(torch):
    x = torch.from_numpy(np.array([1 + 2j, 3 - 1j])).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: x.conj() * x * 2j, (x,))
    assert torch.autograd.gradgradcheck(lambda x: x.conj() * x * 2j, (x,))


def test_what_pytorch_refuses(torch, oracle):
    def program(lib):
        lib.view_as_real(lib.tensor([1j]).conj())

    same(program, torch, oracle)
    with pytest.raises(BufferError, match="conjugate bit"):
        pair(torch)[1].__dlpack__()
