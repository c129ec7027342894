"""Team: the thread pool's own code, as LLVM IR text.

Room: codegen. `threads` says what the pool does; this is how. Every word of it that several
threads read while one writes is atomic, or written before a share is given and read after a chunk
of it was claimed.
"""

from __future__ import annotations

from string import Template

MOST = 256  # threads of one team
SPIN_NS = 500_000  # an idle worker sleeps after this long
_YIELD_NS = 30_000  # who waits gives way to others from here on
_WORTH_WAKING = 8  # units of weight, of some 10 µs each; waking takes 40 µs
_MOST_QUIET = 512  # units of weight
_CREDIT_NS = 4_000_000  # as much at most is owed or saved up
_SAVED_NS = 100_000  # as much at most is saved by a region: its caller may have lost its core
_ALONE = 16  # for so much longer than its debt a caller runs alone
_STACK_BYTES = 2 << 20

#: what runs all chunks by itself
_ONE_BY_ONE = """entry:
  %some = icmp sgt i64 %chunks, 0
  br i1 %some, label %run, label %end
run:
  %chunk = phi i64 [ 0, %entry ], [ %next, %run ]
  call void %fn(ptr %args, i64 %chunk)
  %next = add i64 %chunk, 1
  %more = icmp slt i64 %next, %chunks
  br i1 %more, label %run, label %end
end:
  ret void
}
"""

