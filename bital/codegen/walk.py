"""Walk: the code that calls a plan's kernels, region after region, as LLVM IR text.

Room: codegen. It is the same for every plan: what is called, and with what, is data that `module`
writes, a *stretch*. So it is compiled once, with the thread pool that it calls.
"""

import ctypes
from string import Template

import numpy as np

#: what a plan's data are: type and name of every field
_FIELDS = {
    # which, and one of its axes; its stride in bytes, and more for each of the size that changes
    "input": "i64 number, i64 axis, i64 fixed, i64 each",
    # from where on; number of the array, -1: of the table, -2: of the chunks; mover -1: none
    "operand": "i64 bytes, i32 number, i32 mover",
    # the scalar's place in the table, bytes for each of it, whether it is a double
    "mover": "i64 scalar, i64 size, i64 double",
    # a kernel, the number of its first argument, and its own; before those of a region null, and
    # how many of them follow one another
    "chunk": "ptr fn, i64 first, i64 own",
    # a kernel, or null: all chunks of %chunk, or a condition, which has 0; how many operands
    "step": "ptr fn, i64 chunks, i64 wanted, i64 weight",
    # inputs, steps, operands, movers and chunks; how many inputs and steps there are, and the most
    # operands of a step; where in the table are the cycles of the first step and the size that
    # changes, in bytes
    "stretch": "ptr inputs, ptr steps, ptr operands, ptr movers, ptr shared, "
    "i64 laid.count, i64 count, i64 most, i64 first, i64 size.bytes",
}


def _fields(kind: str) -> list[list[str]]:
    """Type and name of every field of a struct."""
    return [field.split() for field in _FIELDS[kind].split(", ")]


def _loads(kind: str, pointer: str) -> str:
    """The lines that load all fields of a struct."""
    lines = []
    for k, (type_, name) in enumerate(_fields(kind)):
        lines.append(f"  %{name}.from = getelementptr %{kind}, ptr {pointer}, i64 0, i32 {k}")
        align = 4 if type_ == "i32" else 8
        lines.append(f"  %{name} = load {type_}, ptr %{name}.from, align {align}")
    return "\n".join(lines)


TYPES = "".join(
    f"%{kind} = type {{ {', '.join(type_ for type_, _ in _fields(kind))} }}\n" for kind in _FIELDS
)

