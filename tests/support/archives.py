"""Small servers to back up, and backups to damage."""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from beseda.archives import tar
from beseda.archives.manifest import digest_line
from storage import Transaction, uploads
from tests.support.store import House

Members = dict[str, bytes]
"""An archive's files, in their order."""


def store_file(folder: Path, attachment_id: int, data: bytes) -> str:
    """Put an attachment's bytes where the local store has them; the key."""
    rest = secrets.token_hex(16)
    key = f"{rest[:2]}/{attachment_id}-{rest}"
    path = folder / "attachments" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return key


async def uploaded(house: House, uploader_id: int, data: bytes) -> int:
    """An attachment that is uploaded to the local store, and not sent."""

    def unit(tx: Transaction) -> int:
        attachment_id = uploads.insert(
            tx, uploader_id=uploader_id, filename="a.bin", content_type="image/png", declared_size=len(data)
        )
        key = store_file(house.store.settings.data_dir, attachment_id, data)
        uploads.record(tx, uploads.require_unsent(tx, attachment_id), key, len(data))
        return attachment_id

    return await house.write(unit)


def read(path: Path) -> Members:
    """What is in an archive."""
    with path.open("rb") as file:
        return {member.name: b"".join(member.pieces) for member in tar.members(file, path)}


def write(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """An archive of these files, whatever they are."""
    with path.open("wb") as file:
        for name, data in members:
            file.write(tar.header(name, len(data), 0) + data + tar.padding(len(data)))
        file.write(tar.END)
    return path


def described(members: Members, change: Callable[[dict[str, Any]], object] = lambda told: None) -> Members:
    """The files with a manifest that has their true sums and sizes, but for what is changed in it."""
    told = json.loads(members[tar.MANIFEST])
    files = {name: data for name, data in members.items() if name not in {tar.MANIFEST, tar.MANIFEST_SUM}}
    told["files"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    }
    change(told)
    data = json.dumps(told).encode()
    return files | {tar.MANIFEST: data, tar.MANIFEST_SUM: digest_line(data)}


def with_sql(members: Members, folder: Path, *statements: str) -> Members:
    """The files, their database changed, and the manifest as if that had always been so."""
    path = folder / "changed.db"
    path.write_bytes(members[tar.DATABASE])
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)
    return described(members | {tar.DATABASE: path.read_bytes()})
