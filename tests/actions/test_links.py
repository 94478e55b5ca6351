"""Signed URLs: nobody can make one, change one, or use one after its time."""

import pytest
from starlette.datastructures import URL, QueryParams

from actions.links import Links, S3Links
from actions.serving import Served
from protocol.errors import Refused
from storage.attachments.objects import MAX_SECONDS, ObjectNames, is_on_s3
from storage.attachments.presigning import Presigner
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


def s3_links(clock: Clock, url_seconds: int = 86_400) -> S3Links:
    presigner = Presigner("https://files.example.org", "eu-central-1", "id", "secret")
    return S3Links(presigner, ObjectNames("5f"), url_seconds, clock)


PNG = Served("image/png", True)


def test_a_download_on_s3_is_one_url_within_an_hour_and_good_for_as_long_as_was_set() -> None:
    clock = Clock(START - START % HOUR)
    signer = s3_links(clock, 167 * 3600)
    first = signer.fresh("files/5f/7-x", "a.png", PNG, is_final=True)
    assert first.expires_in == MAX_SECONDS
    clock.now += HOUR - 1
    again = signer.fresh("files/5f/7-x", "a.png", PNG, is_final=True)
    assert again.url == first.url
    assert again.expires_in == 167 * 3600 + 1
    clock.now += 1
    assert signer.fresh("files/5f/7-x", "a.png", PNG, is_final=True).url != first.url


@pytest.mark.parametrize(
    ("served", "shown"),
    [
        (PNG, "inline"),
        (Served("application/octet-stream", False), "attachment"),
        (Served("application/pdf", True), "attachment"),
        (Served("Application/PDF; x=y", True), "attachment"),
    ],
)
def test_a_download_on_s3_says_what_it_is_answered_with(served: Served, shown: str) -> None:
    url = s3_links(Clock()).fresh("files/5f/7-x", 'ä;".png', served, is_final=False).url
    query = QueryParams(URL(url).query)
    assert query["response-content-type"] == served.content_type
    assert query["response-content-disposition"].startswith(f'{shown}; filename="_;_.png"; filename*=UTF-8')
    assert query["response-cache-control"] == "private, no-cache"
    assert query["X-Amz-SignedHeaders"] == "host"


def test_an_upload_on_s3_holds_for_ten_minutes_and_knows_the_size_if_it_was_declared() -> None:
    signer = s3_links(Clock())
    plain, sized = (QueryParams(URL(signer.upload("uploads/5f/7-x", size)).query) for size in (None, 0))
    assert plain["X-Amz-Expires"] == sized["X-Amz-Expires"] == "600"
    assert plain["X-Amz-SignedHeaders"] == "host"
    assert sized["X-Amz-SignedHeaders"] == "content-length;host"


def test_a_key_tells_whose_it_is_and_where_it_lies() -> None:
    names, others = ObjectNames("5f"), ObjectNames("6a")
    upload, file = names.new_upload(7), names.new_file(7)
    assert upload != names.new_upload(7)
    assert [names.attachment_id(key) for key in (upload, file)] == [7, 7]
    for key in (others.new_file(7), "files/5f/x", "files/5f/07-" + "0" * 32, "backup/5f/7-" + "0" * 32):
        assert names.attachment_id(key) is None
    assert [is_on_s3(key) for key in (file, upload, "5f/7-" + "0" * 32)] == [True, False, False]
