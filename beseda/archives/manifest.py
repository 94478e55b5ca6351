"""What a backup says of itself."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from beseda.archives import ArchiveError
from beseda.archives.tar import MANIFEST
from protocol.times import Time

FORMAT = 1


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class File(_Part):
    """A file in the archive; `size` in bytes."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class LogPosition(_Part):
    """The log's name, and its latest event when the copy was made."""

    name: str
    last_event_id: int


class Counts(_Part):
    """Rows of the database's tables."""

    users: int
    conversations: int
    messages: int
    attachments: int


class Made(_Part):
    """In which shape the rest is, and by which version; this much is the same in every shape."""

    format: int
    beseda: str


class Manifest(Made):
    """All that `manifest.json` says. `on_s3` are keys in a bucket, `missing` names of files that the server lacked."""

    db_schema: int = Field(alias="schema")
    created_at: Time
    log: LogPosition
    counts: Counts
    on_s3: list[str]
    missing: list[str]
    files: dict[str, File]

    def encode(self) -> bytes:
        """Its bytes in the archive."""
        return self.model_dump_json(by_alias=True, indent=1).encode() + b"\n"

    def summary(self) -> dict[str, object]:
        """What a script wants to know; `bytes` are those of all files together."""
        told = self.model_dump(mode="json", by_alias=True, exclude={"on_s3", "missing", "files"})
        return told | {
            "files": len(self.files),
            "bytes": sum(file.size for file in self.files.values()),
            "on_s3": len(self.on_s3),
            "missing": self.missing,
        }


def digest_line(data: bytes | bytearray) -> bytes:
    """The manifest's SHA-256, as `sha256sum` writes it."""
    return f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n".encode()


def decode(data: bytes | bytearray, path: Path) -> Manifest:
    """The manifest of the archive `path`. Raises ArchiveError."""
    try:
        made = Made.model_validate_json(data)
        if made.format != FORMAT:
            raise ArchiveError(
                f"{path}: Beseda {made.beseda} made this in format {made.format}, and this version reads {FORMAT}:"
                " use that version"
            )
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, found["loc"])) or "all of it"
        raise ArchiveError(f"{path}: {MANIFEST} is damaged: {place}: {found['msg']}") from None
