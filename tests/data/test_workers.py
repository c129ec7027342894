"""DataLoader with worker processes: the same batches in the same order, seeds, ends, failures."""

import multiprocessing
import os
import random
import time

import numpy as np
import pytest

from tests.data.test_dataloader import pairs


def mapped(torch, function, length=6):
    """A map-style dataset of `function(index)`."""

    class Mapped(torch.utils.data.Dataset):
        def __len__(self):
            return length

        def __getitem__(self, index):
            return function(index)

    return Mapped()


def raising(error):
    def sample(index):
        if index == 1:
            raise error
        return index

    return sample


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 4, "shuffle": True, "num_workers": 1},
        {"batch_size": 4, "shuffle": True, "num_workers": 2},
        {"batch_size": 4, "num_workers": 2, "persistent_workers": True, "shuffle": True},
        {"batch_size": 4, "num_workers": 2, "prefetch_factor": 1, "drop_last": True},
        {"batch_size": None, "num_workers": 2},
    ],
    ids=str,
)
def test_batches_and_draws(same, options):
    def case(torch):
        torch.manual_seed(3)
        loader = torch.utils.data.DataLoader(pairs(torch), **options)
        return len(loader), list(loader), list(loader), torch.rand(1)

    same(case)


def test_every_kind_of_sample(same):
    """Tensors of several dtypes, text and numbers make the way through the pipe."""

    def case(torch):
        def sample(index):
            return {
                "half": torch.full((2,), index, dtype=torch.bfloat16),
                "bool": torch.tensor(index > 1),
                "complex": torch.tensor(1j * index),
                "turned": torch.arange(6).reshape(2, 3).t() + index,
                "text": str(index),
                "number": index / 2,
            }

        loader = torch.utils.data.DataLoader(mapped(torch, sample), batch_size=3, num_workers=1)
        return list(loader)

    same(case)


def test_seeds(same):
    """Each worker's streams of random numbers start where PyTorch's do."""

    def case(torch):
        def sample(index):
            info = torch.utils.data.get_worker_info()
            numpy_draw = int(np.random.randint(1 << 30))
            drawn = random.random(), numpy_draw, torch.rand(1).item()
            return info.id, info.num_workers, info.seed, len(info.dataset), *drawn

        torch.manual_seed(8)
        loader = torch.utils.data.DataLoader(mapped(torch, sample, 4), None, num_workers=2)
        return list(loader)

    same(case)


def test_no_worker_info_in_the_main_process(torch):
    assert torch.utils.data.get_worker_info() is None


def test_worker_init_fn(same):
    def case(torch):
        seen = []
        loader = torch.utils.data.DataLoader(
            mapped(torch, lambda index: list(seen)),
            batch_size=None,
            num_workers=2,
            worker_init_fn=lambda worker_id: seen.append(f"worker {worker_id}"),
        )
        return list(loader), seen

    same(case)


def test_iterable_dataset_shared_out(same):
    """Each worker yields its part; the batches come in turn, also after one has run dry."""

    def case(torch):
        class Stream(torch.utils.data.IterableDataset):
            def __iter__(self):
                info = torch.utils.data.get_worker_info()
                return iter(range(info.id * 100, info.id * 100 + 3 + 4 * info.id))

        loader = torch.utils.data.DataLoader(
            Stream(), batch_size=2, num_workers=2, persistent_workers=True
        )
        # Which worker gets the task after the other's end depends on timing.
        return sorted(str(b.tolist()) for b in loader), sorted(str(b.tolist()) for b in loader)

    same(case)


