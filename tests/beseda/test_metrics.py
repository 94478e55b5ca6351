"""What Prometheus is told, and that nobody else is told it (docs/operations.md, Metrics)."""

import asyncio
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

import beseda
from api import metrics
from beseda.config import ConfigError
from beseda.lag import measured_lag
from beseda.metrics import Metrics, Sources
from beseda.passwords import PasswordPool
from beseda.server import Server
from storage.counts import Histogram
from tests.beseda.inside import settings
from tests.support.fixtures import Connect
from tests.support.rest import Rest, lasting, refused
from tests.support.server import ServerProcess, Setting
from tests.support.socket import open_socket
from tests.test_docs import OPERATIONS, section, table

BEARER = {"Authorization": "Bearer figures"}

Figures = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that tells its figures."""
    chosen: dict[str, Setting] = {
        "metrics.enabled": True,
        "metrics.token": "figures",
        "limits.resume_events": 3,
    }
    with ServerProcess(tmp_path_factory.mktemp("watched"), chosen) as process:
        yield process.start()


def read(text: str) -> Figures:
    """The values by name and labels: `("beseda_refusals_total", "invalid", "frame")`."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def figures(rest: Rest) -> Figures:
    response = await rest.http.get(rest.server.base_url + "/metrics", headers=BEARER)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return read(response.text)


@pytest.mark.parametrize("version", ["x.y", "1.0.0.x", "", "x" * 100])
async def test_a_form_that_nobody_knows_gets_the_usual_one(watched: ServerProcess, version: str) -> None:
    async with Rest(watched) as rest:
        accept = {"Accept": f"application/openmetrics-text;version={version}"}
        response = await rest.http.get(rest.server.base_url + "/metrics", headers=BEARER | accept)
        assert response.status_code == 200
        assert "beseda_connections 0.0" in response.text


async def test_what_happens_is_counted(watched: ServerProcess, connect: Connect) -> None:
    async with Rest(watched) as rest:
        before = await figures(rest)
        ann, bob = await rest.people("ann", "bob")
        dialog = await rest.dialog(ann, bob)
        socket = await connect(ann)
        for name in ("one", "two"):
            async with await open_socket(bob) as other:
                await socket.say(dialog, name)
                await other.next("new_message")
        await rest.send(ann, dialog, "over REST")
        wrong = {"email": ann.email, "password": "wrong"}
        refused(await rest.post("/auth/login", wrong), 401, "invalid_credentials")
        await socket.send({"type": "read"})
        await socket.next("error")
        now = await figures(rest)
    told = {name: value - before.get(name, 0) for name, value in now.items()}
    assert told["beseda_connections",] == 1
    assert told["beseda_connections_opened_total",] == 3
    assert told["beseda_connections_closed_total", "client", "1000"] == 2
    assert told["beseda_messages_stored_total",] == 3
    assert told["beseda_deliveries_total",] == 2, "to the one socket that each of them was handed to"
    assert told["beseda_logins_total",] == 2
    assert told["beseda_refusals_total", "invalid_credentials", "request"] == 1
    assert told["beseda_refusals_total", "invalid", "frame"] == 1
    assert told["beseda_http_answers_total", "401"] == 1
    assert told["beseda_commit_units_count",] == told["beseda_commit_seconds_count",] > 5
    assert told["beseda_commit_units_sum",] >= told["beseda_commit_units_count",]
    assert now["beseda_database_bytes",] > 4096 < now["beseda_wal_bytes",]
    assert now["beseda_disk_free_bytes",] > 0
    assert ("beseda_last_backup_timestamp_seconds",) not in now
    [(_, python, _, version)] = [labels for name, *labels in now if name == "beseda_build_info"]
    assert python == platform.python_version()
    assert version == beseda.version()


async def test_who_comes_back_is_counted_by_what_it_was_told(watched: ServerProcess) -> None:
    async with Rest(watched) as rest:
        ann, bob = await rest.people("ann", "bob")
        before = await figures(rest)
        async with await open_socket(bob) as socket:
            since = socket.hello["event_id"]
        dialog = await rest.dialog(ann, bob)
        await rest.send(ann, dialog, "one")
        async with await open_socket(bob, since=since) as socket:
            await socket.next("resumed")
        for _ in range(3):
            await rest.send(ann, dialog, "more")
        async with await open_socket(bob, since=since) as socket:
            await socket.next("resync")
        async with await open_socket(bob, since=10**9) as socket:
            await socket.next("resync")
        after = await figures(rest)
    assert after["beseda_resumes_total",] - before["beseda_resumes_total",] == 1
    assert after["beseda_events_replayed_total",] - before["beseda_events_replayed_total",] == 2
    assert after["beseda_resyncs_total",] - before["beseda_resyncs_total",] == 2


