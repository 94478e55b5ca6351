"""What each command does, and what it answers where it can't."""

from pathlib import Path

from tests.beseda.client.chat.desks import desk
from tests.support.rest import Rest


async def test_a_dialog_opens_with_the_only_one_whose_name_begins_so(rest: Rest) -> None:
    ann, zoe = await rest.people("ann", "zoe")
    async with desk(ann) as here:
        assert await here.do("/dm @ZOE") == ""
        assert here.open.others(ann.id) == [zoe.id]
        first = here.open.id
        assert await here.do(f"/dm {zoe.username}") == ""
        assert here.open.id == first


async def test_a_name_that_fits_nobody_or_several_opens_nothing(rest: Rest) -> None:
    ann, first, second = await rest.people("ann", "twin", "twin")
    async with desk(ann) as here:
        assert await here.do("/dm nobody-here") == "There is nobody called nobody-here."
        told = await here.do("/dm twin")
        assert first.username in told
        assert second.username in told
        assert told.endswith(": type more of the name.")
        assert await here.do(f"/dm {ann.username}") == "That is you."
        assert here.view.is_error
        assert not here.model.conversations


async def test_a_whole_name_is_enough_even_where_others_begin_with_it(rest: Rest) -> None:
    ann, _ = await rest.people("ann", "lone")
    short = await rest.register("lon")
    async with desk(ann) as here:
        assert await here.do(f"/dm {short.username}") == ""
        assert here.open.others(ann.id) == [short.id]


async def test_what_is_done_in_a_conversation_needs_an_open_one_and_in_a_group_a_group(
    rest: Rest, tmp_path: Path
) -> None:
    ann, bob = await rest.people("ann", "bob")
    tea = tmp_path / "tea.txt"
    tea.write_text("tea")
    async with desk(ann) as here:
        for command in ("/members", "/save 1", f"/send {tea}", "/leave", "/title Tea"):
            assert await here.do(command) == "No conversation is open: /dm NAME begins one."
        await here.do(f"/dm {bob.username}")
        for command in (f"/add {bob.username}", f"/remove {bob.username}", "/title Tea", "/leave"):
            assert await here.do(command) == "This is no group. /group TITLE NAME… makes one."


async def test_a_group_is_not_made_while_one_of_its_names_is_unknown(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    async with desk(ann) as here:
        told = await here.do(f'/group "Tea party" {bob.username} nobody-here')
        assert told == "There is nobody called nobody-here."
        assert (await rest.get("/chats", ann)).json() == []
        assert await here.do(f'/group "Tea party" {bob.username}') == ""
        assert (here.open.title, set(here.open.members)) == ("Tea party", {ann.id, bob.id})
        assert (await here.do(f"/group {'x' * 1000}")).startswith("title: ")


async def test_a_conversation_opens_by_its_number_its_beginning_or_a_part_of_it(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    team = await rest.group(ann, bob, title="Team of tea")
    cake = await rest.group(ann, bob, title="Ship's CAKE")
    async with desk(ann) as here:
        for wanted, opened in (("1", cake), ("2", team), ("ship", cake), ("OF TEA", team), ("cake", cake)):
            assert await here.do(f"/open {wanted}") == ""
            assert here.open.id == opened
        told = await here.do("/open 99")
        assert told == "None of your conversations is called 99. /dm 99 begins one."
        assert here.open.id == cake


async def test_a_search_tells_who_is_online_or_that_there_is_nobody(rest: Rest) -> None:
    ann, quinn = await rest.people("ann", "quinn")
    await rest.dialog(ann, quinn)
    async with desk(quinn), desk(ann) as here:
        await here.do("/who @quinn")
        assert here.overlay == ["Names that begin with @quinn", f"● {quinn.username}"]
        assert await here.do("/who nobody-here") == "Nobody's name begins with nobody-here."
        assert here.view.overlay is None


async def test_the_members_of_a_group_are_told_with_the_owner_and_oneself(rest: Rest) -> None:
    ann, bob, carol = await rest.people("ann", "bob", "carol")
    await rest.group(bob, ann, carol)
    async with desk(ann) as here:
        await here.do("/members")
        title, *rows = here.overlay
        assert title == "3 in Team"
        expected = {f"● {ann.username}  you", f"  {bob.username}  owner", f"  {carol.username}"}
        assert set(rows) == expected


async def test_an_owner_adds_several_removes_one_and_gives_a_title(rest: Rest) -> None:
    ann, bob, carol = await rest.people("ann", "bob", "carol")
    await rest.group(ann)
    async with desk(ann) as here:
        assert await here.do(f"/add {bob.username} {carol.username}") == (
            f"Added: {bob.username}, {carol.username}."
        )
        assert set(here.open.members) == {ann.id, bob.id, carol.id}
        assert await here.do(f"/remove @{bob.username}") == f"Removed: {bob.username}."
        await here.until(lambda: set(here.open.members) == {ann.id, carol.id})
        assert await here.do("/title Tea  at five") == ""
        assert here.open.title == "Tea at five"
        assert await here.do(f"/remove {bob.username}") != ""
        assert here.view.is_error


async def test_a_member_without_the_right_is_told_so_and_nothing_changes(rest: Rest) -> None:
    ann, bob, carol = await rest.people("ann", "bob", "carol")
    group = await rest.group(bob, ann)
    async with desk(ann) as here:
        for command in (f"/add {carol.username}", f"/remove {bob.username}", "/title Mine"):
            assert "owner" in await here.do(command), command
            assert here.view.is_error
        view = (await rest.get(f"/chats/{group}", bob)).json()
        assert (view["title"], set(view["members"])) == ("Team", {ann.id, bob.id})


async def test_a_group_is_left_only_when_it_is_said_twice_in_the_same_one(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    first, second = await rest.group(ann, bob, title="First"), await rest.group(ann, bob, title="Second")
    async with desk(ann) as here:
        await here.do("/open First")
        assert "/leave again" in await here.do("/leave")
        await here.do("/open Second")
        assert "You will see nothing of Second" in await here.do("/leave")
        assert await here.do("/leave") == "You left Second."
        assert [view["id"] for view in (await rest.get("/chats", ann)).json()] == [first]
        assert second not in here.model.conversations


async def test_one_who_asked_to_leave_and_then_did_something_else_is_asked_again(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    await rest.group(ann, bob)
    async with desk(ann) as here:
        assert "/leave again" in await here.do("/leave")
        await here.do("/members")
        assert "/leave again" in await here.do("/leave")
        here.press("Bye!\r")
        await here.shows("Bye!  ✓")
        assert "/leave again" in await here.do("/leave")


async def test_a_command_that_does_not_exist_or_lacks_a_word_is_explained(rest: Rest) -> None:
    async with desk(await rest.register()) as here:
        assert "There is no command /nope." in await here.do("/nope")
        for name in ("dm", "group", "open", "who", "send", "save", "add", "remove", "title"):
            assert (await here.do(f"/{name}")).startswith(f"It is /{name} ")
        await here.do("/help")
        assert here.overlay[0] == "Commands and keys"


async def test_logging_out_ends_the_session_on_the_server_too(rest: Rest) -> None:
    ann = await rest.register()
    async with desk(ann) as here:
        await here.do("/logout")
        assert await here.ended() == "logout"
    assert (await rest.get("/users/me", ann)).status_code == 401


async def test_quitting_ends_the_chat_and_keeps_the_session(rest: Rest) -> None:
    ann = await rest.register()
    async with desk(ann) as here:
        await here.do("/quit")
        assert await here.ended() == "quit"
    assert (await rest.get("/users/me", ann)).status_code == 200
