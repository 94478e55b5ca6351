"""Checking a backup: whatever is wrong with it is found, and its place is named."""

import itertools
import json
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beseda.archives import ArchiveError, tar
from beseda.archives.opening import verify
from tests.beseda.archives.conftest import Scene
from tests.support.archives import Members, described, with_sql, write
from tests.support.commands import run

Described = dict[str, Any]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def refused(path: Path) -> str:
    """Why an archive is refused: one line that begins with its name."""
    with pytest.raises(ArchiveError) as caught:
        verify(path)
    reason = str(caught.value)
    assert reason.startswith(f"{path}: ")
    assert "\n" not in reason
    return reason.removeprefix(f"{path}: ")


def test_a_whole_backup_is_told_what_is_in_it(scene: Scene, scratch: Path) -> None:
    ran = run("verify", str(scene.archive))
    assert ran.code == 0
    _, out, err = ran
    assert out.startswith(
        f"{scene.archive} is whole, and has 2 users, 2 conversations, 9 messages and 2 files, as of "
    )
    assert out.endswith("1 files are on S3, and not in it.\n")
    assert not err
    assert list(scratch.iterdir()) == []
    ran = run("verify", "--json", str(scene.archive))
    assert ran.code == 0
    assert ran.json["counts"]["messages"] == 9


