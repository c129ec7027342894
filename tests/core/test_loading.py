"""Loading leaves the garbage collector as it was."""

import gc

import pytest

from bital.loading import load


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_as_it_was(collecting):
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        assert load("bital.torch").__name__ in ("torch", "bital.torch")
        assert gc.isenabled() == collecting
        with pytest.raises(ImportError):
            load("bital.nothing_of_that_name")
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if before else gc.disable)()


def test_nothing_is_collected_meanwhile(tmp_path, monkeypatch):
    (tmp_path / "module_that_looks.py").write_text("import gc\nfound = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert not load("module_that_looks").found
