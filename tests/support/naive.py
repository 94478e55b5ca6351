"""A client by someone who has read the API contract and nothing else: plain httpx, plain websockets.

It knows no field, no event and no status code that the contract doesn't name: any 2xx is success, and of what it
is told it keeps only what the page shows. What the page uses without showing it, any reader has to guess; these
are the guesses, and there are no others:

- a chat, a message and a user have an `id`; a message has its `text`, and its `attachments`, each with a `url`
  (which, like any URL of a web server, may be relative to it);
- the token goes into `Authorization: Bearer`, and `/auth/login` takes the email and the password;
- `/auth/refresh` takes `{"refresh_token": ...}` (docs/protocol.md section 1);
- presign's answer has an `id` for `attachments` (docs/protocol.md section 5): the contract names no other way to it;
- `typing_start` and `typing_stop` carry their name as `type`, as `send_message` does.

Beside it, and unknown to it, what the server says is held to the server's own descriptions.
"""

import asyncio
import json
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support import described

PATIENCE = 20.0

EVENTS: dict[str, tuple[str, ...]] = {
    "message_sent": ("temp_id", "message"),
    "new_message": ("conversation_id", "message"),
    "typing": ("conversation_id", "user_id"),
    "delivered": ("message_id",),
    "read": ("message_id",),
    "online_status": ("user_id", "online"),
}
"""What the server may send, and the fields of each, as section 6 of the contract shows them."""

Json = dict[str, Any]


def shown(message: Json) -> Json:
    """What this client knows of a message."""
    attachments = [{"url": attachment["url"]} for attachment in message["attachments"]]
    return {"id": message["id"], "text": message["text"], "attachments": attachments}


