"""Sessions: what goes on, what ends them, and what is dead from then on (docs/protocol.md section 1)."""

import pytest

from actions import sessions
from actions.actor import Actor
from protocol.commands import Refresh
from protocol.events import SessionEnded, SocketAdmitted
from storage import Snapshot
from tests.support.store import House, make_rules, refusal


async def require(house: House, actor: Actor) -> None:
    """`sessions.require`."""
    await house.read(lambda snapshot: sessions.require(snapshot, actor))


async def refresh(house: House, token: str) -> str:
    """`sessions.refresh`."""
    command = Refresh(refresh_token=token)
    return (await sessions.refresh(house.store, house.rules, command))["access_token"]


async def refresh_token(house: House, actor: Actor) -> str:
    """The actor's refresh token, as its login told it."""
    jti = await refresh_id(house, actor)
    return house.rules.tokens.issue_refresh(actor.user_id, actor.session_id, jti)


async def refresh_id(house: House, actor: Actor) -> str:
    """The `jti` of the actor's only refresh token."""
    sql = "SELECT jti FROM refresh_tokens WHERE session_id = ?"
    jti: str = await house.read(lambda snapshot: snapshot.value(sql, actor.session_id))
    return jti


async def end(house: House, actor: Actor, session_id: int) -> None:
    """`sessions.end`."""
    await house.write(lambda tx: sessions.end(tx, actor, session_id))


async def test_acting_runs_the_action_only_while_the_session_goes_on(house: House) -> None:
    anna, ran = await house.person(), []

    def action(snapshot: Snapshot) -> str:
        ran.append(snapshot)
        return "done"

    assert await house.read(sessions.acting(anna, action)) == "done"
    assert await house.write(sessions.acting(anna, action)) == "done"
    await house.write(lambda tx: sessions.logout(tx, anna))
    for attempt in (house.read(sessions.acting(anna, action)), house.write(sessions.acting(anna, action))):
        assert (await refusal(attempt)).code == "unauthorized"
    assert len(ran) == 2


async def test_the_session_is_checked_in_the_very_transaction_of_the_action(house: House) -> None:
    anna = await house.person()
    # Both stand in one batch: what comes after the logout finds the session gone.
    logout = house.store.write(lambda tx: sessions.logout(tx, anna))
    late = house.store.write(sessions.acting(anna, lambda tx: tx.new_event_id()))
    await logout
    assert (await refusal(late)).code == "unauthorized"


async def test_a_session_is_its_users_alone(house: House) -> None:
    anna, bruno = await house.people(2)
    for forged in (
        Actor(anna.user_id, bruno.session_id),
        Actor(bruno.user_id, anna.session_id),
        Actor(anna.user_id, 99),
        Actor(99, anna.session_id),
    ):
        assert (await refusal(require(house, forged))).code == "unauthorized"
    await require(house, anna)


async def test_a_refresh_gives_an_access_token_of_the_same_session_and_notes_the_use(house: House) -> None:
    anna = await house.person()
    token = await refresh_token(house, anna)
    house.clock.advance(3600)
    claims = house.rules.tokens.read(await refresh(house, token), "access")
    assert (claims.user_id, claims.session_id) == (anna.user_id, anna.session_id)
    (session,) = await house.read(lambda snapshot: sessions.listed(snapshot, anna))
    assert session["created_at"] == "2026-09-21T14:13:20.000Z"
    assert session["last_used_at"] == "2026-09-21T15:13:20.000Z"
    # It may be used again and again.
    assert await refresh(house, token)


async def test_only_the_sessions_own_refresh_token_refreshes(house: House) -> None:
    anna, bruno = await house.people(2)
    tokens, own = house.rules.tokens, await refresh_token(house, anna)
    jti = await refresh_id(house, anna)
    for forged in (
        tokens.issue_refresh(bruno.user_id, anna.session_id, jti),
        tokens.issue_refresh(anna.user_id, bruno.session_id, jti),
        tokens.issue_refresh(anna.user_id, 99, jti),
        tokens.issue_access(anna.user_id, anna.session_id),
        own + "x",
        own[:-4],
        "",
        "nonsense",
    ):
        assert (await refusal(refresh(house, forged))).code == "unauthorized"
    assert await refresh(house, own)


async def test_the_refresh_token_of_an_ended_session_is_dead(house: House) -> None:
    anna = await house.person()
    token = await refresh_token(house, anna)
    await house.write(lambda tx: sessions.logout(tx, anna))
    assert (await refusal(refresh(house, token))).code == "unauthorized"


