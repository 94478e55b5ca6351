"""The composition root: every part of the server, and how it starts and stops."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

import api
from api.services import Services
from beseda import backups, frozen, keys, log, rooms, version
from beseda.about import about
from beseda.chores import doing_chores
from beseda.control.commands import Desk
from beseda.control.serving import Control
from beseda.greeting import greeting, program
from beseda.http import HttpProtocol, protocol_class
from beseda.lag import measured_lag
from beseda.listening import CannotListen, bind, cannot_listen, listen
from beseda.passwords import PasswordPool
from beseda.remote import open_remote
from beseda.settings import Config
from beseda.systemd import Supervision
from beseda.tls import BadCertificate, Certificate, keeping_fresh
from hub import Connection, Hub
from protocol.times import rfc3339
from storage import Settings as StorageSettings
from storage import Unusable, database, open_store, users
from storage.attachments.local import LocalFiles
from storage.store import wall_clock

if TYPE_CHECKING:
    from beseda.metrics import Metrics

logger = logging.getLogger(__name__)

STORE_SECONDS = 5.0
"""How long the store goes on taking and trying what is to be written, once the server stops."""

DRAIN_SECONDS = STORE_SECONDS + 1
"""How long a request may take once the server stops: what the store refuses at last is told, too."""

KEEP_ALIVE_SECONDS = 65
"""Longer than proxies keep their connections to us, so that it is not we who close one as a request comes."""

FAIL_STOP = 70
"""The exit code when the disk can no longer be trusted (EX_SOFTWARE)."""


class CannotStart(Exception):
    """The server cannot start: a sentence that says why."""


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotStart."""
    log.set_up(config.log.level, config.log.format)
    # Told to reload before it can, it must not end.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _raise_descriptor_limit()
    try:
        sockets = bind(config.server.host, config.server.port)
        with contextlib.ExitStack() as bound, asyncio.Runner(loop_factory=_loop_factory()) as runner:
            for listener in sockets:
                bound.enter_context(listener)
            runner.run(_serve(config, sockets))
    except (BadCertificate, CannotListen, Unusable) as error:
        raise CannotStart(str(error)) from None


@contextlib.asynccontextmanager
async def assemble(config: Config, clock: Callable[[], int] = wall_clock) -> AsyncIterator["Server"]:
    """All parts, put together; they let go of everything at the end of the block. Raises BadCertificate, Unusable."""
    certificate = _certificate(config)
    data_dir = config.server.data_dir.absolute()
    had_database = _has_database(data_dir)
    async with contextlib.AsyncExitStack() as parts:
        store = await parts.enter_async_context(
            open_store(StorageSettings(data_dir, config.storage.synchronous), clock)
        )
        store.on_fatal = _stop_at_once
        key = keys.signing_key(data_dir, is_expected=had_database)
        s3, s3_links = await parts.enter_async_context(open_remote(config.attachments, key, clock))
        rules = rooms.rules(config, key, clock, s3_links)
        files, limits = LocalFiles(data_dir), rooms.attachment_rules(config)
        hub = Hub(store, rules, rooms.hub_settings(config), clock, s3)
        store.publish = hub.publish
        passwords = PasswordPool(config.auth.hash_concurrency)
        services = Services(
            store=store,
            rules=rules,
            passwords=passwords,
            presence=hub.online,
            connected=hub.connected,
            body_bytes=config.limits.body_bytes,
            about=about(config),
            public_url=config.server.public_url,
            origins=config.server.origins,
            trusted_proxies=config.server.trusted_proxies,
            files=files,
            attachments=limits,
            s3=s3,
        )
        parts.callback(passwords.close)
        await parts.enter_async_context(doing_chores(store, files, limits, s3))
        await parts.enter_async_context(backups.made_in_time(data_dir, config.backup))
        control = Control(
            Desk(store, files, config.limits.live_members), partial(_live, hub, time.monotonic(), clock())
        )
        parts.push_async_callback(control.close)
        await control.open()
        if certificate is not None:
            await parts.enter_async_context(keeping_fresh(certificate))
        figures = _figures(config, services, hub, passwords, parts)
        yield Server(config, services, hub, control, certificate, figures)


