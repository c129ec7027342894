"""Data sets of every kind: maps, iterables, samplers, collation of ragged samples, splits."""

import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)


class Ragged(Dataset):
    """Sequences of growing length with a label."""

    def __init__(self, count, transform=None):
        self.count, self.transform = count, transform

    def __len__(self):
        return self.count

    def __getitem__(self, k):
        x = torch.arange(k % 4 + 1, dtype=torch.float32) + k
        return {"x": self.transform(x) if self.transform else x, "label": k % 3, "name": f"s{k}"}


def collate(samples):
    x = torch.nn.utils.rnn.pad_sequence(
        [s["x"] for s in samples], batch_first=True, padding_value=-1
    )
    rest = default_collate([{k: v for k, v in s.items() if k != "x"} for s in samples])
    return x, rest


class Counter(IterableDataset):
    def __iter__(self):
        return iter(range(3, 10))


torch.manual_seed(79)
data = Ragged(11, transform=lambda x: x * 2)
for x, rest in DataLoader(data, batch_size=4, collate_fn=collate, shuffle=True):
    print(tuple(x.shape), x.sum().item(), rest["label"].tolist(), rest["name"])
print("iterable", [b.tolist() for b in DataLoader(Counter(), batch_size=3, drop_last=True)])
weights = [0.1, 0.1, 5.0, 0.1, 5.0]
print("weighted", list(WeightedRandomSampler(weights, 8, replacement=True)))
print("random", list(RandomSampler(range(6), generator=torch.Generator().manual_seed(1))))
print("batches", list(BatchSampler(SequentialSampler(range(7)), 3, drop_last=False)))
parts = random_split(range(10), [0.5, 0.3, 0.2], generator=torch.Generator().manual_seed(2))
print("split", [list(p) for p in parts])
joined = ConcatDataset([Subset(data, [1, 2]), Ragged(2)])
print("joined", len(joined), [s["name"] for s in joined])
nested = default_collate([(1, {"a": torch.ones(2)}, 0.5), (2, {"a": torch.zeros(2)}, 1.5)])
print("collated", nested[0].tolist(), nested[1]["a"].tolist(), nested[2].dtype)
loader = DataLoader(torch.arange(8).float(), batch_size=2, num_workers=2)
print("workers", [b.tolist() for b in loader])
