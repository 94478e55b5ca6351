"""Making a backup: what is in it, and what is left when it can't be made."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from beseda.archives import ArchiveError, making, tar
from beseda.archives.making import make
from beseda.archives.opening import verify
from beseda.archives.workspace import PREFIX
from storage import gently
from storage.attachments import disk
from tests.beseda.archives.conftest import Scene
from tests.storage.test_migrations import build_first
from tests.support.archives import read
from tests.support.commands import run
from tests.support.disks import mounted

ROOT = Path(making.__file__).parents[2]
WAIT = 20


def left(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_has_the_database_the_key_every_file_that_was_sent_and_a_manifest(scene: Scene) -> None:
    names = list(scene.members)
    assert names[:2] == [tar.DATABASE, tar.KEY]
    assert names[-2:] == [tar.MANIFEST, tar.MANIFEST_SUM]
    kept = {data for name, data in scene.members.items() if tar.is_attachment(name)}
    assert kept == {b"x" * 2_500_000, b"small"}
    assert scene.members[tar.KEY] == (scene.folder / "signing.key").read_bytes()
    told = json.loads(scene.members[tar.MANIFEST])
    assert told["counts"] == {"users": 2, "conversations": 2, "messages": 9, "attachments": 3}
    assert told["on_s3"] == ["files/server/3-cc"]
    assert told["missing"] == []
    assert set(told["files"]) == set(names[:-2])


def test_a_backup_is_for_its_owner_alone(scene: Scene, tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        make(scene.folder, tmp_path / "b.tar")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    assert left(tmp_path) == ["b.tar"]


def test_whoever_has_no_beseda_at_hand_can_unpack_it_and_check_its_sum(scene: Scene, tmp_path: Path) -> None:
    with tarfile.open(scene.archive) as archive:
        archive.extractall(tmp_path, filter="data")
    assert (tmp_path / tar.KEY).read_bytes() == scene.members[tar.KEY]
    checked = subprocess.run(
        ["sha256sum", "-c", tar.MANIFEST_SUM], cwd=tmp_path, capture_output=True, check=False, timeout=WAIT
    )
    assert checked.returncode == 0


def test_a_file_that_is_larger_than_eight_gigabytes_has_a_place_in_it() -> None:
    assert tarfile.TarInfo.frombuf(tar.header("beseda.db", 2**40, 0), "utf-8", "strict").size == 2**40


def test_a_database_that_an_upgrade_waits_for_is_put_in_as_it_is(tmp_path: Path) -> None:
    build_first(tmp_path)
    manifest = make(tmp_path, tmp_path / "b.tar")
    assert manifest.db_schema == 1
    # Its key and its files were never there.
    assert manifest.missing == ["signing.key", "attachments/aa/bb"]
    assert verify(tmp_path / "b.tar") == manifest


def test_a_file_that_vanished_is_told_and_all_else_is_put_in(scene: Scene, tmp_path: Path) -> None:
    [name] = [name for name, data in scene.members.items() if data == b"small"]
    path = scene.folder / name
    path.unlink()
    try:
        ran = run("backup", "--data", str(scene.folder), str(tmp_path / "b.tar"))
        assert ran.code == 0
    finally:
        path.write_bytes(b"small")
    assert f"Not in it, as the server did not have them: {name}." in ran.out
    assert verify(tmp_path / "b.tar").missing == [name]
    assert set(read(tmp_path / "b.tar")) == set(scene.members) - {name}


def test_what_was_not_sent_may_vanish_at_any_moment(scene: Scene, tmp_path: Path) -> None:
    with closing(sqlite3.connect(scene.folder / tar.DATABASE)) as db:
        [(key,)] = db.execute("SELECT key FROM attachments WHERE message_id IS NULL").fetchall()
    assert (scene.folder / "attachments" / key).read_bytes() == b"not sent yet"
    (tmp_path / tar.DATABASE).write_bytes(scene.members[tar.DATABASE])
    with closing(sqlite3.connect(tmp_path / tar.DATABASE)) as db:
        assert db.execute("SELECT count(*) FROM attachments WHERE message_id IS NULL").fetchone() == (0,)


def test_a_file_is_replaced_only_by_force(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    file.write_text("precious")
    ran = run("backup", "--data", str(scene.folder), str(file))
    assert ran.code == 1
    assert ran.err == f"beseda: {file}: this file exists; with --force it is replaced\n"
    assert file.read_text() == "precious"
    ran = run("backup", "--force", "--json", "--data", str(scene.folder), str(file))
    assert ran.code == 0
    told = ran.json
    assert told["counts"]["messages"] == 9
    assert told["files"] == 4
    verify(file)


@pytest.mark.parametrize("name", ["beseda.db", "beseda.db-wal", "signing.key", "attachments/ab"])
def test_no_force_puts_a_backup_in_the_place_of_what_it_is_of(scene: Scene, name: str) -> None:
    before = {path: path.read_bytes() for path in scene.folder.rglob("*") if path.is_file()}
    file = scene.folder / name
    ran = run("backup", "--force", "--data", str(scene.folder), str(file))
    assert (ran.code, ran.err) == (1, f"beseda: {file}: this is the server's own; name another file\n")
    assert {path: path.read_bytes() for path in scene.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_what_is_no_plain_file_is_not_replaced(scene: Scene, tmp_path: Path, force: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        ran = run("backup", *force, "--data", str(scene.folder), str(tmp_path / name))
        assert ran.code == 1
        assert ran.err.startswith(f"beseda: {tmp_path / name}: this is no plain file")
    assert left(tmp_path) == ["link", "pipe"]
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("file", "reason"), [("none/b.tar", "there is no folder"), (".", "this is a folder; name a file")]
)
def test_a_place_where_no_file_can_be_is_refused(
    scene: Scene, tmp_path: Path, file: str, reason: str
) -> None:
    with pytest.raises(ArchiveError, match=reason):
        make(scene.folder, tmp_path / file)
    assert left(tmp_path) == []


def test_a_folder_without_a_server_in_it_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"/none/beseda\.db: there is no database"):
        make(tmp_path / "none", tmp_path / "b.tar")
    assert left(tmp_path) == []


def test_a_damaged_database_makes_no_backup(scene: Scene, tmp_path: Path) -> None:
    whole = scene.members[tar.DATABASE]
    (tmp_path / tar.DATABASE).write_bytes(whole[:8192] + b"\xa5" * 4096 + whole[12_288:])
    with pytest.raises(ArchiveError, match=r"/beseda\.db: the database"):
        make(tmp_path, tmp_path / "b.tar")
    assert left(tmp_path) == [tar.DATABASE]


def test_a_disk_without_room_is_told_before_it_is_filled(scene: Scene, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", megabytes=4) as small:
        ran = run("backup", "--data", str(scene.folder), str(small / "b.tar"))
        assert ran.code == 1
        assert left(small) == []
    err = ran.err
    assert err.startswith(f"beseda: {small}: there is no room: the backup takes ")
    assert err.count("\n") == 1


def test_a_disk_that_fills_meanwhile_is_told_in_one_line(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 2**40)
    with mounted(tmp_path / "disk", megabytes=1) as small:
        file = small / "b.tar"
        ran = run("backup", "--data", str(scene.folder), str(file))
        assert ran.code == 1
        line = f"beseda: {file}: the backup cannot be made: No space left on device\n"
        assert ran.err == line
        # And in the midst of the copy of the database.
        (small / "filler").write_bytes(bytes(1024 * 1000))
        ran = run("backup", "--data", str(scene.folder), str(file))
        assert ran.code == 1
        assert ran.err == line
        assert left(small) == ["filler"]


STOPPED = """
import os, signal, sys
from beseda import cli
from storage import gently, watched
at, number = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
# Whoever started the tests may have had it ignored, as shells do for what runs in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
watched.STEPS = 10
plain = gently.to_disk

