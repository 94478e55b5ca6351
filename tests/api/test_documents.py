"""`/openapi.json` and `/asyncapi.json`: there for everyone, and kept by who has them."""

import json
import subprocess
import sys

import pytest

import beseda
from tests.support.described import rest_document, socket_document
from tests.support.rest import Rest
from tests.support.server import ROOT


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_a_description_needs_no_token_and_is_of_this_version(rest: Rest, path: str) -> None:
    response = await rest.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    expected = rest_document() if path == "/openapi.json" else socket_document()
    info = {**expected["info"], "version": beseda.version()}
    assert response.json() == json.loads(json.dumps({**expected, "info": info}))


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_who_has_a_description_gets_it_once(rest: Rest, path: str) -> None:
    first = await rest.get(path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for named in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await rest.request("GET", path, headers={"If-None-Match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await rest.request("GET", path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_a_server_that_nobody_asks_for_descriptions_loads_nothing_for_them() -> None:
    script = (
        "import sys, beseda.server; print([name for name in sys.modules if name.startswith('protocol.')])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "protocol.frames" in loaded.stdout
    for name in ("operations", "examples", "schemas", "openapi", "asyncapi"):
        assert f"'protocol.{name}'" not in loaded.stdout
