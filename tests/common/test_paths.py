"""The state folder is the same one from every folder."""

from pathlib import Path

import pytest

from common.paths import HOME_VARIABLE, ledger_folder, old_ledger_folders, state_folder
from deploy.lifecycle.ledger import Item, Ledger


def test_the_state_folder_does_not_depend_on_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(HOME_VARIABLE)
    before = state_folder()
    monkeypatch.chdir(tmp_path)
    assert state_folder() == before
    assert before.is_absolute()


def test_the_environment_names_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "state"))
    assert ledger_folder() == tmp_path / "state" / "ledger"


@pytest.mark.parametrize("known_by", ["the current folder", "BENCH_LEDGER"])
def test_what_an_older_version_wrote_down_is_found_and_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known_by: str
) -> None:
    old = tmp_path / ".cache" / "ledger"
    item = Item("endpoint", "e", "e", "run", "me", "us-east-1", "https://api", "1", created_at=1.0)
    Ledger(old).will_create(item)
    (tmp_path / "state").mkdir()
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "state"))
    if known_by == "BENCH_LEDGER":
        monkeypatch.setenv("BENCH_LEDGER", str(old))
        monkeypatch.chdir(tmp_path / "state")
    else:
        monkeypatch.chdir(tmp_path)
    assert old_ledger_folders() == [old]
    assert [found.name for found in Ledger().open_items("run")] == ["e"]
    Ledger().mark(item, "deleted")
    assert Ledger().open_items() == []
