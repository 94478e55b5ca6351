"""Every setting: its name, its default, what it may be and what it does. `beseda.config` loads them."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from protocol.entities import Registration
from protocol.forwarded import networks
from storage.attachments.objects import MAX_SECONDS

KIB, MIB, GIB = 2**10, 2**20, 2**30

_DEFAULT_PORTS = {"http": 80, "https": 443}


def _origin(text: str) -> str:
    """`https://chat.example.org` as browsers write an origin. Raises ValueError for what is none."""
    url = urlsplit(text.strip())
    port = url.port
    bare = url.path in ("", "/") and not url.query and not url.fragment and "@" not in url.netloc
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or not bare:
        raise ValueError("must be like https://chat.example.org, without a path")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORTS[url.scheme] else "")


def _origin_or_empty(text: str) -> str:
    return _origin(text) if text else ""


def _origin_or_any(text: str) -> str:
    return "*" if text == "*" else _origin(text)


def _proxies(texts: tuple[str, ...]) -> tuple[str, ...]:
    networks(texts)
    return texts


def _endpoint(text: str) -> str:
    """The URL of an S3 service. Raises ValueError for what is none."""
    if not text:
        return ""
    url = urlsplit(text)
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or url.query or url.fragment or "@" in url.netloc:
        raise ValueError("must be like https://s3.example.org, or empty for AWS")
    return text.rstrip("/")


def _folder(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("must not contain NUL")
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _file_or_empty(text: str) -> str:
    return str(_folder(Path(text))) if text else ""


class Section(BaseModel):
    """A table of the settings file. Strict: `"8000"` is no port."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Server(Section):
    """Where the server is, and who reaches it."""

    host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1",
        description="The address to listen on. 0.0.0.0 takes connections from everywhere: not without TLS.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="The port to listen on; 0 takes any free one."
    )
    data_dir: Annotated[Path, Field(strict=False), AfterValidator(_folder)] = Field(
        default=Path("data"),
        description="The folder with the database, the attachments and the signing key."
        " A relative one is relative to the working directory.",
    )
    public_url: Annotated[str, AfterValidator(_origin_or_empty)] = Field(
        default="",
        description="How clients reach the server, like https://chat.example.org; makes the URLs of attachments"
        " absolute. Empty: they are paths, and the request's own Host counts.",
    )
    origins: Annotated[tuple[Annotated[str, AfterValidator(_origin_or_any)], ...], Field(strict=False)] = (
        Field(
            default=(),
            description="Web pages of these origins may use the server, besides its own; * lets in any.",
        )
    )
    trusted_proxies: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_proxies)] = Field(
        default=("127.0.0.1", "::1"),
        description="Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks.",
    )
    tls_cert: Annotated[str, AfterValidator(_file_or_empty)] = Field(
        default="",
        description="The certificate with its chain, a PEM file: the server speaks TLS itself. Empty: it speaks plain"
        " HTTP, and TLS is a proxy's work.",
    )
    tls_key: Annotated[str, AfterValidator(_file_or_empty)] = Field(
        default="", description="The certificate's private key, a PEM file without a password."
    )


class Auth(Section):
    """Accounts, sessions and passwords."""

    registration: Registration = Field(
        default="open",
        description="Who may register: everyone (open), who has the code of an admin's invitation (invite), or nobody"
        " (closed). The very first account needs no invitation.",
    )
    access_minutes: int = Field(
        default=15, ge=1, le=1440, description="How long an access token is good for."
    )
    refresh_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="How long a refresh token is good for; its session ends with the last one.",
    )
    login_attempts_per_minute: int = Field(
        default=10,
        ge=0,
        description="Wrong passwords for one account from one address (IPv6: a /64): so many at once, and a minute."
        " 0 for no limit.",
    )
    address_attempts_per_minute: int = Field(
        default=100, ge=0, description="The same from one address for all accounts together. 0 for no limit."
    )
    registrations_per_minute: int = Field(
        default=10,
        ge=0,
        description="Registrations tried from one address: so many at once, and a minute. 0 for no limit.",
    )
    hash_concurrency: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Passwords checked at a time; each takes 64 MiB and a tenth of a second of a core.",
    )