class NaiveClient:
    """One person: REST, and a WebSocket once `go_online` was called."""

    def __init__(self, base_url: str, name: str) -> None:
        self.base_url = base_url
        self.name = name
        self.email = f"{name}@example.org"
        self.password = f"the password of {name}"
        self.id = 0
        self.access_token = ""
        self.refresh_token = ""
        self.events: list[Json] = []
        """Every event of the contract that came, in order, reduced to the contract's fields."""
        self._taken: set[int] = set()
        self._sent: dict[str, int] = {}
        self._http = httpx.AsyncClient(timeout=PATIENCE, trust_env=False)
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.go_offline()
        await self._http.aclose()

    # -- REST

    async def call(
        self, method: str, path: str, body: Json | None = None, query: dict[str, int] | None = None
    ) -> Any:
        """The JSON that a request is answered with; it must succeed."""
        headers = {"Authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        response = await self._http.request(
            method, self.base_url + path, json=body, headers=headers, params=query
        )
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        described.check_response(response)
        return response.json()

    async def register(self) -> Json:
        answer = await self.call(
            "POST", "/auth/register", {"email": self.email, "password": self.password, "username": self.name}
        )
        self.id = answer["id"]
        return {field: answer[field] for field in ("id", "email", "username")}

    async def login(self) -> Json:
        answer = await self.call("POST", "/auth/login", {"email": self.email, "password": self.password})
        self.access_token, self.refresh_token = answer["access_token"], answer["refresh_token"]
        return {field: answer[field] for field in ("access_token", "refresh_token", "user")}

    async def refresh(self) -> str:
        answer = await self.call("POST", "/auth/refresh", {"refresh_token": self.refresh_token})
        self.access_token = answer["access_token"]
        return self.access_token

    async def create_chat(self, kind: str, title: str | None, *members: "NaiveClient") -> int:
        body = {"type": kind, "title": title, "members": [member.id for member in members]}
        chat: int = (await self.call("POST", "/chats", body))["id"]
        return chat

    async def history(self, chat: int, **query: int) -> list[Json]:
        """One page, as it comes: `limit`, `before_id`."""
        answer = await self.call("GET", f"/chats/{chat}/messages", query=query)
        assert isinstance(answer, list), answer
        return [shown(message) for message in answer]

    async def whole_history(self, chat: int) -> list[Json]:
        """All messages, lowest id first; page after page until one is empty."""
        messages: list[Json] = []
        page = await self.history(chat, limit=50)
        while page:
            messages += page
            earliest = min(message["id"] for message in messages)
            page = await self.history(chat, limit=50, before_id=earliest)
            assert all(message["id"] < earliest for message in page), "before_id does not bound the page"
        return sorted(messages, key=lambda message: int(message["id"]))

    async def upload(self, filename: str, content_type: str, content: bytes) -> int:
        """Presign, and PUT the bytes alone: no token, no header of ours. The id for `attachments`."""
        answer = await self.call(
            "POST", "/attachments/presign", {"filename": filename, "content_type": content_type}
        )
        assert answer["method"] == "PUT"
        assert answer["expires_in"] == 600
        response = await self._http.put(urljoin(self.base_url, answer["url"]), content=content)
        assert response.is_success, f"PUT: {response.status_code} {response.text}"
        attachment: int = answer["id"]
        return attachment

    async def download(self, attachment: Json) -> httpx.Response:
        """The file that a message shows, fetched as a browser would: by its URL, without a token."""
        response = await self._http.get(urljoin(self.base_url, attachment["url"]))
        assert response.is_success, f"GET: {response.status_code} {response.text}"
        return response

    # -- WebSocket

    async def go_online(self) -> None:
        """Connect with the token in the query, and read in the background."""
        assert self._reading is None
        address = self.base_url.replace("http", "ws", 1) + "/ws?token=" + self.access_token
        self._socket = await connect(address, open_timeout=PATIENCE, max_queue=None, proxy=None)
        self._reading = asyncio.create_task(self._read(self._socket))

    async def go_offline(self) -> None:
        """Close the WebSocket, if it is open; what the reading met with is raised here."""
        if self._socket is not None and self._reading is not None:
            await self._socket.close()
            reading, self._socket, self._reading = self._reading, None, None
            await reading

    async def send(self, frame: Json) -> None:
        assert self._socket is not None, "not online"
        await self._socket.send(json.dumps(frame))

    async def post(
        self, chat: int, text: str, *, attachments: list[int] | None = None, temp_id: str | None = None
    ) -> str:
        """Send a message and don't wait; the `temp_id` it went out under."""
        temp_id = temp_id or str(uuid.uuid4())
        self._sent[temp_id] = chat
        frame = {"type": "send_message", "temp_id": temp_id, "conversation_id": chat, "text": text}
        await self.send({**frame, "attachments": attachments or []})
        return temp_id

    async def say(
        self, chat: int, text: str, *, attachments: list[int] | None = None, temp_id: str | None = None
    ) -> Json:
        """Send a message and wait for its ACK; the message in it."""
        temp_id = await self.post(chat, text, attachments=attachments, temp_id=temp_id)
        message: Json = (await self.expect("message_sent", temp_id=temp_id))["message"]
        return message

    async def expect(self, kind: str, **fields: Any) -> Json:
        """The first event of this type, with these fields, that was not expected before; waits for it."""

        def found() -> int | None:
            for place, event in enumerate(self.events):
                fits = event["type"] == kind and all(event[name] == value for name, value in fields.items())
                if fits and place not in self._taken:
                    return place
            return None

        await self._until(lambda: found() is not None, f"no {kind} with {fields}")
        place = found()
        assert place is not None
        self._taken.add(place)
        return self.events[place]

    async def expect_messages(self, chat: int, count: int) -> None:
        """Wait until so many messages of a chat were seen, own ones among them."""
        await self._until(lambda: len(self.seen(chat)) >= count, f"{count} messages have not come")

    def seen(self, chat: int) -> list[Json]:
        """The chat as the screen shows it: every message in the order of its event, the own ones by their ACK."""
        return [
            event["message"]
            for event in self.events
            if (event["type"] == "message_sent" and self._sent[event["temp_id"]] == chat)
            or (event["type"] == "new_message" and event["conversation_id"] == chat)
        ]

    def count(self, kind: str, **fields: Any) -> int:
        """How many such events have come."""
        return sum(
            event["type"] == kind and all(event[name] == value for name, value in fields.items())
            for event in self.events
        )

    async def _until(self, condition: Callable[[], bool], complaint: str) -> None:
        async with self._news:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._news.wait_for(lambda: condition() or self._is_cut_off())
            except TimeoutError:
                pass
        assert condition(), f"{self.name}: {complaint}; the last events were {self.events[-5:]}"

    def _is_cut_off(self) -> bool:
        return self._reading is None or self._reading.done()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                event = json.loads(await socket.recv())
                described.check_frame(event)
                fields = EVENTS.get(event["type"])
                if fields is None:  # what the contract doesn't name is none of our business
                    continue
                known = {name: event[name] for name in ("type", *fields)}
                if "message" in known:
                    known["message"] = shown(known["message"])
                async with self._news:
                    self.events.append(known)
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        finally:
            async with self._news:
                self._news.notify_all()
