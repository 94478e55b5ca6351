"""How `beseda chat` starts and ends: accounts, addresses, signals; in real terminals, at a real server."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beseda.client.chat.logins import Kept, Login
from tests.beseda.client.chat.terminals import chat, keep
from tests.support.rest import PASSWORD, Rest
from tests.support.server import ROOT, ServerProcess
from tests.support.terminal import Terminal


async def test_a_login_is_kept_and_a_second_terminal_is_asked_who_it_is(
    server: ServerProcess, rest: Rest, tmp_path: Path
) -> None:
    ann, bob = await rest.people("ann", "bob")
    folder = keep(ann, tmp_path)
    async with Terminal("chat", state=tmp_path) as first:
        await first.until(f"{ann.username} at ")
        async with Terminal("chat", state=tmp_path) as second:
            await second.until(f"{ann.email} ({ann.username}) is open in another terminal")
            await second.answer("(r)?", "l")
            await second.answer("Email:", bob.email)
            await second.answer("Password:", "a wrong one")
            await second.until("mail or password")
            await second.answer("Email:", bob.email)
            await second.answer("Password:", PASSWORD)
            await second.until(f"{bob.username} at ")
            assert {login.email for login in Kept(folder).all()} == {ann.email, bob.email}
            second.say("/logout")
            assert await second.ended() == 0
            await second.until("Logged out.")
        assert [login.email for login in Kept(folder).all()] == [ann.email]


async def test_the_same_person_in_two_terminals_has_two_sessions(rest: Rest, tmp_path: Path) -> None:
    ann = await rest.register("ann")
    async with chat(ann, tmp_path) as first:
        await first.until("● online")
        async with Terminal("chat", "--as", ann.email, state=tmp_path) as second:
            await second.answer("(r)?", "l")
            await second.answer("Password:", PASSWORD)
            await second.until("● online")
            # Two that share one session's tokens would end it for both.
            assert len((await rest.get("/auth/sessions", ann)).json()) == 2
            second.press("ctrl-d")
            assert await second.ended() == 0
            await second.until(lambda _: b"this login ends when you leave" in second.output)
        [session] = (await rest.get("/auth/sessions", ann)).json()
        assert session["current"]


async def test_a_session_that_is_ended_elsewhere_leads_back_to_the_login(rest: Rest, tmp_path: Path) -> None:
    ann = await rest.register("ann")
    async with chat(ann, tmp_path) as terminal:
        await terminal.until("● online")
        await rest.post("/auth/logout", by=ann)
        await terminal.until("has ended: log in again")
        await terminal.answer("(r)?", "l")
        await terminal.answer("Password:", PASSWORD)
        await terminal.until("● online")
    # And so does one that was ended while nobody chatted.
    async with chat(ann, tmp_path) as terminal:
        await terminal.until("has ended: log in again")


async def test_a_registration_is_corrected_field_by_field(
    rest: Rest, server: ServerProcess, tmp_path: Path
) -> None:
    ann = await rest.register("ann")
    async with Terminal("chat", server.base_url, state=tmp_path) as terminal:
        await terminal.answer("(r)?", "what")
        await terminal.answer("(r)?", "r")
        await terminal.answer("Email:", ann.email)
        await terminal.answer("Username:", "x")
        await terminal.answer("more):", PASSWORD)
        await terminal.answer("once more:", "another")
        await terminal.until("two different ones")
        await terminal.answer("more):", PASSWORD)
        await terminal.answer("once more:", PASSWORD)
        await terminal.until("username: ")
        await terminal.answer("Username:", f"{ann.username}.x")
        await terminal.until("account with this email")
        await terminal.answer("Email:", f"x{ann.email}")
        await terminal.until("● online")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
async def test_a_signal_leaves_the_terminal_clean(rest: Rest, tmp_path: Path, number: signal.Signals) -> None:
    ann = await rest.register("ann")
    async with chat(ann, tmp_path) as terminal:
        await terminal.until("● online")
        assert terminal.settings != terminal.before
        terminal.signal(number)
        assert await terminal.ended() == 128 + number
        assert terminal.settings == terminal.before
        await terminal.until(lambda _: b"\x1b[?1049l" in terminal.output)
        assert b"Traceback" not in terminal.output


async def test_a_wrong_address_is_one_sentence_and_exits_1(tmp_path: Path) -> None:
    for url, sentence in (
        ("http://127.0.0.1:1", "Nothing listens at http://127.0.0.1:1."),
        ("ftp://x", "This is no server's address: 'ftp://x'."),
    ):
        async with Terminal("chat", url, state=tmp_path, columns=200) as terminal:
            assert await terminal.ended() == 1
            screen = await terminal.until(sentence)
            assert "Traceback" not in screen


async def test_without_a_url_there_must_be_one_server_that_is_known(tmp_path: Path) -> None:
    async with Terminal("chat", state=tmp_path) as terminal:
        assert await terminal.ended() == 2
        await terminal.until("Which server? For example: beseda chat http://127.0.0.1:8000")
    kept = Kept(tmp_path / "beseda" / "logins")
    for port in (1, 2):
        kept.keep(Login(f"http://127.0.0.1:{port}", "ann@example.org", "ann", "", ""))
    async with Terminal("chat", state=tmp_path) as terminal:
        assert await terminal.ended() == 2
        await terminal.until("Which server? You know http://127.0.0.1:1, http://127.0.0.1:2.")


def test_it_wants_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "beseda", "chat", "http://127.0.0.1:1"],
        cwd=ROOT, input="", capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "beseda: chat needs a terminal, at its input and its output.\n"


async def test_ctrl_c_at_a_question_ends_it_without_a_trace(server: ServerProcess, tmp_path: Path) -> None:
    async with Terminal("chat", server.base_url, state=tmp_path) as terminal:
        await terminal.until("(r)?")
        terminal.press("ctrl-c")
        assert await terminal.ended() == 1
        await terminal.until("Left without logging in.")
        assert terminal.settings == terminal.before
