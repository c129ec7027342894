"""`bital run` runs a program as python does: output, tracebacks, exit codes, signals."""

import signal
import subprocess
import sys
import tomllib
import zipfile

import pytest

import bital
from bital import cli
from tests.structure.source import ROOT

WHO_AM_I = """
import os, sys
print(__name__, __file__, __package__, __spec__ and __spec__.name, __doc__, type(__loader__))
print(sys.argv, sys.path[0], type(__builtins__))
print(sys.modules["__main__"].__dict__ is globals(), [n for n in dir() if n.startswith("_run")])
"""

PICKLES = """
import pickle
class Thing:
    pass
print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)
"""


@pytest.mark.parametrize("script", ["program.py", "./deep/er/program.py"])
def test_a_script_sees_what_it_sees_under_python(programs, script):
    programs.write(script, WHO_AM_I)
    out = programs.same(script, "--flag", "-m", "two words", "--help")
    assert out.code == 0 and "'--flag', '-m', 'two words', '--help'" in out.stdout


def test_a_linked_script_finds_its_neighbours(programs):
    programs.write("far/program.py", "import neighbour; print(neighbour.__file__)")
    programs.write("far/neighbour.py", "")
    (programs.folder / "link.py").symlink_to("far/program.py")
    assert programs.same("link.py").code == 0


def test_a_compiled_script(programs):
    programs.write("program.py", WHO_AM_I)
    code = "import py_compile; py_compile.compile('program.py', cfile='program.pyc')"
    assert programs.python("-c", code).code == 0
    out = programs.bital("run", "program.pyc")
    assert out.code == 0 and out.stdout.startswith("__main__")


def test_a_module_sees_what_it_sees_under_python(programs):
    programs.write("package/__init__.py", "print('package')")
    programs.write("package/tool.py", WHO_AM_I + "from . import sibling")
    programs.write("package/sibling.py", "")
    programs.write("package/__main__.py", WHO_AM_I)
    for name in ("package", "package.tool"):
        assert programs.same("-m", name, "--flag", "x").code == 0


@pytest.mark.parametrize("name", ["missing", "package.missing", "broken"])
def test_a_module_that_cannot_be_run(programs, name):
    programs.write("package/__init__.py", "")
    programs.write("broken/__init__.py", "1 / 0")
    assert programs.same("-m", name).code == 1


def test_a_directory_and_a_zip_file(programs):
    programs.write("folder/__main__.py", WHO_AM_I + "import neighbour")
    programs.write("folder/neighbour.py", "")
    with zipfile.ZipFile(programs.folder / "program.zip", "w") as archive:
        archive.writestr("__main__.py", WHO_AM_I + "import neighbour\n1 / 0")
        archive.writestr("neighbour.py", "")
    assert programs.same("folder", "x").code == 0
    assert programs.same("program.zip", "x").code == 1


def test_a_directory_without_a_main_module(programs):
    (programs.folder / "folder").mkdir()
    assert programs.same("folder").code == 1


def test_standard_input(programs):
    out = programs.same("-", "a", stdin="import sys\nprint(__name__, sys.argv, sys.path[0])\n1 / 0")
    assert out.code == 1 and out.stdout == "__main__ ['-', 'a'] \n"


@pytest.mark.parametrize("script", ["missing.py", "no/such/folder/program.py"])
def test_a_missing_script(programs, script):
    expected = programs.python(script)
    out = programs.bital("run", script)
    assert (out.code, out.stdout) == (expected.code, "") == (2, "")
    assert out.stderr.partition(": ")[2] == expected.stderr.partition(": ")[2]


TRACEBACKS = {
    "error": "def f(x):\n    return 1 / x\nf(0)",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e",
    "context": "try:\n    {}['x']\nexcept KeyError:\n    int('no')",
    "syntax": "x = (1,\n",
    "indentation": "def f():\npass\n",
    "missing import": "import surely_missing_module",
    "broken import": "import broken",
    "group": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "own hook": "import sys\nsys.excepthook = lambda *a: print(a[0], a[2].tb_lineno)\n1 / 0",
    "last": "import atexit, traceback\natexit.register(lambda: print('bye'))\n1 / 0",
    "warning": "import warnings\nwarnings.warn('careful')",
    "thread": "import threading\nt = threading.Thread(target=int, args=('x',), name='t')\n"
    "threading.excepthook = lambda a: print(a.exc_value)\nt.start()\nt.join()",
}


@pytest.mark.parametrize("kind", TRACEBACKS)
def test_tracebacks_are_those_of_python(programs, kind):
    programs.write("program.py", TRACEBACKS[kind])
    programs.write("broken.py", "def f():\n    raise OSError('broken')\nf()\n")
    programs.same("program.py")
    programs.same("-m", "program")


