"""Logins that are kept: private from the first moment, whole at every moment."""

import multiprocessing
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from beseda.client.chat.logins import Kept, Login

ANN = Login("http://127.0.0.1:8000", "ann@example.org", "ann", "access", "refresh")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "state" / "logins")


def test_what_is_kept_is_found_by_its_server_the_last_used_first(kept: Kept) -> None:
    bob = replace(ANN, email="bob@example.org", username="bob")
    elsewhere = replace(ANN, url="https://chat.example.org")
    for at, login in enumerate((ANN, bob, elsewhere)):
        kept.keep(login)
        os.utime(kept._path(login.url, login.email), (at, at))
    assert kept.all(ANN.url) == [bob, ANN]
    assert kept.all() == [elsewhere, bob, ANN]
    kept.keep(replace(ANN, access="newer"))
    assert [login.access for login in kept.all(ANN.url)] == ["newer", "access"]
    kept.forget(ANN.url, "ANN@example.org")
    assert kept.all(ANN.url) == [bob]


def test_nobody_else_can_read_it_whatever_the_umask(kept: Kept) -> None:
    kept.folder.mkdir(parents=True, mode=0o777)
    kept.folder.chmod(0o777)
    before = os.umask(0)
    try:
        kept.keep(ANN)
        assert kept.claim(ANN.url, ANN.email)
    finally:
        os.umask(before)
        kept.release()
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700
    files = list(kept.folder.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_it_is_private_before_a_single_byte_is_in_it(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    fdopen = os.fdopen

    def watched(descriptor: int, *arguments: str, **more: str) -> object:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return fdopen(descriptor, *arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "fdopen", watched)
    kept.keep(ANN)
    assert modes == [0o600]


def test_a_write_that_fails_leaves_the_last_one_whole_and_nothing_else(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.keep(ANN)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept.keep(replace(ANN, access="newer"))
    assert kept.all() == [ANN]
    assert len(list(kept.folder.iterdir())) == 1


def test_what_is_no_login_is_passed_over(kept: Kept) -> None:
    kept.keep(ANN)
    for name, text in {"a": "{", "b": "[]", "c": '{"url": "x"}', "d": "null"}.items():
        (kept.folder / f"{name}.json").write_text(text)
    assert kept.all() == [ANN]


def test_accounts_whose_names_look_alike_have_files_of_their_own(kept: Kept) -> None:
    for email in (
        "a/b@example.org",
        "a_b@example.org",
        "漢@example.org",
        "字@example.org",
        "x" * 250 + "@e.org",
    ):
        kept.keep(replace(ANN, email=email))
    assert len(kept.all()) == 5


def test_a_login_is_one_process_at_a_time(kept: Kept) -> None:
    assert kept.claim(ANN.url, ANN.email)
    assert kept.claim(ANN.url, ANN.email)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        free = pool.apply(_is_free, (kept.folder,))
        kept.release()
        free_later = pool.apply(_is_free, (kept.folder,))
    assert (free, free_later) == (False, True)
    assert kept.is_free(ANN.url, ANN.email)


def _is_free(folder: Path) -> bool:
    return Kept(folder).is_free(ANN.url, ANN.email)
