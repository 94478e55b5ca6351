"""`beseda migrate`."""

import shutil
from pathlib import Path

import pytest

from storage import database
from tests.storage.test_database import contents
from tests.storage.test_migrations import build_first
from tests.support.commands import run
from tests.support.fixtures import StartServer


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder as the first release left it."""
    folder = tmp_path / "data"
    folder.mkdir()
    build_first(folder)
    return folder


def test_a_rehearsal_tells_which_migrations_would_run_and_changes_nothing(old: Path) -> None:
    before = contents(old)
    ran = run("migrate", "--dry-run", "--data", str(old))
    assert ran.code == 0
    out = ran.out
    for name in database.migration_names()[1:]:
        assert f"{name}: " in out
    assert out.endswith("All of them work. Nothing was changed.\n")
    assert contents(old) == before


def test_a_migration_is_told_and_its_snapshot_too(old: Path) -> None:
    ran = run("migrate", "--json", "--data", str(old))
    assert ran.code == 0
    told = ran.json
    assert (told["schema"], told["dry_run"]) == (1, False)
    assert [each["name"] for each in told["migrations"]] == database.migration_names()[1:]
    assert [path.name[:9] for path in old.glob("before-*.db")] == ["before-1-"]
    ran = run("migrate", "--data", str(old))
    assert ran.code == 0
    assert "up to date" in ran.out


def test_a_rehearsal_that_fails_says_so_in_one_line_and_leaves_the_folder_alone(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = [*database.migrations(), "SELECT oops;"]
    monkeypatch.setattr(database, "migrations", lambda: scripts)
    before = contents(old)
    ran = run("migrate", "--dry-run", "--data", str(old))
    assert ran.code == 1
    err = ran.err
    assert err == "beseda: the upgrade to this version fails: no such column: oops.\n"
    assert contents(old) == before


@pytest.mark.parametrize("arguments", [("migrate",), ("migrate", "--dry-run")])
def test_a_folder_without_a_database_is_refused_and_not_made(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "none"
    ran = run(*arguments, "--data", str(folder))
    assert ran.code == 1
    assert ran.err == f"beseda: {folder}/beseda.db: there is no database.\n"
    assert not folder.exists()


def test_beside_a_running_server_it_rehearses_and_does_nothing(start_server: StartServer) -> None:
    folder = start_server().data_dir
    ran = run("migrate", "--dry-run", "--data", str(folder))
    assert ran.code == 0
    assert "up to date" in ran.out
    ran = run("migrate", "--data", str(folder))
    assert ran.code == 1
    assert ran.err == f"beseda: {folder}: another beseda serves from this folder.\n"


def test_the_first_releases_data_is_served_by_this_version_with_its_snapshot_beside_it(
    old: Path, tmp_path: Path, start_server: StartServer
) -> None:
    shutil.copytree(old, tmp_path / "before")
    server = start_server(data_dir=old)
    assert "The database has schema 1; as it is now it is kept in" in server.output()
    assert server.stop() == 0
    [snapshot] = old.glob("before-1-*.db")
    assert database.schema_of(snapshot) == 1
    assert database.schema_of(old / database.FILE_NAME) == len(database.migrations())
