"""Figures for Prometheus: what the rooms count, read when somebody asks. Imported only where they are wanted."""

import contextlib
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api import Services
from beseda import commit, version
from beseda.passwords import PasswordPool
from hub import Hub
from storage import database
from storage.attachments import disk
from storage.counts import Histogram


@dataclass(frozen=True)
class Sources:
    """Where the figures come from. `last_backup` tells when the last one was begun, in milliseconds since the epoch."""

    services: Services
    hub: Hub
    passwords: PasswordPool
    lag: Histogram
    last_backup: Callable[[], int | None]


class Metrics(Collector):
    """The port `api.metrics.Metrics`."""

    def __init__(self, token: str, sources: Sources) -> None:
        self.token = token
        self._sources = sources
        self._build = _build()
        self._on_disk: list[Metric] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def look(self) -> None:
        """Read what only the disk knows. It may be slow, as the backups' may be elsewhere: not for the event loop."""
        self._on_disk = list(self._disk())

    def render(self, accept: str) -> tuple[bytes, str]:
        """All figures as they are now, but the disk's as they were at the last look; in a form that the header
        `accept` asks for, and its media type.
        """
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):
            # The library stumbles over versions that are no numbers. Who asks for such a one gets the usual.
            encode, media_type = choose_encoder("")
        return encode(self._registry), media_type

    def describe(self) -> list[Metric]:
        """Nothing: no other collector has names that begin like ours."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What the library calls for each scrape."""
        yield InfoMetricFamily("beseda_build", "This server.", self._build)
        yield from self._sockets()
        yield from self._storage()
        yield from self._requests()
        yield from self._on_disk
        yield _histogram(
            "beseda_event_loop_lag_seconds", "How late timers of the event loop came.", self._sources.lag
        )

    def _sockets(self) -> Iterator[Metric]:
        hub, counts = self._sources.hub, self._sources.hub.counts
        connections, users = hub.connected()
        yield GaugeMetricFamily("beseda_connections", "Open sockets.", connections)
        yield GaugeMetricFamily("beseda_users_online", "Users who are online.", users)
        yield GaugeMetricFamily("beseda_upgrades_waiting", "Sockets that wait to be opened.", hub.waiting)
        yield GaugeMetricFamily(
            "beseda_backlog_bytes", "What waits for clients that read slowly.", hub.backlog
        )
        yield CounterMetricFamily("beseda_connections_opened", "Sockets that were opened.", counts.opened)
        closed = CounterMetricFamily(
            "beseda_connections_closed", "Sockets that were closed.", labels=("by", "code")
        )
        for labels, count in sorted(counts.closed.items()):
            closed.add_metric(labels, count)
        yield closed
        yield CounterMetricFamily("beseda_messages_stored", "Messages that were stored.", counts.messages)
        yield CounterMetricFamily(
            "beseda_deliveries", "Messages handed to sockets of others than their senders.", counts.deliveries
        )
        yield CounterMetricFamily("beseda_resumes", "Sockets that caught up by a replay.", counts.resumed)
        yield CounterMetricFamily("beseda_resyncs", "Sockets that were told to load anew.", counts.resyncs)
        yield CounterMetricFamily("beseda_events_replayed", "Events of replays.", counts.replayed)

    def _storage(self) -> Iterator[Metric]:
        store = self._sources.services.store
        yield _histogram("beseda_commit_units", "Units of work in a commit.", store.counts.units)
        yield _histogram(
            "beseda_commit_seconds", "How long a commit took, sync included.", store.counts.seconds
        )
        yield CounterMetricFamily(
            "beseda_commits_failed", "Commits that failed as a whole.", store.counts.failed
        )
        yield GaugeMetricFamily(
            "beseda_writes_waiting", "Units of work that wait to be committed.", store.waiting
        )
        yield GaugeMetricFamily("beseda_reads_waiting", "Reads that wait or are under way.", store.reading)

    def _requests(self) -> Iterator[Metric]:
        counts, hub = self._sources.services.counts, self._sources.hub.counts
        answers = CounterMetricFamily("beseda_http_answers", "Answers over REST.", labels=("status",))
        for status, count in sorted(counts.answers.items()):
            answers.add_metric((str(status),), count)
        yield answers
        refusals = CounterMetricFamily("beseda_refusals", "What was refused, and why.", labels=("of", "code"))
        kinds: Mapping[str, Counter[str]] = {
            "request": Counter(counts.refusals),
            "upgrade": Counter(hub.turned_away),
            "frame": Counter(hub.refusals),
        }
        for kind, refused in kinds.items():
            for code, count in sorted(refused.items()):
                refusals.add_metric((kind, code), count)
        yield refusals
        yield CounterMetricFamily("beseda_logins", "Successful logins.", counts.logins)
        yield GaugeMetricFamily(
            "beseda_passwords_waiting",
            "Passwords that wait or are being checked.",
            self._sources.passwords.waiting,
        )

    def _disk(self) -> Iterator[Metric]:
        folder = self._sources.services.store.settings.data_dir
        path = folder / database.FILE_NAME
        yield GaugeMetricFamily("beseda_database_bytes", "The size of the database.", _size(path))
        yield GaugeMetricFamily(
            "beseda_wal_bytes", "The size of its write-ahead log.", _size(path.with_name(path.name + "-wal"))
        )
        yield GaugeMetricFamily("beseda_disk_free_bytes", "Free space beside them.", disk.free_bytes(folder))
        last_backup = self._sources.last_backup()
        if last_backup is not None:
            yield GaugeMetricFamily(
                "beseda_last_backup_timestamp_seconds", "When it was begun.", last_backup / 1000
            )


def _build() -> dict[str, str]:
    return {
        "version": version(),
        "commit": commit(),
        "python": platform.python_version(),
        "sqlite": database.SQLITE_VERSION,
    }


def _histogram(name: str, help_text: str, values: Histogram) -> HistogramMetricFamily:
    """Prometheus counts in each bucket what is in the lower ones too."""
    total = 0
    buckets = []
    for bound, count in zip((*map(float, values.bounds), "+Inf"), values.counts, strict=True):
        total += count
        buckets.append((str(bound), float(total)))
    return HistogramMetricFamily(name, help_text, buckets, values.sum)


def _size(path: Path) -> int:
    """0 where there is no such file."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