def test_a_flipped_byte_is_found_in_whichever_file_it_is_and_that_is_named(
    scene: Scene, tmp_path: Path
) -> None:
    path = tmp_path / "b.tar"
    for name, data in scene.members.items():
        for place in {0, len(data) // 2, len(data) - 1}:
            flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            write(path, (scene.members | {name: flipped}).items())
            told = tar.MANIFEST if name == tar.MANIFEST_SUM else name
            assert refused(path).startswith(f"{told} is damaged: "), (name, place)


def test_a_flipped_byte_in_what_stands_before_a_file_is_found(scene: Scene, tmp_path: Path) -> None:
    path, data = tmp_path / "b.tar", scene.archive.read_bytes()
    at, places = 0, []
    for name, member in scene.members.items():
        places.append((name, at))
        at += tar.BLOCK + len(member) + len(tar.padding(len(member)))
    for (before, _), (_, place) in itertools.pairwise(places):
        for offset in (0, 130, 156, 300):
            here = place + offset
            path.write_bytes(data[:here] + bytes([data[here] ^ 1]) + data[here + 1 :])
            assert refused(path) == f"the archive is damaged after {before}"


@pytest.mark.parametrize(
    "name", ["beseda.db", "signing.key", "attachments/", "manifest.json", "manifest.sha256"]
)
def test_a_file_that_is_missing_is_named(scene: Scene, tmp_path: Path, name: str) -> None:
    [gone, *_] = [each for each in scene.members if each.startswith(name)]
    left = [(each, data) for each, data in scene.members.items() if each != gone]
    assert refused(write(tmp_path / "b.tar", left)).startswith(f"{gone} is missing")


def test_a_file_that_is_missing_from_the_manifest_too_is_named(scene: Scene, tmp_path: Path) -> None:
    name = next(filter(tar.is_attachment, scene.members))
    left = {each: data for each, data in scene.members.items() if each != name}
    path = write(tmp_path / "b.tar", described(left).items())
    assert refused(path) == f"{name} is missing, though beseda.db names it"


def test_a_backup_that_is_cut_short_is_refused_wherever_the_cut_is(scene: Scene, tmp_path: Path) -> None:
    path, data = tmp_path / "b.tar", scene.archive.read_bytes()
    whole = len(data) - len(tar.END)
    for length in (1, 511, 512, 5000, 200_000, 2_600_000, whole - 600, whole - 100, whole):
        path.write_bytes(data[:length])
        assert "cut short" in refused(path), length
    path.write_bytes(data[:200_000])
    assert "cut short in attachments/" in refused(path)


@pytest.mark.parametrize("data", [b"", b"no tar", b"x" * 2000, bytes(2000)])
def test_what_is_no_backup_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(data)
    assert any(word in refused(path) for word in ("no backup", "cut short", "is missing"))


def test_another_programs_archive_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.add(__file__, "hello.py")
    assert refused(tmp_path / "b.tar") == "this is no backup of Beseda's"


@pytest.mark.parametrize(
    ("place", "reason"),
    [("none.tar", "the file cannot be read: No such file or directory"), ("tmp", "this is no file")],
)
def test_what_is_not_there_or_no_file_is_told_in_one_line(tmp_path: Path, place: str, reason: str) -> None:
    ran = run("verify", str(tmp_path / place))
    assert ran.code == 1
    assert ran == (1, "", f"beseda: {tmp_path / place}: {reason}\n")


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "attachments/../../evil",
        "attachments/aa/../../../1-aa0123456789abcdef0123456789abcd",
        "attachments/aa/1-bb0123456789abcdef0123456789abcd",
        "attachments/aa/1-aa0123456789abcdef0123456789abcd\n",
        "beseda.db-wal",
        "lock",
        "",
    ],
)
def test_a_name_that_is_none_of_ours_is_refused_before_anything_is_done_with_it(
    scene: Scene, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / "b.tar", described(scene.members | {name: b"evil"}).items())
    assert refused(path) == f"{name!r} is no name of a file in a backup of Beseda's"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE, b"x"]
)
def test_links_devices_and_the_like_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("beseda.db")
    info.type, info.linkname, info.size = kind, "/etc/passwd", 2**40
    (tmp_path / "b.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + tar.END)
    assert refused(tmp_path / "b.tar").startswith("beseda.db is no plain file")


def test_a_file_that_claims_to_be_larger_than_the_archive_takes_no_more_room_than_that(
    scene: Scene, tmp_path: Path
) -> None:
    (tmp_path / "b.tar").write_bytes(tar.header("beseda.db", 2**50, 0) + b"little")
    assert "cut short in beseda.db" in refused(tmp_path / "b.tar")
    (tmp_path / "b.tar").write_bytes(tar.header("manifest.json", 2**40, 0))
    assert "impossible size" in refused(tmp_path / "b.tar")


def test_a_file_that_is_in_it_twice_is_refused(scene: Scene, tmp_path: Path) -> None:
    members = [("signing.key", b"k" * 32), *scene.members.items()]
    assert refused(write(tmp_path / "b.tar", members)) == "signing.key is in it twice"


def test_a_file_that_nobody_names_is_refused(scene: Scene, tmp_path: Path) -> None:
    name = "attachments/aa/99-aa0123456789abcdef0123456789abcd"
    path = write(tmp_path / "b.tar", [(name, b"more"), *scene.members.items()])
    assert refused(path) == f"{name} is in it, but not in its manifest.json"
    path = write(path, described(scene.members | {name: b"more"}).items())
    assert refused(path) == f"{name} has 4 bytes; beseda.db knows of none"


def test_a_file_of_another_size_than_the_database_knows_is_refused(scene: Scene, tmp_path: Path) -> None:
    [name] = [name for name, data in scene.members.items() if data == b"small"]
    path = write(tmp_path / "b.tar", described(scene.members | {name: b"smaller"}).items())
    assert refused(path) == f"{name} has 7 bytes; beseda.db knows of 5"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (
            "UPDATE messages SET seq = 9 WHERE text = 'message 3'",
            "beseda.db: conversation {group}: message 7 has seq 9 instead of 4",
        ),
        (
            "DELETE FROM messages WHERE text = 'message 3'",
            "beseda.db: conversation {group}: message 8 has seq 5 instead of 4",
        ),
        (
            "UPDATE conversations SET last_seq = 1 WHERE type = 'group'",
            "beseda.db: conversation {group}: last_seq is 1 instead of 8",
        ),
        (
            "UPDATE conversations SET last_message_id = 1 WHERE type = 'group'",
            "beseda.db: conversation {group}: last_message_id is 1 instead of 11",
        ),
        (
            "UPDATE conversations SET member_count = 3 WHERE type = 'group'",
            "beseda.db: conversation {group}: member_count is 3 instead of 2",
        ),
        (
            "INSERT INTO messages VALUES (-1, 77, 1, 1, 0, 0, NULL, '')",
            "beseda.db: conversation 77 has messages, but is not there",
        ),
        (
            "UPDATE log SET last_event_id = 10",
            "beseda.db: messages.id is 11 somewhere, but the log ends with event 10",
        ),
        (
            "DELETE FROM users WHERE id = 2",
            "beseda.db: the database is damaged: row ",
        ),
        ("DELETE FROM log", "beseda.db: the database is damaged: its log has no name"),
        ("PRAGMA application_id = 1", "beseda.db: this is no database of Beseda's"),
        ("PRAGMA user_version = 99", "beseda.db: the database is of a later version of Beseda (schema 99"),
        ("DROP TABLE events", "beseda.db: the database cannot be read: no such table: events"),
    ],
)
def test_a_database_that_contradicts_itself_is_refused_though_its_sum_is_right(
    scene: Scene, tmp_path: Path, statement: str, reason: str
) -> None:
    path = write(tmp_path / "b.tar", with_sql(scene.members, tmp_path, statement).items())
    assert refused(path).startswith(reason.format(group=scene.conversation_id))