def here(*arguments, **more):
    os.kill(os.getpid(), number)
    plain(*arguments, **more)

gently.PIECE_BYTES = 1 if at == "copy" else 1_000_000
gently.to_disk = here
cli.main()
"""


@pytest.mark.parametrize(
    ("at", "number", "code"),
    [
        ("copy", signal.SIGTERM, 143),
        ("archive", signal.SIGINT, 130),
        ("archive", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_an_interrupted_backup_leaves_nothing_under_its_name_and_the_next_one_clears_up(
    scene: Scene, tmp_path: Path, at: str, number: int, code: int
) -> None:
    file = tmp_path / "b.tar"
    command = [sys.executable, "-c", STOPPED, at, str(int(number))]
    command += ["backup", "--data", str(scene.folder), str(file)]
    stopped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT, check=False)
    assert (stopped.returncode, stopped.stderr) == (code, "")
    if number == signal.SIGKILL:
        [unfinished] = left(tmp_path)
        assert unfinished.startswith(PREFIX)
        make(scene.folder, file)
        assert left(tmp_path) == ["b.tar"]
    else:
        assert left(tmp_path) == []


def test_what_another_backup_works_on_is_left_alone(scene: Scene, tmp_path: Path) -> None:
    others = iter([tmp_path / "other.tar"])

    def tell(step: str, done: int, total: int) -> None:
        for other in others:
            make(scene.folder, other)

    make(scene.folder, tmp_path / "b.tar", tell=tell)
    assert left(tmp_path) == ["b.tar", "other.tar"]
    verify(tmp_path / "b.tar")


def test_what_is_written_goes_to_the_disk_piece_by_piece(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = []
    monkeypatch.setattr(gently, "PIECE_BYTES", 500_000)
    monkeypatch.setattr(gently, "to_disk", lambda *arguments, **more: pieces.append(arguments))
    make(scene.folder, tmp_path / "b.tar")
    assert len(pieces) >= 2
