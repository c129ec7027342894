"""DataLoader in one process: batches, random draws, lengths, iterable datasets, arguments."""

import pytest

from tests.data.test_dataset import batched, stream


def pairs(torch, count=25):
    return torch.utils.data.TensorDataset(
        torch.arange(2.0 * count).reshape(count, 2), torch.arange(count)
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 4},
        {"batch_size": 4, "drop_last": True},
        {"batch_size": 4, "shuffle": True},
        {"batch_size": 5, "shuffle": True},
        {"batch_size": None, "shuffle": True},
        {"batch_size": None},
        {"sampler": [3, 1, 2]},
        {"sampler": [-1, 1, 2], "batch_size": 2},
        {"batch_sampler": [[3, 1], [2], [0, 0, 4]]},
        {"batch_size": 3, "collate_fn": len},
        {"batch_size": 3, "pin_memory": True},
    ],
    ids=str,
)
def test_batches_and_draws(same, options):
    """Two passes over a TensorDataset, then what the default generator gives next."""

    def case(torch):
        torch.manual_seed(3)
        loader = torch.utils.data.DataLoader(pairs(torch), **options)
        return len(loader), list(loader), list(loader), torch.rand(1)

    same(case)


def test_generator(same):
    def case(torch):
        torch.manual_seed(3)
        generator = torch.Generator().manual_seed(4)
        loader = torch.utils.data.DataLoader(
            pairs(torch), batch_size=10, shuffle=True, generator=generator
        )
        return list(loader), list(loader), torch.rand(1), torch.rand(1, generator=generator)

    same(case)


def test_split_and_shuffle(same):
    """Batches of a subset of a subset of tensors, as in most training programs."""

    def case(torch):
        torch.manual_seed(0)
        train, rest = torch.utils.data.random_split(pairs(torch), [0.8, 0.2])
        half = torch.utils.data.Subset(train, range(0, len(train), 2))
        loader = torch.utils.data.DataLoader(half, batch_size=3, shuffle=True)
        return list(loader), list(torch.utils.data.DataLoader(rest, batch_size=2))

    same(case)


def test_samples_with_gradients(same):
    def case(torch):
        rows = torch.ones(4, 2, requires_grad=True)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(rows), batch_size=2)
        for (batch,) in loader:
            (batch * 3).sum().backward()
        return rows.grad

    same(case)


def test_batches_do_not_share_memory_with_the_dataset(torch):
    rows = torch.zeros(4, 2)
    for (batch,) in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(rows), batch_size=2):
        batch.add_(1)
    assert rows.sum().item() == 0


def test_index_out_of_range(torch):
    loader = torch.utils.data.DataLoader(pairs(torch, 5), sampler=[0, 7], batch_size=2)
    with pytest.raises(IndexError, match="out of bounds"):
        list(loader)


def test_getitems_is_preferred(same):
    def case(torch):
        log = []
        loader = torch.utils.data.DataLoader(batched(torch, log), batch_size=4)
        return list(loader), log

    same(case)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 2},
        {"batch_size": 2, "drop_last": True},
        {"batch_size": None},
        {"batch_size": 9},
        {"shuffle": False},
    ],
    ids=str,
)
def test_iterable_dataset(same, options):
    def case(torch):
        loader = torch.utils.data.DataLoader(stream(torch, 1, 2, 3, 4, 5), **options)
        return len(loader), list(loader), list(loader)

    same(case)


def test_iterable_dataset_longer_than_promised(torch):
    class Short(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(range(3))

        def __len__(self):
            return 2

    loader = torch.utils.data.DataLoader(Short(), batch_size=None)
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="reported to be 2 .* 3 samples have been fetched"):
        assert list(loader) == [0, 1, 2]


def test_iterable_dataset_without_length(torch):
    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(range(100))

    with pytest.raises(TypeError, match="has no len"):
        len(torch.utils.data.DataLoader(Endless()))


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"num_workers": 1, "prefetch_factor": -1},
        {"persistent_workers": True},
        {"batch_size": 0},
        {"batch_size": None, "drop_last": True},
        {"sampler": [0], "shuffle": True},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "shuffle": True},
        {"multiprocessing_context": "fork"},
        {"num_workers": 1, "multiprocessing_context": "teleport"},
        {"num_workers": 1, "multiprocessing_context": 3},
    ],
    ids=str,
)
def test_arguments(same, options):
    kind_and_text, _ = same(lambda torch: torch.utils.data.DataLoader([1, 2], **options))
    assert kind_and_text[0].endswith("Error")


@pytest.mark.parametrize(
    "options", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}], ids=str
)
def test_arguments_of_iterable_datasets(same, options):
    kind_and_text, _ = same(lambda torch: torch.utils.data.DataLoader(stream(torch, 1), **options))
    assert kind_and_text[0] == "ValueError"


def test_arguments_in_our_words(torch):
    loader_of = torch.utils.data.DataLoader
    with pytest.raises(ValueError, match="could only be specified in multiprocessing"):
        loader_of([1], prefetch_factor=2)
    with pytest.raises(AssertionError, match="num_workers"):
        iter(loader_of([1], timeout=1))
    with pytest.raises(AssertionError, match="prefetch_factor"):
        iter(loader_of([1], num_workers=1, prefetch_factor=0))
    with pytest.warns(UserWarning, match="create 4096 worker processes"):
        loader_of([1], num_workers=4096)


@pytest.mark.parametrize(
    "name",
    ["batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"],
)
def test_fixed_attributes(same, name):
    def case(torch):
        setattr(torch.utils.data.DataLoader([1, 2]), name, None)

    kind_and_text, _ = same(case)
    assert kind_and_text[0] == "ValueError"


def test_attributes_that_may_change(same):
    def case(torch):
        loader = torch.utils.data.DataLoader([1, 2], batch_size=2)
        loader.collate_fn = sum
        return list(loader), loader.batch_sampler.batch_size, loader.generator, loader.timeout

    same(case)
