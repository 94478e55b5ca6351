"""Making a server of a backup again."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from beseda.archives import ArchiveError, restoring, tar
from beseda.archives.making import make
from beseda.archives.restoring import restore
from storage import database
from storage.attachments import disk
from tests.beseda.archives.conftest import Scene
from tests.storage.test_migrations import build_first
from tests.support.archives import described, with_sql, write
from tests.support.commands import run
from tests.support.disks import mounted

ROOT = Path(restoring.__file__).parents[2]
WAIT = 20


def value(folder: Path, sql: str) -> Any:
    """What the database in a folder answers."""
    with closing(sqlite3.connect(folder / tar.DATABASE)) as db:
        return db.execute(sql).fetchone()[0]


def left(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def inside(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder one that can't be replaced, as a disk of its own is."""
    target.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == target)


def check_restored(scene: Scene, folder: Path) -> None:
    """Everything is there, and for its owner alone."""
    for name, data in scene.members.items():
        if tar.is_attachment(name) or name == tar.KEY:
            assert (folder / name).read_bytes() == data
    assert value(folder, "SELECT count(*) FROM messages") == 9
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert not list(folder.rglob("manifest.*"))


@pytest.mark.parametrize("there", [False, True])
def test_all_of_it_is_there_again_for_its_owner_alone(scene: Scene, tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "some where"
    if there:
        folder.mkdir()
    umask = os.umask(0)
    try:
        ran = run("restore", str(scene.archive), "--data", str(folder), program="./beseda")
        assert ran.code == 0
    finally:
        os.umask(umask)
    out = ran.out
    assert out.startswith(f"{folder} is restored, and has 2 users, ")
    assert out.endswith(f"Start it: ./beseda serve --data '{folder}'\n")
    check_restored(scene, folder)
    assert left(folder) == ["attachments", "beseda.db", "signing.key"]
    assert left(tmp_path) == ["some where"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_replaced_gets_it_all_inside(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "disk"
    inside(folder, monkeypatch)
    restore(scene.archive, folder)
    folder.chmod(0o700)
    check_restored(scene, folder)
    assert left(folder) == ["attachments", "beseda.db", "lock", "signing.key"]


def test_the_log_gets_a_new_name_so_that_clients_load_anew_and_ids_that_were_given_are_not_given_again(
    scene: Scene, tmp_path: Path
) -> None:
    restore(scene.archive, tmp_path / "r")
    assert value(tmp_path / "r", "SELECT name FROM log") != value(scene.folder, "SELECT name FROM log")
    assert len(value(tmp_path / "r", "SELECT name FROM log")) == 16
    for table in ("users", "sessions", "attachments"):
        counter = f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'"
        assert value(tmp_path / "r", counter) == value(scene.folder, counter) + database.FORGOTTEN_IDS


def test_a_backup_of_the_first_release_is_brought_up_to_date(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    build_first(tmp_path / "old")
    make(tmp_path / "old", tmp_path / "b.tar")
    restore(tmp_path / "b.tar", tmp_path / "r")
    assert database.schema_of(tmp_path / "r" / tar.DATABASE) == len(database.migrations())
    assert left(tmp_path / "r") == ["beseda.db"]


def test_a_backup_of_a_later_version_is_refused(scene: Scene, tmp_path: Path) -> None:
    later = len(database.migrations()) + 1
    members = with_sql(scene.members, tmp_path, f"PRAGMA user_version = {later}")
    path = write(tmp_path / "b.tar", described(members, lambda told: told.update(schema=later)).items())
    with pytest.raises(
        ArchiveError, match=rf"schema {later}, and this one knows {later - 1}\): install that"
    ):
        restore(path, tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("name", ["beseda.db", "hello.txt", "attachments", ".hidden"])
def test_a_folder_with_anything_in_it_is_refused(scene: Scene, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    (folder / name).mkdir(parents=True)
    ran = run("restore", str(scene.archive), "--data", str(folder))
    assert ran.code == 1
    assert ran.err.startswith(f"beseda: {folder}: the folder is not empty, there is {name} in it")
    assert left(folder) == [name]


def test_a_place_that_is_a_file_is_refused(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("precious")
    with pytest.raises(ArchiveError, match="/data: this is no folder"):
        restore(scene.archive, tmp_path / "data")
    assert (tmp_path / "data").read_text() == "precious"


@pytest.mark.parametrize("is_inside", [False, True])
def test_a_damaged_backup_restores_nothing(
    scene: Scene, tmp_path: Path, is_inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(filter(tar.is_attachment, scene.members))
    path = write(tmp_path / "b.tar", (scene.members | {name: b"y" * len(scene.members[name])}).items())
    if is_inside:
        inside(tmp_path / "r", monkeypatch)
    with pytest.raises(ArchiveError, match=f"{path}: {name} is damaged"):
        restore(path, tmp_path / "r")
    if is_inside:
        assert left(tmp_path / "r") == ["lock"]
        # Which is as good as empty.
        restore(scene.archive, tmp_path / "r")
    else:
        assert left(tmp_path) == ["b.tar"]


def test_folders_above_that_were_made_for_it_go_again_where_it_fails(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ArchiveError, match="cannot be read: No such file"):
        restore(tmp_path / "none.tar", tmp_path / "there" / "a" / "b" / "data")
    assert left(tmp_path) == ["there"]
    assert left(tmp_path / "there") == []
    restore(scene.archive, tmp_path / "there" / "a" / "b" / "data")
    assert "beseda.db" in left(tmp_path / "there" / "a" / "b" / "data")


def test_a_name_that_leads_elsewhere_leads_nowhere(scene: Scene, tmp_path: Path) -> None:
    path = write(tmp_path / "b.tar", described(scene.members | {"../../evil": b"evil"}).items())
    with pytest.raises(ArchiveError, match="no name of a file"):
        restore(path, tmp_path / "deep" / "r")
    assert list(tmp_path.rglob("evil")) == []


KILLED = """
import os, signal
from beseda import cli
from storage import database
database.adopt = lambda path: os.kill(os.getpid(), signal.SIGKILL)
cli.main()
"""


def test_a_restoring_that_is_killed_leaves_nothing_under_the_name_and_the_next_one_clears_up(
    scene: Scene, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, "-c", KILLED, "restore", str(scene.archive), "--data", str(folder)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not folder.exists()
    assert len(left(tmp_path)) == 1
    restore(scene.archive, folder)
    check_restored(scene, folder)
    assert left(tmp_path) == ["data"]


def test_a_disk_without_room_is_told_in_one_line(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "disk", megabytes=1) as small:
        ran = run("restore", str(scene.archive), "--data", str(small / "data"))
        assert ran.code == 1
        assert "there is no room for it: it takes 3 MiB, and 1 are free" in ran.err
        monkeypatch.setattr(disk, "free_bytes", lambda folder: 2**40)
        ran = run("restore", str(scene.archive), "--data", str(small / "data"))
        assert ran.code == 1
        err = ran.err
        assert err.endswith(": backup.tar cannot be restored: No space left on device\n")
        assert err.count("\n") == 1
        assert left(small) == []


def test_while_it_is_restored_inside_no_server_starts_there(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "disk"
    inside(folder, monkeypatch)
    refusals = []

    def tell(step: str, done: int, total: int) -> None:
        with pytest.raises(database.Unusable) as caught:
            database.lock(folder)
        refusals.append(str(caught.value))

    restore(scene.archive, folder, tell)
    assert set(refusals) == {f"{folder}: another beseda serves from this folder."}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root restores into other people's folders")
@pytest.mark.parametrize("is_inside", [False, True])
def test_what_root_restores_into_somebodys_folder_is_theirs(
    scene: Scene, tmp_path: Path, is_inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    if is_inside:
        inside(folder, monkeypatch)
    else:
        folder.mkdir()
    os.chown(folder, 12345, 12345)
    restore(scene.archive, folder)
    assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {12345}
