"""What is asked for, depending on what the server takes. It is a stand-in: each test wants its own refusals."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from beseda.client import Client, Rejected
from beseda.client.chat.login import enter, registration

ANN = {"email": "ann@example.org", "id": 1, "username": "ann"}


@dataclass
class Server:
    """Refuses what it is told to, one call after the other."""

    refusals: list[Rejected | None] = field(default_factory=list)
    registration: str = "open"
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    async def server(self) -> dict[str, Any]:
        return {"registration": self.registration}

    async def register(self, *given: Any) -> None:
        self._answer("register", *given)

    async def login(self, *given: Any) -> dict[str, Any]:
        self._answer("login", *given)
        return ANN

    def _answer(self, *call: Any) -> None:
        self.calls.append(call)
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise refusal


class Dialogue:
    """Answers questions in their order; every question that is asked must have an answer."""

    def __init__(self, *turns: tuple[str, str]) -> None:
        self.turns = list(turns)
        self.hidden: set[str] = set()
        self.said: list[str] = []

    async def ask(self, question: str, *, hidden: bool = False, default: str = "") -> str:
        expected, answer = self.turns.pop(0)
        assert expected in question
        if hidden:
            self.hidden.add(question)
        return answer


async def talk(server: Server, mode: str, *turns: tuple[str, str], email: str | None = None) -> Dialogue:
    dialogue = Dialogue(*turns)
    entered = await enter(cast(Client, server), mode, email, dialogue.ask, dialogue.said.append)
    assert entered == ("ann@example.org", 1, "ann")
    assert not dialogue.turns
    return dialogue


async def test_how_one_may_register_is_the_servers_word() -> None:
    assert await registration(cast(Client, Server(registration="invite"))) == "invite"


async def test_a_closed_server_asks_only_for_the_login() -> None:
    server = Server()
    dialogue = await talk(server, "closed", ("Email", "ann@example.org"), ("Password", "correct horse"))
    assert server.calls == [("login", "ann@example.org", "correct horse")]
    assert dialogue.said == ["This server takes no registrations: log in."]


async def test_an_invite_code_is_asked_for_and_may_be_left_out_by_whom_the_server_lets_in_without() -> None:
    server = Server([Rejected("invite_required", "An invite is required.", status=403)])
    await talk(
        server,
        "invite",
        ("(r)", "r"),
        ("Invitation", ""),
        ("Email", "ann@example.org"),
        ("Username", "ann"),
        ("Password", "correct horse"),
        ("once more", "correct horse"),
        ("Invitation", "right"),
    )
    assert [call[-1] for call in server.calls[:2]] == ["", "right"]
    assert server.calls[2] == ("login", "ann@example.org", "correct horse")


async def test_an_account_that_is_named_is_not_asked_for_and_passwords_are_hidden() -> None:
    server = Server([Rejected("invalid_credentials", "Wrong email or password.", status=401)])
    dialogue = await talk(
        server, "open", ("(r)", "l"), ("Password", "no"), ("Password", "yes"), email="ann@example.org"
    )
    assert dialogue.said == ["Wrong email or password."]
    assert dialogue.hidden == {"Password: "}


async def test_empty_answers_are_no_answers() -> None:
    turns = (("(r)", ""), ("(r)", "l"), ("Email", " "), ("Email", " ann@example.org "), ("Password", ""))
    server = Server()
    await talk(server, "open", *turns, ("Password", " spaces stay "))
    assert server.calls == [("login", "ann@example.org", " spaces stay ")]


async def test_a_refusal_that_no_answer_mends_is_told_to_the_caller() -> None:
    refusal = Rejected("registration_closed", "Nobody may register.", status=403)
    with pytest.raises(Rejected, match="Nobody may register"):
        await talk(
            Server([refusal]),
            "open",
            ("(r)", "r"),
            ("Email", "a@b"),
            ("Username", "ann"),
            ("Password", "correct horse"),
            ("once", "correct horse"),
        )
