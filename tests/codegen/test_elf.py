"""Object code loaded by bital itself: references of every kind, parts, memory, what is refused."""

import ctypes
import gc
from pathlib import Path

import pytest

from bital.codegen import elf, jit, target

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.skipif(not elf.SERVED, reason="objects of 64-bit x86 Linux")

#: constants, a table of functions, a switch, data that are written to, zeros, functions of the C
#: library called and taken the address of
MANY = """
@numbers = internal constant [4 x i64] [i64 2, i64 3, i64 5, i64 7], align 64
@table = internal constant [2 x ptr] [ptr @twice, ptr @thrice]
@count = global i64 40
@zeros = internal global [9000 x i64] zeroinitializer, align 128
declare i64 @labs(i64) nounwind
declare i64 @strlen(ptr) nounwind
define internal i64 @twice(i64 %x) nounwind {
  %y = shl i64 %x, 1
  ret i64 %y
}
define internal i64 @thrice(i64 %x) nounwind {
  %y = mul i64 %x, 3
  ret i64 %y
}
define i64 @f(i64 %k) nounwind {
  %at = getelementptr [2 x ptr], ptr @table, i64 0, i64 %k
  %fn = load ptr, ptr %at
  %number.at = getelementptr [4 x i64], ptr @numbers, i64 0, i64 %k
  %number = load i64, ptr %number.at
  %x = call i64 %fn(i64 %number)
  %minus = sub i64 0, %x
  %y = call i64 @labs(i64 %minus)
  ret i64 %y
}
define i64 @next() nounwind {
  %old = load i64, ptr @count
  %new = add i64 %old, 1
  store i64 %new, ptr @count
  %last = getelementptr [9000 x i64], ptr @zeros, i64 0, i64 8999
  %zero = load i64, ptr %last
  store i64 %new, ptr %last
  %sum = add i64 %new, %zero
  ret i64 %sum
}
define ptr @outside() nounwind {
  ret ptr @strlen
}
"""


def loaded(*texts: str) -> elf.Image:
    return elf.Image([jit.compile_object(text, target.host()) for text in texts])


def call(image: elf.Image, name: str, *numbers: int) -> int:
    kinds = [ctypes.c_int64] * len(numbers)
    return ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(image.address(name))(*numbers)


def test_references_of_every_kind():
    image = loaded(MANY)
    assert [call(image, "f", 0), call(image, "f", 1)] == [4, 9]
    assert [call(image, "next"), call(image, "next")] == [41, 83]
    assert ctypes.c_int64.from_address(image.address("count")).value == 42
    strlen = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_char_p)(call(image, "outside"))
    assert strlen(b"seven..") == 7
    assert image.address("count") % 8 == 0 and image.address("f") % 16 == 0


def test_libraries_share_nothing():
    one, other = loaded(MANY), loaded(MANY)
    assert [call(one, "next"), call(other, "next"), call(one, "next")] == [41, 41, 83]


def test_parts_refer_to_each_other_in_any_order():
    body = "define hidden i64 @g(i64 %x) nounwind {\n  %y = add i64 %x, 1\n  ret i64 %y\n}\n"
    caller = (
        "declare hidden i64 @g(i64)\n@where = constant ptr @g\n"
        "define i64 @h() nounwind {\n  %fn = load ptr, ptr @where\n"
        "  %a = call i64 %fn(i64 1)\n  %b = call i64 @g(i64 %a)\n  ret i64 %b\n}\n"
    )
    assert call(loaded(body, caller), "h") == call(loaded(caller, body), "h") == 3


def test_what_is_far_away_is_reached(monkeypatch):
    # The processor's calls reach 2 GB: the C library is usually within, so memory is put elsewhere.
    far = 0x2000_0000_0000
    monkeypatch.setattr(elf._c, "mmap", lambda _, *rest, mmap=elf._c.mmap: mmap(far, *rest))
    image = loaded(MANY)
    assert abs(image.address("f") - far) < 1 << 20
    assert call(image, "f", 1) == 9


def test_nothing_is_both_written_and_executed():
    image = loaded(MANY)
    rights = {}
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(word, 16) for word in line.split()[0].split("-"))
        for name in ("f", "count"):
            if begin <= image.address(name) < end:
                rights[name] = line.split()[1]
    assert rights == {"f": "r-xp", "count": "rw-p"}


def test_memory_comes_back():
    def size() -> int:
        return int(Path("/proc/self/statm").read_text().split()[0])

    code = jit.compile_object(MANY, target.host())
    elf.Image([code])
    gc.collect()
    before = size()
    for _ in range(200):
        elf.Image([code])
    assert size() - before < 100  # pages; one image has 20


def test_what_is_not_right_is_refused(monkeypatch):
    code = jit.compile_object(MANY, target.host())
    with pytest.raises(ValueError, match="no object code of 64-bit x86"):
        elf.Image([jit.compile_object(MANY, target.named("aarch64-neon"))])
    with pytest.raises(ValueError, match="no function 'strlem' in this process"):
        elf.Image([code.replace(b"strlen\0", b"strlem\0")])
    with pytest.raises(ValueError, match="no function 'g' in the library"):
        elf.Image([code]).address("g")
    monkeypatch.setattr(elf, "_WORD", 99)
    with pytest.raises(ValueError, match="unknown kind 1 "):
        elf.Image([code])


def test_a_system_that_forbids_new_code_is_an_error(monkeypatch):
    code = jit.compile_object(MANY, target.host())
    monkeypatch.setattr(elf._c, "mprotect", lambda *_: -1)
    with pytest.raises(OSError, match="no memory for code"):
        elf.Image([code])
