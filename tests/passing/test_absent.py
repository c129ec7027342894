"""Methods for sparse, quantized and other devices' tensors answer as PyTorch's dense ones do."""

import pytest

from tests.both import same

PROGRAMS = {
    "dense": lambda t: (t.ones(2, 3).sparse_dim(), t.ones(2, 3).dense_dim(), t.ones(2).volatile),
    "indices": lambda t: t.ones(2).indices(),
    "values": lambda t: t.ones(2).values(),
    "coalesce": lambda t: t.ones(2).coalesce(),
    "is_coalesced": lambda t: t.ones(2).is_coalesced(),
    "dequantize": lambda t: t.ones(2).dequantize(),
    "pin_memory": lambda t: t.ones(2).pin_memory(),
    "xpu": lambda t: t.ones(2).xpu(),
    "is_nonzero": lambda t: (t.tensor([2]).is_nonzero(), t.tensor(0.0).is_nonzero()),
    "apply_": lambda t: t.arange(6).reshape(2, 3).apply_(lambda v: v * v + 1),
    "apply_ floats": lambda t: t.arange(6.0).reshape(2, 3).T.apply_(lambda v: v / 2),
    "apply_ needs no grad": lambda t: t.ones(2, requires_grad=True).apply_(lambda v: v),
    "map_": lambda t: t.arange(3.0).map_(t.ones(3), lambda a, b: a - b),
    "dim_order": lambda t: (t.ones(2, 3).dim_order(), t.ones(2, 3).T.dim_order()),
    "resize": lambda t: (t.arange(6.0).resize(2, 3), t.arange(6.0).resize_as(t.ones(6, 1))),
    "resize to another count": lambda t: t.arange(6.0).resize(3),
    "storage_type": lambda t: t.ones(2, dtype=t.int16).storage_type().__name__,
    "detach": lambda t: t.detach(t.ones(2, requires_grad=True)).requires_grad,
    "fill": lambda t: t.fill(t.ones(2, 3), 4),
    "device": lambda t: (t.get_device(t.ones(1)), t.is_distributed(t.ones(1))),
    "symbols": lambda t: (isinstance(3, t.SymInt), t.sym_max(1, 2), t.sym_not(True), t.sym_int(2)),
    "cond": lambda t: t.cond(t.tensor(True), lambda x: x + 1, lambda x: x - 1, (t.ones(2),)),
    "stream": lambda t: (t.Stream(), t.Stream().device),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_in_torch(name, torch, oracle):
    same(PROGRAMS[name], torch, oracle)


@pytest.mark.parametrize("name", ["to_sparse_csc", "qscheme", "int_repr", "to_mkldnn"])
def test_what_is_lacking_says_so(name, torch):
    with pytest.raises(NotImplementedError, match=f"Tensor.{name}: bital has no"):
        getattr(torch.ones(2, 2), name)()


def test_from_file(torch, tmp_path):
    path = str(tmp_path / "numbers")
    made = torch.from_file(path, shared=True, size=4)
    made.copy_(torch.arange(4.0))
    again = torch.from_file(path, size=2)
    assert again.tolist() == [0, 1]
    again.fill_(9)  # its own
    assert torch.from_file(path, size=4, dtype=torch.float32).tolist() == [0, 1, 2, 3]