async def test_a_session_ends_with_its_refresh_token(house: House) -> None:
    anna = await house.person()
    token = await refresh_token(house, anna)
    house.clock.advance(house.rules.refresh_seconds - 1)
    await require(house, anna)
    assert await refresh(house, token)
    house.clock.advance(1)
    assert (await refusal(require(house, anna))).code == "unauthorized"
    assert (await refusal(refresh(house, token))).code == "unauthorized"
    later = await house.log_in(anna)
    assert (await refusal(end(house, later, anna.session_id))).code == "not_found"
    listed = await house.read(lambda snapshot: sessions.listed(snapshot, later))
    assert [session["id"] for session in listed] == [later.session_id]


async def test_sessions_that_ran_out_are_ended_some_at_a_time_and_their_sockets_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "EXPIRED_AT_ONCE", 2)
    anna, bruno, cleo = await house.people(3)
    house.clock.advance(house.rules.refresh_seconds / 2)
    dora = await house.person()
    house.clock.advance(house.rules.refresh_seconds / 2)
    house.news()
    assert await house.write(sessions.end_expired) == 2
    assert await house.write(sessions.end_expired) == 1
    assert await house.write(sessions.end_expired) == 0
    assert house.news() == [SessionEnded(actor.session_id, actor.user_id) for actor in (anna, bruno, cleo)]
    await require(house, dora)
    left = await house.read(lambda snapshot: snapshot.rows("SELECT id FROM sessions"))
    assert left == [(dora.session_id,)]


async def test_a_logout_ends_the_callers_own_session_and_no_other(house: House) -> None:
    anna = await house.person()
    other = await house.log_in(anna)
    house.news()
    await house.write(lambda tx: sessions.logout(tx, anna))
    assert house.news() == [SessionEnded(anna.session_id, anna.user_id)]
    assert (await refusal(require(house, anna))).code == "unauthorized"
    await require(house, other)


async def test_one_may_end_own_sessions_and_nobody_elses(house: House) -> None:
    anna, bruno = await house.people(2)
    other = await house.log_in(anna)
    house.news()
    for session_id in (bruno.session_id, 99, 2**53 - 1):
        assert (await refusal(end(house, anna, session_id))).code == "not_found"
    await end(house, anna, other.session_id)
    assert house.news() == [SessionEnded(other.session_id, anna.user_id)]
    assert (await refusal(end(house, anna, other.session_id))).code == "not_found"
    await require(house, bruno)


async def test_sessions_are_listed_newest_first_and_the_callers_own_is_marked(house: House) -> None:
    anna, _ = await house.people(2)
    second, third = await house.log_in(anna), await house.log_in(anna)
    listed = await house.read(lambda snapshot: sessions.listed(snapshot, second))
    assert [(session["id"], session["current"]) for session in listed] == [
        (third.session_id, False),
        (second.session_id, True),
        (anna.session_id, False),
    ]
    assert set(listed[0]) == {"id", "created_at", "last_used_at", "address", "user_agent", "current"}
    assert (listed[0]["address"], listed[0]["user_agent"]) == ("127.0.0.1", "tests")


async def test_a_socket_is_admitted_at_its_place_among_the_commits(house: House) -> None:
    socket = object()
    anna, bruno, cleo = await house.people(3)
    listener = await house.log_in(anna, origin=socket)
    dialog, group = await house.dialog(anna, bruno), await house.group(anna, bruno, cleo)
    await house.group(bruno, cleo)
    sent = await house.send(bruno, dialog)
    house.news()
    await house.write(lambda tx: sessions.admit(tx, listener))
    name = await house.read(lambda snapshot: snapshot.value("SELECT name FROM log"))
    assert house.news() == [
        SocketAdmitted(
            origin=socket,
            user_id=anna.user_id,
            session_id=listener.session_id,
            event_id=sent["id"],
            log=name,
            conversations=((dialog, 2), (group, 3)),
        )
    ]


async def test_a_socket_of_an_ended_session_is_not_admitted(house: House) -> None:
    anna = await house.person()
    await house.write(lambda tx: sessions.logout(tx, anna))
    house.news()
    assert (await refusal(house.write(lambda tx: sessions.admit(tx, anna)))).code == "unauthorized"
    assert house.news() == []


async def test_the_database_holds_no_token(house: House) -> None:
    anna = await house.person()
    token = await refresh_token(house, anna)
    await refresh(house, token)
    stored = await house.read(lambda snapshot: repr(snapshot.rows("SELECT * FROM refresh_tokens")))
    assert "jti1" in stored
    for part in token.split("."):
        assert part not in stored


def test_rules_are_the_whole_servers_and_do_not_change(house: House) -> None:
    with pytest.raises(AttributeError):
        house.rules.message_chars = 1  # type: ignore[misc]
    assert make_rules(house.clock).message_chars == house.rules.message_chars
