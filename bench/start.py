"""From exec to the first HTTP answer: `python -m bench.start [--full]`.

With nothing stored, ten thousand and ten million messages; after a server that stopped in good order, and after one
that was killed while it wrote, which leaves a write-ahead log to go through. All of the database may lie in the
system's cache, for it has just been copied; and the server was started before, so its modules are compiled.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from bench.past import FEW, MANY, MILLIONS, past
from bench.process import Server
from bench.rest import Rest
from bench.scale import COUNTED, Figures, Scale, show

WRITES = 1000
"""Before it is killed."""


def run(scale: Scale) -> Figures:
    """Seconds: `empty_s` (the folder is new), `few_s`, `many_s`, and `killed_s` with the many."""
    many = past(MILLIONS if scale.full else MANY)
    with tempfile.TemporaryDirectory(prefix="beseda-start-") as folder:
        few_dir = past(FEW).copy(Path(folder) / "few")
        many_dir = many.copy(Path(folder) / "many")
        _after_a_stop(Path(folder) / "first")
        figures = {"empty_s": _after_a_stop(Path(folder) / "empty")}
        figures["few_s"] = _after_a_stop(few_dir)
        figures["many_s"] = _after_a_stop(many_dir)
        pair = many.pairs[0]
        dialog = many.crowd.conversations[len(many.groups)]
        figures["killed_s"] = _after_a_kill(many_dir, many.crowd.tokens[pair[0]], dialog)
    return figures


def _after_a_stop(data_dir: Path) -> float:
    took, server = _start(data_dir)
    server.stop()
    return took


def _after_a_kill(data_dir: Path, token: str, conversation_id: int) -> float:
    with Server(data_dir, COUNTED) as server:
        asyncio.run(_write(server.port, token, conversation_id))
        server.kill()
    assert (data_dir / "beseda.db-wal").stat().st_size
    return _after_a_stop(data_dir)


def _start(data_dir: Path) -> tuple[float, Server]:
    began = time.perf_counter()
    server = Server(data_dir, COUNTED)
    asyncio.run(_ask(server.port))
    return time.perf_counter() - began, server


async def _ask(port: int) -> None:
    rest = Rest(port)
    answer = await rest.call("GET", "/server")
    rest.close()
    if answer.status != 200:
        raise RuntimeError(f"the first answer was {answer.status}: {answer.body!r}")


async def _write(port: int, token: str, conversation_id: int) -> None:
    rest = Rest(port, token)
    for number in range(WRITES):
        body = {"text": f"Message {number} before the end.", "temp_id": str(number)}
        answer = await rest.call("POST", f"/chats/{conversation_id}/messages", body)
        if answer.status != 201:
            raise RuntimeError(f"a message was answered {answer.status}: {answer.body!r}")
    rest.close()


if __name__ == "__main__":
    show(run)
