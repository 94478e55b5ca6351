"""What these tests share."""

import json

from tests.support.hub import House
from tests.support.raw import RawSocket

TEXT_OF_ALL_LENGTHS = "aé€😀 \u07ff\u0800\uffff\U00010000\U0010ffff\ud7ff\ue000\ufffe\ufeff"
"""Characters of one to four bytes, and the first and last ones of each length."""


async def open_one(house: House) -> RawSocket:
    """A new person's socket, past its `hello`."""
    return await house.raw(await house.person())


def asking(text: str) -> bytes:
    """A message whose answer brings `text` back: of a type that the server does not know."""
    return json.dumps({"type": "x", "temp_id": text}, ensure_ascii=False).encode()


async def answered(client: RawSocket, text: str) -> None:
    """That message has arrived whole, and the socket is open."""
    error = await client.text("error")
    assert (error["code"], error["temp_id"]) == ("unknown_type", text)


async def closed_with(client: RawSocket, code: int) -> None:
    """The client gets this close code with a reason that is text, and then a clean end of the stream."""
    close = await client.until_close()
    assert close.close_code == code
    close.payload[2:].decode()
    await client.ended()


async def let_go(house: House) -> None:
    """The server holds no connection any more."""
    await house.until(lambda: not house.state.connections, "that the server lets go")
