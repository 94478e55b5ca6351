"""What a starting server says."""

from pathlib import Path

import pytest

from beseda.greeting import greeting

PROGRAM = ".venv/bin/beseda"
DATA = Path("/srv/beseda")


def test_the_first_line_tells_where_the_server_listens_in_a_fixed_form() -> None:
    lines = greeting(PROGRAM, "127.0.0.1", 8000, DATA, "open", has_accounts=True).splitlines()
    assert lines[0] == "Beseda listens on http://127.0.0.1:8000"
    assert lines[1] == "Its data is in /srv/beseda"
    assert lines[-1] == "Press Ctrl-C to stop it."
    assert " chat " not in "".join(lines)


def test_with_a_certificate_the_address_is_https() -> None:
    text = greeting(PROGRAM, "::", 443, DATA, "open", has_accounts=False, tls=True)
    assert text.startswith("Beseda listens on https://[::]:443\n")
    assert text.endswith("chat https://[::1]:443")


def test_without_an_account_it_tells_how_to_make_the_first_one() -> None:
    text = greeting(PROGRAM, "localhost", 8000, DATA, "open", has_accounts=False)
    assert "The first to register becomes the server's admin" in text
    assert text.splitlines()[-1] == "  .venv/bin/beseda chat http://localhost:8000"


@pytest.mark.parametrize(("host", "reachable"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")])
def test_the_command_goes_to_an_address_that_can_be_reached(host: str, reachable: str) -> None:
    text = greeting(PROGRAM, host, 8000, DATA, "open", has_accounts=False)
    assert text.endswith(f"chat http://{reachable}:8000")


def test_where_nobody_may_register_it_does_not_tell_to() -> None:
    text = greeting(PROGRAM, "127.0.0.1", 8000, DATA, "closed", has_accounts=False)
    assert " chat " not in text
    assert 'set auth.registration to "open"' in text


def test_the_first_account_needs_no_invitation() -> None:
    text = greeting(PROGRAM, "127.0.0.1", 8000, DATA, "invite", has_accounts=False)
    assert text == greeting(PROGRAM, "127.0.0.1", 8000, DATA, "open", has_accounts=False)
