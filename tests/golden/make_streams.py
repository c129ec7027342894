"""Write streams.npz: one long run of PyTorch's CPU generator through all draws.

Run `python -m tests.golden.make_streams` where PyTorch 2.13 is installed.
"""

from pathlib import Path

import numpy as np

from tests.streams.table import EACH, IDS, to_numpy

SEED = 20240229
SIZES = (1, 16, 37)
FILE = Path(__file__).with_name("streams.npz")


def main() -> None:
    import torch  # here, so that the tests can read the constants above without it

    generator = torch.Generator().manual_seed(SEED)
    stored = {"torch": np.array(torch.__version__), "state before": generator.get_state().numpy()}
    for n in SIZES:
        for (draw, dtype), name in zip(EACH, IDS, strict=True):
            made = draw.theirs(torch, generator, n, getattr(torch, dtype))
            made = to_numpy(torch, made)
            stored[f"{name}-{n}"] = made.view(np.uint16) if made.dtype.name == "bfloat16" else made
        stored[f"state after {n}"] = generator.get_state().numpy()
    torch.empty(3).normal_(generator=generator)
    stored["state with a kept number"] = generator.get_state().numpy()
    np.savez_compressed(FILE, **stored)


if __name__ == "__main__":
    main()