class Limits(Section):
    """What one client, and all together, may cost. Sizes in bytes."""

    messages_per_second: int = Field(
        default=20,
        ge=0,
        description="Messages, and changes of conversations, of one user on all devices. Long messages and changes"
        " that many are told of count more than once. 0 for no limit.",
    )
    message_burst: int = Field(
        default=60, ge=0, description="So many of them at once, after a pause. 0 for no limit."
    )
    requests_per_second: int = Field(
        default=50,
        ge=0,
        description="All other requests and frames of one user on all devices. 0 for no limit.",
    )
    request_burst: int = Field(
        default=200, ge=0, description="So many of them at once, after a pause. 0 for no limit."
    )
    sockets: int = Field(default=10_000, ge=0, description="WebSockets in all; 0 for no limit.")
    sockets_per_user: int = Field(
        default=20,
        ge=0,
        description="WebSockets of one user; past that the oldest is closed. 0 for no limit.",
    )
    frame_bytes: int = Field(
        default=64 * KIB, ge=KIB, le=64 * MIB, description="The largest WebSocket frame from a client."
    )
    backlog_bytes: int = Field(
        default=MIB,
        ge=64 * KIB,
        description="What may wait unsent for a client that reads slowly, before its socket is closed.",
    )
    total_backlog_bytes: int = Field(
        default=256 * MIB,
        ge=0,
        description="The same for all of them together; past that the slowest are closed. 0 for no limit.",
    )
    resume_events: int = Field(
        default=5000,
        ge=1,
        le=1_000_000,
        description="The most events that are replayed to a client that comes back; past that it must load anew.",
    )
    message_chars: int = Field(
        default=10_000, ge=1, le=MIB, description="The longest text of a message, in characters."
    )
    body_bytes: int = Field(
        default=MIB, ge=KIB, le=64 * MIB, description="The largest JSON body of a request."
    )
    header_bytes: int = Field(
        default=32 * KIB, ge=KIB, le=MIB, description="The URL and headers of a request together."
    )
    group_members: int = Field(
        default=1000, ge=2, le=100_000, description="The most members a group may have."
    )
    live_members: int = Field(
        default=256,
        ge=2,
        description="Conversations with more members than this have no presence, typing and receipts.",
    )


class Presence(Section):
    """Who is online."""

    linger_seconds: float = Field(
        default=5.0,
        ge=0,
        le=3600,
        description="How long after its last socket a user still counts as online.",
    )


class Receipts(Section):
    """The delivered and read ticks."""

    interval_seconds: float = Field(
        default=0.5, ge=0, le=60, description="The least time between two proofs of delivery on one socket."
    )


class Storage(Section):
    """The database."""

    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="full: what was acknowledged survives a power cut. normal: faster on slow disks, but a power cut"
        " may take the last messages.",
    )


S3_HOURS = MAX_SECONDS // 3600 - 1
"""URLs on S3 are signed as of the full hour, so that they stay the same within it, and hold for 7 days at most."""