class Server(uvicorn.Server):
    """uvicorn's server, which drains before it stops."""

    def __init__(
        self,
        config: Config,
        services: Services,
        hub: Hub,
        control: Control,
        certificate: Certificate | None,
        figures: "Metrics | None",
    ) -> None:
        super().__init__(
            uvicorn.Config(
                api.build(services, {"hub": hub}, figures),
                loop="none",
                http=protocol_class(config.limits.header_bytes, services.counts.refusals),
                ws=Connection,
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=1,
            )
        )
        self.services = services
        self._settings = config
        self._store = services.store
        self._hub = hub
        self._control = control
        self._certificate = certificate
        self._has_terminal = sys.stderr.isatty()
        self._supervision = Supervision(services.store, hub)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and say so. Raises CannotListen."""
        assert sockets
        host, port = self._settings.server.host, sockets[0].getsockname()[1]
        await self.lifespan.startup()
        assert not self.lifespan.should_exit
        try:
            # uvicorn's own start would give clients a minute to shake hands for TLS.
            self.servers = await listen(sockets, self._new_connection, self._certificate)
        except OSError as error:
            # Bound, and yet taken: someone else began to listen between.
            await self.lifespan.shutdown()
            raise cannot_listen(host, port, error) from None
        text = greeting(
            program(),
            host,
            port,
            self._settings.server.data_dir.absolute(),
            self._settings.auth.registration,
            has_accounts=await self._store.read(users.has_any),
            tls=self._certificate is not None,
        )
        self.started = True
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.handle_hangup)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        self._supervision.begin()

    def _new_connection(self) -> asyncio.Protocol:
        protocol: type[HttpProtocol] = self.config.http_protocol_class  # type: ignore[assignment]
        return protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def handle_hangup(self) -> None:
        """SIGHUP: read the certificate again. If it is the terminal that is gone, stop in good order."""
        if self._has_terminal and not sys.stderr.isatty():
            self.should_exit = True
        elif self._certificate is not None:
            self._certificate.reload(time.monotonic())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal stops the server in good order, the second one at once.

        uvicorn raises the signals that it has recorded again at the end, and the exit code would be theirs.
        """
        if frozen.is_echo(sig):
            return
        if self.should_exit:
            os._exit(1)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new, finish what was begun, tell everyone; each step has its time, under 10 s in all."""
        self._supervision.end()
        self._store.finish_within(STORE_SECONDS)
        for server in self.servers:
            server.close()
        self._hub.stop_reading()
        for connection in self._http_connections():
            connection.shutdown()
        # Nobody on a socket waits for someone else's slow request.
        await asyncio.gather(self._finish_requests(), self._dismiss_sockets(), self._control.close())
        for connection in self._http_connections():
            connection.transport.abort()
        await super().shutdown(sockets)

    async def _finish_requests(self) -> None:
        tasks = self.server_state.tasks
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while tasks:
                    await asyncio.wait(list(tasks))
        except TimeoutError:
            logger.warning("%d requests took too long to finish and were broken off", len(tasks))

    async def _dismiss_sockets(self) -> None:
        """Close all sockets, once what they sent is committed and told."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._hub.finish()
                await self._store.idle()
        except TimeoutError:
            logger.warning("The storage took too long, and what waits for it is not acknowledged")
        await self._hub.close_all()

    def _http_connections(self) -> list[HttpProtocol]:
        connections: list[object] = list(self.server_state.connections)
        return [connection for connection in connections if isinstance(connection, HttpProtocol)]


def _has_database(data_dir: Path) -> bool:
    return (data_dir / database.FILE_NAME).exists()


async def _serve(config: Config, sockets: list[socket.socket]) -> None:
    async with assemble(config) as server:
        _calm_garbage_collector()
        await server.serve(sockets)


def _certificate(config: Config) -> Certificate | None:
    """The one that the settings name. Raises BadCertificate."""
    server = config.server
    return Certificate(Path(server.tls_cert), Path(server.tls_key)) if server.tls_cert else None


def _figures(
    config: Config, services: Services, hub: Hub, passwords: PasswordPool, parts: contextlib.AsyncExitStack
) -> "Metrics | None":
    """What Prometheus is told; None where it is told nothing, and then its library is not loaded either."""
    if not config.metrics.enabled:
        return None
    from beseda.metrics import Metrics, Sources

    lag = parts.enter_context(measured_lag())
    backups_folder = backups.folder(services.store.settings.data_dir, config.backup)
    sources = Sources(services, hub, passwords, lag, partial(backups.last_at, backups_folder))
    return Metrics(config.metrics.token.get_secret_value(), sources)


def _live(hub: Hub, since: float, started_at: int) -> dict[str, str | int]:
    """What `beseda stats` tells of a server that runs. `since` is monotonic, in seconds."""
    connections, online = hub.connected()
    return {
        "version": version(),
        "started_at": rfc3339(started_at),
        "uptime_seconds": int(time.monotonic() - since),
        "connections": connections,
        "online": online,
    }


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _calm_garbage_collector() -> None:
    """Have it pass over what was loaded, and come less often: messages make no cycles.

    With Python's defaults it took an eighth of the event loop's time under load. What was loaded leaves no garbage that
    would be worth the 25 ms of looking for it first.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _raise_descriptor_limit() -> None:
    """As many sockets as the system lets us have: the usual soft limit of 1024 is for programs that use select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name a hard limit that they then refuse.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _stop_at_once(error: Exception) -> None:
    """Fail-stop: nothing after this is acknowledged, and what clients send again is made whole."""
    logger.critical("The database's disk failed, and the server stops: %s", error)
    sys.stderr.flush()
    os._exit(FAIL_STOP)
