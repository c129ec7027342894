"""Reading the project's own source: its files, and the imports in them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Import(NamedTuple):
    """One module named by an import statement."""

    module: str
    line: int
    in_function: bool
    relative: bool


def python_files(*folders: str) -> list[Path]:
    """Every Python file below the folders, relative to the repository's root, sorted."""
    return sorted(
        path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")
    )


def _modules(node: ast.AST) -> list[str]:
    """The modules an import statement names: `from bital import torch` is `bital.torch`.

    `from bital import __version__` names none: the package itself stands under every room.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.module == "bital":
            return [f"bital.{alias.name}" for alias in node.names if alias.name != "__version__"]
        return [node.module or ""]
    return []


def read_imports(source: str) -> Iterator[Import]:
    """Every import of a file's text, in functions and under conditions too."""

    def visit(node: ast.AST, in_function: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            relative = isinstance(child, ast.ImportFrom) and child.level > 0
            for module in _modules(child):
                yield Import(module, child.lineno, in_function, relative)
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from visit(child, in_function or is_function)

    yield from visit(ast.parse(source), False)