async def test_a_close_code_that_a_client_made_up_makes_no_figure_of_its_own(
    watched: ServerProcess, connect: Connect
) -> None:
    async with Rest(watched) as rest:
        ann = await rest.register()
        socket = await connect(ann)
        await socket.connection.close(4777)
        broken = await connect(ann)
        broken.abort()
        ended = await connect(await rest.login(ann))
        await rest.post("/auth/logout", by=ann)
        [other] = (await rest.get("/auth/sessions", await rest.login(ann))).json()[1:]
        await rest.delete(f"/auth/sessions/{other['id']}", await rest.login(ann))
        assert await ended.closed() == 4501
        while ("beseda_connections_closed_total", "client", "1006") not in (told := await figures(rest)):
            pass
    assert told["beseda_connections_closed_total", "client", "other"] == 1
    assert told["beseda_connections_closed_total", "server", "4501"] >= 1
    assert "4777" not in str(told)


async def test_without_their_token_nobody_gets_the_figures(watched: ServerProcess) -> None:
    async with Rest(watched) as rest:
        admin = await rest.register()
        for authorization in (
            "",
            "Bearer",
            "Bearer figure",
            "Basic figures",
            f"Bearer {admin.token}",
            "Bearer ü",
        ):
            headers = {b"Authorization": authorization.encode("latin-1")}
            response = await rest.http.get(watched.base_url + "/metrics", headers=headers)
            refused(response, 401, "unauthorized")
        assert (await rest.http.get(watched.base_url + "/metrics", headers=BEARER)).status_code == 200
    assert "audit: metrics_refused" in watched.output()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_unless_they_are_enabled_there_is_no_such_path(rest: Rest, method: str) -> None:
    answers = [await rest.request(method, path, headers=BEARER) for path in ("/metrics", "/nothing")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert lasting(answers[0]) == lasting(answers[1])


async def test_every_figure_stands_in_the_page_with_its_kind(
    watched: ServerProcess, running: tuple[str, Server]
) -> None:
    text = rendered(running[1])
    families = list(text_string_to_metric_families(text))
    there = {family.name + ("_total" if family.type == "counter" else ""): family.type for family in families}
    page = section(OPERATIONS, "Metrics")
    told = {row[0]: row[1] for row in table(page)}
    assert told == {name: kind for name, kind in there.items() if name.startswith("beseda_")}
    if sys.platform == "linux":
        for name in there.keys() - told.keys():
            assert f"`{name}`" in page


def figures_of(server: Server, last_backup: Callable[[], int | None]) -> Metrics:
    hub, lag = server._hub, Histogram((0.5, 1.0))
    return Metrics("x", Sources(server.services, hub, PasswordPool(1), lag, last_backup))


def rendered(server: Server) -> str:
    """The figures of a server that made a backup a while ago."""
    figures = figures_of(server, lambda: 1_790_000_000_000)
    figures.look()
    return figures.render("")[0].decode()


async def test_the_last_backup_is_told_by_its_time(running: tuple[str, Server]) -> None:
    assert read(rendered(running[1]))["beseda_last_backup_timestamp_seconds",] == 1_790_000_000


async def test_a_slow_disk_with_backups_holds_up_nobody_but_the_scrape(running: tuple[str, Server]) -> None:
    threads: list[int] = []

    def last_backup() -> None:
        threads.append(threading.get_ident())

    app = Starlette(routes=metrics.routes(figures_of(running[1], last_backup)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        assert (await http.get("/metrics", headers={"Authorization": "Bearer x"})).status_code == 200
    assert threads
    assert threading.get_ident() not in threads


async def test_how_late_the_event_loop_is_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beseda.lag.EVERY_SECONDS", 0.001)
    with measured_lag() as lag:
        while sum(lag.counts) < 3:
            await asyncio.sleep(0.001)
    assert lag.sum > 0


def test_a_histogram_counts_each_value_in_the_first_bucket_that_holds_it() -> None:
    values = Histogram((1, 5))
    for value in (0, 1, 1.5, 5, 6, 100):
        values.observe(value)
    assert (values.counts, values.sum) == ([2, 2, 2], 113.5)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"METRICS__ENABLED": "true"}, "metrics.token: must be set where metrics.enabled is true"),
        (
            {"METRICS__TOKEN": "a b"},
            "metrics.token: must be of ASCII letters, digits and signs, without spaces",
        ),
        ({"METRICS__TOKEN": "schlüssel"}, "metrics.token: must be of ASCII letters"),
    ],
)
def test_a_token_that_nobody_could_send_stops_the_start(
    tmp_path: Path, environ: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        settings(tmp_path, **environ)
    assert "schl" not in str(caught.value)


def test_a_server_without_figures_does_not_load_their_library() -> None:
    program = "import sys, beseda.server; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
