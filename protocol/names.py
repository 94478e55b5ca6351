"""Usernames and emails: what is valid, and the form in which two of them are the same (docs/protocol.md section 1)."""

import contextlib
import unicodedata

from protocol.errors import invalid

USERNAME_LENGTH = range(3, 33)
_PUNCTUATION = frozenset("._-")

_INVISIBLE = frozenset(
    chr(code)
    for first, last in [
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
        (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
    ]
    for code in range(first, last + 1)
)  # fmt: skip
"""Letters and marks that show nothing (Unicode's Default_Ignorable_Code_Point): with one of them at its end, a name
would look like another's."""


def username(text: str) -> str:
    """The username as it is shown: NFKC. Raises Refused `invalid`."""
    name = unicodedata.normalize("NFKC", text)
    if len(name) not in USERNAME_LENGTH:
        raise invalid("username", "must have 3 to 32 characters")
    for character in name:
        if not _is_in_names(character):
            raise invalid("username", "may hold letters and digits of any script and . _ - only")
    if unicodedata.category(name[0])[0] == "M":
        raise invalid("username", "must not begin with a combining mark")
    return name


def _is_in_names(character: str) -> bool:
    # Marks are parts of letters in many scripts: Hindi cannot be written without them.
    is_letter = unicodedata.category(character)[0] in "LM" and character not in _INVISIBLE
    return is_letter or character.isdecimal() or character in _PUNCTUATION


def username_key(name: str) -> str:
    """What is compared: two usernames with one key are the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def email(text: str) -> str:
    """The email as it is kept. Any syntactically valid one will do: self-hosters have `anna@home`.

    Raises Refused `invalid`.
    """
    try:
        return _normalized(text)
    except ValueError as error:
        raise invalid("email", str(error).rstrip(".")) from None


def email_key(text: str) -> str:
    """What is compared: two emails with one key are the same, in whatever form their domain is written."""
    with contextlib.suppress(ValueError):
        # `anna@xn--bcher-kva.example` is kept as `anna@bücher.example`, and must be found under both.
        text = _normalized(text)
    return unicodedata.normalize("NFKC", text).casefold()


def _normalized(text: str) -> str:
    """Raises ValueError where it is no email, and says why."""
    # Its patterns take 25 ms to build: whoever logs in first waits for them, and not everyone at every start.
    import email_validator

    # Those who host for themselves do have mail at `localhost` and `.local`.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    return email_validator.validate_email(
        text, check_deliverability=False, globally_deliverable=False
    ).normalized
