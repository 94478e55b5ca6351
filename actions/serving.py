"""How a file is handed out so that it can't run: its type, and whether a browser may show it (protocol.md section 5).

The bytes are asked, not the uploader. What a browser shows by itself (raster images, audio, video, PDF) is shown only
where its first bytes are of the type that was declared; everything else is for saving.
"""

import unicodedata
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

OCTETS = "application/octet-stream"

Test = Callable[[bytes], bool]


class Served(NamedTuple):
    """The content type that is told, and whether a browser may show it."""

    content_type: str
    inline: bool


def served_as(declared: str, head: bytes) -> Served:
    """How to serve a file that was declared as this type and begins with these bytes."""
    essence = declared.partition(";")[0].strip().lower()
    test = _SHOWN.get(essence)
    if test is not None:
        return Served(declared, True) if test(head) else Served(OCTETS, False)
    # A page that may load scripts and styles only from its own server must not be able to load an upload.
    if essence in _ACTIVE or "javascript" in essence or "ecmascript" in essence:
        return Served(OCTETS, False)
    if essence.startswith("text/") and any(head.startswith(magic) for magic in _NEVER_TEXT):
        return Served(OCTETS, False)
    return Served(declared, False)


def disposition(filename: str, *, inline: bool) -> str:
    """The Content-Disposition of a file with this name (RFC 6266), whatever characters it has.

    What would be a path, or turn the reading direction so that the name seems to end otherwise, becomes `_`.
    """
    name = "".join("_" if _is_unsafe(character) else character for character in filename)
    if not name.strip("."):
        name = "_" * len(name)
    # Old clients know only the quoted form; some decode percent signs in it.
    plain = "".join(c if " " <= c <= "~" and c not in '"%' else "_" for c in name)
    value = f'{"inline" if inline else "attachment"}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_RFC_5987)}"
    return value


_RFC_5987 = "!#$&+-.^_`|~"


def _is_unsafe(character: str) -> bool:
    return (
        character in "/\\"
        or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character)
        in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    )


def _begins(*magics: bytes) -> Test:
    return lambda head: head.startswith(magics)


def _riff(form: bytes) -> Test:
    return lambda head: head[:4] == b"RIFF" and head[8:12] == form


def _iso(*brands: bytes) -> Test:
    """An ISO media file (MP4, HEIF): of one of these brands, or of any if none is named."""

    def test(head: bytes) -> bool:
        if head[4:8] != b"ftyp":
            return False
        box = head[: int.from_bytes(head[:4], "big")]
        named = {box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))}
        return not brands or not named.isdisjoint(brands)

    return test


def _mpeg_audio(head: bytes) -> bool:
    # A tag, or a frame: eleven bits set, and a layer (the two bits at 0x06) that is not the reserved 0.
    return head.startswith(b"ID3") or (
        len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 6 != 0
    )


def _adts(head: bytes) -> bool:
    return head.startswith((b"ID3", b"ADIF")) or (
        len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0
    )


def _quicktime(head: bytes) -> bool:
    return head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}


def _aiff(head: bytes) -> bool:
    return head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}


_mp4 = _iso()
_heif = _iso(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_matroska = _begins(b"\x1a\x45\xdf\xa3")
_ogg = _begins(b"OggS")
_wave = _riff(b"WAVE")

_SHOWN: dict[str, Test] = {
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/apng": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": _begins(b"\xff\xd8\xff"),
    "image/jpg": _begins(b"\xff\xd8\xff"),
    "image/gif": _begins(b"GIF87a", b"GIF89a"),
    "image/webp": _riff(b"WEBP"),
    "image/avif": _iso(b"avif", b"avis"),
    "image/heic": _heif,
    "image/heif": _heif,
    "image/jxl": _begins(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "image/bmp": _begins(b"BM"),
    "image/tiff": _begins(b"II*\0", b"MM\0*"),
    "image/x-icon": _begins(b"\0\0\1\0"),
    "image/vnd.microsoft.icon": _begins(b"\0\0\1\0"),
    "audio/mpeg": _mpeg_audio,
    "audio/mp3": _mpeg_audio,
    "audio/aac": _adts,
    "audio/mp4": _mp4,
    "audio/m4a": _mp4,
    "audio/x-m4a": _mp4,
    "audio/ogg": _ogg,
    "audio/opus": _ogg,
    "audio/webm": _matroska,
    "audio/flac": _begins(b"fLaC", b"ID3"),
    "audio/x-flac": _begins(b"fLaC", b"ID3"),
    "audio/wav": _wave,
    "audio/wave": _wave,
    "audio/x-wav": _wave,
    "audio/aiff": _aiff,
    "audio/x-aiff": _aiff,
    "audio/amr": _begins(b"#!AMR"),
    "audio/3gpp": _mp4,
    "video/mp4": _mp4,
    "video/x-m4v": _mp4,
    "video/3gpp": _mp4,
    "video/quicktime": _quicktime,
    "video/webm": _matroska,
    "video/x-matroska": _matroska,
    "video/ogg": _ogg,
    "video/mpeg": _begins(b"\0\0\1\xba", b"\0\0\1\xb3"),
    "video/x-msvideo": _riff(b"AVI "),
    "application/pdf": _begins(b"%PDF-"),
}
"""What may be shown, and how its bytes are known. SVG is not here: it can hold scripts."""

_ACTIVE = frozenset({"text/css", "text/jscript", "text/livescript", "text/xsl", "application/wasm"})
_NEVER_TEXT = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"%PDF-",
    b"OggS",
    b"\x1a\x45\xdf\xa3",
    b"PK\3\4",
)
