"""`beseda chat` as people talk in it: real terminals, a real server."""

import asyncio
import functools
import operator
import re
from pathlib import Path

from tests.beseda.client.chat.terminals import chat, register
from tests.support.fixtures import StartServer
from tests.support.rest import PASSWORD, Rest
from tests.support.server import ServerProcess
from tests.support.terminal import Terminal


async def test_two_people_meet_and_talk_and_a_dying_server_loses_and_doubles_nothing(
    fresh_server: ServerProcess, tmp_path: Path
) -> None:
    command = ("chat", fresh_server.base_url)
    async with (
        Terminal(*command, state=tmp_path) as ann,
        Terminal(*command, state=tmp_path, columns=120) as bob,
    ):
        await register(ann, "ann")
        assert PASSWORD.encode() not in ann.output
        await ann.until("/dm NAME")
        await register(bob, "bob")

        bob.write("/who")  # Who is about to write something is not taken elsewhere.
        await bob.until("> /who")
        ann.say("/dm bo")
        await ann.until("No message yet")
        ann.say("Tea at five?")
        await ann.until("Tea at five?  ✓✓ delivered")
        await bob.until("Choose a conversation")
        bob.press("ctrl-c")
        await bob.until("Tea at five?")
        await ann.until("Tea at five?  ✓✓ read")
        bob.write("Gla")
        await ann.until("bob is typing …")
        bob.say("dly, 蛋糕 too")
        await ann.until("Gladly, 蛋糕 too")
        await ann.until(lambda screen: "is typing" not in screen)

        fresh_server.port = int(fresh_server.base_url.rpartition(":")[2])
        await asyncio.to_thread(fresh_server.kill)
        await ann.until("NO CONNECTION")
        ann.say("said into the dark")
        await ann.until("said into the dark  · waiting")
        ann.press("ctrl-d")
        await ann.until("lost if you go")
        await asyncio.to_thread(fresh_server.start)
        await ann.until("said into the dark  ✓✓ read")
        await bob.until(lambda screen: screen.count("said into the dark") == 1)

        bob.say("/quit")
        assert await bob.ended() == 0
        assert bob.settings == bob.before


async def test_a_file_goes_up_and_comes_down_and_overwrites_nothing(rest: Rest, tmp_path: Path) -> None:
    ann, bob = await rest.people("ann", "bob")
    await rest.dialog(ann, bob)
    path = tmp_path / "my tea.bin"
    path.write_bytes(bytes(range(256)) * 1024)
    (tmp_path / "down").mkdir()
    async with chat(ann, tmp_path, columns=160) as here, chat(bob, tmp_path, columns=160) as there:
        await here.until("No message yet")
        await there.until("No message yet")
        here.write(f"/send {tmp_path}/my")
        await here.until(" my tea.bin")
        here.press("tab")
        await here.until('tea.bin"')
        here.say(" with cake")
        await here.until("256 KiB")
        screen = await there.until(
            lambda screen: re.search(r"with cake\n.*▣ my tea.bin  256 KiB  /save \d+", screen)
        )
        number = screen.partition("/save ")[2].split()[0]
        for saved in ("my tea.bin", "my tea (1).bin"):
            there.say(f"/save {number} {tmp_path}/down")
            await there.until(f"{saved}\n")
            assert (tmp_path / "down" / saved).read_bytes() == path.read_bytes()
        there.say(f"/save {number} '{path}'")
        await there.until("File exists")
        here.say("/send /nothing/there")
        await here.until("There is no file /nothing/there.")


async def test_what_others_write_never_commands_the_terminal(rest: Rest, tmp_path: Path) -> None:
    ann, bob = await rest.people("ann", "bob")
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    group = await rest.post("/chats", {"type": "group", "title": f"a{evil}b", "members": [ann.id]}, by=bob)
    await rest.send(bob, group.json()["id"], f"before {evil} after")
    async with chat(ann, tmp_path) as terminal:
        await terminal.until("31m after")
        terminal.say("/members")
        await terminal.until(f"{bob.username}  owner")
        for bad in (b"]0;owned\x07", b"\x9b", "\u202e".encode(), b"\x1b]0"):
            assert bad not in bytes(terminal.output)


async def test_one_reads_back_undisturbed_and_the_window_may_change_its_size(
    rest: Rest, tmp_path: Path
) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    for number in range(150):
        await rest.send(bob, dialog, f"line {number}.")
    async with chat(ann, tmp_path, columns=120) as terminal:
        await terminal.until("line 149.")
        while "line 0." not in terminal.text:
            shown = terminal.text
            terminal.press("pageup")
            await terminal.until(functools.partial(operator.ne, shown))
        await rest.send(bob, dialog, "newest")
        await terminal.until("1 new below", "line 0.")
        assert (await rest.history(bob, dialog))[0]["text"] == "newest"
        terminal.resize(60, 20)
        await terminal.until(
            lambda screen: "line 10." in screen and "│" not in screen.partition("\n")[2][:60]
        )
        terminal.press("escape")
        await terminal.until("newest")


async def test_without_colours_words_and_ticks_say_the_same(rest: Rest, tmp_path: Path) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    message = await rest.send(ann, dialog, "Tea?")
    await rest.post(f"/chats/{dialog}/read", {"message_id": message["id"]}, by=bob)
    async with chat(ann, tmp_path, NO_COLOR="1") as terminal:
        await terminal.until("Tea?  ✓✓ read")
        colours = {
            code for found in re.findall(rb"\x1b\[([\d;]+)m", terminal.output) for code in found.split(b";")
        }
        assert colours <= {b"0", b"1", b"2", b"4", b"7", b"39", b"49"}


