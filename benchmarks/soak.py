"""A soak: many training iterations of a tiny network, watching the memory of the process.

    bital run benchmarks/soak.py [ITERATIONS]
    python benchmarks/soak.py [ITERATIONS]          the same under torch

Ends with exit code 1 if the memory grew by more than LIMIT_MIB after the first tenth.
"""

import argparse
import gc
import os
import sys
import time

import torch
from torch import nn

LIMIT_MIB = 4.0


def resident_mib() -> float:
    """The memory this process has resident now, in MiB; the peak where only that is known."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2 ** (20 if sys.platform == "darwin" else 10)


def main() -> int:
    """Train, and print the memory ten times on the way."""
    parser = argparse.ArgumentParser(description="Train a tiny network for long; watch memory.")
    parser.add_argument("iterations", type=int, nargs="?", default=200_000)
    iterations = parser.parse_args().iterations

    torch.manual_seed(0)
    points, targets = torch.randn(8, 2), torch.randn(8, 1)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    memory, start = [], time.perf_counter()
    for i in range(1, iterations + 1):
        optimizer.zero_grad()
        loss = (model(points) - targets).pow(2).mean()
        loss.backward()
        optimizer.step()
        if i % max(1, iterations // 10) == 0:
            gc.collect()
            memory.append(resident_mib())
            seconds = time.perf_counter() - start
            print(f"{i:8d} iterations  {seconds:7.1f} s  loss {loss.item():.6f}  "
                  f"{memory[-1]:7.1f} MiB", flush=True)  # fmt: skip
    growth = memory[-1] - memory[0]
    print(f"growth {growth:+.1f} MiB (limit {LIMIT_MIB:.0f})")
    return int(growth > LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(main())
