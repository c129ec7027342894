"""What is shown of a text: its functions and their instructions."""

import pytest

from bital.codegen import show, target

pytest.importorskip("llvmlite")

TWO = """
declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)
define internal void @first(ptr %args, i64 %chunk) nounwind {
  %x = load <8 x float>, ptr %args, align 4
  %y = call <8 x float> @llvm.fma.v8f32(<8 x float> %x, <8 x float> %x, <8 x float> %x)
  store <8 x float> %y, ptr %args, align 4
  ret void
}
define void @"second.1"(ptr %args) nounwind {
entry:
  call void @first(ptr %args, i64 0)
  ret void
}
"""


def many_values(count: int) -> str:
    """A function that needs as many vectors at once."""
    kind = "<8 x float>"
    lines = [f"  %x{k} = load volatile {kind}, ptr %a, align 4" for k in range(count)]
    lines += [f"  store volatile {kind} %x{k}, ptr %a, align 4" for k in range(count)]
    return "define void @f(ptr %a) nounwind {\n" + "\n".join(lines) + "\n  ret void\n}\n"


def test_the_functions_of_a_text():
    found = show.ir(TWO)
    assert list(found) == ["first", "second.1"]
    assert found["first"].startswith("define internal") and found["first"].endswith("void\n}\n")
    assert found["second.1"].count("\n") == 5


@pytest.mark.parametrize(
    ("name", "multiply", "call"),
    [("x86-64-v3", "vfmadd", "callq\tfirst"), ("aarch64-neon", "fmla", "first"),
     ("apple-m1", "fmla.4s", "_first")],
)  # fmt: skip
def test_the_instructions_of_each_function(name, multiply, call):
    found = show.assembly(TWO, target.named(name))
    assert list(found) == ["first", "second.1"]
    assert multiply in found["first"] and multiply not in found["second.1"]
    assert call in found["second.1"] or "\tb\t" in found["second.1"]
    assert all(line[0] != "." and "\t." not in line for line in found["first"].splitlines())


@pytest.mark.parametrize("name", ["x86-64-v3", "x86-64-v4", "aarch64-neon"])
def test_spills_are_counted(name):
    chosen = target.named(name)
    vectors = chosen.registers * chosen.vector_bytes // 32
    few, many = (
        show.spills(show.assembly(many_values(count), chosen)["f"])
        for count in (min(vectors, chosen.registers) - 2, chosen.registers + 8)
    )
    assert few == 0 and many >= 8


def test_the_host_is_shown_by_default():
    assert list(show.assembly(TWO)) == ["first", "second.1"]
