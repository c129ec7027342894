"""Running a program as `python` runs it, with `torch` meaning bital.

The program gets a `__main__` module, `sys.argv` and `sys.path[0]` of its own; its tracebacks,
exit codes and signals are those it has under `python`.
"""

import builtins
import importlib.machinery
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from types import CodeType, ModuleType, TracebackType
from typing import Any

from bital import importer
from bital.base import config


class _InstallInChild:
    """Unpickled in a child process, before it imports the program, as `install_as_torch()`."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return importer.install_as_torch, ()


def _prepare_with_bital(module: ModuleType) -> None:
    """Let what a module sends a child first say that `torch` means bital there."""
    get_preparation_data = module.get_preparation_data

    def with_bital(*args: Any, **kwargs: Any) -> dict[str, object]:
        return {**get_preparation_data(*args, **kwargs), "bital": _InstallInChild()}

    module.get_preparation_data = with_bital  # type: ignore[attr-defined]


def _preload_nothing(module: ModuleType) -> None:
    """Keep the fork server from importing the main module, which it would do without the data."""
    module.set_forkserver_preload([])


def _change_of(name: str) -> Callable[[ModuleType], None] | None:
    """What to change in a module that starts processes; None for any other."""
    if name == "multiprocessing.forkserver":
        return _preload_nothing
    # loky is joblib's own multiprocessing.
    if name == "multiprocessing.spawn" or name.endswith("loky.backend.spawn"):
        return _prepare_with_bital
    return None


class _SpawnFinder(MetaPathFinder):
    """Finds the modules that start processes, with a loader that makes the change."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """That module's spec; None for any other."""
        change = _change_of(fullname)
        if change is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                change(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _reach_children() -> None:
    """Let `torch` mean bital in the processes that multiprocessing starts, too.

    What a spawned child is sent first is its preparation data, and it imports the program's main
    module only after unpickling them: one more entry in them comes in time. What starts processes
    is changed when the program imports it, as importing it takes a tenth of the time bital takes.
    """
    for name, module in list(sys.modules.items()):
        change = _change_of(name)
        if change is not None:
            change(module)
    sys.meta_path.insert(0, _SpawnFinder())


def _own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The program's part of a traceback, down to the last call that PyTorch's would show.

    The runner's frames at its beginning go, and at its end those of the finder and of the rooms
    below `bital.torch`, which are compiled code in PyTorch; BITAL_TRACEBACK=full keeps these.
    """
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    shown, frame = None, traceback
    while frame is not None:
        name = frame.tb_frame.f_globals.get("__name__", "")
        if not name.startswith("bital.") or name.startswith("bital.torch"):
            shown = frame
        frame = frame.tb_next
    if shown is not None and config.traceback != "full":
        shown.tb_next = None
    return traceback


def _run(program: Callable[[], object]) -> None:
    """Call `program`; what it does not catch goes on to the interpreter, which then ends as ever.

    Only what is shown differs: `sys.excepthook`, the program's own if it set one, is given the
    program's frames alone.
    """
    importer.install_as_torch()
    _reach_children()
    try:
        program()
    except BaseException as error:
        hook = sys.excepthook
        shown = _own_frames(error.__traceback__)

        def show(
            kind: type[BaseException], value: BaseException, traceback: TracebackType | None
        ) -> None:
            hook(kind, value.with_traceback(shown), shown)

        sys.excepthook = show
        raise


def _fresh_main() -> ModuleType:
    """A new module in the place of `__main__`, so that pickle finds the program's classes in it.

    multiprocessing calls the main module `__mp_main__`, in objects that a child sends back.
    """
    main = ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    return main


def _set_first_path(directory: str) -> None:
    """Put the program's directory where python put the runner's (not at all under `python -P`)."""
    if not sys.flags.safe_path:
        sys.path[0] = directory


def _read_code(path: str) -> CodeType:
    """The code of a .pyc or source file."""
    with io.open_code(path) as file:
        code = pkgutil.read_code(file)
    if code is None:
        with io.open_code(path) as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
    return code


def run_module(name: str, arguments: list[str]) -> None:
    """Run a module as `python -m name arguments...` does."""
    _fresh_main()
    _set_first_path(os.getcwd())
    sys.argv = ["-m", *arguments]
    # runpy's entry for `python -m`: it runs in sys.modules["__main__"] and leaves it there, as the
    # public run_module does not.
    _run(lambda: runpy._run_module_as_main(name))  # type: ignore[attr-defined]


def run_script(script: str, arguments: list[str]) -> None:
    """Run `python script arguments...`: a file, a directory or zip with `__main__.py`, or `-`.

    SystemExit(2) when the file cannot be opened.
    """
    main = _fresh_main()
    sys.argv = [script, *arguments]
    path = os.path.join(os.getcwd(), script)
    if script == "-":
        _set_first_path("")
        main.__file__ = "<stdin>"
        _run(
            lambda: exec(
                compile(sys.stdin.buffer.read(), "<stdin>", "exec", dont_inherit=True), vars(main)
            )
        )
    elif pkgutil.get_importer(path) is not None:
        # Python puts it there even under -P: the program is to be found in it.
        sys.path[: 0 if sys.flags.safe_path else 1] = [path]
        _run(lambda: runpy._run_module_as_main("__main__", False))  # type: ignore[attr-defined]
    else:
        try:
            io.open_code(path).close()
        except OSError as error:
            print(
                f"bital: can't open file {path!r}: [Errno {error.errno}] {error.strerror}",
                file=sys.stderr,
            )
            raise SystemExit(2) from None
        _set_first_path(os.path.dirname(os.path.realpath(script)))
        main.__file__ = path
        main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
        vars(main)["__cached__"] = None
        _run(lambda: exec(_read_code(path), vars(main)))
