"""Read receipts, at the pace of `delivered` (protocol.md section 6): who reads along in a busy group must not cost its
authors a frame for every message."""

from collections.abc import Callable

from actions.receipts import DIALOG_RECEIPTS
from hub.timers import Timers
from protocol.events import ReceiptMoved

Key = tuple[int, int]


class Pace:
    """Of one reader in one conversation the first receipt is told at once; what follows within `interval` seconds, as
    one after them."""

    def __init__(self, timers: Timers, interval: float, tell: Callable[[ReceiptMoved], None]) -> None:
        self._timers = timers
        self._interval = interval
        self._tell = tell
        self._waiting: dict[Key, ReceiptMoved | None] = {}

    def add(self, receipt: ReceiptMoved) -> None:
        """Tell a receipt, now or with the next ones."""
        key = (receipt.user_id, receipt.conversation_id)
        if key not in self._waiting:
            self._start(key, receipt)
            return
        waiting = self._waiting[key]
        self._waiting[key] = receipt if waiting is None else _joined(waiting, receipt)

    def _start(self, key: Key, receipt: ReceiptMoved) -> None:
        self._waiting[key] = None
        self._timers.call_later(self._interval, self._go_on, key)
        self._tell(receipt)

    def _go_on(self, key: Key) -> None:
        receipt = self._waiting.pop(key)
        if receipt is not None:
            self._start(key, receipt)


def _joined(one: ReceiptMoved, later: ReceiptMoved) -> ReceiptMoved:
    messages = one.messages + later.messages
    if one.is_dialog:
        messages = messages[-DIALOG_RECEIPTS:]
    else:
        messages = tuple(sorted(dict(messages).items(), key=lambda pair: pair[1]))
    return ReceiptMoved(one.kind, one.conversation_id, one.user_id, messages, one.is_dialog)
