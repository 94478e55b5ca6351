"""Beseda's own scenarios, as small as can be: that they do what they say, not how fast."""

import math
from collections.abc import Iterator

import pytest

from bench import history, idle, login, mixed, resume, start
from bench.past import Past, make
from bench.process import Server
from bench.scale import Figures
from bench.seed import Crowd, seed

BEHIND = 400
PAIR = [0, 1]
GROUP = list(range(8))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return make(tmp_path_factory.mktemp("past") / "data", 1600, 40, 20)


@pytest.fixture(scope="module")
def library(past: Past) -> Iterator[Server]:
    """A server of the past."""
    took, server = start._start(past.copy(past.folder.with_name("copy"), BEHIND))
    assert took > 0
    with server:
        yield server


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Crowd]]:
    """A server without a past, and its people."""
    data_dir = tmp_path_factory.mktemp("office") / "data"
    crowd = seed(data_dir, len(GROUP), [PAIR, GROUP], login.PASSWORD)
    with Server(data_dir) as server:
        yield server, crowd


def is_whole(figures: Figures) -> bool:
    return all(math.isfinite(value) for value in figures.values())


async def test_pages_are_turned(past: Past, library: Server) -> None:
    readers = [history._reader(past, person) for person in range(2)]
    figures = await history._turn_pages(library.port, library.pid, readers, 0.1)
    assert is_whole(figures)
    assert figures["pages_per_s"] > 0


async def test_all_come_back_and_are_told_all(past: Past, library: Server) -> None:
    since, each = past.tip - BEHIND, BEHIND // len(past.groups) * 4
    tokens = past.crowd.tokens[:10]
    figures = await resume._return(library.port, library.pid, tokens, f"&since={since}", each)
    assert is_whole(figures)
    assert figures["events_per_s"] > 0
    with pytest.raises(RuntimeError, match="instead of"):
        await resume._return(library.port, library.pid, tokens, f"&since={since + 80}", each)


async def test_sockets_are_held_open(office: tuple[Server, Crowd]) -> None:
    server, crowd = office
    figures = await idle._connect_all(server.port, server.pid, crowd.tokens, 0.0, 0.1)
    assert is_whole(figures)
    assert figures["rss_mib"] > 0


async def test_people_log_in_while_others_write(office: tuple[Server, Crowd]) -> None:
    server, crowd = office
    dialogs = [(crowd.tokens[0], crowd.tokens[1], crowd.conversations[0])]
    figures = await login._log_in(server.port, server.pid, dialogs, 1, 0.3)
    assert is_whole(figures)
    assert figures["logins_per_s"] > 0


async def test_people_do_what_a_day_brings(office: tuple[Server, Crowd]) -> None:
    server, crowd = office
    places = [mixed.Place(*place) for place in zip(crowd.conversations, (PAIR, GROUP), strict=True)]
    figures = await mixed._work(server.port, server.pid, crowd.tokens, places, 30.0, 0.5)
    assert is_whole(figures)
    assert figures["frames_per_message"] > 2