_WALK = Template("""
declare i64 @llvm.readcyclecounter()

; Whether inputs lie in memory as they did when this was compiled.
define internal i1 @laid(ptr %items, ptr %inputs, i64 %count, ptr %size.at) nounwind {
entry:
  %size = load i64, ptr %size.at, align 8
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %look, label %right
look:
  %n = phi i64 [ 0, %entry ], [ %n.next, %same ]
  %input.in = getelementptr %input, ptr %inputs, i64 %n
$input
  %growing = mul i64 %each, %size
  %wanted = add i64 %fixed, %growing
  %item.at = getelementptr ptr, ptr %items, i64 %number
  %item = load ptr, ptr %item.at, align 8
  %strides.at = getelementptr i8, ptr %item, i64 $strides
  %strides = load ptr, ptr %strides.at, align 8
  %stride.at = getelementptr i64, ptr %strides, i64 %axis
  %stride = load i64, ptr %stride.at, align 8
  %equal = icmp eq i64 %stride, %wanted
  br i1 %equal, label %same, label %wrong
same:
  %n.next = add i64 %n, 1
  %more = icmp slt i64 %n.next, %count
  br i1 %more, label %look, label %right
right:
  ret i1 true
wrong:
  ret i1 false
}

; Whether objects of a list are referred to as often as noted, their number first: of each twice how
; often, and 1 more where it is an array that is no window on another's memory.
define i64 @unchanged(ptr %list, ptr %note) nounwind {
entry:
  %items.at = getelementptr i8, ptr %list, i64 $items
  %items = load ptr, ptr %items.at, align 8
  %count = load i64, ptr %note, align 8
  br label %look
look:
  %n = phi i64 [ 0, %entry ], [ %n.next, %same ]
  %more = icmp slt i64 %n, %count
  br i1 %more, label %refer, label %right
refer:
  %item.at = getelementptr ptr, ptr %items, i64 %n
  %item = load ptr, ptr %item.at, align 8
  %n.next = add i64 %n, 1
  %noted.at = getelementptr i64, ptr %note, i64 %n.next
  %noted = load i64, ptr %noted.at, align 8
  %wanted = ashr i64 %noted, 1
  %references = load i64, ptr %item, align 8
  %equal = icmp eq i64 %references, %wanted
  br i1 %equal, label %equal.so.far, label %wrong
equal.so.far:
  %is.whole = trunc i64 %noted to i1
  br i1 %is.whole, label %whole, label %same
whole:
  %base.at = getelementptr i8, ptr %item, i64 $base
  %base = load ptr, ptr %base.at, align 8
  %owns = icmp eq ptr %base, null
  br i1 %owns, label %same, label %wrong
same:
  br label %look
right:
  ret i64 1
wrong:
  ret i64 0
}

; The address of an operand.
define internal ptr @place(
    ptr %items, ptr %table, ptr %movers, ptr %chunks, ptr %operand
) nounwind {
entry:
$operand
  %shared = icmp eq i32 %number, -2
  %given = select i1 %shared, ptr %chunks, ptr %table
  %listed = icmp sge i32 %number, 0
  br i1 %listed, label %array, label %based
array:
  %item.at = getelementptr ptr, ptr %items, i32 %number
  %item = load ptr, ptr %item.at, align 8
  %data.at = getelementptr i8, ptr %item, i64 $data
  %data = load ptr, ptr %data.at, align 8
  br label %based
based:
  %base = phi ptr [ %given, %entry ], [ %data, %array ]
  %still = getelementptr i8, ptr %base, i64 %bytes
  %moves = icmp sge i32 %mover, 0
  br i1 %moves, label %move, label %placed
move:
  %mover.in = getelementptr %mover, ptr %movers, i32 %mover
$mover
  %scalar.at = getelementptr i8, ptr %table, i64 %scalar
  %as.double = load double, ptr %scalar.at, align 8
  %as.integer = load i64, ptr %scalar.at, align 8
  %rounded = fptosi double %as.double to i64
  %is.double = icmp ne i64 %double, 0
  %steps = select i1 %is.double, i64 %rounded, i64 %as.integer
  %by = mul i64 %steps, %size
  %moved = getelementptr i8, ptr %still, i64 %by
  br label %placed
placed:
  %found = phi ptr [ %still, %based ], [ %moved, %move ]
  ret ptr %found
}

; One chunk of kernels that run side by side, or a track of a chain: as many chunks in a row.
define internal void @side(ptr %args, i64 %number) nounwind {
entry:
  %chunks = load ptr, ptr %args, align 8
  %count.at = getelementptr %chunk, ptr %chunks, i64 0, i32 1
  %count = load i64, ptr %count.at, align 8
  %begin = mul i64 %number, %count
  %end = add i64 %begin, %count
  br label %run
run:
  %n = phi i64 [ %begin, %entry ], [ %n.next, %run ]
  %n.next = add i64 %n, 1
  %chunk.in = getelementptr %chunk, ptr %chunks, i64 %n.next
$chunk
  %mine = getelementptr ptr, ptr %args, i64 %first
  call void %fn(ptr %mine, i64 %own)
  %more = icmp slt i64 %n.next, %end
  br i1 %more, label %run, label %done
done:
  ret void
}

; Take the steps of a stretch; 1 where inputs lie otherwise or a condition does not hold. The cycles
; of each step are added up.
define i64 @walk(ptr %list, ptr %table, ptr %stretch) nounwind {
entry:
  %items.at = getelementptr i8, ptr %list, i64 $items
  %items = load ptr, ptr %items.at, align 8
$stretch
  %size.at = getelementptr i8, ptr %table, i64 %size.bytes
  %cycles = getelementptr i8, ptr %table, i64 %first
  %args = alloca ptr, i64 %most, align 64
  %laid = call i1 @laid(ptr %items, ptr %inputs, i64 %laid.count, ptr %size.at)
  br i1 %laid, label %begin, label %stop
begin:
  %start = $now
  br label %look
look:
  %n = phi i64 [ 0, %begin ], [ %n.next, %next ]
  %operand = phi ptr [ %operands, %begin ], [ %operand.next, %next ]
  %cycle = phi ptr [ %cycles, %begin ], [ %cycle.next, %next ]
  %before = phi i64 [ %start, %begin ], [ %after, %next ]
  %more = icmp slt i64 %n, %count
  br i1 %more, label %step, label %done
step:
  %step.in = getelementptr %step, ptr %steps, i64 %n
$step
  br label %place
place:
  %k = phi i64 [ 0, %step ], [ %k.next, %place ]
  %o = getelementptr %operand, ptr %operand, i64 %k
  %pointer = call ptr @place(ptr %items, ptr %table, ptr %movers, ptr %shared, ptr %o)
  %arg = getelementptr ptr, ptr %args, i64 %k
  store ptr %pointer, ptr %arg, align 8
  %k.next = add i64 %k, 1
  %k.more = icmp slt i64 %k.next, %wanted
  br i1 %k.more, label %place, label %run
run:
  %operand.next = getelementptr %operand, ptr %operand, i64 %wanted
  %condition = icmp eq i64 %chunks, 0
  br i1 %condition, label %check, label %kernel
check:
  %holds = load i8, ptr %pointer, align 1
  %wrong = icmp eq i8 %holds, 0
  br i1 %wrong, label %stop, label %next
kernel:
  %alone = icmp eq i64 %chunks, 1
  br i1 %alone, label %call, label %share
share:
  %several = icmp eq ptr %fn, null
  %all = select i1 %several, ptr @side, ptr %fn
  call void @parallel(ptr %all, ptr %args, i64 %chunks, i64 %weight)
  br label %clock
call:
  call void %fn(ptr %args, i64 0)
  br label %clock
clock:
  %now = $now
  %passed = sub i64 %now, %before
  %old = load i64, ptr %cycle, align 8
  %sum = add i64 %old, %passed
  store i64 %sum, ptr %cycle, align 8
  %cycle.more = getelementptr i64, ptr %cycle, i64 1
  br label %next
next:
  %cycle.next = phi ptr [ %cycle, %check ], [ %cycle.more, %clock ]
  %after = phi i64 [ %before, %check ], [ %now, %clock ]
  %n.next = add i64 %n, 1
  br label %look
done:
  ret i64 0
stop:
  ret i64 1
}
""")

