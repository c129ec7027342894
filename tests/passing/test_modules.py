"""What programs touch in passing: it is there, and does the sensible thing."""

import importlib
import os
import subprocess
import sys

import pytest

from tests.structure.source import ROOT

MODULES = [
    "accelerator", "ao.quantization", "autograd.profiler", "backends.cpu", "backends.cuda",
    "backends.cudnn", "backends.mha", "backends.mkl", "backends.mkldnn", "backends.mps",
    "backends.nnpack", "backends.openmp", "backends.opt_einsum", "backends.quantized",
    "backends.xnnpack", "compiler", "cpu", "cuda", "distributed", "_dynamo", "hub", "jit", "mps",
    "mtia", "multiprocessing", "nested", "onnx", "overrides", "profiler", "quantization", "sparse",
    "storage", "types", "utils.benchmark", "utils.collect_env", "utils.model_zoo",
    "utils.tensorboard", "xpu",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_module_is_there_as_an_import_and_an_attribute(torch, name):
    module = importlib.import_module(f"bital.torch.{name}")
    found = torch
    for part in name.split("."):
        found = getattr(found, part)
    assert found is module
    with pytest.raises(AttributeError):
        module.no_such_name_anywhere  # noqa: B018


def test_they_are_not_loaded_before_they_are_used():
    program = "import sys; from bital import torch; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    loaded = set(done.stdout.split())
    later = ("onnx", "profiler", "jit", "distributed", "multiprocessing", "hub", "_dynamo")
    assert not {f"bital.torch.{name}" for name in later} & loaded


def test_compile_gives_back_its_argument(torch):
    def f(x):
        return x + 1

    model = torch.nn.Linear(2, 2)
    assert torch.compile(f) is f and torch.compile(model, mode="max-autotune") is model
    assert torch.compile(fullgraph=True, dynamic=False, backend="eager")(f) is f
    assert torch.compile(f, options={"trace.enabled": True}) is f
    with pytest.raises(RuntimeError, match="mode or options"):
        torch.compile(f, mode="default", options={})
    assert torch.compiler.disable(f) is f and torch.compiler.disable(recursive=False)(f) is f
    assert not torch.compiler.is_compiling()
    torch._dynamo.config.suppress_errors = True
    torch._dynamo.reset()
    with torch.compiler.set_stance("force_eager"):
        assert f(1) == 2


def test_there_is_no_gpu(torch):
    assert not torch.cuda.is_available() and torch.cuda.device_count() == 0
    torch.cuda.manual_seed(1)
    torch.cuda.manual_seed_all(1)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    assert torch.cuda.memory_allocated() == torch.cuda.max_memory_allocated() == 0
    assert torch.cuda.get_rng_state_all() == [] and not torch.cuda.is_bf16_supported()
    with torch.cuda.device(0), torch.cuda.stream(None):
        pass
    for name in ("current_device", "get_device_name", "synchronize", "current_stream"):
        with pytest.raises(AssertionError, match="CUDA"):
            getattr(torch.cuda, name)()
    for name in ("Stream", "Event"):
        with pytest.raises(RuntimeError, match="CUDA"):
            getattr(torch.cuda, name)()
    assert not torch.backends.mps.is_available() and not torch.xpu.is_available()
    assert not torch.accelerator.is_available()
    assert torch.accelerator.current_accelerator() is None
    with pytest.raises(RuntimeError, match="accelerator"):
        torch.accelerator.synchronize()


def test_flags_are_kept_and_given_back(torch):
    cudnn = torch.backends.cudnn
    cudnn.benchmark = True
    with cudnn.flags(enabled=False, benchmark=False):
        assert not cudnn.enabled and not cudnn.benchmark
    assert cudnn.enabled and cudnn.benchmark
    cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = True
    assert torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.enable_flash_sdp(False)
    assert not torch.backends.cuda.flash_sdp_enabled()
    torch.backends.cuda.enable_flash_sdp(True)


def test_jit_gives_back_its_argument_with_a_warning(torch):
    def f(x):
        return x + 1

    with pytest.warns(UserWarning, match=r"torch\.jit\.script"):
        assert torch.jit.script(f) is f
    with pytest.warns(UserWarning, match=r"torch\.jit\.trace"):
        assert torch.jit.trace(f, torch.ones(1)) is f
    assert torch.jit.ignore(f) is f and torch.jit.ignore(drop=True)(f) is f
    assert torch.jit.export(f) is f and torch.jit.unused(f) is f
    assert torch.jit.wait(torch.jit.fork(f, 1)) == 2 and not torch.jit.is_scripting()
    for call in (lambda: torch.jit.save(f, "x"), lambda: torch.jit.load("x")):
        with pytest.raises(NotImplementedError, match="TorchScript"):
            call()


def test_what_is_not_there_says_so(torch):
    assert not torch.distributed.is_available() and not torch.distributed.is_initialized()
    with pytest.raises(NotImplementedError, match="one process"):
        torch.distributed.init_process_group("gloo")
    with pytest.raises(ValueError, match="init_process_group"):
        torch.distributed.get_rank()
    refusals = [
        lambda: torch.hub.load("pytorch/vision", "resnet18"),
        lambda: torch.utils.model_zoo.load_url("https://example.org/x.pth"),
        lambda: torch.nested.nested_tensor([torch.ones(1)]),
        lambda: torch.quantization.quantize_dynamic(torch.nn.Linear(1, 1)),
        lambda: torch.ao.quantization.prepare(torch.nn.Linear(1, 1)),
    ]
    for refuse in refusals:
        with pytest.raises(NotImplementedError):
            refuse()


def test_hub_folder(torch, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert torch.hub.get_dir() == str(tmp_path / "hub")


def test_timer(torch):
    x = torch.ones(100, 100)
    timer = torch.utils.benchmark.Timer("x @ x", globals={"x": x})
    found = timer.blocked_autorange(min_run_time=0.02)
    assert found.median > 5e-6 and "Median" in repr(found)
    assert "1 measurement, 10 runs" in repr(timer.timeit(10))
    block = torch.utils.benchmark.Timer("y = x + 1\nz = y * 2", globals={"x": x}, label="two")
    assert block.adaptive_autorange(max_run_time=0.05).mean > 0


def test_environment_report(torch):
    text = torch.utils.collect_env.get_pretty_env_info()
    assert f"PyTorch version: {torch.__version__}" in text and "numpy" in text


def test_summary_writer(torch, tmp_path):
    pytest.importorskip("tensorboardX")
    from bital.torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", torch.tensor(2.5), 1)
        writer.add_scalars("both", {"a": torch.tensor(1.0), "b": 2.0}, 1)
        writer.add_histogram("weights", torch.randn(10), 1)
        writer.add_text("note", "text", 1)
        with pytest.raises(NotImplementedError, match="onnx"):
            writer.add_graph(torch.nn.Linear(1, 1))
    files = list(tmp_path.glob("events.out.tfevents.*"))
    assert files and b"loss" in files[0].read_bytes()


SPAWNING = """
import torch
import torch.multiprocessing as mp

def work(rank, low):
    if rank >= low:
        raise ValueError(f"rank {rank}")

if __name__ == "__main__":
    mp.set_sharing_strategy("file_system")
    mp.spawn(work, (2,), nprocs=2)
    try:
        mp.spawn(work, (1,), nprocs=2)
    except mp.ProcessRaisedException as error:
        print("raised", error.error_index, "ValueError: rank 1" in str(error))
"""


def test_spawn(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(SPAWNING)
    done = subprocess.run(
        [sys.executable, "-m", "bital", "run", str(script)], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout == "raised 1 True\n", done.stderr


class Failing:
    """A process whose failure is seen only when it is asked for the third time."""

    pid = 1

    def __init__(self):
        self._codes = [None, None]
        self.sentinel, end = os.pipe()
        os.close(end)

    @property
    def exitcode(self):
        return self._codes.pop() if self._codes else 1

    def is_alive(self):
        return False

    def join(self):
        os.close(self.sentinel)


def test_a_process_that_fails_while_it_is_asked_has_not_ended_well(torch):
    mp = torch.multiprocessing
    started = mp.ProcessContext([Failing()], mp.SimpleQueue())
    assert not started.join()
    with pytest.raises(mp.ProcessExitedException, match="exit code 1"):
        started.join()
