"""Files are handed out so that nothing in them runs, and under names that are names."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.serving import OCTETS, disposition, served_as

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
HTML = b"<!doctype html><script>alert(1)</script>"

SHOWN = [
    ("image/png", PNG),
    ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF"),
    ("image/gif", b"GIF89a\1\0\1\0"),
    ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 "),
    ("image/avif", b"\0\0\0\x1cftypavif\0\0\0\0mif1miaf"),
    ("image/avif", b"\0\0\0\x1cftypmif1\0\0\0\0avifmiaf"),
    ("image/heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1"),
    ("image/bmp", b"BM\0\0\0\0"),
    ("image/tiff", b"II*\0\x08\0\0\0"),
    ("image/x-icon", b"\0\0\1\0\1\0"),
    ("audio/mpeg", b"ID3\4\0"),
    ("audio/mpeg", b"\xff\xfb\x90\x64"),
    ("audio/aac", b"\xff\xf1\x50\x80"),
    ("audio/ogg", b"OggS\0\2"),
    ("audio/ogg; codecs=opus", b"OggS\0\2"),
    ("audio/flac", b"fLaC\0\0\0\x22"),
    ("audio/wav", b"RIFF\x24\0\0\0WAVEfmt "),
    ("audio/aiff", b"FORM\0\0\0\0AIFF"),
    ("audio/webm", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81"),
    ("video/mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2"),
    ("video/quicktime", b"\0\0\0\x14ftypqt  "),
    ("video/quicktime", b"\0\0\0\x08wide\0\0\0\0mdat"),
    ("video/webm", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81"),
    ("video/x-msvideo", b"RIFF\x24\0\0\0AVI LIST"),
    ("application/pdf", b"%PDF-1.7\n"),
    ("Image/PNG", PNG),
]


@pytest.mark.parametrize(("declared", "head"), SHOWN)
def test_what_a_browser_can_show_safely_is_shown(declared: str, head: bytes) -> None:
    assert served_as(declared, head) == (declared, True)


@pytest.mark.parametrize("declared", sorted({declared for declared, _ in SHOWN}))
@pytest.mark.parametrize("head", [HTML, b"", b"\0" * 64, b"<svg xmlns='http://www.w3.org/2000/svg'>"])
def test_what_the_bytes_contradict_is_octets_for_saving(declared: str, head: bytes) -> None:
    assert served_as(declared, head) == (OCTETS, False)


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        ("image/jpeg", PNG),
        ("image/png", b"GIF89a"),
        ("image/avif", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2"),
        ("image/webp", b"RIFF\x24\0\0\0WAVEfmt "),
        ("audio/mpeg", b"\xff\xf9\x50\x80"),
        ("text/plain", PNG),
        ("text/html", b"%PDF-1.7"),
    ],
)
def test_one_kind_of_file_is_not_served_as_another(declared: str, head: bytes) -> None:
    assert served_as(declared, head) == (OCTETS, False)


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        ("text/html", HTML),
        ("text/html; charset=utf-8", HTML),
        ("image/svg+xml", b"<svg"),
        ("application/xhtml+xml", HTML),
        ("application/zip", b"PK\3\4"),
        ("text/plain", b"hello"),
        ("image/x-of-tomorrow", b"?"),
        ("audio/x-of-tomorrow", b"?"),
        (OCTETS, PNG),
    ],
)
def test_everything_else_keeps_its_type_and_is_for_saving(declared: str, head: bytes) -> None:
    assert served_as(declared, head) == (declared, False)


@pytest.mark.parametrize(
    "declared",
    ["text/javascript", "application/javascript", "application/x-javascript", "Text/ECMAScript", "text/css",
     "text/javascript; charset=utf-8", "text/jscript", "application/wasm", "text/xsl"],
)  # fmt: skip
def test_a_page_of_this_server_cannot_be_made_to_load_an_upload_as_code(declared: str) -> None:
    assert served_as(declared, b"alert(1)") == (OCTETS, False)


def test_a_plain_name_stands_as_it_is() -> None:
    assert disposition("report 2.pdf", inline=False) == 'attachment; filename="report 2.pdf"'
    assert disposition("a.png", inline=True) == 'inline; filename="a.png"'


@pytest.mark.parametrize(
    ("filename", "saved"),
    [
        ("отчёт.pdf", "отчёт.pdf"),
        ("日本語 🎉.png", "日本語 🎉.png"),
        ('say "hi".txt', 'say "hi".txt'),
        ("100%.txt", "100%.txt"),
        ("%2e%2e%2f.txt", "%2e%2e%2f.txt"),
        ("semi;colon, comma.txt", "semi;colon, comma.txt"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("..\\..\\windows", ".._.._windows"),
        ("..", "__"),
        (".", "_"),
        (".env", ".env"),
        ("a\r\nSet-Cookie: x=1", "a__Set-Cookie: x=1"),
        ("a\nb\x00c\x7fd\x85e\u2028f", "a_b_c_d_e_f"),
        ("photo\u202egnp.exe", "photo_gnp.exe"),
        ("a\u2066b\u2069", "a_b_"),
        ("\ud800", "_"),
    ],
)
def test_a_name_is_saved_as_a_name(filename: str, saved: str) -> None:
    value = disposition(filename, inline=False)
    extended = re.search(r"filename\*=UTF-8''(.*)$", value)
    quoted = re.search(r'filename="([^"]*)"', value)
    assert quoted
    assert (unquote(extended[1]) if extended else quoted[1]) == saved


@settings(deadline=None)  # a busy machine is no finding
@given(st.text(min_size=1, max_size=255), st.booleans())
def test_no_name_breaks_out_of_the_header(filename: str, inline: bool) -> None:
    value = disposition(filename, inline=inline)
    # RFC 6266's grammar: a quoted string without escapes, then RFC 5987's characters only.
    assert re.fullmatch(
        r'(inline|attachment); filename="[ !#-$&-.0-\[\]-~]+"'
        r"(; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})+)?",
        value,
    )
    assert value.startswith("inline" if inline else "attachment")
    assert len(value) < 4096
