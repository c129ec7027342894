"""Small enough to hold: files up to 600 lines, functions up to 60, lines up to 100 characters."""

import ast

from tests.structure.source import ROOT, python_files

FILE_LINES = 600
FUNCTION_LINES = 60
LINE_CHARACTERS = 100


def oversize(name: str, source: str) -> list[str]:
    """Everything in a file's text that is longer than it may be."""
    lines = source.splitlines()
    found = []
    if len(lines) > FILE_LINES:
        found.append(f"{name}: {len(lines)} lines")
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_CHARACTERS:
            found.append(f"{name}:{number}: {len(line)} characters")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
    return found


def test_files_functions_and_lines_are_short():
    found = [
        line
        for path in python_files("bital", "tests", "benchmarks", "examples")
        for line in oversize(str(path), (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_each_kind_of_excess_is_seen():
    assert not oversize("x.py", "def f():\n" + "    pass\n" * (FUNCTION_LINES - 1))
    assert oversize("x.py", "def f():\n" + "    pass\n" * FUNCTION_LINES)
    assert oversize("x.py", "pass\n" * (FILE_LINES + 1))
    assert oversize("x.py", "#" * (LINE_CHARACTERS + 1))