def test_in_order_and_out_of_order(torch):
    other_has_begun = multiprocessing.Event()

    def sample(index):
        if index == 0:
            other_has_begun.wait(30)
            time.sleep(0.2)
        elif index == 3:  # the other worker's second one
            other_has_begun.set()
        return index

    def batches(in_order):
        return list(
            torch.utils.data.DataLoader(
                mapped(torch, sample), batch_size=None, num_workers=2, in_order=in_order
            )
        )

    assert batches(True) == list(range(6))
    loose = batches(False)
    assert sorted(loose) == list(range(6))
    assert loose[0] != 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("so it is"), ValueError),
        (KeyError("so it is"), KeyError),
        (StopIteration("so it is"), None),
        (UnicodeDecodeError("utf8", b"abc", 0, 1, "so it is"), RuntimeError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_of_the_dataset(torch, error, kind):
    loader = torch.utils.data.DataLoader(mapped(torch, raising(error)), num_workers=1)
    if kind is None:
        assert len(list(loader)) == 1
        return
    with pytest.raises(kind) as caught:
        list(loader)
    text = str(caught.value)
    assert text.startswith(f"Caught {type(error).__name__} in DataLoader worker process 0.\n")
    assert "so it is" in text
    assert "in sample" in text


def test_loading_goes_on_after_an_error(torch):
    loader = iter(torch.utils.data.DataLoader(mapped(torch, raising(ValueError())), num_workers=2))
    assert next(loader).item() == 0
    with pytest.raises(ValueError):
        next(loader)
    assert [batch.item() for batch in loader] == [2, 3, 4, 5]


def test_error_in_worker_init_fn(torch):
    def fail(worker_id):
        raise LookupError("not today")

    loader = torch.utils.data.DataLoader([1, 2], num_workers=1, worker_init_fn=fail)
    with pytest.raises(LookupError, match="not today"):
        list(loader)


def test_sample_that_cannot_be_sent(torch):
    loader = torch.utils.data.DataLoader(
        mapped(torch, lambda index: lambda: index), batch_size=None, num_workers=1
    )
    with pytest.raises(Exception, match="DataLoader worker process 0"):
        list(loader)


def test_dead_worker(torch):
    loader = torch.utils.data.DataLoader(
        mapped(torch, lambda index: os._exit(3) if index == 1 else index), num_workers=1
    )
    with pytest.raises(RuntimeError, match=r"worker \(pid\(s\) \d+\) exited unexpectedly"):
        list(loader)


def test_timeout(torch):
    loader = torch.utils.data.DataLoader(
        mapped(torch, lambda index: time.sleep(0.5)), None, num_workers=1, timeout=0.1
    )
    with pytest.raises(RuntimeError, match="timed out after 0.1 seconds"):
        list(loader)


def test_abandoned_pass(torch):
    """Leaving a pass in its middle ends the workers, or readies kept ones for the next pass."""
    loader = torch.utils.data.DataLoader(pairs(torch), num_workers=2)
    loop = iter(loader)
    next(loop)
    workers = list(loop._workers)
    del loop
    assert not any(worker.is_alive() for worker in workers)

    kept = torch.utils.data.DataLoader(pairs(torch), num_workers=2, persistent_workers=True)
    next(iter(kept))
    assert [y.item() for _, y in kept] == list(range(25))
    pids = [worker.pid for worker in kept._iterator._workers]
    assert [y.item() for _, y in kept] == list(range(25))
    assert [worker.pid for worker in kept._iterator._workers] == pids


class Squares:
    """A dataset that another process can unpickle by name."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index * index


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_start_methods(torch, method):
    loader = torch.utils.data.DataLoader(
        Squares(), batch_size=2, num_workers=1, multiprocessing_context=method
    )
    assert [batch.tolist() for batch in loader] == [[0, 1], [4, 9]]


def test_large_batches(torch):
    """Batches far beyond a pipe's buffer, and long lists of indices, do not block each other."""
    data = torch.utils.data.TensorDataset(torch.arange(40_000.0))
    loader = torch.utils.data.DataLoader(data, batch_size=20_000, num_workers=1, prefetch_factor=4)
    assert [batch.sum().item() for (batch,) in loader] == [
        pytest.approx(19_999 * 10_000), pytest.approx(59_999 * 10_000)
    ]  # fmt: skip