_POOL = Template("""
%slot = type { i64, i64, i32, [108 x i8] }  ; chunks left, where they end, whether its thread sleeps

@slots = internal global [$MOST x %slot] zeroinitializer, align 128
@fn = internal global ptr null, align 128
@args = internal global ptr null
@team = internal global i64 0
@done = internal global i64 0, align 128  ; chunks that workers have done
@busy = internal global i32 0, align 128  ; whether a region runs
@limit = global i64 1                     ; threads of a team
@workers = internal global i64 0          ; that were started
@credit = internal global i64 0           ; nanoseconds that workers saved, less those of stalls
@until = internal global i64 0            ; when the caller no longer runs regions alone
@last = internal global i64 0             ; when the last region began
@seen = internal global i64 0             ; weight of this burst of regions
@roused = internal global i1 false        ; whether sleeping workers are woken in it
@helped = internal global i1 false        ; whether any worker did anything in it
@quiet = internal global i64 0            ; weight that wakes nobody after a burst that did in vain
@pauses = internal global i64 0           ; how many of them are left

declare i32 @sched_yield() nounwind
declare i32 @clock_gettime(i32, ptr) nounwind
declare i32 @pthread_create(ptr, ptr, ptr, ptr) nounwind
declare i32 @pthread_attr_init(ptr) nounwind
declare i32 @pthread_attr_setstacksize(ptr, i64) nounwind
declare i32 @pthread_attr_destroy(ptr) nounwind
declare i32 @pthread_sigmask(i32, ptr, ptr) nounwind
declare i32 @sigfillset(ptr) nounwind
declare i32 @sigdelset(ptr, i32) nounwind
$DECLARE
$DECLARE_PAUSE

; Nanoseconds of a clock that only goes forward.
define internal i64 @now() nounwind {
  %time = alloca { i64, i64 }
  %ok = call i32 @clock_gettime(i32 $MONOTONIC, ptr %time)
  %seconds = load i64, ptr %time
  %rest = getelementptr i64, ptr %time, i64 1
  %ns = load i64, ptr %rest
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %ns
  ret i64 %sum
}

; All chunks on this thread.
define internal void @serial(ptr %fn, ptr %args, i64 %chunks) nounwind {
$ONE_BY_ONE
; Claim and run chunks of a slot until none is left; how many they were. The region's own words
; are read after a claim: from then on it cannot end before this chunk is done.
define internal i64 @drain(i64 %number) nounwind {
entry:
  %left.at = getelementptr %slot, ptr @slots, i64 %number
  %end.at = getelementptr i64, ptr %left.at, i64 1
  br label %look
look:
  %count = phi i64 [ 0, %entry ], [ %more, %run ]
  %left = load atomic i64, ptr %left.at monotonic, align 8
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %claim, label %none
claim:
  %got = atomicrmw sub ptr %left.at, i64 1 acq_rel
  %mine = icmp sgt i64 %got, 0
  br i1 %mine, label %run, label %none
run:
  %end = load i64, ptr %end.at
  %chunk = sub i64 %end, %got
  %fn = load ptr, ptr @fn
  %args = load ptr, ptr @args
  call void %fn(ptr %args, i64 %chunk)
  %more = add i64 %count, 1
  br label %look
none:
  ret i64 %count
}

; Drain the slots of the team, one's own first; how many chunks that were.
define internal i64 @work(i64 %self) nounwind {
entry:
  %team = load atomic i64, ptr @team monotonic, align 8
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %sum = phi i64 [ 0, %entry ], [ %sum.next, %next ]
  %number = add i64 %self, %i
  %over = icmp sge i64 %number, %team
  %back = sub i64 %number, %team
  %chosen = select i1 %over, i64 %back, i64 %number
  %count = call i64 @drain(i64 %chosen)
  %sum.next = add i64 %sum, %count
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %team
  br i1 %more, label %next, label %end
end:
  ret i64 %sum.next
}

define internal ptr @worker(ptr %number) nounwind {
entry:
  %set = alloca [128 x i8], align 16
  %self = ptrtoint ptr %number to i64
  %left.at = getelementptr %slot, ptr @slots, i64 %self
  %asleep.at = getelementptr %slot, ptr @slots, i64 %self, i32 2
  ; Signals are for Python's threads; faults stay where they happen.
  %s0 = call i32 @sigfillset(ptr %set)
  %s1 = call i32 @sigdelset(ptr %set, i32 $SIGSEGV)
  %s2 = call i32 @sigdelset(ptr %set, i32 $SIGBUS)
  %s3 = call i32 @sigdelset(ptr %set, i32 $SIGFPE)
  %s4 = call i32 @sigdelset(ptr %set, i32 $SIGILL)
  %s5 = call i32 @pthread_sigmask(i32 $SIG_BLOCK, ptr %set, ptr null)
  br label %idle
idle:
  %since = call i64 @now()
  br label %spin
spin:
  %turn = phi i64 [ 0, %idle ], [ %turn.next, %again ], [ 0, %young ], [ 0, %yield ]
  %left = load atomic i64, ptr %left.at monotonic, align 8
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %busy, label %again
again:
  $PAUSE
  %turn.next = add i64 %turn, 1
  %look = icmp uge i64 %turn.next, 32
  br i1 %look, label %late, label %spin
late:
  %now = call i64 @now()
  %idle.ns = sub i64 %now, %since
  %old = icmp sgt i64 %idle.ns, $SPIN_NS
  br i1 %old, label %sleep, label %young
young:
  %long = icmp sgt i64 %idle.ns, $YIELD_NS
  br i1 %long, label %yield, label %spin
yield:
  %y = call i32 @sched_yield()
  br label %spin
busy:
  %count = call i64 @work(i64 %self)
  %d = atomicrmw add ptr @done, i64 %count acq_rel
  br label %idle
$SLEEP
}

; Start the workers that a team of so many threads lacks; the limit falls where none can be had.
define internal void @start(i64 %team) nounwind {
entry:
  %attributes = alloca [128 x i8], align 16
  %thread = alloca i64
  %a0 = call i32 @pthread_attr_init(ptr %attributes)
  %a1 = call i32 @pthread_attr_setstacksize(ptr %attributes, i64 $STACK_BYTES)
  br label %next
next:
  %workers = load i64, ptr @workers
  %number = add i64 %workers, 1
  %more = icmp slt i64 %number, %team
  br i1 %more, label %create, label %end
create:
  %argument = inttoptr i64 %number to ptr
  %wrong = call i32 @pthread_create(ptr %thread, ptr %attributes, ptr @worker, ptr %argument)
  %refused = icmp ne i32 %wrong, 0
  br i1 %refused, label %fewer, label %created
created:
  store i64 %number, ptr @workers
  br label %next
fewer:
  store atomic i64 %number, ptr @limit monotonic, align 8
  br label %end
end:
  %a2 = call i32 @pthread_attr_destroy(ptr %attributes)
  ret void
}

; Whether this region wakes workers that sleep. It takes longer than a few chunks do: regions that
; follow one another closely are counted together. Where it was in vain, it is left for a while.
define internal i1 @rouses(i64 %began, i64 %weight) nounwind {
entry:
  %last = load i64, ptr @last
  store i64 %began, ptr @last
  %gap = sub i64 %began, %last
  %new = icmp sgt i64 %gap, $SPIN_NS
  br i1 %new, label %burst, label %count
burst:
  %roused.before = load i1, ptr @roused
  %helped = load i1, ptr @helped
  %quiet = load i64, ptr @quiet
  %twice = shl i64 %quiet, 1
  %longer = call i64 @llvm.umax.i64(i64 %twice, i64 $WORTH_WAKING)
  %bounded = call i64 @llvm.umin.i64(i64 %longer, i64 $MOST_QUIET)
  %quiet.next = select i1 %helped, i64 0, i64 %bounded
  %pauses.old = load i64, ptr @pauses
  %quiet.now = select i1 %roused.before, i64 %quiet.next, i64 %quiet
  %pauses.now = select i1 %roused.before, i64 %quiet.next, i64 %pauses.old
  store i64 %quiet.now, ptr @quiet
  store i64 %pauses.now, ptr @pauses
  store i64 0, ptr @seen
  store i1 false, ptr @roused
  store i1 false, ptr @helped
  br label %count
count:
  %seen = load i64, ptr @seen
  %seen.now = add i64 %seen, %weight
  store i64 %seen.now, ptr @seen
  %pauses = load i64, ptr @pauses
  %left = call i64 @llvm.usub.sat.i64(i64 %pauses, i64 %weight)
  store i64 %left, ptr @pauses
  %free = icmp eq i64 %left, 0
  %many = icmp sge i64 %seen.now, $WORTH_WAKING
  %worth = and i1 %free, %many
  %roused = load i1, ptr @roused
  %wakes = or i1 %roused, %worth
  store i1 %wakes, ptr @roused
  ret i1 %wakes
}

; Give each thread of the team its share: the first ones get one chunk more where it is not even.
define internal void @share(i64 %team, i64 %chunks, i1 %rouses) nounwind {
entry:
  %even = udiv i64 %chunks, %team
  %whole = mul i64 %even, %team
  %rest = sub i64 %chunks, %whole
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %shared ]
  %begin = phi i64 [ 0, %entry ], [ %end, %shared ]
  %first = icmp slt i64 %i, %rest
  %extra = zext i1 %first to i64
  %count = add i64 %even, %extra
  %end = add i64 %begin, %count
  %left.at = getelementptr %slot, ptr @slots, i64 %i
  %end.at = getelementptr i64, ptr %left.at, i64 1
  store i64 %end, ptr %end.at
  store atomic i64 %count, ptr %left.at seq_cst, align 8
  $WAKE
shared:
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %team
  br i1 %more, label %next, label %done
done:
  ret void
}

; Wait until workers have done so many chunks, in a region begun at %began of which the caller has
; done %own. Longer than two such chunks and some is a stall; without one, workers have saved the
; time that their chunks would have taken the caller. Who owes more than was saved runs regions
; alone, for so long that what stalls take stays a small part of the time.
define internal void @wait(i64 %need, i64 %began, i64 %own) nounwind {
entry:
  %parts = call i64 @llvm.umax.i64(i64 %own, i64 1)
  br label %first
first:
  %turn = phi i64 [ 0, %entry ], [ %turn.next, %first.more ]
  %done = load atomic i64, ptr @done acquire, align 8
  %all = icmp eq i64 %done, %need
  br i1 %all, label %good, label %first.more
first.more:
  $PAUSE
  %turn.next = add i64 %turn, 1
  %short = icmp ult i64 %turn.next, 64
  br i1 %short, label %first, label %clock
clock:
  %since = call i64 @now()
  %took = sub i64 %since, %began
  %chunk.ns = udiv i64 %took, %parts
  %two = shl i64 %chunk.ns, 1
  %bearable = add i64 %two, 50000
  br label %spin
spin:
  %k = phi i64 [ 0, %clock ], [ %k.next, %spin.more ], [ 0, %late ], [ 0, %yield ]
  %done.2 = load atomic i64, ptr @done acquire, align 8
  %all.2 = icmp eq i64 %done.2, %need
  br i1 %all.2, label %waited, label %spin.more
spin.more:
  $PAUSE
  %k.next = add i64 %k, 1
  %look = icmp uge i64 %k.next, 16
  br i1 %look, label %late, label %spin
late:
  %now = call i64 @now()
  %so.far = sub i64 %now, %since
  %long = icmp sgt i64 %so.far, $YIELD_NS
  br i1 %long, label %yield, label %spin
yield:
  %y = call i32 @sched_yield()
  br label %spin
waited:
  %then = call i64 @now()
  %waited.ns = sub i64 %then, %since
  %stalled = icmp sgt i64 %waited.ns, %bearable
  br i1 %stalled, label %stall, label %good
stall:
  %credit = load i64, ptr @credit
  %rest = sub i64 %credit, %waited.ns
  %kept = call i64 @llvm.smax.i64(i64 %rest, i64 -$CREDIT_NS)
  store i64 %kept, ptr @credit
  %debt = call i64 @llvm.smin.i64(i64 %kept, i64 0)
  %alone = mul i64 %debt, -$ALONE
  %until = add i64 %then, %alone
  store i64 %until, ptr @until
  ret void
good:
  %end = call i64 @now()
  %whole = sub i64 %end, %began
  %times = mul i64 %whole, %need
  %shares = udiv i64 %times, %parts
  %saved = call i64 @llvm.umin.i64(i64 %shares, i64 $SAVED_NS)
  %old = load i64, ptr @credit
  %sum = add i64 %old, %saved
  %most = call i64 @llvm.smin.i64(i64 %sum, i64 $CREDIT_NS)
  store i64 %most, ptr @credit
  ret void
}

declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.usub.sat.i64(i64, i64)

; The region itself, of a caller who holds @busy.
define internal void @region(
    ptr %fn, ptr %args, i64 %chunks, i64 %weight, i64 %wanted
) nounwind {
entry:
  %began = call i64 @now()
  %until = load i64, ptr @until
  %free = icmp sge i64 %began, %until
  br i1 %free, label %staff, label %serial
staff:
  %workers = load i64, ptr @workers
  %enough = icmp sgt i64 %wanted, %workers
  br i1 %enough, label %hire, label %gather
hire:
  call void @start(i64 %wanted)
  br label %gather
gather:
  %hired = load i64, ptr @workers
  %all = add i64 %hired, 1
  %team = call i64 @llvm.umin.i64(i64 %all, i64 %wanted)
  %several = icmp sgt i64 %team, 1
  br i1 %several, label %go, label %serial
serial:
  call void @serial(ptr %fn, ptr %args, i64 %chunks)
  ret void
go:
  store ptr %fn, ptr @fn
  store ptr %args, ptr @args
  store atomic i64 %team, ptr @team monotonic, align 8
  store atomic i64 0, ptr @done monotonic, align 8
  %rouses = call i1 @rouses(i64 %began, i64 %weight)
  call void @share(i64 %team, i64 %chunks, i1 %rouses)
  %own = call i64 @work(i64 0)
  %need = sub i64 %chunks, %own
  %some = icmp ne i64 %need, 0
  br i1 %some, label %wait, label %end
wait:
  store i1 true, ptr @helped
  call void @wait(i64 %need, i64 %began, i64 %own)
  br label %end
end:
  ret void
}

define void @parallel(ptr %fn, ptr %args, i64 %chunks, i64 %weight) nounwind {
entry:
  %limit = load atomic i64, ptr @limit monotonic, align 8
  %wanted = call i64 @llvm.umin.i64(i64 %limit, i64 %chunks)
  %several = icmp ugt i64 %wanted, 1
  br i1 %several, label %ask, label %serial
ask:
  %taken = atomicrmw xchg ptr @busy, i32 1 acquire
  %free = icmp eq i32 %taken, 0
  br i1 %free, label %region, label %serial
region:
  call void @region(ptr %fn, ptr %args, i64 %chunks, i64 %weight, i64 %wanted)
  store atomic i32 0, ptr @busy release, align 4
  ret void
serial:  ; one thread, or inside a region, or beside another thread's
  call void @serial(ptr %fn, ptr %args, i64 %chunks)
  ret void
}

; Forget the workers and any region: what a child after fork needs, which has none of them.
define void @reset() nounwind {
entry:
  store i64 0, ptr @workers
  store i64 0, ptr @credit
  store i64 0, ptr @until
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %left.at = getelementptr %slot, ptr @slots, i64 %i
  %asleep.at = getelementptr %slot, ptr @slots, i64 %i, i32 2
  store atomic i64 0, ptr %left.at monotonic, align 8
  store atomic i32 0, ptr %asleep.at monotonic, align 4
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, $MOST
  br i1 %more, label %next, label %end
end:
  store atomic i32 0, ptr @busy seq_cst, align 4
  ret void
}
""")

