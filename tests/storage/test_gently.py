"""Large files that are written and removed piece by piece."""

import fcntl
import os
from pathlib import Path

import pytest

from storage import gently

SIZE = 3 * gently.FREED_BYTES + 5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A large file."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * SIZE)
    return path


@pytest.fixture
def sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Those that files had each time that something was to be seen on the disk."""
    with (tmp_path / "lease").open("wb") as probe:
        try:
            fcntl.fcntl(probe, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except (OSError, AttributeError):
            pytest.skip("this file system can't tell whether somebody reads a file")
    seen: list[int] = []
    monkeypatch.setattr(gently, "to_disk", lambda descriptor: seen.append(os.fstat(descriptor).st_size))
    return seen


def test_a_file_is_removed_piece_by_piece(file: Path, sizes: list[int]) -> None:
    gently.remove(file)
    assert not file.exists()
    assert sizes == [SIZE - gently.FREED_BYTES, SIZE - 2 * gently.FREED_BYTES, 5, 0]


def test_what_a_file_replaces_is_removed_piece_by_piece(file: Path, sizes: list[int]) -> None:
    new = file.with_name("new")
    new.write_text("new")
    gently.replace(new, file)
    assert file.read_text() == "new"
    assert not new.exists()
    assert sizes[-1] == 0


def test_a_name_that_nothing_has_is_simply_given(file: Path) -> None:
    target = file.with_name("target")
    gently.replace(file, target)
    assert target.stat().st_size == SIZE
    assert not file.exists()


def test_what_has_another_name_stays_whole(file: Path) -> None:
    other = file.with_name("other")
    other.hardlink_to(file)
    gently.remove(file)
    assert other.stat().st_size == SIZE


def test_who_is_reading_a_file_reads_it_to_its_end(file: Path) -> None:
    with file.open("rb") as reader:
        gently.remove(file)
        assert len(reader.read()) == SIZE
    with pytest.raises(FileNotFoundError):
        gently.remove(file)
