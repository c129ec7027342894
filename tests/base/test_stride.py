"""Strides: hand-made cases, and random windows compared with PyTorch's own answers."""

import random

import pytest

from bital.base.size import broadcast_shapes
from bital.base.stride import (
    channels_last_3d_strides,
    channels_last_strides,
    check_no_internal_overlap,
    contiguous_strides,
    dense_permutation,
    elementwise_strides,
    expand_strides,
    extent,
    is_channels_last,
    is_channels_last_3d,
    is_contiguous,
    is_dense_nonoverlapping,
    may_overlap_internally,
    preserved_strides,
    reshape_strides,
    suggests_channels_last,
)

WINDOWS = 1500


def test_contiguity():
    assert contiguous_strides((2, 0, 3)) == (3, 3, 1)
    assert is_contiguous((2, 1, 3), (3, 7, 1)) and is_contiguous((0, 3), (1, 9))
    assert not is_contiguous((2, 3), (1, 2)) and is_dense_nonoverlapping((2, 3), (1, 2))
    assert not is_dense_nonoverlapping((2, 2), (1, 1))
    assert is_channels_last((2, 3, 4, 5), channels_last_strides((2, 3, 4, 5)))
    assert is_channels_last_3d((1, 2, 3, 4, 5), channels_last_3d_strides((1, 2, 3, 4, 5)))
    with pytest.raises(RuntimeError, match="required rank 4 tensor"):
        channels_last_strides((2, 3))
    with pytest.raises(RuntimeError, match="required rank 5 tensor"):
        channels_last_3d_strides((2, 3))


def test_overlap():
    assert may_overlap_internally((4, 3), (0, 1))
    assert not may_overlap_internally((1, 0), (0, 1))
    assert not may_overlap_internally((2, 2), (1, 1))
    check_no_internal_overlap((2, 3), (3, 1))
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        check_no_internal_overlap((4, 3), (0, 1))


def test_extent_holds_every_offset():
    shape, strides = (2, 3, 2), (7, -2, 1)
    offsets = [
        sum(i * s for i, s in zip((a, b, c), strides, strict=True))
        for a in range(2)
        for b in range(3)
        for c in range(2)
    ]
    assert extent(shape, strides) == (min(offsets), max(offsets))
    assert extent((), ()) == (0, 0)


def test_reshape_needs_even_spacing():
    assert reshape_strides((2, 3), (3, 1), (3, 2)) == (2, 1)
    assert reshape_strides((2, 3), (1, 2), (6,)) is None
    assert reshape_strides((), (), (1, 1)) == (1, 1)
    assert reshape_strides((3, 4), (0, 0), (12,)) == (0,)


def test_output_order():
    assert dense_permutation((2, 3), []) == (0, 1)
    assert elementwise_strides((2, 3), []) == (3, 1)
    assert elementwise_strides((2, 3), [((3,), (1,)), ((2, 3), (1, 2))]) == (1, 2)


def _random_window(torch, rng, shape):
    """A tensor of `shape`: permuted, with gaps, expanded, channels-last, or overlapping."""
    kind = rng.randrange(6)
    if kind == 0:
        strides = [rng.choice([0, 1, 1, 2, 3, 4, 6, 12]) for _ in shape]
        return torch.zeros(2000).as_strided(shape, strides)
    if kind == 1 and len(shape) == 4:
        return torch.zeros(shape).to(memory_format=torch.channels_last)
    if kind == 2 and shape and 0 not in shape:
        dim = rng.randrange(len(shape))
        return torch.zeros(shape).select(dim, 0).unsqueeze(dim).expand(shape)
    order = list(range(len(shape)))
    rng.shuffle(order)
    whole = torch.zeros([shape[d] * rng.choice([1, 1, 1, 2]) for d in order])
    part = whole[tuple(slice(0, shape[d]) for d in order)]
    return part.permute([order.index(d) for d in range(len(shape))])


def _random_shape(rng):
    sizes = [0, 1, 2, 3] if rng.random() < 0.3 else [1, 2, 2, 3]
    return tuple(rng.choice(sizes) for _ in range(rng.choice([0, 1, 2, 2, 3, 4, 4, 5])))


def _random_reshape(rng, shape):
    result = list(shape)
    for _ in range(3):
        at = rng.randrange(len(result) + 1)
        if at + 1 < len(result) and rng.random() < 0.5:
            result[at : at + 2] = [result[at] * result[at + 1]]
        elif at < len(result) and result[at] % 2 == 0:
            result[at : at + 1] = [2, result[at] // 2]
        elif rng.random() < 0.3:
            result.insert(at, 1)
    return tuple(result)


def test_windows_equal_torch():
    torch = pytest.importorskip("torch")
    rng = random.Random(0)
    for _ in range(WINDOWS):
        shape = _random_shape(rng)
        tensor = _random_window(torch, rng, shape)
        strides = tensor.stride()
        assert is_contiguous(shape, strides) == tensor.is_contiguous()
        dense = torch.ops.aten.is_non_overlapping_and_dense(tensor)
        assert is_dense_nonoverlapping(shape, strides) == dense
        assert preserved_strides(shape, strides) == tensor.clone().stride(), (shape, strides)
        target = _random_reshape(rng, shape)
        try:
            viewed = tensor.view(target).stride()
        except RuntimeError:
            viewed = None
        assert reshape_strides(shape, strides, target) == viewed, (shape, strides, target)
        target = tuple(rng.choice([0, 1, 2]) if size == 1 else size for size in (1, *shape))
        expanded = tensor.expand(target).stride()
        assert expand_strides(shape, strides, target) == expanded, (shape, strides, target)


def test_channels_last_equals_torch():
    torch = pytest.importorskip("torch")
    rng = random.Random(1)
    formats = {
        4: (torch.channels_last, is_channels_last, channels_last_strides),
        5: (torch.channels_last_3d, is_channels_last_3d, channels_last_3d_strides),
    }
    for _ in range(WINDOWS):
        shape = tuple(rng.choice([0, 1, 1, 2, 3, 3]) for _ in range(rng.choice([4, 5])))
        chosen, fits, strides_for = formats[len(shape)]
        tensor = _random_window(torch, rng, shape)
        strides = tensor.stride()
        assert fits(shape, strides) == tensor.is_contiguous(memory_format=chosen)
        assert strides_for(shape) == torch.empty(shape, memory_format=chosen).stride()
        suggested = torch._prims_common.suggest_memory_format(tensor) == chosen
        assert suggests_channels_last(shape, strides) == suggested, (shape, strides)


def test_elementwise_outputs_equal_torch():
    torch = pytest.importorskip("torch")
    rng = random.Random(2)
    for _ in range(WINDOWS):
        whole = _random_shape(rng)
        tensors = []
        for _ in range(rng.choice([1, 2, 2, 3])):
            shape = whole
            if rng.random() < 0.4:
                shape = tuple(size if rng.random() < 0.7 else 1 for size in whole)
                shape = shape[rng.randrange(len(whole) + 1) :]
            tensors.append(_random_window(torch, rng, shape))
        result = {1: torch.exp, 2: torch.mul, 3: torch.addcmul}[len(tensors)](*tensors)
        operands = [(tuple(tensor.shape), tensor.stride()) for tensor in tensors]
        shape = broadcast_shapes(*(shape for shape, _ in operands))
        assert elementwise_strides(shape, operands) == result.stride(), operands