SEGMENT = Template("""
define i64 @segment$number(ptr %list, ptr %table) #0 {
  %walk = load ptr, ptr %table, align 8
  %wrong = call i64 %walk(ptr %list, ptr %table, ptr @stretch$number)
  ret i64 %wrong
}
""")


def _probe(array: np.ndarray, address: int) -> int:
    """Where in an object lies a pointer to `address`, in bytes."""
    words = (ctypes.c_size_t * 16).from_address(id(array))
    return next(8 * k for k, word in enumerate(words) if word == address)


def _offsets() -> tuple[int, int, int, int]:
    """Where a list keeps the pointer to its items, and an array its data, strides and base."""
    array = np.zeros((3, 5), np.float32)
    data = _probe(array, array.ctypes.data)
    shape = next(
        8 * k
        for k, word in enumerate((ctypes.c_size_t * 16).from_address(id(array)))
        if k * 8 > data + 8 and word > 4096
        and (ctypes.c_ssize_t * 2).from_address(word)[:] == [3, 5]
    )  # fmt: skip
    marker = object()
    held = [marker]
    words = (ctypes.c_size_t * 6).from_address(id(held))
    items = next(
        8 * k for k, word in enumerate(words)
        if k > 2 and word > 4096 and ctypes.c_size_t.from_address(word).value == id(marker)
    )  # fmt: skip
    window = array[1:]
    return items, data, shape + 8, _probe(window, id(array))


def walk_text(is_x86: bool) -> str:
    """The walk's LLVM IR, but for `parallel`, for this process's Python and a kind of processor."""
    items, data, strides, base = _offsets()
    # elsewhere a program may not read the counter
    now = "call i64 @llvm.readcyclecounter()" if is_x86 else "add i64 0, 0"
    given = {"operand": "%operand", "stretch": "%stretch"}  # others are looked for
    loads = {kind: _loads(kind, given.get(kind, f"%{kind}.in")) for kind in _FIELDS}
    return TYPES + _WALK.substitute(
        loads, items=items, data=data, strides=strides, base=base, now=now
    )
