"""Which of PyTorch's public names bital lacks, and why: patterns with reasons.

`python -m tests.passing.names` prints what is missing, by module.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

#: the modules whose public names are compared; `torch.Tensor` is added
MODULES = (
    "torch", "torch.accelerator", "torch.amp", "torch.autograd", "torch.autograd.forward_ad",
    "torch.autograd.functional", "torch.autograd.graph", "torch.autograd.profiler",
    "torch.backends.cuda", "torch.backends.cudnn", "torch.backends.mps", "torch.compiler",
    "torch.cuda", "torch.distributions", "torch.fft", "torch.func", "torch.hub", "torch.jit",
    "torch.linalg", "torch.masked", "torch.mps", "torch.multiprocessing", "torch.nested",
    "torch.nn", "torch.nn.attention", "torch.nn.functional", "torch.nn.init",
    "torch.nn.parameter", "torch.nn.utils", "torch.nn.utils.parametrizations",
    "torch.nn.utils.parametrize", "torch.nn.utils.prune", "torch.nn.utils.rnn",
    "torch.nn.utils.stateless", "torch.onnx", "torch.optim", "torch.optim.lr_scheduler",
    "torch.optim.swa_utils", "torch.overrides", "torch.profiler", "torch.random",
    "torch.serialization", "torch.signal.windows", "torch.sparse", "torch.special",
    "torch.storage", "torch.testing", "torch.types", "torch.utils.benchmark",
    "torch.utils.checkpoint", "torch.utils.data", "torch.utils.data.distributed",
    "torch.utils.hooks", "torch.utils.model_zoo", "torch.xpu",
)  # fmt: skip
PATH = Path(__file__).parents[1] / "golden" / "names.json"

_JIT = "part of the TorchScript compiler and its types, which bital does not have"
_QUANTIZED = "bital has no quantized tensors"
_NARROW = "bital has no numbers of less than 8 bits, and no 8-bit or complex half floats"
_SPARSE = "of sparse tensors bital has the coordinate form only"
_DEVICE = "a library or a question about a device that bital does not have"
_INSIDE = "part of PyTorch's own inside, which programs do not call"
_ATEN = "ATen's inner form, with an integer for the reduction; torch.nn.functional has the function"
_STATISTICS = "a part of batch normalisation over several GPUs"
_COMPILER = "a setting or file of PyTorch's compiler, which bital does not have"
_NESTED = "bital has no nested tensors"
_MASKED = "bital has no masked tensors (torch.masked's functions are there)"
_PIPES = "data pipes are deprecated in PyTorch"
_TOOLS = "a tool for PyTorch's own benchmarks"
_LATER = "not written yet"

#: (module, pattern of names, reason); a reason that begins "not written" may outlive its names
LACKING: list[tuple[str, str, str]] = [
    ("torch", r"(Any|Await|Bool|Class|Complex|DeviceObj|Dict|Enum|Float|Future|Inferred|Int|"
              r"Interface|List|None|Number|Optional|PyObject|RRef|StreamObj|String|SymBool|SymInt|"
              r"Tensor|Tuple|Union)?Type", _JIT),
    ("torch", r"(Script|LiteScript)\w*|Compil\w*|ConcreteModule\w*|Alias\w+|Argument\w*|Block|Code"
              r"|CallStack|ErrorReport|ExecutionPlan|FunctionSchema|Future|Gradient|Graph\w*|Node"
              r"|IODescriptor|JITException|StaticModule|TracingState|Use|Value|import_ir_module\w*"
              r"|parse_\w+|merge_type_from_type_comment|unify_type_list|fork|wait|BufferDict"
              r"|ModuleDict|ParameterDict|OperatorInfo|FileCheck|DeepCopyMemoTable|CompleteArgument"
              r"Spec|Capsule|AggregationType|AVG|SUM|DeserializationStorageContext"
              r"|SerializationStorageContext", _JIT),
    ("torch", r"Benchmark\w+|ThroughputBenchmark|LockingLogger|NoopLogger|PyTorchFile\w+|Tag|"
              r"DispatchKey\w*|ExcludeDispatchKeyGuard|FatalError|DisableTorchFunction\w*|cpp|"
              r"init_num_threads|sym_constrain\w+|sym_fresh_size|native_\w+|detach_copy|"
              r"\w+indices_copy|indices_copy|values_copy|slice_inverse|hash_tensor|as_strided_",
     _INSIDE),
    ("torch", r"q(int|uint)\d\w*|quint\w+|qscheme|q_\w+|int_repr|quantize\w*|fake_quantize\w*|"
              r"fbgemm\w+|empty_quantized|choose_qparams\w*|fused_moving\w+", _QUANTIZED),
    ("torch", r"u?int[1-7]|bits?\w*|float4_\w+|complex32|chalf", _NARROW),
    ("torch", r"sparse_(bsc|bsr|compressed|csc|csr)_tensor|dsmm|hsmm|hspmm|s?smm|saddmm|spmm|"
              r"sspaddmm|resize_as_sparse_|smm", _SPARSE),
    ("torch", r"(cudnn|miopen|mkldnn)_\w+|has_\w+|\w+_autocast_(ipu|xla)\w*", _DEVICE),
    ("torch", r"batch_norm_\w+", _STATISTICS),
    ("torch", r"bilinear|binary_cross_entropy_with_logits|constant_pad_nd|cosine_embedding_loss|"
              r"embedding_bag|hinge_embedding_loss|kl_div|margin_ranking_loss|poisson_nll_loss|"
              r"triplet_margin_loss", _ATEN),
    ("torch", r"export", _COMPILER),
    ("torch", r"frobenius_norm|nuclear_norm|range|lobpcg|nonzero_static|pdist|thread_safe_generator"
              r"|is_autocast\w*", _LATER),
    ("torch.Tensor", r"__cuda_array_interface__|__dlpack_c_exchange_api__", _DEVICE),
    ("torch.Tensor", r"__setstate__|__torch_dispatch__|hash_tensor|slice_inverse", _INSIDE),
    ("torch.Tensor", r"nonzero_static|index", _LATER),
    ("torch.Tensor", r"s?smm|sspaddmm|to_sparse_\w+|sparse_\w+", _SPARSE),
    ("torch.accelerator", r".*", _DEVICE),
    ("torch.autograd", r"NestedIOFunction|enforce_grad_layout_policy|set_multithreading_enabled",
     _INSIDE),
    ("torch.autograd.functional", r".*", _LATER),
    ("torch.autograd.graph", r".*", _LATER),
    ("torch.autograd.profiler", r".*", _TOOLS),
    ("torch.backends.cuda", r".*", _DEVICE),
    ("torch.backends.mps", r".*", _DEVICE),
    ("torch.compiler", r".*", _COMPILER),
    ("torch.cuda", r".*", _DEVICE),
    ("torch.func", r"rearrange|replace_all_batch_norm_modules_", _LATER),
    ("torch.masked", r".*", _MASKED),
    ("torch.mps", r".*", _DEVICE),
    ("torch.nested", r".*", _NESTED),
    ("torch.nn", r".*", _LATER),
    ("torch.nn.attention", r".*flash_attention.*", _DEVICE),
    ("torch.nn.functional", r"BroadcastingList\d|boolean_dispatch|assert_int_or_pair|"
                            r"(scaled_)?grouped_mm|scaled_mm|ScalingType|SwizzleType|\w+_notes",
     _INSIDE),
    ("torch.nn.functional", r".*", _LATER),
    ("torch.onnx", r".*", "another way of exporting, made of PyTorch's own compiler"),
    ("torch.optim", r".*", _LATER),
    ("torch.overrides", r".*", _INSIDE),
    ("torch.profiler", r".*", _DEVICE),
    ("torch.random", r".*", _LATER),
    ("torch.serialization", r"mkdtemp|StorageType|validate_hpu_device", _INSIDE),
    ("torch.serialization", r"skip_data|\w+_default_mmap_options", _LATER),
    ("torch.sparse", r".*", _SPARSE),
    ("torch.utils.benchmark", r".*", _TOOLS),
    ("torch.utils.checkpoint", r".*", _LATER),
    ("torch.utils.data", r".*", _PIPES),
    ("torch.utils.hooks", r".*", _INSIDE),
    ("torch.xpu", r".*", _DEVICE),
]  # fmt: skip


def wanted() -> dict[str, list[str]]:
    """PyTorch's names by module."""
    return json.loads(PATH.read_text(encoding="utf-8"))


