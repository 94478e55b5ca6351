"""Settings: where they come from, which wins, and how a wrong one is told."""

import tomllib
from pathlib import Path

import pytest

from beseda import config
from beseda.config import ConfigError, load, render, settings
from beseda.settings import S3_HOURS, Config

ROOT = Path(__file__).resolve().parents[2]


def error(path: Path | None = None, environ: dict[str, str] | None = None, **overrides: object) -> str:
    """The one line that a wrong setting is answered with."""
    flags = {name.replace("__", "."): value for name, value in overrides.items()}
    with pytest.raises(ConfigError) as raised:
        load(path, environ or {}, flags)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def written(folder: Path, text: str) -> Path:
    path = folder / "beseda.toml"
    path.write_text(text, "utf-8")
    return path


def test_without_anything_the_defaults_hold() -> None:
    assert load(None, {}, {}) == Config()
    assert Config().server.port == 8000
    assert Config().server.data_dir == Path("data")


def test_the_defaults_are_the_numbers_of_the_protocol() -> None:
    usual = Config()
    assert usual.auth.registration == "open"
    assert (usual.auth.access_minutes, usual.auth.refresh_days) == (15, 30)
    assert (usual.limits.sockets_per_user, usual.limits.frame_bytes) == (20, 64 * 1024)
    assert (usual.limits.backlog_bytes, usual.limits.body_bytes) == (2**20, 2**20)
    assert (usual.limits.message_chars, usual.limits.group_members) == (10_000, 1000)
    assert usual.limits.live_members == 256
    assert (usual.presence.linger_seconds, usual.receipts.interval_seconds) == (5.0, 0.5)
    assert usual.storage.synchronous == "full"
    files = usual.attachments
    assert (files.max_bytes, files.unsent_files, files.unsent_bytes) == (25 * 2**20, 20, 250 * 2**20)
    assert (files.min_free_bytes, files.unsent_hours) == (2**30, 24)


def test_the_file_in_the_repository_shows_every_setting_with_its_default() -> None:
    text = (ROOT / "config.toml").read_text("utf-8")
    assert text == render(), "config.toml is out of date: write beseda.config.render() into it"
    tables = tomllib.loads(text)
    tables["attachments.s3"] = tables["attachments"].pop("s3")
    shown = {(section, name) for section, table in tables.items() for name in table}
    assert shown == {(section, name) for section, name, _ in settings()}
    assert len(shown) > 25


def test_the_file_in_the_repository_changes_nothing() -> None:
    assert load(ROOT / "config.toml", {}, {}) == Config()


def test_every_setting_says_what_it_does() -> None:
    for section, name, field in settings():
        assert field.description, f"{section}.{name}"
        assert field.description.endswith("."), f"{section}.{name}"


def test_flags_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, '[server]\nhost = "h1"\nport = 1\n[log]\nlevel = "error"\nformat = "json"\n')
    environ = {"BESEDA_SERVER__PORT": "2", "BESEDA_SERVER__HOST": "h2", "BESEDA_LOG__LEVEL": "debug"}
    found = load(path, environ, {"server.port": 3})
    assert (found.server.port, found.server.host) == (3, "h2")
    assert (found.log.level, found.log.format) == ("debug", "json")
    assert found.limits == Config().limits


def test_the_environment_writes_lists_and_numbers_as_json() -> None:
    found = load(
        None,
        {
            "BESEDA_SERVER__ORIGINS": '["https://a.example", "*"]',
            "BESEDA_SERVER__TRUSTED_PROXIES": "[]",
            "BESEDA_PRESENCE__LINGER_SECONDS": "1",
            "BESEDA_RECEIPTS__INTERVAL_SECONDS": "0.25",
            "BESEDA_SERVER__DATA_DIR": "123",
        },
        {},
    )
    assert found.server.origins == ("https://a.example", "*")
    assert found.server.trusted_proxies == ()
    assert (found.presence.linger_seconds, found.receipts.interval_seconds) == (1.0, 0.25)
    assert found.server.data_dir == Path("123")