class S3(Section):
    """The bucket, if there is one."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] = Field(
        default="",
        description="The S3 service, like https://s3.example.org, as clients reach it, too. Empty: AWS.",
    )
    region: Annotated[str, Field(min_length=1)] = Field(
        default="us-east-1", description="The bucket's region; services other than AWS have one, too."
    )
    bucket: str = Field(
        default="",
        description="The bucket. While it is named, what lies there is served, wherever new files go.",
    )
    access_key: str = Field(default="", description="The id of the access key.")
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="Its secret. Better in the environment: BESEDA_ATTACHMENTS__S3__SECRET_KEY.",
    )

    @property
    def is_configured(self) -> bool:
        """Whether there is a bucket."""
        return bool(self.bucket)


class Attachments(Section):
    """Files in messages. Sizes in bytes."""

    store: Literal["local", "s3"] = Field(
        default="local",
        description="Where new files go: into the data folder (local), or to the bucket of [attachments.s3] (s3)."
        " Files stay where they are.",
    )
    max_bytes: int = Field(default=25 * MIB, ge=1, description="The largest file.")
    url_hours: int = Field(
        default=24,
        ge=1,
        le=8760,
        description="How long a file's URL in a message is good for. On S3 at most 167.",
    )
    unsent_files: int = Field(
        default=20, ge=1, description="Files that a user may have uploaded and not yet sent."
    )
    unsent_bytes: int = Field(default=250 * MIB, ge=1, description="What they may take together.")
    unsent_hours: int = Field(default=24, ge=1, le=8760, description="After so many hours they are removed.")
    min_free_bytes: int = Field(
        default=GIB,
        ge=0,
        description="Uploads to the data folder are refused while the disk has less free space than this.",
    )
    s3: S3 = S3()


class Backup(Section):
    """Backups that the server makes by itself."""

    every_hours: int = Field(
        default=0,
        ge=0,
        le=8760,
        description="A backup every so many hours, as `beseda backup` makes it. 0 for none.",
    )
    keep: int = Field(default=7, ge=1, description="So many of them are kept; older ones are removed.")
    folder: Annotated[Path, Field(strict=False), AfterValidator(_folder)] = Field(
        default=Path("backups"),
        description="Where they go, better to another disk. A relative one is relative to the data folder.",
    )


class Log(Section):
    """What the server writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    format: Literal["text", "json"] = Field(
        default="text", description="Lines of text, or one JSON object a line."
    )


class Metrics(Section):
    """Figures for Prometheus."""

    enabled: bool = Field(default=False, description="Whether GET /metrics tells figures to Prometheus.")
    token: SecretStr = Field(
        default=SecretStr(""),
        description="What Prometheus must send as its bearer token; long and random. Better in the environment:"
        " BESEDA_METRICS__TOKEN.",
    )


class Config(Section):
    """All settings of a server."""

    server: Server = Server()
    auth: Auth = Auth()
    limits: Limits = Limits()
    presence: Presence = Presence()
    receipts: Receipts = Receipts()
    storage: Storage = Storage()
    attachments: Attachments = Attachments()
    backup: Backup = Backup()
    log: Log = Log()
    metrics: Metrics = Metrics()


def conflict(config: Config) -> tuple[str, str] | None:
    """A setting that doesn't go with another one, and why; None if all go together."""
    token = config.metrics.token.get_secret_value()
    if config.metrics.enabled and not token:
        return "metrics.token", "must be set where metrics.enabled is true"
    if not all("!" <= sign <= "~" for sign in token):
        return "metrics.token", "must be of ASCII letters, digits and signs, without spaces"
    tls = {"tls_cert": config.server.tls_cert, "tls_key": config.server.tls_key}
    for name, other in zip(tls, reversed(tls), strict=True):
        if tls[other] and not tls[name]:
            return f"server.{name}", f"must be set where server.{other} is set"
    attachments, s3 = config.attachments, config.attachments.s3
    if attachments.store != "s3" and not s3.is_configured:
        return None
    cause = 'attachments.store is "s3"' if attachments.store == "s3" else "attachments.s3.bucket is set"
    values = {
        "bucket": s3.bucket,
        "access_key": s3.access_key,
        "secret_key": s3.secret_key.get_secret_value(),
    }
    for name, value in values.items():
        if not value:
            return f"attachments.s3.{name}", f"must be set where {cause}"
    if attachments.url_hours > S3_HOURS:
        return "attachments.url_hours", f"must be at most {S3_HOURS} where {cause}"
    return None
