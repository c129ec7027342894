"""A character model: embedding, LSTM of 128 units, 32 characters, batch 32, Adam."""

from collections.abc import Callable

import torch
from timing import as_it_is, measure
from torch import nn


class Model(nn.Module):
    """Characters (B, T) -> scores of the next one (B, T, vocabulary)."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(self.embedding(characters))
        return self.head(hidden)


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """65 characters, drawn at random; a step is forward, backward, clipping and update."""
    vocabulary, block, batch = 65, 32, 32
    text = torch.randint(vocabulary, (20000,))
    model = Model(vocabulary, 128)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    @prepare
    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(model(x).view(-1, vocabulary), y.view(-1))

    def run(count: int) -> float:
        for _ in range(count):
            starts = torch.randint(len(text) - block - 1, (batch,)).tolist()
            x = torch.stack([text[i : i + block] for i in starts])
            y = torch.stack([text[i + 1 : i + block + 1] for i in starts])
            loss = loss_of(x, y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
