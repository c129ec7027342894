"""Devices: where a tensor's elements live.

Room: base; the standard library only. bital computes on the CPU; `cuda` and `meta` are known by
name, so that programs can ask, and refused where a tensor would have to be made there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bital.base.errors import Unsupported

_TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga",
    "maia", "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class device:
    """`torch.device("cpu")`, `torch.device("cuda", 1)`, `torch.device("cuda:1")`.

    Attributes `type` (str) and `index` (int or None). Usable as a context manager, which makes it
    the device of tensors created inside.
    """

    __slots__ = ("type", "index")
    __module__ = "torch"
    #: what vmap adds to a device, see Batched
    lanes: tuple[tuple[int, int], ...] = ()
    sizes: tuple[int, ...] = ()

    def __init__(self, type: str | device | int, index: int | None = None) -> None:
        kind: Any = type
        if isinstance(kind, device):
            index = kind.index if index is None else index
            kind = kind.type
        elif isinstance(kind, int):
            kind, index = "cuda", kind
        if not isinstance(kind, str):
            raise TypeError(
                f"device(): argument 'type' (position 1) must be str, not {kind.__class__.__name__}"
            )
        name, colon, number = kind.partition(":")
        if colon:
            if index is not None:
                raise RuntimeError(
                    "type (string) must not include an index because index was passed "
                    f"explicitly: {kind}"
                )
            if not number.isdigit() or (number[0] == "0" and len(number) > 1):
                raise RuntimeError(f"Invalid device string: '{kind}'")
            index = int(number)
        if not name.replace("_", "").isalpha():
            raise RuntimeError(f"Invalid device string: '{type}'")
        if name not in _TYPES:
            raise RuntimeError(
                "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, "
                "fpga, maia, xla, lazy, vulkan, mps, meta, hpu, mtia, privateuseone device type at "
                f"start of device string: {name}"
            )
        self.type: str = name
        self.index: int | None = index

    def __repr__(self) -> str:
        if self.index is None:
            return f"device(type='{self.type}')"
        return f"device(type='{self.type}', index={self.index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        usable(self)
        return self

    def __exit__(self, *exc: object) -> None:
        return None


cpu = device("cpu")


class Batched(device):
    """A device as the function under vmap sees it: what lies there is there once per example.

    `lanes` holds (level, number of examples) of every vmap that a value has an example of, in
    order of the levels; `sizes` are those numbers, which are the leading axes of the value's array.
    Whatever makes a result "on x's device" so makes it for every example of x. Interned: one object
    per `plain` device and lanes. Programs never see it.
    """

    __slots__ = ("plain", "lanes", "sizes")

    def __init__(self, plain: device, lanes: tuple[tuple[int, int], ...]) -> None:
        super().__init__(plain)
        self.plain, self.lanes = plain, lanes
        self.sizes = tuple([size for _, size in lanes])

    def __repr__(self) -> str:
        return f"Batched({self.plain!r}, {self.lanes})"

    __eq__ = object.__eq__
    __hash__ = object.__hash__


_batched: dict[tuple, Batched] = {}


def with_lanes(where: device, lanes: tuple[tuple[int, int], ...]) -> device:
    """The device of `where` with these lanes instead of its own."""
    plain = where.plain if isinstance(where, Batched) else where
    if not lanes:
        return plain
    key = (plain, lanes)
    return _batched.get(key) or _batched.setdefault(key, Batched(plain, lanes))


def together(places: Iterable[device]) -> device | None:
    """The device that has every lane of the given ones; None where they have none."""
    found: dict[int, int] = {}
    first = None
    for where in places:
        if where.lanes:
            first = where if first is None else first
            found.update(where.lanes)
    return None if first is None else with_lanes(first, tuple(sorted(found.items())))


def usable(where: device | str | int | None) -> device:
    """The device to make a tensor on; one that this installation lacks raises PyTorch's error."""
    if where is None or where is cpu:
        return cpu
    if isinstance(where, Batched):
        return where
    where = where if isinstance(where, device) else device(where)
    if where.type == "cpu":
        return cpu
    if where.type == "cuda":
        # PyTorch built without CUDA raises AssertionError with this text
        raise AssertionError("Torch not compiled with CUDA enabled (bital computes on the CPU)")
    raise Unsupported(f"bital has no device '{where}': use 'cpu'")
