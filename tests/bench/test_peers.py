"""Peers start, say what they lack, and leave nothing running."""

import os

import pytest

from bench.peers import PEERS
from bench.peers.script import PythonScript


def test_a_peer_that_lacks_a_module_says_what_to_install() -> None:
    assert PythonScript("prototype", needs=["uvloop"]).missing() is None
    lacking = PythonScript("prototype", needs=["uvloop", "no_such_module"]).missing()
    assert lacking == "Python has no module no_such_module: pip install '.[bench]'"


def test_a_peer_is_gone_with_its_children_after_the_block() -> None:
    with PEERS["prototype"].serving(2, [(0, 1)]) as server:
        pids = server.pids()
        assert server.pid in pids
        assert server.cpu() > 0
        assert server.rss() > 1
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="No module named"), PythonScript("absent").serving(1, [(0,)]):
        pass