def test_variables_that_are_no_settings_are_nobody_s_business() -> None:
    # Kubernetes sets such ones for a service that is called beseda.
    assert (
        load(None, {"BESEDA_PORT": "tcp://10.0.0.1:80", "PATH": "/bin", "XBESEDA_SERVER__PORT": "1"}, {})
        == Config()
    )


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("LIMITS__SOCKETS", "-1", "limits.sockets: must be at least 0"),
        ("LIMITS__SOCKETS", "many", "limits.sockets: must be a whole number"),
        ("LIMITS__SOCKETS", "", "limits.sockets: must be a whole number"),
        ("LIMITS__SOCKETS", "true", "limits.sockets: must be a whole number"),
        ("LIMITS__SOCKETS", "1.0", "limits.sockets: must be a whole number"),
        ("LIMITS__SOCKETS", '"1"', "limits.sockets: must be a whole number"),
        ("LIMITS__SOCKETS", "9" * 5000, "limits.sockets: must be a whole number"),
        ("LIMITS__SOCKETS", "[" * 200_000, "limits.sockets: must be a whole number"),
        ("SERVER__PORT", "65536", "server.port: must be at most 65535"),
        ("SERVER__HOST", "", "server.host: must have at least 1 character"),
        ("SERVER__ORIGINS", "https://a.example", "server.origins: must be a list"),
        (
            "SERVER__ORIGINS",
            '["*", "a.example"]',
            "server.origins: item 1: must be like https://chat.example.org",
        ),
        ("SERVER__ORIGINS", '["https://a.example/x"]', "server.origins: item 0: must be like"),
        ("SERVER__PUBLIC_URL", "ftp://a.example", "server.public_url: must be like https://chat.example.org"),
        (
            "SERVER__PUBLIC_URL",
            "https://u:p@a.example",
            "server.public_url: must be like https://chat.example.org",
        ),
        ("SERVER__PUBLIC_URL", "http://[::1", "server.public_url: "),
        ("SERVER__PUBLIC_URL", "http://a.example:99999", "server.public_url: "),
        ("SERVER__TRUSTED_PROXIES", '["proxy"]', "server.trusted_proxies: 'proxy' does not appear to be"),
        ("SERVER__DATA_DIR", "~nobody-of-this-name/x", "server.data_dir: "),
        ("AUTH__REGISTRATION", "ajar", "auth.registration: must be 'open', 'invite' or 'closed'"),
        ("PRESENCE__LINGER_SECONDS", "NaN", "presence.linger_seconds: must be"),
        ("PRESENCE__LINGER_SECONDS", "Infinity", "presence.linger_seconds: must be at most"),
        ("STORAGE__SYNCHRONOUS", "off", "storage.synchronous: must be 'full' or 'normal'"),
        ("ATTACHMENTS__STORE", "ftp", "attachments.store: must be 'local' or 's3'"),
        (
            "ATTACHMENTS__S3__ENDPOINT",
            "s3.example.org",
            "attachments.s3.endpoint: must be like https://s3.example.org, or empty for AWS",
        ),
        ("ATTACHMENTS__S3__REGION", "", "attachments.s3.region: must have at least 1 character"),
        ("LOG__LEVEL", "loud", "log.level: must be 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_wrong_value_in_the_environment_is_named_with_its_variable(
    variable: str, value: str, line: str
) -> None:
    found = error(environ={f"BESEDA_{variable}": value})
    assert found.startswith(line)
    assert found.endswith(f"(from BESEDA_{variable})")


