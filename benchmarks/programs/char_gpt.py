"""A small GPT on characters: 4 layers, 4 heads, width 128, block 64, batch 12, AdamW."""

from collections.abc import Callable

import torch
from timing import as_it_is, measure
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Causal self-attention of several heads: (B, T, C) -> (B, T, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attend = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, C = x.size()
        parts = self.attend(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.project(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    """Attention and a network of two layers, each on normalised input and added to it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.network(self.norm2(x))


class GPT(nn.Module):
    """Characters (B, T) -> scores of the next one (B, T, vocabulary)."""

    def __init__(self, vocabulary: int, block: int, layers: int, heads: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(block, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        x = self.tokens(characters) + self.positions(torch.arange(characters.size(1)))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """65 characters, drawn at random; a step is forward, backward, clipping and update."""
    vocabulary, block, batch = 65, 64, 12
    text = torch.randint(vocabulary, (20000,))
    model = GPT(vocabulary, block, 4, 4, 128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    @prepare
    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(model(x).view(-1, vocabulary), y.view(-1))

    def run(count: int) -> float:
        for _ in range(count):
            starts = torch.randint(len(text) - block - 1, (batch,)).tolist()
            x = torch.stack([text[i : i + block] for i in starts])
            y = torch.stack([text[i + 1 : i + block + 1] for i in starts])
            loss = loss_of(x, y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
