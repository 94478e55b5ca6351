"""`python -m tests.support.cheap serve ...`: the server as it is, but that a password's hash costs next to nothing.

Most tests need people, and few need their passwords to be safe: a genuine hash takes more of the machine than all else
that such a test does. Where the program itself is what is tested, the mark `genuine` has `python -m beseda` run.
"""

import sys

import argon2
from argon2.profiles import CHEAPEST


class CheapHasher(argon2.PasswordHasher):
    """Argon2id with parameters that protect nothing."""

    def __init__(self) -> None:
        super().__init__(
            time_cost=CHEAPEST.time_cost,
            memory_cost=CHEAPEST.memory_cost,
            parallelism=CHEAPEST.parallelism,
        )


def main() -> None:
    """Run the command line."""
    setattr(argon2, "PasswordHasher", CheapHasher)  # noqa: B010 - the name is a class's, not to be assigned to
    # Only now: the hasher is made when it is imported.
    from beseda.cli import main as run

    assert "actions.passwords" not in sys.modules, "its hasher is the genuine one"
    run()


if __name__ == "__main__":
    main()
