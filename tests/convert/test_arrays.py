"""NumPy arrays and tensors on the same memory: both see each other's writes, in order."""

import numpy as np
import pytest


def test_from_numpy_shares_both_ways(torch):
    a = np.arange(6.0)
    t = torch.from_numpy(a)
    t[0] = 10
    assert a[0] == 10
    a[1] = 20
    assert t[1].item() == 20
    t.add_(1)
    assert a.tolist() == [11, 21, 3, 4, 5, 6]


def test_strided_arrays_are_shared(torch):
    a = np.arange(24.0).reshape(4, 6)
    t = torch.from_numpy(a[1:, ::2])
    assert t.stride() == (6, 2)
    t.mul_(-1)
    assert a[1].tolist() == [-6, 7, -8, 9, -10, 11]
    a[3, 4] = 99
    assert t[2, 2].item() == 99
    transposed = torch.from_numpy(a.T)
    transposed[0].zero_()
    assert a[:, 0].tolist() == [0, 0, 0, 0]


def test_arrays_that_the_user_dropped(torch):
    t = torch.from_numpy(np.arange(4.0)) * 1
    u = torch.from_numpy(np.arange(4.0)[::2])
    u.add_(1)
    assert t.tolist() == [0, 1, 2, 3]
    assert u.tolist() == [1, 3]


def test_numpy_shares_both_ways(torch):
    t = torch.zeros(4)
    a = t.numpy()
    t.add_(2)
    assert a.tolist() == [2, 2, 2, 2]
    a[1] = 7
    assert t.tolist() == [2, 7, 2, 2]
    view = t[2:].numpy()
    t[3] = 5
    assert view.tolist() == [2, 5]
    assert a.tolist() == [2, 7, 2, 5]


def test_reads_and_writes_keep_their_order(torch):
    t = torch.zeros(2)
    a = t.numpy()
    before = t + 1  # recorded before the write below
    a[0] = 100
    after = t + 1
    assert before.tolist() == [1, 1]
    assert after.tolist() == [101, 1]


def test_what_was_recorded_before_the_export(torch):
    t = torch.zeros(2)
    doubled = t * 2 + 1
    a = t.numpy()
    a[:] = 9
    assert doubled.tolist() == [1, 1]
    assert (t * 2).tolist() == [18, 18]


def test_exports_outlive_their_tensor(torch):
    a = (torch.ones(3) * 2).numpy()
    assert a.tolist() == [2, 2, 2]
    a[0] = 5
    assert torch.from_numpy(a).tolist() == [5, 2, 2]


def test_writes_after_the_export_was_dropped(torch):
    t = torch.zeros(3)
    t.numpy()
    t.add_(1)
    u = t * 2
    t.add_(1)
    assert (t.tolist(), u.tolist()) == ([2, 2, 2], [2, 2, 2])


def test_gradients_with_shared_memory(torch):
    a = np.array([1.0, 2.0])
    x = torch.from_numpy(a).requires_grad_()
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]
    with torch.no_grad():
        x -= 0.5 * x.grad
    assert a.tolist() == [0, 0]


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32",
              "float64", "complex64", "complex128", "uint16", "uint32", "uint64"]
)  # fmt: skip
def test_every_dtype_goes_both_ways(torch, dtype):
    a = np.ones(3, dtype)
    t = torch.from_numpy(a)
    assert t.dtype is getattr(torch, dtype)
    assert t.numpy().dtype == a.dtype
    assert t.numpy().ctypes.data == a.ctypes.data


def test_what_cannot_be_shared(torch):
    with pytest.raises(ValueError, match="negative strides"):
        torch.from_numpy(np.ones(3)[::-1])
    with pytest.raises(TypeError, match="expected np.ndarray"):
        torch.from_numpy([1.0])
    with pytest.raises(TypeError, match="can't convert np.ndarray of type"):
        torch.from_numpy(np.array(["a"]))
    with pytest.raises(TypeError, match="BFloat16"):
        torch.ones(2, dtype=torch.bfloat16).numpy()
    with pytest.raises(RuntimeError, match="requires grad"):
        torch.ones(2, requires_grad=True).numpy()


def test_as_tensor_shares_and_tensor_copies(torch):
    a = np.zeros(2)
    shared, copied = torch.as_tensor(a), torch.tensor(a)
    a[0] = 1
    assert (shared.tolist(), copied.tolist()) == ([1, 0], [0, 0])
    assert torch.asarray(a, copy=True).data_ptr() != a.ctypes.data


