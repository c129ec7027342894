"""What this machine can do at most: `floors.py` prints one line of JSON.

`flops` is the best rate of a float32 matrix product of 1024 x 1024, by NumPy or by torch, in
operations per second; `bandwidth` that of copying 256 MiB, bytes read and bytes written, per
second. BENCHMARK_THREADS threads each, as whoever starts this has told the libraries.
"""

import json
import os
import time
from collections.abc import Callable
from threading import Thread

import numpy as np

SIZE, BYTES, REPEATS = 1024, 1 << 28, 20


def best(function: Callable[[], object]) -> float:
    """The least seconds of REPEATS calls."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def flops(threads: int) -> float:
    """Operations per second of the fastest matrix product at hand."""
    a = np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32)
    out = np.empty_like(a)
    seconds = best(lambda: np.matmul(a, a, out=out))
    try:
        import torch
    except ImportError:
        return 2 * SIZE**3 / seconds
    torch.set_num_threads(threads)
    b, result = torch.from_numpy(a), torch.from_numpy(out)
    seconds = min(seconds, best(lambda: torch.mm(b, b, out=result)))
    return 2 * SIZE**3 / seconds


def bandwidth(threads: int) -> float:
    """Bytes per second of a copy between buffers that no cache holds, each thread a part."""
    source, target = np.ones(BYTES, np.uint8), np.zeros(BYTES, np.uint8)
    edges = [BYTES * k // threads for k in range(threads + 1)]
    pieces = [slice(*edge) for edge in zip(edges, edges[1:])]

    def copy() -> None:
        workers = [Thread(target=np.copyto, args=(target[p], source[p])) for p in pieces]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return 2 * BYTES / best(copy)


def main() -> None:
    """Measure both."""
    threads = int(os.environ.get("BENCHMARK_THREADS", "1"))
    print(json.dumps({"flops": flops(threads), "bandwidth": bandwidth(threads)}))


if __name__ == "__main__":
    main()