async def test_a_group_is_made_led_and_left(rest: Rest, tmp_path: Path) -> None:
    ann, bob, carol, dave = await rest.people("ann", "bob", "carol", "dave")
    async with chat(ann, tmp_path) as terminal:
        await terminal.until("No conversation yet.")
        terminal.say("into the void")
        await terminal.until("No conversation is open: /dm NAME begins one.", "> into the void")
        terminal.press("ctrl-c")
        await terminal.until(lambda screen: "> into" not in screen)
        terminal.say(f'/group "Tea party" {bob.username} @{carol.username}')
        await terminal.until("Tea party  3 members")
        terminal.say("//dm is a command")
        await terminal.until("/dm is a command  ✓ sent")
        terminal.say("/nope")
        await terminal.until("There is no command /nope.")
        terminal.say(f"/add {dave.username}")
        await terminal.until("Tea party  4 members")
        terminal.say("/members")
        await terminal.until("owner  you", dave.username)
        terminal.say(f"/remove {bob.username}")
        await terminal.until("Tea party  3 members")
        terminal.say("/title Cake party")
        await terminal.until("Cake party  3 members")
        [view] = (await rest.get("/chats", carol)).json()
        assert (view["title"], set(view["members"])) == ("Cake party", {ann.id, carol.id, dave.id})
        await rest.post(f"/chats/{view['id']}/read", {"message_id": view["last_message"]["id"]}, by=carol)
        # Dave, who came later, has nothing left to read.
        await terminal.until("/dm is a command  ✓✓ read")
        terminal.say("/leave")
        await terminal.until("/leave again")
        terminal.say("/leave")
        await terminal.until("You left Cake party.")
        terminal.say(f"/who {carol.username[:5]}")
        await terminal.until("Names that begin with", carol.username)


async def test_who_is_taken_out_of_a_group_is_told(rest: Rest, tmp_path: Path) -> None:
    ann, bob = await rest.people("ann", "bob")
    group = {"type": "group", "title": "Team", "members": [ann.id]}
    number = (await rest.post("/chats", group, by=bob)).json()["id"]
    async with chat(ann, tmp_path) as terminal:
        await terminal.until("Team  2 members")
        await rest.delete(f"/chats/{number}/members/{ann.id}", by=bob)
        await terminal.until("You are no longer in Team.")
        await terminal.until("No conversation yet.")


async def test_one_walks_between_conversations_and_what_was_not_on_the_screen_is_not_read(
    rest: Rest, tmp_path: Path
) -> None:
    ann, bob, carol = await rest.people("ann", "bob", "carol")
    with_bob, with_carol = await rest.dialog(ann, bob), await rest.dialog(ann, carol)
    await rest.send(carol, with_carol, "from carol")
    await rest.send(bob, with_bob, "from bob")
    async with chat(ann, tmp_path) as terminal:
        await terminal.until("from bob")
        await terminal.until("1 unread elsewhere")
        unread = {view["id"]: view["unread_count"] for view in (await rest.get("/chats", ann)).json()}
        assert unread[with_carol] == 1
        terminal.press("ctrl-n")
        await terminal.until("from carol")
        await terminal.until(lambda screen: "unread elsewhere" not in screen)
        terminal.say(f"/open {bob.username[:3]}")
        await terminal.until("from bob")
        terminal.press("f1")
        await terminal.until("Commands and keys")
        terminal.press("escape")
        await terminal.until("from bob")
        terminal.press("alt-2")
        await terminal.until("from carol")


async def test_a_message_that_is_refused_says_why_and_the_next_one_goes(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server({"limits.message_chars": 20, "limits.frame_bytes": 1024})
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        dialog = await rest.dialog(ann, bob)
        async with chat(ann, tmp_path) as terminal:
            await terminal.until("No message yet")
            terminal.say("x" * 30)
            await terminal.until("✗ Not sent:")
            terminal.say("y" * 2000)
            await terminal.until("larger than this server takes")
            terminal.say("short enough")
            await terminal.until("short enough  ✓ sent")
        assert [message["text"] for message in await rest.history(ann, dialog)] == ["short enough"]


async def test_what_waits_and_what_failed_is_told_on_the_way_out(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        await rest.dialog(ann, bob)
    async with chat(ann, tmp_path) as terminal:
        await terminal.until("No message yet")
        await asyncio.to_thread(server.kill)
        await terminal.until("NO CONNECTION")
        terminal.say("never sent")
        await terminal.until("never sent  · waiting")
        await terminal.until(f"Nothing listens at {server.base_url}.")
        terminal.press("ctrl-d")
        await terminal.until(f"Nothing listens at {server.base_url}.", "Ctrl-D again")
        terminal.press("ctrl-d")
        assert await terminal.ended() == 0
        await terminal.until("Not sent: never sent")


async def test_what_comes_while_the_window_has_no_focus_is_read_only_when_one_is_back(
    rest: Rest, tmp_path: Path
) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    async with chat(ann, tmp_path) as here, chat(bob, tmp_path) as there:
        await here.until("No message yet")
        await there.until("No message yet")
        await here.until(lambda _: b"\x1b[?1004h" in here.output)
        here.press("blur")
        here.write("heard")  # What was pressed before this has been heard by then.
        await here.until("> heard")
        here.press("ctrl-c")
        there.say("Tea?")
        await here.until("Tea?")
        await there.until("Tea?  ✓✓ delivered")
        assert (await rest.get(f"/chats/{dialog}", ann)).json()["unread_count"] == 1
        here.press("focus")
        await there.until("Tea?  ✓✓ read")
        here.press("ctrl-d")
        assert await here.ended() == 0
        await here.until(lambda _: b"\x1b[?1004l" in here.output)
