"""The certificate: what is wrong with it is told with its file, and a new one takes the old one's place."""

import logging
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from beseda.tls import READ_EVERY_SECONDS, BadCertificate, Certificate
from tests.support.certificates import Authority, handed_out

RSA = trustme.KeyType.RSA


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue()
    return made


def loaded(authority: Authority) -> Certificate:
    return Certificate(authority.chain, authority.key)


def error(authority: Authority) -> str:
    with pytest.raises(BadCertificate) as raised:
        loaded(authority)
    return str(raised.value)


def give_password(key: Path) -> None:
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    key.write_bytes(plain.private_bytes(*form, encryption))


def test_a_file_that_is_missing_is_named(authority: Authority) -> None:
    authority.key.unlink()
    assert error(authority) == f"{authority.key}: No such file or directory"
    authority.chain.unlink()
    assert error(authority) == f"{authority.chain}: No such file or directory"


def test_a_file_that_is_something_else_is_named(authority: Authority) -> None:
    whole = authority.chain.read_bytes()
    authority.chain.write_bytes(authority.key.read_bytes())
    assert error(authority) == f"{authority.chain}: there is no certificate in it (PEM)"
    authority.chain.write_bytes(whole)
    authority.key.write_bytes(authority.key.read_bytes()[:100])
    assert error(authority) == f"{authority.key}: there is no private key in it (PEM)"


@pytest.mark.parametrize("kind", [RSA, trustme.KeyType.ECDSA])
def test_another_certificate_s_key_is_told(authority: Authority, kind: trustme.KeyType) -> None:
    chain = authority.chain.read_bytes()
    authority.issue(kind=kind)
    authority.chain.write_bytes(chain)
    assert error(authority) == f"{authority.key}: this is not the key of the certificate in {authority.chain}"


def test_nobody_is_asked_for_a_key_s_password(authority: Authority) -> None:
    give_password(authority.key)
    assert error(authority) == f"{authority.key}: the key has a password, which the server cannot know"


@pytest.mark.parametrize("name", ["127.0.0.1", None])
def test_a_new_certificate_takes_the_place_of_one_of_another_kind(
    authority: Authority, name: str | None
) -> None:
    authority.issue(kind=RSA)
    certificate, trust = loaded(authority), authority.trust()
    trust.check_hostname = name is not None
    first = handed_out(certificate.context, trust, name)
    authority.issue()
    certificate.look(time.monotonic())
    second = handed_out(certificate.context, trust, name)
    assert second != first
    # The old one is not kept for those who would like it better.
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    trust.set_ciphers("aRSA")
    with pytest.raises(ssl.SSLError):
        handed_out(certificate.context, trust, name)


def test_while_the_new_files_do_not_go_together_the_old_certificate_is_served(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, trust = loaded(authority), authority.trust()
    first, old_key = handed_out(certificate.context, trust), authority.key.read_bytes()
    authority.issue()
    new_key = authority.key.read_bytes()
    authority.key.write_bytes(old_key)
    certificate.look(now := time.monotonic())
    assert handed_out(certificate.context, trust) == first
    assert f"{authority.key}: this is not the key of the certificate" in caplog.text
    caplog.clear()
    certificate.look(now + 60)
    assert caplog.text == "", "what was told is told once a day"
    certificate.look(now + 60 + READ_EVERY_SECONDS)
    assert str(authority.key) in caplog.text
    authority.key.write_bytes(new_key)
    certificate.look(now)
    assert handed_out(certificate.context, trust) != first


def test_what_goes_missing_and_comes_back_is_read_again(authority: Authority) -> None:
    certificate, trust = loaded(authority), authority.trust()
    first = handed_out(certificate.context, trust)
    authority.chain.unlink()
    certificate.look(time.monotonic())
    assert handed_out(certificate.context, trust) == first
    authority.issue()
    certificate.look(time.monotonic())
    assert handed_out(certificate.context, trust) != first


@pytest.mark.parametrize(
    ("lasts", "warning"),
    [(-1, "certificate has expired"), (3, "and was not renewed yet"), (30, None)],
    ids=["over", "late", "renewed"],
)
def test_a_certificate_that_ends_is_warned_of_once_a_day(
    authority: Authority, caplog: pytest.LogCaptureFixture, lasts: int, warning: str | None
) -> None:
    now = datetime.now(UTC)
    authority.issue(not_before=now - timedelta(days=90 - lasts), not_after=now + timedelta(days=lasts))
    certificate = loaded(authority)
    for seconds in (60, READ_EVERY_SECONDS):
        certificate.look(time.monotonic() + seconds)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == (2 if warning else 0)
    assert all(str(authority.chain) in line and str(warning) in line for line in warnings)


def test_tls_is_spoken_in_its_versions_that_count_as_safe(authority: Authority) -> None:
    context = loaded(authority).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
