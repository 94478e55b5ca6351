"""What is remembered: one SQLite database with one writer and read-only readers, and the attachments' bytes."""

from storage.database import Held, Unusable
from storage.looking import looking
from storage.store import Settings, Store, open_locked, open_store
from storage.transaction import Snapshot, Transaction

__all__ = [
    "Held",
    "Settings",
    "Snapshot",
    "Store",
    "Transaction",
    "Unusable",
    "looking",
    "open_locked",
    "open_store",
]