@pytest.mark.parametrize(
    "variable",
    [
        "SERVER__PROT",
        "NO__THING",
        "__",
        "SERVER__",
        "SERVER__PORT__X",
        "ATTACHMENTS__S3",
        "ATTACHMENTS__S3__KEY",
    ],
)
def test_an_unknown_setting_in_the_environment_stops_the_start(variable: str) -> None:
    found = error(environ={f"BESEDA_{variable}": "1"})
    assert "there is no such setting" in found
    assert f"(from BESEDA_{variable})" in found


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\nprot = 1", "server.prot: there is no such setting (in {path})"),
        ("[sever]\nport = 1", "sever: there is no such section (in {path})"),
        ("port = 1", "port: there is no such section (in {path})"),
        ("server = 1", "server: must be a table, [server] (in {path})"),
        ('[server]\nport = "1"', "server.port: must be a whole number (in {path})"),
        ("[server]\ndata_dir = 1", "server.data_dir: must be"),
        ('[server]\ndata_dir = "a\\u0000b"', "server.data_dir: must not contain NUL (in {path})"),
        ("[server]\norigins = [1]", "server.origins: item 0: must be a string (in {path})"),
        ("[attachments]\ns3 = 1", "attachments.s3: must be a table, [attachments.s3] (in {path})"),
        ("[attachments.s3]\nbuckets = 1", "attachments.s3.buckets: there is no such setting (in {path})"),
        ("[attachments.s3]\nbucket = 1", "attachments.s3.bucket: must be a string (in {path})"),
        ("[attachments.s3.bucket]\nx = 1", "attachments.s3.bucket: must be a string (in {path})"),
        ("[server\n", "{path}: this is no TOML: "),
        ("a = " + "[" * 100_000, "{path}: this is no TOML: "),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_the_file(tmp_path: Path, text: str, line: str) -> None:
    path = written(tmp_path, text)
    assert error(path).startswith(line.format(path=path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert error(tmp_path / "none.toml") == f"{tmp_path / 'none.toml'}: No such file or directory"


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "beseda.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert error(path).startswith(f"{path}: this is no TOML: ")


def test_a_wrong_flag_is_named() -> None:
    assert error(server__port=-1) == "server.port: must be at least 0 (from --port)"
    assert set(config.FLAGS) <= {f"{section}.{name}" for section, name, _ in settings()}


def test_the_source_named_is_the_one_that_counts(tmp_path: Path) -> None:
    path = written(tmp_path, "[server]\nport = -1")
    assert error(path, {"BESEDA_SERVER__PORT": "-2"}).endswith("(from BESEDA_SERVER__PORT)")


def test_a_wrong_value_that_is_overridden_does_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, "[server]\nport = -1")
    assert load(path, {}, {"server.port": 1}).server.port == 1


@pytest.mark.parametrize(
    ("written_as", "kept"),
    [
        ("https://Chat.Example.org/", "https://chat.example.org"),
        ("https://chat.example.org:443", "https://chat.example.org"),
        ("http://chat.example.org:80", "http://chat.example.org"),
        ("http://chat.example.org:8080", "http://chat.example.org:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("", ""),
    ],
)
def test_a_url_is_kept_as_browsers_write_origins(written_as: str, kept: str) -> None:
    assert load(None, {"BESEDA_SERVER__PUBLIC_URL": written_as}, {}).server.public_url == kept


def test_a_home_folder_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = written(tmp_path, '[server]\ndata_dir = "~/chat"')
    assert load(path, {}, {}).server.data_dir == tmp_path / "chat"


S3 = {
    "BESEDA_ATTACHMENTS__STORE": "s3",
    "BESEDA_ATTACHMENTS__S3__BUCKET": "files",
    "BESEDA_ATTACHMENTS__S3__ACCESS_KEY": "an id",
    "BESEDA_ATTACHMENTS__S3__SECRET_KEY": "hush",
}


def test_a_table_within_a_table_is_set_by_the_file_and_by_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, '[attachments]\nurl_hours = 5\n[attachments.s3]\nbucket = "b1"\nregion = "r1"\n')
    found = load(path, {**S3, "BESEDA_ATTACHMENTS__S3__ENDPOINT": "http://[::1]:9000/s3/"}, {}).attachments
    assert (found.store, found.url_hours) == ("s3", 5)
    assert (found.s3.bucket, found.s3.region) == ("files", "r1")
    assert found.s3.endpoint == "http://[::1]:9000/s3"
    assert found.s3.secret_key.get_secret_value() == "hush"


@pytest.mark.parametrize("missing", ["BUCKET", "ACCESS_KEY", "SECRET_KEY"])
def test_s3_without_a_bucket_or_keys_stops_the_start(missing: str) -> None:
    given = {name: value for name, value in S3.items() if not name.endswith(missing)}
    name = f"attachments.s3.{missing.lower()}"
    assert error(environ=given) == f'{name}: must be set where attachments.store is "s3"'
    given["BESEDA_ATTACHMENTS__STORE"] = "local"
    if missing == "BUCKET":
        assert not load(None, given, {}).attachments.s3.is_configured
    else:
        assert error(environ=given) == f"{name}: must be set where attachments.s3.bucket is set"


def test_a_certificate_without_its_key_stops_the_start_and_a_key_without_its_certificate(
    tmp_path: Path,
) -> None:
    for one, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        file = written(tmp_path, f'[server]\n{one} = "~/chat.pem"')
        assert error(file) == f"server.{other}: must be set where server.{one} is set"


def test_a_url_on_s3_holds_for_seven_days_at_most() -> None:
    hours = "BESEDA_ATTACHMENTS__URL_HOURS"
    assert load(None, {**S3, hours: str(S3_HOURS)}, {}).attachments.url_hours == S3_HOURS == 167
    assert error(environ={**S3, hours: "168"}) == (
        'attachments.url_hours: must be at most 167 where attachments.store is "s3"'
    )
    assert load(None, {hours: "168"}, {}).attachments.url_hours == 168


def test_a_secret_stands_in_no_error_and_in_no_text_of_the_settings(tmp_path: Path) -> None:
    assert "hush" not in repr(load(None, S3, {}))
    for text in ('secret_key = ["hush"]', 'secret_key = "hush', 'secret_key = "hush"\nsecret_key = "hush"'):
        assert "hush" not in error(written(tmp_path, f"[attachments.s3]\n{text}"))
    assert "hush" not in error(environ={**S3, "BESEDA_ATTACHMENTS__S3__BUCKET": ""})
