"""Inference of one image at a time through a 784-256-128-10 network, under no_grad."""

from collections.abc import Callable

import torch
from adam_network import network
from timing import as_it_is, measure


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """64 random images in turn; a step gives the class of one."""
    model = network().eval()
    images = torch.rand(64, 1, 784)
    scores_of = prepare(model)

    def run(count: int) -> float:
        total = 0
        with torch.no_grad():
            for i in range(count):
                scores = scores_of(images[i % 64])
                total += scores.argmax().item()
        return total / count + scores.sum().item()

    return run


if __name__ == "__main__":
    measure(setup)