# How a worker sleeps until it has a share, and how it is woken: by the futex of its own slot.
_FUTEX = {
    "DECLARE": "declare i64 @syscall(i64, ...) nounwind",
    "SLEEP": """
sleep:
  store atomic i32 1, ptr %asleep.at seq_cst, align 4
  %left.now = load atomic i64, ptr %left.at seq_cst, align 8
  %come = icmp sgt i64 %left.now, 0
  br i1 %come, label %awake, label %doze
doze:
  %f = call i64 (i64, ...) @syscall(i64 $FUTEX, ptr %asleep.at, i64 128, i64 1, ptr null)
  br label %awake
awake:
  store atomic i32 0, ptr %asleep.at seq_cst, align 4
  br label %idle
""",
    "WAKE": """
  %asleep.at = getelementptr %slot, ptr @slots, i64 %i, i32 2
  %asleep = load atomic i32, ptr %asleep.at seq_cst, align 4
  %sleeps = icmp ne i32 %asleep, 0
  %wakes = and i1 %sleeps, %rouses
  br i1 %wakes, label %wake, label %shared
wake:
  store atomic i32 0, ptr %asleep.at seq_cst, align 4
  %f = call i64 (i64, ...) @syscall(i64 $FUTEX, ptr %asleep.at, i64 129, i64 1)
  br label %shared
""",
}
# Where there is no futex: it looks again and again, after naps of 50 µs to 2 ms.
_NAPS = {
    "DECLARE": "declare i32 @usleep(i32) nounwind\ndeclare i32 @llvm.umin.i32(i32, i32)",
    "SLEEP": """
sleep:
  %us = phi i32 [ 50, %late ], [ %us.next, %sleep ]
  %u = call i32 @usleep(i32 %us)
  %us.double = shl i32 %us, 1
  %us.next = call i32 @llvm.umin.i32(i32 %us.double, i32 2000)
  %left.now = load atomic i64, ptr %left.at monotonic, align 8
  %come = icmp sgt i64 %left.now, 0
  br i1 %come, label %busy, label %sleep
""",
    "WAKE": "  br label %shared",
}
_FUTEX_CALL = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "s390x": 238}
# What a spinning processor does meanwhile, and its declaration.
_PAUSE = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"),
    "aarch64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"),
}
_PAUSE["arm64"] = _PAUSE["aarch64"]
_LINUX = {"MONOTONIC": 1, "SIG_BLOCK": 0, "SIGBUS": 7}
_DARWIN = {"MONOTONIC": 6, "SIG_BLOCK": 1, "SIGBUS": 10}


