"""The signing key's file."""

import logging
import os
import stat
from pathlib import Path

import pytest

from beseda.keys import FILE_NAME, derive, signing_key
from storage import Unusable
from tests.support.fixtures import StartServer


def test_the_first_start_makes_a_key_that_only_its_owner_may_use(tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    assert len(key) == 32
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_lax_umask_does_not_open_the_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        signing_key(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_the_key_stays_the_same(tmp_path: Path) -> None:
    assert signing_key(tmp_path) == signing_key(tmp_path)


def test_every_folder_has_a_key_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert signing_key(tmp_path / "a") != signing_key(tmp_path / "b")


def test_a_key_that_was_left_half_written_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / (FILE_NAME + ".new")).write_bytes(b"half")
    assert len(signing_key(tmp_path)) == 32
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_key_that_ought_to_be_there_and_is_not_is_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = signing_key(tmp_path)
    assert signing_key(tmp_path, is_expected=True) == key
    assert caplog.records == []
    (tmp_path / FILE_NAME).unlink()
    assert signing_key(tmp_path, is_expected=True) != key
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            f"{tmp_path / FILE_NAME} was missing, and a new one was made: everyone has to log in again",
        )
    ]


def test_a_server_whose_key_is_gone_says_so_and_no_other(start_server: StartServer) -> None:
    process = start_server()
    process.restart()
    assert "signing.key" not in process.output()
    assert process.stop() == 0
    (process.data_dir / FILE_NAME).unlink()
    process.start()
    assert process.output().count("signing.key was missing") == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o601])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    signing_key(tmp_path)
    (tmp_path / FILE_NAME).chmod(mode)
    with pytest.raises(Unusable, match=rf"signing\.key: .* open to others .*{mode:o}.*chmod 600"):
        signing_key(tmp_path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"k" * size)
    path.chmod(0o600)
    with pytest.raises(Unusable, match=rf"signing\.key: the signing key has {size} bytes instead of 32"):
        signing_key(tmp_path)


def test_a_key_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir(mode=0o700)
    with pytest.raises(Unusable, match=r"signing\.key: the signing key cannot be used: Is a directory"):
        signing_key(tmp_path)


def test_each_purpose_has_a_key_that_tells_nothing_of_the_others() -> None:
    key = b"k" * 32
    derived = {purpose: derive(key, purpose) for purpose in ("tokens", "links")}
    assert derived["tokens"] == derive(key, "tokens")
    assert len({key, *derived.values()}) == 3
    assert all(len(one) == 32 for one in derived.values())
