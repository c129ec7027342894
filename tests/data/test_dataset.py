"""Datasets: putting together, taking apart, splitting at random, and the errors of each."""

import pytest


def numbers(torch, start, stop):
    """A map-style dataset of the tensors start … stop - 1."""

    class Numbers(torch.utils.data.Dataset):
        def __len__(self):
            return stop - start

        def __getitem__(self, index):
            return torch.arange(start, stop)[index]

    return Numbers()


def stream(torch, *items):
    """An iterable-style dataset."""

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(items)

        def __len__(self):
            return len(items)

    return Stream()


def batched(torch, log):
    """A dataset that notes how it is asked."""

    class Batched(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            log.append(index)
            return index * 10

        def __getitems__(self, indices):
            log.append(list(indices))
            return [index * 10 for index in indices]

    return Batched()


def test_tensor_dataset(same):
    def case(torch):
        data = torch.utils.data.TensorDataset(torch.arange(6).reshape(3, 2), torch.ones(3))
        return len(data), data[1], data[-1], data[1:], list(data)

    same(case)


def test_concat_dataset(same):
    def case(torch):
        data = numbers(torch, 0, 3) + numbers(torch, 10, 12)
        return type(data).__name__, len(data), [data[i] for i in (0, 2, 3, 4, -1, -5)]

    same(case)


def test_chain_dataset(same):
    def case(torch):
        data = stream(torch, 1, 2) + stream(torch, "a")
        return type(data).__name__, len(data), list(data)

    same(case)


def test_stack_dataset(same):
    def case(torch):
        data = torch.utils.data
        a, b, log = numbers(torch, 0, 3), [7, 8, 9], []
        pairs = data.StackDataset(a, b)
        named = data.StackDataset(left=a, right=b)
        nested = data.StackDataset(batched(torch, log), list("abcdef"))
        return (
            len(pairs), pairs[1], named[2], pairs.__getitems__([2, 0]), named.__getitems__([1]),
            nested.__getitems__([3, 4]), log,
        )  # fmt: skip

    same(case)


def test_subset(same):
    def case(torch):
        log = []
        part = torch.utils.data.Subset(batched(torch, log), [4, 2, 0])
        inner = torch.utils.data.Subset(part, [2, 1])
        return len(part), part[0], inner[0], inner.__getitems__([0, 1]), log

    same(case)


@pytest.mark.parametrize(
    "lengths", [[3, 7], [10], [1], [0.5, 0.5], [0.3, 0.3, 0.4], [0.26, 0.74], [10, 0], [0.01, 0.99]]
)
def test_random_split(same, lengths):
    def case(torch):
        torch.manual_seed(5)
        split = torch.utils.data.random_split
        first = split(range(10), lengths)
        second = split(range(10), lengths, generator=torch.Generator().manual_seed(42))
        return [(part.indices, list(part)) for part in first + second], torch.rand(1)

    same(case)


@pytest.mark.parametrize(
    "make",
    [
        lambda data, torch: data.Dataset()[0],
        lambda data, torch: data.TensorDataset(torch.zeros(3), torch.zeros(2)),
        lambda data, torch: data.ConcatDataset([]),
        lambda data, torch: data.ConcatDataset([stream(torch, 1)]),
        lambda data, torch: data.ConcatDataset([[1, 2], [3]])[-4],
        lambda data, torch: data.ConcatDataset([[1, 2], [3]])[3],
        lambda data, torch: list(data.ChainDataset([[1]])),
        lambda data, torch: len(data.ChainDataset([[1]])),
        lambda data, torch: data.StackDataset(),
        lambda data, torch: data.StackDataset([1], [2, 3]),
        lambda data, torch: data.random_split(range(10), [3, 3]),
        lambda data, torch: data.random_split(range(10), [0.5, 0.6]),
        lambda data, torch: data.random_split(range(10), [-0.5, 1.5]),
    ],
)
def test_errors(same, make):
    kind_and_text, _ = same(lambda torch: make(torch.utils.data, torch))
    assert kind_and_text[0].endswith("Error")


def test_errors_in_our_words(torch):
    data = torch.utils.data
    with pytest.raises(ValueError, match="both types are given"):
        data.StackDataset([1], a=[1])
    with pytest.raises(TypeError, match="abstract"):
        data.IterableDataset()

    class Doubling(data.Subset):
        def __getitem__(self, index):
            return 2 * super().__getitem__(index)

    with pytest.raises(NotImplementedError, match="overrides __getitem__ but not __getitems__"):
        Doubling([1, 2], [0])
