"""Files that the chat sends and saves."""

import asyncio
from pathlib import Path

import pytest

from beseda.client.chat import files
from tests.beseda.client.chat.desks import Desk, desk
from tests.support.fixtures import StartServer
from tests.support.rest import Rest


async def sent(here: Desk, path: Path, text: str = "") -> int:
    """The number of a file that was sent into a new conversation with oneself as its only member."""
    await here.do("/group Files")
    assert await here.do(f"/send {path} {text}") == ""
    await here.until(lambda: here.open.messages)
    return here.open.messages[-1]["attachments"][0]["id"]


async def test_a_file_travels_with_its_text_and_its_progress_shows(rest: Rest, tmp_path: Path) -> None:
    tea = tmp_path / "tea.txt"
    tea.write_bytes(b"tea " * 100_000)
    shown: list[str] = []
    async with desk(await rest.register()) as here:
        here.chat.application.after_render += lambda _: shown.extend(here.view.transfers.values())
        number = await sent(here, tea, "Look at  this")
        message = here.open.messages[-1]
        assert message["text"] == "Look at  this"
        assert (message["attachments"][0]["filename"], message["attachments"][0]["size"]) == (
            "tea.txt",
            400_000,
        )
        assert await here.do(f"/save #{number} {tmp_path}/copy") == f"Saved as {tmp_path}/copy"
        assert (tmp_path / "copy").read_bytes() == tea.read_bytes()
        await here.until(lambda: not here.view.transfers)
    assert any(line.startswith("sending tea.txt") for line in shown)
    assert any(line.startswith("saving copy") for line in shown)


async def test_what_can_not_be_sent_is_told_and_sends_nothing(rest: Rest, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    async with desk(await rest.register()) as here:
        await here.do("/group Files")
        for path, told in (
            (f"{tmp_path}", f"There is no file {tmp_path}."),
            (f"{tmp_path}/none", f"There is no file {tmp_path}/none."),
            ("~nobody-here/tea", "Whose home is ~nobody-here/tea?"),
        ):
            assert await here.do(f"/send {path}") == told
            assert here.view.is_error
        assert not here.model.outbox
        assert not here.view.transfers


async def test_what_can_not_be_saved_is_told_and_overwrites_nothing(rest: Rest, tmp_path: Path) -> None:
    tea = tmp_path / "tea.txt"
    tea.write_text("tea")
    async with desk(await rest.register()) as here:
        number = await sent(here, tea)
        tea.write_text("better tea")
        assert await here.do(f"/save {number} {tea}") == f"{tea}: File exists."
        assert tea.read_text() == "better tea"
        missing = tmp_path / "no" / "folder" / "tea"
        assert await here.do(f"/save {number} {missing}") == f"{missing}: No such file or directory."
        assert "No file 999999 is loaded here" in await here.do("/save 999999")
        assert "No file tea is loaded here" in await here.do("/save tea")


async def test_a_file_without_a_path_goes_to_the_downloads_under_a_free_name(
    rest: Rest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tea, here_folder, downloads = tmp_path / "tea.txt", tmp_path / "here", tmp_path / "downloads"
    tea.write_text("tea")
    here_folder.mkdir()
    monkeypatch.chdir(here_folder)
    monkeypatch.setattr(files, "user_downloads_path", lambda: downloads)
    async with desk(await rest.register()) as here:
        number = await sent(here, tea)
        assert await here.do(f"/save {number}") == f"Saved as {here_folder}/tea.txt"
        downloads.mkdir()
        assert await here.do(f"/save {number}") == f"Saved as {downloads}/tea.txt"
        assert await here.do(f"/save {number}") == f"Saved as {downloads}/tea (1).txt"
    assert [path.read_text() for path in (*downloads.iterdir(), *here_folder.iterdir())] == ["tea"] * 3


async def test_a_file_that_is_too_large_or_for_which_nobody_answers_is_told(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server({"attachments.max_bytes": 1000})
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * 1000)
    large.write_bytes(b"x" * 1001)
    async with Rest(server) as rest:
        ann = await rest.register()
    async with desk(ann) as here:
        number = await sent(here, small)
        assert "1000" in await here.do(f"/send {large}")
        assert here.view.is_error
        await asyncio.to_thread(server.kill)
        for command in (f"/send {small}", f"/save {number} {tmp_path}/saved"):
            assert await here.do(command) == f"Nothing listens at {server.base_url}. Is the server running?"
        assert not (tmp_path / "saved").exists()
        assert not here.view.transfers
