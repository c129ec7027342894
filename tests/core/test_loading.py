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


def test_what_was_made_is_old_at_once(tmp_path, monkeypatch):
    (tmp_path / "module_that_makes.py").write_text("made = [[]]\n")
    monkeypatch.syspath_prepend(tmp_path)
    made = load("module_that_makes").made
    assert any(each is made for each in gc.get_objects(generation=2))


def test_what_others_have_frozen_stays_so():
    gc.freeze()
    try:
        load("bital.torch")
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
