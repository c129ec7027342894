"""Sizes: what users see of `Size`, and the arithmetic with PyTorch's errors."""

import copy
import itertools
import pickle

import pytest

from bital.base.size import (
    Size,
    broadcast_shapes,
    expand_shape,
    infer_size,
    make_size,
    normalize_dim,
    normalize_dims,
    numel,
    public_broadcast_shapes,
    reduced_shape,
)


class Index:
    def __index__(self):
        return 5


def test_size_is_a_tuple_that_stays_a_size():
    size = Size([2, 3])
    assert repr(size) == str(size) == "torch.Size([2, 3])"
    assert repr(Size()) == "torch.Size([])"
    assert size == (2, 3) and hash(size) == hash((2, 3)) and isinstance(size, tuple)
    for made in (size + (1,), (1,) + size, size * 2, 2 * size, size[:1], make_size((2,))):
        assert type(made) is Size
    assert (1,) + size == (1, 2, 3) and size * 2 == (2, 3, 2, 3)
    assert type(size[0]) is int and size[-1] == 3
    assert size.numel() == 6 and Size().numel() == 1
    assert Size([True, Index()]) == (1, 5) and type(Size([True])[0]) is int


def test_size_survives_copy_and_pickle():
    size = Size([2, 3])
    for copied in (copy.copy(size), copy.deepcopy(size), pickle.loads(pickle.dumps(size))):
        assert type(copied) is Size and copied == size


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Size([1, 1.5]), "torch.Size() takes an iterable of 'int' (item 1 is 'float')"),
        (lambda: Size(["a"]), "torch.Size() takes an iterable of 'int' (item 0 is 'str')"),
        (lambda: Size(5), "'int' object is not iterable"),
        (lambda: Size([1]) + [2], "can only concatenate tuple (not list) to torch.Size"),
        (lambda: Size([1]) + (0.5,), "torch.Size() takes an iterable of 'int' (item 1 is 'float')"),
        (lambda: [2] + Size([1]), 'can only concatenate list (not "torch.Size") to list'),
    ],
)
def test_size_refuses(make, message):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value).replace('"Size"', '"torch.Size"') == message


def test_broadcast():
    assert broadcast_shapes() == ()
    assert broadcast_shapes((), (2, 1), (3,)) == (2, 3)
    assert broadcast_shapes((0, 1), (1, 4)) == (0, 4)
    with pytest.raises(RuntimeError, match=r"tensor a \(2\) .* tensor b \(4\) .* dimension 0$"):
        broadcast_shapes((2, 3), (4, 1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: infer_size((-1, -1), 6),
            RuntimeError,
            "only one dimension can be inferred",
        ),
        (lambda: infer_size((-1, 0), 6), RuntimeError, "shape '[-1, 0]' is invalid for input"),
        (lambda: infer_size((), 6), RuntimeError, "shape '[]' is invalid for input of size 6"),
        (lambda: infer_size((-1, 0), 0), RuntimeError, "cannot reshape tensor of 0 elements into"),
        (lambda: infer_size((3, -2), 6), RuntimeError, "invalid shape dimension -2 at index 1 of"),
        (lambda: normalize_dim(1, 0), IndexError, "to be in range of [-1, 0], but got 1)"),
        (
            lambda: normalize_dim(0, 0, wrap_scalar=False),
            IndexError,
            "Dimension specified as 0 but tensor has no dimensions",
        ),
        (lambda: normalize_dims((0, -1), 0), RuntimeError, "dim 0 appears multiple times"),
        (lambda: normalize_dims((0,), 65), RuntimeError, "only tensors with up to 64 dims"),
        (lambda: expand_shape((2, 3), (3, 3)), RuntimeError, "(3) must match the existing size"),
        (lambda: expand_shape((2, 3), (3,)), RuntimeError, "must be greater or equal to"),
        (lambda: expand_shape((2,), (-1, 2)), RuntimeError, "in a leading, non-existing dimension"),
        (lambda: expand_shape((1,), (-2,)), RuntimeError, "invalid shape dimension -2"),
        (lambda: public_broadcast_shapes((1, -1)), ValueError, "negative length"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_reduced_shape_and_dims():
    assert normalize_dims((), 2) == (0, 1) and normalize_dims((), 2, empty_is_all=False) == ()
    assert reduced_shape((2, 3), (), False) == (2, 3)
    assert reduced_shape((2, 3), (0, 1), False) == () and numel(()) == 1
    assert infer_size((2, -1), 0) == (2, 0)


def _outcome(call, *args):
    try:
        return call(*args)
    except (RuntimeError, IndexError, ValueError) as error:
        return type(error), str(error).split("\n")[0]


def test_infer_size_equals_torch():
    torch = pytest.importorskip("torch")
    shapes = [(), *itertools.product((-2, -1, 0, 1, 2, 3), repeat=2)]
    for shape, count in itertools.product(shapes, (0, 1, 6)):
        flat = torch.zeros(count)
        theirs = _outcome(lambda shape, flat=flat: flat.view(shape).shape, shape)
        assert _outcome(infer_size, shape, count) == theirs


def test_broadcasting_equals_torch():
    torch = pytest.importorskip("torch")
    shapes = [s for n in (0, 1, 2) for s in itertools.product((0, 1, 2, 3), repeat=n)]
    for a, b in itertools.product(shapes, repeat=2):
        theirs = _outcome(lambda a, b: (torch.empty(a) + torch.empty(b)).shape, a, b)
        assert _outcome(broadcast_shapes, a, b) == theirs
        theirs = _outcome(torch.broadcast_shapes, a, b)
        assert _outcome(public_broadcast_shapes, a, b) == theirs
    # a 0-d tensor meets an overflow of PyTorch's instead of its message: nothing to follow there
    for a, b in itertools.product(shapes[1:], [(2, 3), (-1, 3), (2, -1, 3), (3, 1, 2)]):
        if len(a) <= len(b):
            theirs = _outcome(lambda a, b: torch.empty(a).expand(b).shape, a, b)
            assert _outcome(expand_shape, a, b) == theirs


def test_axes_equal_torch():
    torch = pytest.importorskip("torch")
    for ndim in (0, 1, 2):
        shape = (2, 3)[:ndim]
        for dims in itertools.product((-3, -2, -1, 0, 1, 2), repeat=2):
            ours = _outcome(
                lambda s, d: reduced_shape(s, normalize_dims(d, len(s)), False), shape, dims
            )
            assert ours == _outcome(lambda s, d: torch.zeros(s).sum(d).shape, shape, dims)