def test_numpy_functions_of_tensors(torch):
    t = torch.tensor([1.0, 4.0])
    a = np.array([2.0, 3.0])
    assert isinstance(np.add(t, 1), torch.Tensor)
    assert np.sqrt(t).tolist() == [1, 2]
    assert np.multiply(a, t).tolist() == [2, 12]
    assert (t + a).dtype is torch.float64
    assert (np.float64(2) * t).tolist() == [2, 8]
    assert (np.float64(2) * t).dtype is torch.float32
    assert (np.int64(8) / t).tolist() == [8, 2]
    assert type(np.asarray(t)) is np.ndarray
    assert np.asarray(t).dtype == np.float32
    assert np.array(t, dtype=np.int64).tolist() == [1, 4]
    assert np.stack([t, t]).shape == (2, 2)
    assert (t == a).tolist() == [False, False]
    assert a[torch.tensor(1)] == 3
    assert np.isfinite(t).dtype is torch.uint8


def test_dlpack_with_numpy(torch):
    t = torch.arange(4.0)
    a = np.from_dlpack(t)
    t.add_(1)
    assert a.tolist() == [1, 2, 3, 4]
    back = torch.from_dlpack(np.arange(3, dtype=np.int32))
    assert back.dtype is torch.int32
    assert t.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="require"):
        torch.ones(1, requires_grad=True).__dlpack__()


def test_dlpack_with_torch(torch, oracle):
    ours = torch.arange(6.0).reshape(2, 3)
    theirs = oracle.from_dlpack(ours.t())
    assert theirs.stride() == (1, 3)
    ours.mul_(2)
    theirs[0, 0] = 50
    assert theirs.t().tolist() == ours.tolist() == [[50, 2, 4], [6, 8, 10]]
    given = oracle.zeros(3)
    taken = torch.from_dlpack(given)
    taken.add_(1)
    given[0] = 9
    assert taken.tolist() == given.tolist() == [9, 1, 1]


def test_storages(torch):
    t = torch.arange(4.0)
    view = t[1:]
    assert view.untyped_storage().data_ptr() == t.untyped_storage().data_ptr() == t.data_ptr()
    assert view.data_ptr() == t.data_ptr() + 4
    assert (view.untyped_storage().nbytes(), view.storage().size()) == (16, 4)
    assert view.storage().tolist() == [0, 1, 2, 3]
    assert torch.is_storage(t.storage())
    assert (t.element_size(), t.nbytes, t.itemsize, view.nbytes) == (4, 16, 4, 12)


def test_legacy_types(torch):
    assert torch.FloatTensor(2, 3).shape == (2, 3)
    assert torch.LongTensor([1, 2]).dtype is torch.int64
    assert isinstance(torch.ones(1), torch.FloatTensor)
    assert not isinstance(torch.ones(1), torch.LongTensor)
    assert torch.ones(1).type(torch.DoubleTensor).dtype is torch.float64
    assert repr(torch.FloatTensor) == "<class 'torch.FloatTensor'>"
    assert torch.typename(torch.ones(1)) == "torch.FloatTensor"
    with pytest.raises(TypeError, match="not compiled with CUDA"):
        torch.cuda.FloatTensor(2)


def test_settings_are_kept(torch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    with pytest.raises(RuntimeError, match="positive integer"):
        torch.set_num_threads(0)
    torch.use_deterministic_algorithms(True)
    assert torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    with torch.device("cpu"):
        assert torch.ones(1).is_cpu
    with pytest.raises(AssertionError, match="not compiled with CUDA"):
        torch.ones(1, device="cuda")
    with pytest.raises(AssertionError, match="not compiled with CUDA"):
        torch.ones(1).to("cuda")


def test_linspace_has_the_bits_of_torch(torch, oracle):
    for dtype in ("float32", "float64", "float16", "bfloat16", "int32"):
        for ends in ((0, 1, 100), (-3.7, 4.1, 57), (5, -2, 33), (0.1, 0.2, 2), (3, 4, 1)):
            ours = torch.linspace(*ends, dtype=getattr(torch, dtype))
            theirs = oracle.linspace(*ends, dtype=getattr(oracle, dtype))
            assert ours.tolist() == theirs.tolist(), (dtype, ends)


def test_in_no_grad_mode_a_parameter_is_an_array(torch):
    p = torch.nn.Parameter(torch.ones(3))
    with pytest.raises(RuntimeError, match="requires grad"):
        p.numpy()
    with torch.no_grad():
        p.numpy()[0] = 5
        assert p.view(-1).numpy().tolist() == [5, 1, 1]
    assert p.tolist() == [5, 1, 1]
