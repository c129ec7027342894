"""The command line: `bital run SCRIPT`, `bital run -m MODULE`, `bital --version`."""

import argparse
import sys

import bital
from bital import runner

_RUN_USAGE = "bital run SCRIPT [ARGS...]\n       bital run -m MODULE [ARGS...]"
_RUN_DESCRIPTION = """\
Run a program as python does, with `import torch` meaning bital.
SCRIPT may be a file, a directory or zip file with a __main__.py, or - for standard
input; what follows it goes to the program.
"""
_RUN_EXAMPLES = """\
examples:
  bital run examples/autograd_mlp.py 200
  bital run -m my_package.train --epochs 3
  BITAL_LOG=plan bital run train.py         (show what is compiled, and to what)
  BITAL_LOG=trace,plan bital run train.py   (show what is recorded, too)
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bital",
        description="Runs PyTorch programs unchanged, in pure Python on NumPy, and compiles "
        "what they repeat.",
        epilog="example:\n  bital run train.py --epochs 3\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bital {bital.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        usage=_RUN_USAGE,
        help="run a program as python does, with `import torch` meaning bital",
        description=_RUN_DESCRIPTION,
        epilog=_RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    program = run.add_mutually_exclusive_group(required=True)
    program.add_argument("script", nargs="?", metavar="SCRIPT", help="the program")
    program.add_argument("-m", dest="module", metavar="MODULE", help="a module to run, by name")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Run the command `argv` (default: `sys.argv[1:]`); what a program raises passes through."""
    argv = sys.argv[1:] if argv is None else argv
    # What follows SCRIPT or -m MODULE is the program's, whatever it looks like.
    own_count = 3 if argv[:2] == ["run", "-m"] else 2
    options = _parser().parse_args(argv[:own_count])
    arguments = argv[own_count:]
    if options.module is not None:
        runner.run_module(options.module, arguments)
    else:
        runner.run_script(options.script, arguments)
