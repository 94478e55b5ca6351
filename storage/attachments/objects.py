"""How attachments' objects are named in a bucket.

    uploads/5f0c…/7-91ab…    temporary: where attachment 7's bytes are put until it is sent
    files/5f0c…/7-c33e…      sent: a copy under a key that no client was ever told to write to

The folder in the middle is the server's own, so that none clears away what another one keeps in the same bucket.
"""

import re
import secrets

MAX_SECONDS = 7 * 86_400
"""The longest that a presigned URL may hold."""

UPLOADS, FILES = "uploads/", "files/"

_NAME = re.compile(r"([1-9][0-9]{0,15})-[0-9a-f]{32}")


def is_on_s3(key: str) -> bool:
    """Whether a sent attachment's key is one of a bucket's; all others are the local store's."""
    return key.startswith(FILES)


class ObjectNames:
    """Makes the keys of one server, and reads them."""

    def __init__(self, server: str) -> None:
        self.uploads = f"{UPLOADS}{server}/"
        """The prefix of all temporary keys."""
        self.files = f"{FILES}{server}/"
        """The prefix of all keys of what is sent."""

    def new_upload(self, attachment_id: int) -> str:
        """A fresh temporary key."""
        return f"{self.uploads}{attachment_id}-{secrets.token_hex(16)}"

    def new_file(self, attachment_id: int) -> str:
        """A fresh key for what is sent."""
        return f"{self.files}{attachment_id}-{secrets.token_hex(16)}"

    def attachment_id(self, key: str) -> int | None:
        """Whose object it is; None for one that was never ours."""
        match = _NAME.fullmatch(key.rpartition("/")[2])
        return int(match[1]) if match and key.startswith((self.uploads, self.files)) else None
