"""What is written to files in the tests: one object with everything that files may hold."""

from __future__ import annotations

from typing import Any

#: dtypes by name, as they are in both namespaces
DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip


def everything(torch: Any) -> dict[str, Any]:
    """Tensors of every dtype and layout, modules' and optimizers' states, nested containers."""
    torch.manual_seed(0)
    x = torch.arange(12.0).reshape(3, 4)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(x[:, :3]).square().sum().backward()
    optimizer.step()
    parameter = torch.nn.Parameter(torch.ones(2))
    noted = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    noted.note = "kept"
    return {
        "dtypes": [torch.arange(3).to(getattr(torch, name)) for name in DTYPES],
        "views": [x, x.T, x[1:, ::2], x[0, 0], x.expand(2, 3, 4), x[:0], x.diagonal()],
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 3),
        "requires": torch.ones(2, requires_grad=True),
        "parameters": [parameter, parameter, noted, torch.nn.Buffer(torch.zeros(1))],
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "plain": {"a": [1, -5, 2**70, 2.5, None, True, 1j], ("k", 1): {1, 2}, 3: b"\x00\xff"},
        "words": [torch.Size([1, 2]), torch.float16, torch.device("cuda:1"), torch.strided],
        "text": "비탈",
        "bytes": bytearray(b"xy"),
        "random": torch.get_rng_state(),
    }


def shown(x: Any, lib: Any) -> Any:
    """An object as plain data that can be compared between the namespaces."""
    if isinstance(x, lib.Tensor):
        d = str(x.dtype)
        data = x.detach().float() if d == "torch.bfloat16" else x.detach()
        numbers = data.numpy().tolist()
        facts = (tuple(x.shape), tuple(x.stride()), x.storage_offset(), x.requires_grad)
        is_parameter = isinstance(x, lib.nn.Parameter)
        return d, facts, is_parameter, numbers, sorted(x.__dict__.items())
    if isinstance(x, dict):
        metadata = getattr(x, "_metadata", None)
        return [[(shown(k, lib), shown(v, lib)) for k, v in x.items()], str(metadata)]
    if isinstance(x, (list, tuple)):
        return [type(x).__name__, *[shown(each, lib) for each in x]]
    if isinstance(x, (lib.dtype, lib.device, lib.layout)):
        return str(x)
    return x