def test_a_damaged_page_of_the_database_is_found_though_its_sum_is_right(
    scene: Scene, tmp_path: Path
) -> None:
    data = scene.members[tar.DATABASE]
    damaged = scene.members | {tar.DATABASE: data[:4096] + b"\xa5" * 4096 + data[8192:]}
    assert refused(write(tmp_path / "b.tar", described(damaged).items())).startswith(
        "beseda.db: the database "
    )


def change(name: str, value: object) -> Callable[[Described], object]:
    """Set something in a manifest: `counts.users`."""

    def apply(told: Described) -> None:
        *tables, last = name.split(".")
        for table in tables:
            told = told[table]
        told[last] = value

    return apply


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("counts.users", 3, "manifest.json: counts.users is 3, but beseda.db has 2"),
        ("counts.messages", 8, "manifest.json: counts.messages is 8, but beseda.db has 9"),
        ("log.last_event_id", 1, "manifest.json: log.last_event_id is 1, but beseda.db has 11"),
        ("log.name", "x", "manifest.json: log.name is x, but beseda.db has "),
        ("schema", 1, "manifest.json: schema is 1, but beseda.db has "),
        ("on_s3", [], "manifest.json: on_s3 is [], but beseda.db has "),
        ("counts", None, "manifest.json is damaged: counts: "),
        ("created_at", "yesterday", "manifest.json is damaged: created_at: "),
        ("format", 2, "Beseda unknown made this in format 2, and this version reads 1: use that version"),
    ],
)
def test_a_manifest_that_is_not_true_is_refused(
    scene: Scene, tmp_path: Path, name: str, value: object, reason: str
) -> None:
    members: Members = described(scene.members, change(name, value))
    told = json.loads(members[tar.MANIFEST])["beseda"]
    assert refused(write(tmp_path / "b.tar", members.items())).startswith(reason.replace("unknown", told))


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(scene: Scene, tmp_path: Path, data: bytes) -> None:
    from beseda.archives.manifest import digest_line

    members = scene.members | {tar.MANIFEST: data, tar.MANIFEST_SUM: digest_line(data)}
    assert refused(write(tmp_path / "b.tar", members.items())).startswith("manifest.json is damaged: ")


def test_what_follows_the_end_is_no_part_of_it(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(scene.archive.read_bytes() + tar.header("../evil", 0, 0))
    verify(tmp_path / "b.tar")


def test_without_room_for_the_database_it_is_said_where_room_is_needed(
    scene: Scene, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(scratch / "none"))
    with pytest.raises(ArchiveError, match="TMPDIR names another folder for its database"):
        verify(scene.archive)
