"""Signed URLs: nobody can make one, change one, or use one after its time."""

import pytest
from starlette.datastructures import URL, QueryParams

from actions.links import Links
from protocol.errors import Refused
from tests.support.stored import START, Clock

HOUR = 3_600_000


def parts(url: str) -> tuple[str, str]:
    query = QueryParams(URL(url).query)
    return query["expires"], query["signature"]


def links(clock: Clock, key: bytes = b"k" * 32, public_url: str = "", url_seconds: int = 3600) -> Links:
    return Links(key, public_url, url_seconds, clock)


def assert_refused(links: Links, method: str, attachment_id: int, expires: str, signature: str) -> None:
    with pytest.raises(Refused) as refused:
        links.check(method, attachment_id, expires, signature)
    assert refused.value.code == "invalid_url"
    assert refused.value.status == 403


def test_a_download_is_good_for_get_and_head_alone() -> None:
    signer = links(Clock())
    expires, signature = parts(signer.download(7))
    assert signer.check("GET", 7, expires, signature) > 0
    assert signer.check("HEAD", 7, expires, signature) > 0
    for method in ("PUT", "POST", "DELETE", "get", ""):
        assert_refused(signer, method, 7, expires, signature)


def test_an_upload_is_good_for_put_alone() -> None:
    signer = links(Clock())
    expires, signature = parts(signer.upload(7, "http://host"))
    assert signer.check("PUT", 7, expires, signature) == 600
    for method in ("GET", "HEAD", "POST"):
        assert_refused(signer, method, 7, expires, signature)


def test_a_changed_url_is_refused_whatever_was_changed() -> None:
    signer = links(Clock())
    expires, signature = parts(signer.download(7))
    for attachment_id in (0, 1, 8, 70):
        assert_refused(signer, "GET", attachment_id, expires, signature)
    for changed in (str(int(expires) + 1), str(int(expires) - 1), "0" + expires, expires + "0", "+" + expires,
                    expires + " ", expires + ".0", "", "never", "-1", "9" * 5000, "٣"):  # fmt: skip
        assert_refused(signer, "GET", 7, changed, signature)
    for place, character in enumerate(signature):
        other = "A" if character != "A" else "B"
        assert_refused(signer, "GET", 7, expires, signature[:place] + other + signature[place + 1 :])
    for changed in (
        "",
        signature[:-1],
        signature + "=",
        signature + "A",
        signature.swapcase(),
        "é",
        "\udc80",
    ):
        assert_refused(signer, "GET", 7, expires, changed)


def test_another_server_s_signature_is_refused() -> None:
    clock = Clock()
    expires, signature = parts(links(clock, b"other" * 8).download(7))
    assert_refused(links(clock), "GET", 7, expires, signature)


def test_an_upload_s_url_expires_after_ten_minutes() -> None:
    clock = Clock()
    signer = links(clock)
    expires, signature = parts(signer.upload(7, "http://host"))
    clock.now += 600_000
    assert signer.check("PUT", 7, expires, signature) == 0, "it is told to hold for 600 s, and it does"
    clock.now = int(expires) * 1000 - 1
    signer.check("PUT", 7, expires, signature)
    clock.now += 1
    assert_refused(signer, "PUT", 7, expires, signature)


@pytest.mark.parametrize("offset", [0, 1, HOUR // 2, HOUR - 1])
def test_a_download_s_url_holds_as_long_as_it_was_told_and_no_longer(offset: int) -> None:
    clock = Clock(START // HOUR * HOUR + offset)
    signer = links(clock)
    url, seconds = signer.fresh(7)
    assert url == signer.download(7)
    assert 3600 <= seconds <= 7200
    expires, signature = parts(url)
    assert signer.check("GET", 7, expires, signature) == seconds
    clock.now += HOUR
    if offset:
        assert signer.check("GET", 7, expires, signature) == seconds - 3600
    clock.now = int(expires) * 1000
    assert_refused(signer, "GET", 7, expires, signature)


def test_a_file_keeps_its_url_for_an_hour_so_that_caches_know_it() -> None:
    clock = Clock(START // HOUR * HOUR + 1)
    signer = links(clock)
    first = signer.download(7)
    clock.now += HOUR - 1
    assert signer.download(7) == first
    clock.now += 1
    assert signer.download(7) != first
    assert signer.download(8) != signer.download(7)


def test_a_download_is_a_path_unless_there_is_a_public_url() -> None:
    clock = Clock()
    path = links(clock).download(7)
    assert path.startswith("/files/7?expires=")
    for public_url in ("https://chat.example.org", "https://chat.example.org/"):
        assert links(clock, public_url=public_url).download(7) == "https://chat.example.org" + path


def test_an_upload_is_absolute_on_the_base_it_was_asked_for() -> None:
    url = links(Clock()).upload(7, "http://127.0.0.1:8000")
    assert url.startswith("http://127.0.0.1:8000/files/7?expires=")
