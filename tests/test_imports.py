"""The direction of the imports: the contracts in pyproject.toml hold, and each would notice a breach."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["actions", "api", "beseda", "hub", "protocol", "storage"]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
CONTRACTS = [contract["name"] for contract in SETTINGS["contracts"]]

LAYERS = "Imports run one way, and hub and api are strangers"
STARTED = "No room knows how it is started"
CLIENT = "The client knows the protocol, and nothing of the server"
WEBSOCKETS = "websockets only in hub and the client"
STARLETTE = "starlette only in api"
UVICORN = "uvicorn only where the server is put together"
TERMINAL = "prompt_toolkit only in the chat"
SQLITE = "SQLite only in storage"
BOTOCORE = "botocore only where S3 is"
PROMETHEUS = "prometheus_client only in beseda.metrics"
LOOP = "No event loop in protocol, actions and the hub's registries"

BREACHES = [
    ("protocol", "import storage", LAYERS),
    ("storage", "import actions", LAYERS),
    ("actions", "import hub", LAYERS),
    ("hub", "import api", LAYERS),
    ("api", "import hub", LAYERS),
    ("beseda.server", "import beseda.cli", LAYERS),
    ("api", "import beseda.config", STARTED),
    ("beseda.client.rest", "import actions.tokens", CLIENT),
    ("beseda.client", "import beseda.settings", CLIENT),
    ("api", "import websockets", WEBSOCKETS),
    ("beseda.server", "import websockets", WEBSOCKETS),
    ("hub", "import starlette", STARLETTE),
    ("hub", "import uvicorn", UVICORN),
    ("beseda.cli", "import uvicorn", UVICORN),
    ("beseda.client.client", "import prompt_toolkit", TERMINAL),
    ("actions", "import sqlite3", SQLITE),
    ("beseda.server", "import aiobotocore", BOTOCORE),
    ("storage.attachments.local", "import botocore", BOTOCORE),
    ("beseda.server", "import prometheus_client", PROMETHEUS),
    ("actions", "import asyncio", LOOP),
    ("hub.registry", "import asyncio", LOOP),
]


def lint(folder: Path) -> tuple[int, str]:
    """Check the contracts of the tree in `folder`: the exit code, and what was said."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_every_import_runs_the_way_the_contracts_say() -> None:
    code, said = lint(ROOT)
    assert code == 0, said
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in said


def test_the_contracts_cover_all_rooms_and_each_has_a_breach_to_notice() -> None:
    assert SETTINGS["root_packages"] == ROOMS
    assert {contract for _, _, contract in BREACHES} == set(CONTRACTS)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the rooms, to be broken."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def source_of(house: Path, module: str) -> Path:
    path = house.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize(("module", "statement", "contract"), BREACHES)
def test_an_import_in_the_wrong_place_is_noticed(
    house: Path, module: str, statement: str, contract: str
) -> None:
    source = source_of(house, module)
    source.write_text(f"{source.read_text('utf-8')}\n{statement}\n", "utf-8")
    code, said = lint(house)
    assert code == 1, said
    assert f"{contract} BROKEN" in said
