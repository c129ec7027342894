"""Walk: the code that calls a plan's kernels, region after region, as LLVM IR text.

Room: codegen. It is the same for every plan: what is called, and with what, is data that `module`
writes, a *stretch*. So it is compiled once, with the thread pool that it calls.
"""

import ctypes
from string import Template

import numpy as np

TYPES = """
%input = type { i64, i64, i64, i64 }  ; number, axis, stride in bytes, more for each of a size
%operand = type { i64, i32, i32 }     ; bytes; item, -1: table, -2: chunks; mover, -1: none
%mover = type { i64, i64, i64 }       ; scalar's place in the table, bytes, whether it is a double
%chunk = type { ptr, i64, i64 }       ; kernel, its first argument, its own number of the chunk
; (before those of a region null, and how many of them follow one another)
; kernel, or null: all chunks of %chunk, or a condition; chunks, 0 for a condition; operands; weight
%step = type { ptr, i64, i64, i64 }
; inputs, steps, operands, movers and chunks; how many inputs and steps there are, the most operands
; of a step; where in the table are the cycles of the first step and the size that changes, in bytes
%stretch = type { ptr, ptr, ptr, ptr, ptr, i64, i64, i64, i64, i64 }
"""

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
  %at = getelementptr %input, ptr %inputs, i64 %n
  %number = load i64, ptr %at, align 8
  %axis.at = getelementptr %input, ptr %inputs, i64 %n, i32 1
  %axis = load i64, ptr %axis.at, align 8
  %wanted.at = getelementptr %input, ptr %inputs, i64 %n, i32 2
  %fixed = load i64, ptr %wanted.at, align 8
  %more.at = getelementptr %input, ptr %inputs, i64 %n, i32 3
  %each = load i64, ptr %more.at, align 8
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

; The address of an operand.
define internal ptr @place(
    ptr %items, ptr %table, ptr %movers, ptr %chunks, ptr %operand
) nounwind {
entry:
  %bytes = load i64, ptr %operand, align 8
  %number.at = getelementptr %operand, ptr %operand, i64 0, i32 1
  %number = load i32, ptr %number.at, align 4
  %mover.at = getelementptr %operand, ptr %operand, i64 0, i32 2
  %mover = load i32, ptr %mover.at, align 4
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
  %m = getelementptr %mover, ptr %movers, i32 %mover
  %scalar = load i64, ptr %m, align 8
  %size.at = getelementptr %mover, ptr %movers, i32 %mover, i32 1
  %size = load i64, ptr %size.at, align 8
  %double.at = getelementptr %mover, ptr %movers, i32 %mover, i32 2
  %double = load i64, ptr %double.at, align 8
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
  %fn.at = getelementptr %chunk, ptr %chunks, i64 %n.next
  %fn = load ptr, ptr %fn.at, align 8
  %first.at = getelementptr %chunk, ptr %chunks, i64 %n.next, i32 1
  %first = load i64, ptr %first.at, align 8
  %own.at = getelementptr %chunk, ptr %chunks, i64 %n.next, i32 2
  %own = load i64, ptr %own.at, align 8
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
  %inputs = load ptr, ptr %stretch, align 8
  %steps.at = getelementptr %stretch, ptr %stretch, i64 0, i32 1
  %steps = load ptr, ptr %steps.at, align 8
  %operands.at = getelementptr %stretch, ptr %stretch, i64 0, i32 2
  %operands = load ptr, ptr %operands.at, align 8
  %movers.at = getelementptr %stretch, ptr %stretch, i64 0, i32 3
  %movers = load ptr, ptr %movers.at, align 8
  %shared.at = getelementptr %stretch, ptr %stretch, i64 0, i32 4
  %shared = load ptr, ptr %shared.at, align 8
  %laid.count.at = getelementptr %stretch, ptr %stretch, i64 0, i32 5
  %laid.count = load i64, ptr %laid.count.at, align 8
  %count.at = getelementptr %stretch, ptr %stretch, i64 0, i32 6
  %count = load i64, ptr %count.at, align 8
  %most.at = getelementptr %stretch, ptr %stretch, i64 0, i32 7
  %most = load i64, ptr %most.at, align 8
  %first.at = getelementptr %stretch, ptr %stretch, i64 0, i32 8
  %first = load i64, ptr %first.at, align 8
  %size.in = getelementptr %stretch, ptr %stretch, i64 0, i32 9
  %size.bytes = load i64, ptr %size.in, align 8
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
  %fn.at = getelementptr %step, ptr %steps, i64 %n
  %fn = load ptr, ptr %fn.at, align 8
  %chunks.at = getelementptr %step, ptr %steps, i64 %n, i32 1
  %chunks = load i64, ptr %chunks.at, align 8
  %wanted.at = getelementptr %step, ptr %steps, i64 %n, i32 2
  %wanted = load i64, ptr %wanted.at, align 8
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
  %weight.at = getelementptr %step, ptr %steps, i64 %n, i32 3
  %weight = load i64, ptr %weight.at, align 8
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


def _offsets() -> tuple[int, int, int]:
    """Where a list keeps the pointer to its items, and an array its data and strides."""
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
    return items, data, shape + 8


def walk_text(is_x86: bool) -> str:
    """The walk's LLVM IR, but for `parallel`, for this process's Python and a kind of processor."""
    items, data, strides = _offsets()
    # elsewhere a program may not read the counter
    now = "call i64 @llvm.readcyclecounter()" if is_x86 else "add i64 0, 0"
    return TYPES + _WALK.substitute(items=items, data=data, strides=strides, now=now)
