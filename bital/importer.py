"""What makes `import torch` mean bital: a finder in front of all others on `sys.meta_path`.

`torch` and each of its submodules become second names, in `sys.modules`, of the module objects
`bital.torch` and below. The modules keep their own `__package__` and `__spec__`, and their own
`__name__`, but for `torch` itself, which libraries know by its name; `importlib.metadata` finds a
distribution `torch` of bital's, too. Whether the real torch is installed makes no difference.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING

from bital.loading import load

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder


class _AliasLoader(Loader):
    """Gives the module `bital.torch...` for the name `torch...`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = load(self.name)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just written the alias's spec into the module: take it out again.
        module.__spec__ = self.own_spec
        if self.name == "bital.torch":
            module.__name__ = "torch"
        for name, loaded in list(sys.modules.items()):
            if name.startswith("bital.torch."):
                sys.modules.setdefault(name.removeprefix("bital."), loaded)

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code, which is what `bital run -m torch...` asks for."""
        spec = importlib.util.find_spec(self.name)
        assert spec is not None and spec.loader is not None
        return spec.loader.get_code(self.name)  # type: ignore[attr-defined]


def _asked_by_from(asker: FrameType) -> bool:
    """Whether importlib looks for a name after `from torch import`, not for a module's parent."""
    frames: list[str] = []
    frame = asker.f_back
    while frame is not None and len(frames) < 3:
        frames.append(frame.f_code.co_name)
        frame = frame.f_back
    return frames[1:] == ["_call_with_frames_removed", "_handle_fromlist"]


class _TorchFinder(MetaPathFinder):
    """Finds `torch` and what is below it in bital, and names what bital lacks."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The spec of an alias; an ImportError when an import asks for what bital lacks."""
        # One frame up is importlib's loop over the finders; two up is who asked for a module.
        # `importlib.util.find_spec` asks too, and must be told None where an import must fail.
        asker = sys._getframe(2)
        importing = asker.f_code.co_name == "_find_and_load_unlocked"
        if fullname == "torch" or fullname.startswith("torch."):
            found = importlib.util.find_spec(f"bital.{fullname}")
            if found is not None:
                return ModuleSpec(
                    fullname,
                    _AliasLoader(f"bital.{fullname}"),
                    origin=found.origin,
                    is_package=found.submodule_search_locations is not None,
                )
        elif not fullname.startswith("bital.torch."):
            return None
        if importing and PathFinder.find_spec(fullname, path) is None:
            missing = fullname.removeprefix("bital.")
            # `from torch import missing` asks for a module of that name when there is no such
            # attribute, and would answer a ModuleNotFoundError with words of its own.
            by_name = _asked_by_from(asker)
            raise (ImportError if by_name else ModuleNotFoundError)(
                f"bital does not have {missing!r} (PyTorch 2.13 API not yet covered)", name=missing
            )
        return None

    @staticmethod
    def find_distributions(
        context: "DistributionFinder.Context | None" = None,
    ) -> "Iterator[Distribution]":
        """What libraries read torch's version from, by `importlib.metadata`."""
        name = None if context is None else context.name
        if name is None or name.lower() == "torch":
            yield importlib.import_module("bital.distribution").TorchDistribution()


def install_as_torch() -> None:
    """Make `import torch` mean `bital.torch` in this process, from now on.

    Call it before the program's first `import torch`; a second call does nothing. RuntimeError
    when the real torch has been imported already.
    """
    if any(isinstance(finder, _TorchFinder) for finder in sys.meta_path):
        return
    loaded = sys.modules.get("torch")
    if loaded is not None and loaded is not sys.modules.get("bital.torch"):
        raise RuntimeError(
            "bital cannot stand in for torch: the real torch has already been imported from "
            f"{getattr(loaded, '__file__', 'an unknown place')}. "
            "Call bital.install_as_torch() before the first `import torch`"
        )
    sys.meta_path.insert(0, _TorchFinder())
