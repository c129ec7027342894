"""Documents that must be current, and examples in them that must run."""

import doctest
import importlib
import os
import re
import subprocess
import sys

import pytest

from bital.base import config
from tests.structure.source import ROOT, python_files

MODULES = [
    ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    for path in python_files("bital")
    if path.name != "__main__.py"
]


def code_blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name, torch):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"torch": torch})
    assert not failed


def test_configuration_is_documented():
    for language, name in (("en", "configuration.md"), ("ko", "configuration.ko.md")):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        command = f"python -m bital.base.config {language} > docs/{name}"
        assert text == config.document(language), f"run: {command}"


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md", "docs/native.md"])
def test_python_blocks_run(document, tmp_path):
    blocks = code_blocks(document, "python")
    done = subprocess.run(
        [sys.executable, "-m", "bital", "run", "-"],
        input="\n".join(blocks),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", ["README", "docs/native"])
@pytest.mark.parametrize("language", ["python", "sh", "text"])
def test_the_korean_document_shows_the_same_code(document, language):
    def without_comments(block: str) -> list[str]:
        return [line.partition("#")[0].rstrip() for line in block.splitlines()]

    english = code_blocks(f"{document}.md", language)
    korean = code_blocks(f"{document}.ko.md", language)
    assert [*map(without_comments, english)] == [*map(without_comments, korean)]


def test_the_readmes_have_the_benchmark_region():
    for document in ("README.md", "README.ko.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        begin = text.index("<!-- benchmarks:begin -->")
        assert begin < text.index("<!-- benchmarks:end -->")