FAILING_LAYER = """import torch
from torch import nn

def predict(x):
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))(x)

predict(torch.randn(2, 3))
"""


def test_a_traceback_ends_where_pytorchs_would(programs, monkeypatch):
    programs.write("program.py", FAILING_LAYER)
    shown = programs.bital("run", "program.py").stderr
    assert "return nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))(x)" in shown
    assert "return F.linear(" in shown
    assert "dispatch.py" not in shown
    assert shown.endswith("mat1 and mat2 shapes cannot be multiplied (2x4 and 5x2)\n")
    monkeypatch.setenv("BITAL_TRACEBACK", "full")
    assert "linear.py" in programs.bital("run", "program.py").stderr


@pytest.mark.parametrize("call", ["", "None", "0", "3", "'sorry'", "(1, 2)", "True", "256 + 7"])
def test_exit_codes(programs, call):
    programs.write("program.py", f"import sys\ntry:\n    sys.exit({call})\nfinally:\n    print(1)")
    programs.same("program.py")


def test_other_ends(programs):
    programs.write("kill.py", "import os\nprint(1, flush=True)\nos._exit(9)")
    assert programs.same("kill.py").code == 9
    programs.write("raise.py", "raise SystemExit")
    assert programs.same("raise.py").code == 0


def test_an_interrupt_ends_the_process_by_its_signal(programs):
    text = (
        "import atexit, signal\natexit.register(print, 'bye')\nsignal.raise_signal(signal.SIGINT)"
    )
    programs.write("program.py", text)
    assert programs.same("program.py").code == -signal.SIGINT
    assert programs.same("-m", "program").code == -signal.SIGINT


def test_pickle_finds_the_classes_of_the_script(programs):
    programs.write("program.py", PICKLES)
    assert programs.same("program.py").stdout == "True\n"
    assert programs.same("-m", "program").stdout == "True\n"


CHILDREN = """
import importlib.util, multiprocessing, pickle, sys

class Thing:
    def __init__(self, value):
        self.value = value

def work(thing, results):
    import torch
    results.put(Thing((thing.value + 1, torch.__name__)))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    results = context.Queue()
    child = context.Process(target=work, args=(Thing(1), results))
    child.start()
    thing = results.get(timeout=60)
    child.join()
    print(type(thing) is Thing, *thing.value, child.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("top_import", ["", "import torch\n"])
def test_children_of_the_program_use_bital_too(programs, method, top_import):
    programs.write("program.py", top_import + CHILDREN)
    for how in (["program.py"], ["-m", "program"]):
        out = programs.bital("run", *how, method)
        assert out == (0, "True 2 torch 0\n", "")


def test_a_pool_of_spawned_workers(programs):
    programs.write(
        "program.py",
        "import multiprocessing as mp\n"
        "def double(x):\n    import torch\n    return torch.__name__, 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(2) as pool:\n"
        "        print(pool.map(double, [1, 2]))\n",
    )
    out = programs.bital("run", "program.py")
    assert out == (0, "[('torch', 2), ('torch', 4)]\n", "")


def test_version_and_help(programs):
    assert programs.bital("--version") == (0, f"bital {bital.__version__}\n", "")
    for arguments in (["--help"], ["run", "--help"]):
        out = programs.bital(*arguments)
        assert out.code == 0 and "example" in out.stdout and "bital run" in out.stdout


@pytest.mark.parametrize("arguments", [[], ["run"], ["run", "-m"], ["run", "-x"], ["walk"]])
def test_a_wrong_command_line(programs, arguments):
    out = programs.bital(*arguments)
    assert out.code == 2 and out.stdout == "" and "usage: bital" in out.stderr


def test_the_console_script_is_the_same_command(programs):
    with (ROOT / "pyproject.toml").open("rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    assert scripts == {"bital": f"{cli.__name__}:{cli.main.__name__}"}
    # What an installer writes for it; python puts the folder of `bin/bital` in sys.path[0].
    starter = programs.write(
        "bin/bital",
        "import sys\nfrom bital.cli import main\nif __name__ == '__main__':\n"
        "    sys.exit(main())\n",
    )
    programs.write("program.py", WHO_AM_I + "1 / 0")
    out = programs.python(str(starter), "run", "program.py")
    assert out == programs.python("program.py")


def test_python_safe_path_is_kept(programs):
    programs.write("program.py", "import sys; print(sys.path)")
    command = [sys.executable, "-P", "-c", "from bital.cli import main; main()"]
    done = subprocess.run(
        [*command, "run", "program.py"],
        cwd=programs.folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    expected = programs.python("-P", "program.py").stdout
    assert done.stdout == expected
