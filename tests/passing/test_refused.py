"""Names that libraries look for: futures work; parallel modules and tracing are refused in use."""

import threading

import pytest


def test_a_future_is_set_once_and_waited_for(torch):
    from bital.torch.futures import Future, collect_all, wait_all

    first, second = Future(), Future()
    doubled = first.then(lambda f: f.wait() * 2)
    seen = []
    first.add_done_callback(lambda f: seen.append(f.value()))
    assert not first.done()
    with pytest.raises(RuntimeError, match="not completed"):
        first.value()
    both = collect_all([first, second])
    threading.Timer(0.01, lambda: (first.set_result(3), second.set_result(4))).start()
    assert wait_all([first, second]) == [3, 4]
    assert doubled.wait() == 6 and seen == [3]
    assert [f.wait() for f in both.wait()] == [3, 4]
    with pytest.raises(RuntimeError, match="more than once"):
        first.set_result(5)


def test_a_future_hands_on_exceptions(torch):
    future = torch.futures.Future()
    following = future.then(lambda f: f.wait())
    future.set_exception(ValueError("no"))
    for each in (future, following):
        with pytest.raises(ValueError, match="no"):
            each.wait()


def test_parallel_modules_can_be_asked_for_but_not_made(torch):
    parallel = torch.nn.parallel
    assert not isinstance(torch.nn.Linear(1, 1), parallel.DistributedDataParallel)
    for call in (
        lambda: parallel.DistributedDataParallel(torch.nn.Linear(1, 1)),
        lambda: parallel.scatter(torch.ones(2), [0, 1]),
        lambda: parallel.gather([torch.ones(2)], 0),
    ):
        with pytest.raises(NotImplementedError, match="bital"):
            call()


def test_marks_of_tracing_are_accepted_and_tracing_is_refused(torch):
    fx = torch.fx
    assert fx.wrap(test_marks_of_tracing_are_accepted_and_tracing_is_refused).__name__
    for call in (
        lambda: fx.symbolic_trace(torch.nn.Linear(1, 1)),
        lambda: fx.Tracer().trace(torch.nn.Linear(1, 1)),
        lambda: torch.PyTorchFileReader("x.pt"),
    ):
        with pytest.raises(NotImplementedError, match="bital lacks"):
            call()


def test_tensors_of_several_processes_can_be_asked_for_but_not_made(torch):
    from bital.torch.distributed.device_mesh import DeviceMesh
    from bital.torch.distributed.tensor import DTensor, distribute_tensor

    x = torch.ones(2)
    assert not isinstance(x, DTensor) and issubclass(DTensor, torch.Tensor)
    assert torch.distributed.ReduceOp.SUM is not torch.distributed.ReduceOp.MAX
    for call in (
        lambda: DTensor(x),
        lambda: DTensor.from_local(x),
        lambda: distribute_tensor(x),
        lambda: DeviceMesh("cpu", [0]),
    ):
        with pytest.raises(NotImplementedError, match="one process"):
            call()


def test_eight_bit_floats_are_names_only(torch):
    narrow = torch.float8_e4m3fn
    assert str(narrow) == "torch.float8_e4m3fn" and narrow.itemsize == 1
    assert narrow.is_floating_point and narrow != torch.float8_e5m2
    for call in (lambda: torch.empty(2, dtype=narrow), lambda: torch.ones(2).to(narrow)):
        with pytest.raises(NotImplementedError, match="float8_e4m3fn"):
            call()


def test_jit_warns_once_for_each_function(torch, recwarn):
    for _ in range(3):
        torch.jit.optimize_for_inference(torch.nn.Linear(1, 1))
    assert len([w for w in recwarn if "optimize_for_inference" in str(w.message)]) <= 1


def test_trees_can_be_registered_by_the_parts_of_dict(torch):
    from bital.torch.utils import _pytree

    assert _pytree._get_node_type({"a": 1}) is dict
    children, keys = _pytree._dict_flatten({"a": 1, "b": 2})
    assert _pytree._dict_unflatten(children, keys) == {"a": 1, "b": 2}
    paths, _ = _pytree._dict_flatten_with_keys({"a": 1})
    assert [(str(path), child) for path, child in paths] == [("['a']", 1)]


def test_what_libraries_make_in_passing_is_refused_only_in_use(torch):
    from bital.torch.nn.attention.flex_attention import BlockMask, flex_attention
    from bital.torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False, depth=2)
    assert counter.get_total_flops() == 0 and counter.get_flop_counts() == {}
    for call, name in (
        (counter.__enter__, "FlopCounterMode"),
        (lambda: flex_attention(torch.ones(1, 1, 2, 2)), "flex_attention"),
        (BlockMask, "flex_attention"),
    ):
        with pytest.raises(NotImplementedError, match=name):
            call()
    assert not isinstance(torch.nn.Linear(1, 1), (torch.jit.ScriptModule, torch.ScriptModule))
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.cuda.graph(None)


def test_arguments_of_to_are_read_as_modules_read_them(torch):
    parse = torch._C._nn._parse_to
    cpu = torch.device("cpu")
    assert parse(torch.float64) == (None, torch.float64, False, None)
    assert parse("cpu", non_blocking=True) == (cpu, None, True, None)
    assert parse(torch.ones(1)) == (cpu, torch.float32, False, None)
    with pytest.raises(TypeError, match="sideways"):
        parse(sideways=1)