def pool_text(system: str, machine: str) -> str:
    """The pool's LLVM IR for a system ("linux", "darwin") and a machine ("x86_64", "aarch64")."""
    futex = _FUTEX_CALL.get(machine) if system == "linux" else None
    pause, declare_pause = _PAUSE.get(machine, ("", ""))
    parts = _FUTEX if futex else _NAPS
    waits = {key: Template(part).substitute(FUTEX=futex) for key, part in parts.items()}
    return _POOL.substitute(
        waits,
        **(_LINUX if system == "linux" else _DARWIN),
        PAUSE=pause,
        DECLARE_PAUSE=declare_pause,
        ONE_BY_ONE=_ONE_BY_ONE,
        MOST=MOST,
        SPIN_NS=SPIN_NS,
        YIELD_NS=_YIELD_NS,
        WORTH_WAKING=_WORTH_WAKING,
        MOST_QUIET=_MOST_QUIET,
        CREDIT_NS=_CREDIT_NS,
        ALONE=_ALONE,
        SAVED_NS=_SAVED_NS,
        STACK_BYTES=_STACK_BYTES,
        SIGILL=4,
        SIGFPE=8,
        SIGSEGV=11,
    )


# Where threads are not POSIX's there is no pool: the caller runs all chunks.
SERIAL = f"""
define void @parallel(ptr %fn, ptr %args, i64 %chunks, i64 %weight) nounwind {{
{_ONE_BY_ONE}@limit = global i64 1
define void @reset() nounwind {{
  ret void
}}
"""
