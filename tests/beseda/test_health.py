"""`beseda health`, which supervisors call."""

from pathlib import Path

import pytest

from beseda.cli.health import health
from tests.support.server import ServerProcess


def test_a_server_that_is_up_is_found_by_its_url_and_by_its_settings(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    port = server.base_url.rpartition(":")[2]
    file.write_text(f'[server]\nhost = "0.0.0.0"\nport = {port}\n')
    assert health(server.base_url) == 0
    assert health(config=file) == 0
    assert capsys.readouterr() == ("", "")


def test_what_does_not_answer_as_it_should_is_told_in_one_line(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health(f"{server.base_url}/elsewhere") == 1
    assert health(server.base_url.replace("http:", "https:")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"beseda: {server.base_url}/elsewhere: Not Found"


@pytest.mark.parametrize("url", ["chat.example.org", "ftp://127.0.0.1", "file:///etc/passwd", "http://[::1"])
def test_what_is_no_url_is_told(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert health(url) == 2
    assert capsys.readouterr().err.startswith(f"beseda: {url}: ")
