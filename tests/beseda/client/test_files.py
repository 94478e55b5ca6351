"""Files through the client class."""

from pathlib import Path

import pytest

from beseda.client import Rejected, files
from tests.beseda.client.conftest import Join

BYTES = bytes(range(256)) * 1000


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "café.png"
    path.write_bytes(BYTES)
    return path


async def test_a_file_goes_up_and_comes_down_whole_and_tells_its_progress(join: Join, photo: Path) -> None:
    ann, bob = await join("ann"), await join("bob")
    dialog = await ann.open_dialog((await bob.me())["id"])
    up: list[tuple[int, int]] = []
    down: list[tuple[int, int]] = []
    uploaded = await ann.upload(photo, progress=lambda *at: up.append(at))
    await ann.post(dialog["id"], "", [uploaded])
    [message] = await bob.history(dialog["id"])
    [attachment] = message["attachments"]
    assert (attachment["filename"], attachment["content_type"]) == ("café.png", "image/png")
    saved = photo.with_name("saved.png")
    await bob.download(attachment, saved, progress=lambda *at: down.append(at))
    assert saved.read_bytes() == BYTES
    for told in (up, down):
        assert told[-1] == (len(BYTES), len(BYTES))
        assert told == sorted(told)
        assert len(told) > 2


async def test_an_empty_file_of_no_known_type_is_a_file_too(join: Join, tmp_path: Path) -> None:
    ann = await join("ann")
    empty = tmp_path / "nothing.unheard-of"
    empty.touch()
    uploaded = await ann.upload(empty)
    message = await ann.post((await ann.create_group(None))["id"], "", [uploaded])
    assert message["attachments"][0]["size"] == 0
    assert message["attachments"][0]["content_type"] == "application/octet-stream"


async def test_a_download_overwrites_nothing(join: Join, photo: Path) -> None:
    ann = await join("ann")
    message = await ann.post((await ann.create_group(None))["id"], "", [await ann.upload(photo)])
    photo.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        await ann.download(message["attachments"][0], photo)
    assert photo.read_bytes() == b"mine"


async def test_a_download_that_breaks_off_leaves_no_half_of_a_file(join: Join, photo: Path) -> None:
    ann = await join("ann")
    message = await ann.post((await ann.create_group(None))["id"], "", [await ann.upload(photo)])

    def interrupt(done: int, size: int) -> None:
        assert 0 < done < size
        raise InterruptedError

    target = photo.with_name("half.png")
    with pytest.raises(InterruptedError):
        await ann.download(message["attachments"][0], target, progress=interrupt)
    assert not target.exists()


async def test_what_may_not_be_read_is_not_downloaded(join: Join, photo: Path) -> None:
    ann, eve = await join("ann"), await join("eve")
    message = await ann.post((await ann.create_group(None))["id"], "", [await ann.upload(photo)])
    with pytest.raises(Rejected) as caught:
        await eve.download(message["attachments"][0], photo.with_name("stolen.png"))
    assert caught.value.code == "not_found"
    assert not photo.with_name("stolen.png").exists()


async def test_a_file_that_changes_while_it_is_sent_is_refused_not_cut(
    join: Join, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await join("ann")
    monkeypatch.setattr(files, "CHUNK", 1000)

    def shrink(done: int, size: int) -> None:
        photo.write_bytes(b"less")

    with pytest.raises(OSError, match="changed while it was sent"):
        await ann.upload(photo, progress=shrink)
