"""What is remembered: one SQLite database with one writer and read-only readers, and the attachments' bytes."""

from storage.database import Unusable
from storage.store import Settings, Store, open_store
from storage.transaction import Snapshot, Transaction

__all__ = ["Settings", "Snapshot", "Store", "Transaction", "Unusable", "open_store"]
