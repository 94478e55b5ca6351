"""The command line in the test's own process: what a command prints, and what it exits with."""

import io
import json
import sys
from typing import Any, NamedTuple

import pytest

from beseda import cli


class Ran(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, for programs; it must have succeeded."""
        assert self.code == 0, self
        return json.loads(self.out)


def run(*arguments: object, stdin: str = "", program: str = "beseda") -> Ran:
    """`beseda` with these arguments, without a terminal, called as `program`."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [program, *map(str, arguments)])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert isinstance(ended.value.code, int)
    return Ran(ended.value.code, out.getvalue(), err.getvalue())