def missing() -> dict[str, list[str]]:
    """The names that bital does not have, by module."""
    found = {}
    for module, names in wanted().items():
        if module == "torch.Tensor":
            target = importlib.import_module("bital.torch").Tensor
        else:
            try:
                target = importlib.import_module(f"bital.{module}")
            except ModuleNotFoundError:
                found[module] = names
                continue
        absent = [name for name in names if not hasattr(target, name)]
        if absent:
            found[module] = absent
    return found


def reason_for(module: str, name: str) -> str | None:
    """Why bital lacks a name, or None where nobody said."""
    for place, pattern, reason in LACKING:
        if place == module and re.fullmatch(pattern, name):
            return reason
    return None


def stale() -> list[str]:
    """The patterns that no missing name needs, of those whose reason is for good."""
    absent = missing()
    return [
        f"{module}: {pattern}"
        for module, pattern, reason in LACKING
        if not reason.startswith("not written")
        and not any(re.fullmatch(pattern, name) for name in absent.get(module, ()))
    ]


def main() -> None:
    """Print what is missing."""
    names = wanted()
    absent = missing()
    for module in names:
        gone = absent.get(module, [])
        print(f"{module}: {len(names[module]) - len(gone)} of {len(names[module])}")
        for name in gone:
            print(f"    {name}: {reason_for(module, name) or 'NO REASON GIVEN'}")


if __name__ == "__main__":
    main()
