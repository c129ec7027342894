"""Samplers: the same indices from the same seed, and the same number of draws taken for them."""

import pytest


@pytest.mark.parametrize(
    "make",
    [
        lambda data, g: data.SequentialSampler(range(7)),
        lambda data, g: data.RandomSampler(range(7)),
        lambda data, g: data.RandomSampler(range(7), generator=g),
        lambda data, g: data.RandomSampler(range(7), num_samples=4, generator=g),
        lambda data, g: data.RandomSampler(range(7), num_samples=17),
        lambda data, g: data.RandomSampler(range(7), replacement=True, num_samples=70, generator=g),
        lambda data, g: data.RandomSampler(range(7), replacement=True),
        lambda data, g: data.SubsetRandomSampler([3, 1, 4, 1, 5], generator=g),
        lambda data, g: data.SubsetRandomSampler([]),
        lambda data, g: data.WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0], 9, generator=g),
        lambda data, g: data.WeightedRandomSampler([0.1, 0.9, 0.4, 0.0], 3, replacement=False),
        lambda data, g: data.BatchSampler(data.RandomSampler(range(10), generator=g), 4, False),
        lambda data, g: data.BatchSampler(data.RandomSampler(range(10), generator=g), 5, False),
        lambda data, g: data.BatchSampler(data.RandomSampler(range(10)), 4, True),
        lambda data, g: data.BatchSampler(range(10), 20, True),
    ],
)
def test_indices_and_draws(same, make):
    """Two passes; then what each generator gives next shows how far it was advanced."""

    def case(torch):
        torch.manual_seed(11)
        generator = torch.Generator().manual_seed(12)
        sampler = make(torch.utils.data, generator)
        passes = [list(sampler), list(sampler)]
        return len(sampler), passes, torch.rand(1), torch.rand(1, generator=generator)

    same(case)


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("length", "replicas"), [(12, 3), (11, 3), (2, 5), (0, 2)])
def test_distributed_sampler(same, length, replicas, shuffle, drop_last):
    def case(torch):
        seen = []
        for rank in range(replicas):
            sampler = torch.utils.data.DistributedSampler(
                range(length), replicas, rank, shuffle, seed=3, drop_last=drop_last
            )
            first = list(sampler)
            sampler.set_epoch(2)
            seen.append((len(sampler), sampler.total_size, first, list(sampler)))
        return seen

    same(case)


def test_random_sampler_draws_late(same):
    """A pass that was begun but not advanced has taken nothing from the generator."""

    def case(torch):
        torch.manual_seed(1)
        iter(torch.utils.data.RandomSampler(range(5)))
        return torch.rand(1)

    same(case)


def test_length_follows_a_growing_source(same):
    def case(torch):
        source = [1, 2]
        sampler = torch.utils.data.RandomSampler(source)
        source.append(3)
        return len(sampler), sorted(sampler)

    same(case)


@pytest.mark.parametrize(
    "make",
    [
        lambda data: data.RandomSampler([]),
        lambda data: data.RandomSampler([1], replacement=1),
        lambda data: data.RandomSampler([1], num_samples=-3),
        lambda data: data.RandomSampler([1], num_samples=0.5),
        lambda data: data.WeightedRandomSampler([0.5], 0),
        lambda data: data.WeightedRandomSampler([0.5], True),
        lambda data: data.WeightedRandomSampler([0.5], 1, replacement="yes"),
        lambda data: data.WeightedRandomSampler([[0.5]], 1),
        lambda data: data.BatchSampler([1], 0, False),
        lambda data: data.BatchSampler([1], 2.0, False),
        lambda data: data.BatchSampler([1], True, False),
        lambda data: data.BatchSampler([1], 2, 1),
        lambda data: len(data.BatchSampler(iter([1]), 2, False)),
        lambda data: data.DistributedSampler([1], 2, 2),
        lambda data: data.DistributedSampler([1], 2, -1),
        lambda data: list(data.Sampler()),
        lambda data: len(data.Sampler()),
    ],
)
def test_errors(same, make):
    kind_and_text, _ = same(lambda torch: make(torch.utils.data))
    assert kind_and_text[0].endswith("Error")
