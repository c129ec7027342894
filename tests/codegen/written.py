"""Words compiled: a Python function of Builder and Regs becomes one of NumPy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from bital.codegen import jit
from bital.codegen.scalar import Builder, Reg
from bital.codegen.target import Target, host

DTYPES = {"f32": np.float32, "f64": np.float64, "i1": np.bool_, "i8": np.int8, "u8": np.uint8,
          "i16": np.int16, "u16": np.uint16, "i32": np.int32, "u32": np.uint32, "i64": np.int64,
          "u64": np.uint64, "f16": np.float16}  # fmt: skip


def text(
    write: Callable[..., Reg], kinds: tuple[str, ...], lanes: int, target: Target | None = None
) -> tuple[str, str]:
    """A module with `kernel`, which applies `write` element by element; its result's kind.

    Its arguments are the operands, the result, and the number of elements, a multiple of lanes.
    """
    on = target or host()
    b = Builder(on.masks, on.fused)
    pointers = [b.argument(k) for k in range(len(kinds) + 2)]
    loop = b.loop(0, b.load(pointers[-1], "i64"), lanes)
    operands = [b.load(p, kind, loop.index, lanes) for p, kind in zip(pointers, kinds)]
    out = write(b, *operands)
    b.store(out, pointers[-2], loop.index)
    loop.end()
    body = b.text("kernel").replace("define internal", "define")
    declared = "\n".join(sorted(b.declared))
    return (
        f'{declared}\n{body}\nattributes #0 = {{ nounwind "prefer-vector-width"="512" }}',
        out.kind,
    )


class Written:
    """A word compiled for the host, or a processor whose code it can run, called with arrays."""

    def __init__(
        self, write: Callable[..., Reg], kinds: tuple[str, ...], lanes: int,
        target: Target | None = None,
    ) -> None:  # fmt: skip
        module, self.kind = text(write, kinds, lanes, target)
        self.kinds, self.lanes = kinds, lanes
        code = jit.compile_object(module, target) if target else None
        self.library = jit.Library([code]) if code else jit.build(module)
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        self.kernel = prototype(self.library.address("kernel"))

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        size = len(arrays[0])
        # the last vector is filled up with ones
        padded = [
            np.concatenate([a, np.ones(-size % self.lanes, a.dtype)]).astype(DTYPES[kind])
            for a, kind in zip(arrays, self.kinds)
        ]
        out = np.empty(len(padded[0]), DTYPES[self.kind])
        count = np.array([len(out)])
        table = (ctypes.c_void_p * (len(padded) + 2))(
            *(a.ctypes.data for a in (*padded, out, count))
        )
        self.kernel(ctypes.addressof(table), 0)
        return out[:size]
