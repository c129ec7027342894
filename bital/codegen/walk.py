"""Walk: the code that calls a plan's kernels, region after region, as LLVM IR text.

Room: codegen. `module` writes the arrays of steps and operands that it reads.
"""

from string import Template

WALK = Template("""
%input = type { i64, i64, i64, i64 }  ; number, axis, stride in bytes, more for each of a size
%operand = type { i64, i32, i32 }     ; bytes; item, -1: table, -2: @chunks; mover, -1: none
%mover = type { i64, i64, i64 }       ; scalar's place in the table, bytes, whether it is a double
%chunk = type { ptr, i64, i64 }       ; kernel, its first argument, its own number of the chunk
%step = type { ptr, i64, i64 }        ; kernel, or null: a condition; chunks; operands

declare i64 @llvm.readcyclecounter()

; Whether inputs lie in memory as they did when this was compiled.
define internal i1 @laid(ptr %items, ptr %inputs, i64 %count, ptr %size.at) #0 {
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
define internal ptr @place(ptr %items, ptr %table, ptr %movers, ptr %operand) #0 {
entry:
  %bytes = load i64, ptr %operand, align 8
  %number.at = getelementptr %operand, ptr %operand, i64 0, i32 1
  %number = load i32, ptr %number.at, align 4
  %mover.at = getelementptr %operand, ptr %operand, i64 0, i32 2
  %mover = load i32, ptr %mover.at, align 4
  %shared = icmp eq i32 %number, -2
  %given = select i1 %shared, ptr @chunks, ptr %table
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

; One chunk of kernels that run side by side.
define internal void @share(ptr %args, i64 %chunk) #0 {
entry:
  %chunks = load ptr, ptr %args, align 8
  %fn.at = getelementptr %chunk, ptr %chunks, i64 %chunk
  %fn = load ptr, ptr %fn.at, align 8
  %first.at = getelementptr %chunk, ptr %chunks, i64 %chunk, i32 1
  %first = load i64, ptr %first.at, align 8
  %own.at = getelementptr %chunk, ptr %chunks, i64 %chunk, i32 2
  %own = load i64, ptr %own.at, align 8
  %mine = getelementptr ptr, ptr %args, i64 %first
  call void %fn(ptr %mine, i64 %own)
  ret void
}

; Take the steps; 1 where a condition does not hold. Each kernel's cycles are added up.
define internal i64 @walk(
    ptr %items, ptr %table, ptr %steps, i64 %count, ptr %operands, ptr %cycles, ptr %args
) #0 {
entry:
  %parallel = load ptr, ptr %table, align 8
  %start = $now
  br label %look
look:
  %n = phi i64 [ 0, %entry ], [ %n.next, %next ]
  %operand = phi ptr [ %operands, %entry ], [ %operand.next, %next ]
  %cycle = phi ptr [ %cycles, %entry ], [ %cycle.next, %next ]
  %before = phi i64 [ %start, %entry ], [ %after, %next ]
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
  %pointer = call ptr @place(ptr %items, ptr %table, ptr @movers, ptr %o)
  %arg = getelementptr ptr, ptr %args, i64 %k
  store ptr %pointer, ptr %arg, align 8
  %k.next = add i64 %k, 1
  %k.more = icmp slt i64 %k.next, %wanted
  br i1 %k.more, label %place, label %run
run:
  %operand.next = getelementptr %operand, ptr %operand, i64 %wanted
  %condition = icmp eq ptr %fn, null
  br i1 %condition, label %check, label %kernel
check:
  %holds = load i8, ptr %pointer, align 1
  %wrong = icmp eq i8 %holds, 0
  br i1 %wrong, label %stop, label %next
kernel:
  %several = icmp sgt i64 %chunks, 1
  br i1 %several, label %shared, label %alone
shared:
  call void %parallel(ptr %fn, ptr %args, i64 %chunks)
  br label %clock
alone:
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
entry:
  %args = alloca [$most x ptr], align 64
  %items.at = getelementptr i8, ptr %list, i64 $items
  %items = load ptr, ptr %items.at, align 8
  %size.at = getelementptr i8, ptr %table, i64 $size
  %laid = call i1 @laid(ptr %items, ptr @inputs$number, i64 $inputs, ptr %size.at)
  br i1 %laid, label %begin, label %other
begin:
  %cycles = getelementptr i64, ptr %table, i64 $first
  %wrong = call i64 @walk(
      ptr %items, ptr %table, ptr @steps$number, i64 $steps, ptr @operands$number, ptr %cycles,
      ptr %args)
  ret i64 %wrong
other:
  ret i64 1
}
""")
