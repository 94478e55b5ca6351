"""REST as a client speaks it: tokens, and calls that refresh them by themselves (docs/protocol.md section 1)."""

import asyncio
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
import orjson

from beseda.client.address import base_url
from beseda.client.errors import LoggedOut, Rejected, problem, unreachable

TIMEOUT = 20.0


class Tokens(NamedTuple):
    """What a login gives: a token good for minutes, and one that gets new ones for weeks."""

    access: str
    refresh: str


class Rest:
    """The road that all calls of one account take. `tokens` is None while it is logged out."""

    def __init__(
        self,
        url: str,
        tokens: Tokens | None = None,
        *,
        on_tokens: Callable[[Tokens | None], None] | None = None,
        verify: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """`url` is the server's; `verify` is for certificates that the system does not trust; `timeout` in seconds.

        Raises Unreachable for what is no server's address.
        """
        self.url = base_url(url)
        self.tokens = tokens
        # Not httpx's own list: who runs a server at home has an authority of the home's in the system's.
        self.verify = verify or ssl.create_default_context()
        self.timeout = timeout
        self.http = httpx.AsyncClient(base_url=self.url, timeout=timeout, verify=self.verify)
        self._on_tokens = on_tokens
        self._refreshing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of its connections; the login goes on."""
        await self.http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        login: bool = True,
    ) -> Any:
        """Any call: the answer's JSON, or None where it has none. `login=False` goes without a token.

        Raises Rejected, LoggedOut, Unreachable.
        """
        sent = dict(headers or {})
        options: dict[str, Any] = {"headers": sent}
        if query:
            options["params"] = {name: value for name, value in query.items() if value is not None}
        if body is not None:
            options["content"], sent["Content-Type"] = orjson.dumps(body), "application/json"
        if not login:
            return _answer(await self.send(method, path, **options))
        access = self.access()
        sent["Authorization"] = f"Bearer {access}"
        response = await self.send(method, path, **options)
        if response.status_code == 401:
            sent["Authorization"] = f"Bearer {await self.refresh(access)}"
            response = await self.send(method, path, **options)
        return _answer(response)

    async def send(self, method: str, url: str, **more: Any) -> httpx.Response:
        """A request as it is, whatever is answered; `more` is httpx's. Raises Unreachable."""
        try:
            return await self.http.request(method, url, **more)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            # Without the query: a signed URL's is a secret.
            raise unreachable(self.url if url.startswith("/") else url.partition("?")[0], error) from error

    def access(self) -> str:
        """The access token. Raises LoggedOut."""
        if self.tokens is None:
            raise LoggedOut("You are not logged in.")
        return self.tokens.access

    def keep(self, tokens: Tokens | None) -> None:
        """These are the tokens from now on."""
        self.tokens = tokens
        if self._on_tokens is not None:
            self._on_tokens(tokens)

    async def refresh(self, stale: str) -> str:
        """Another access token than `stale`, fetched once for all that ask. Raises LoggedOut, Rejected, Unreachable."""
        async with self._refreshing:
            if self.tokens is None:
                raise LoggedOut
            if self.tokens.access != stale:
                return self.tokens.access
            before, after = self.tokens, None
            body = {"refresh_token": before.refresh, "rotate": True}
            try:
                answer = await self.request("POST", "/auth/refresh", body, login=False)
                after = Tokens(answer["access_token"], answer.get("refresh_token", before.refresh))
            except Rejected as error:
                if error.status != 401:
                    raise
            # A login or a logout meanwhile counts for more than what came of the old tokens.
            if self.tokens is before:
                self.keep(after)
            if self.tokens is None:
                raise LoggedOut
            return self.tokens.access


def raise_for(response: httpx.Response) -> None:
    """Raise what an answer that is no success says: Rejected or Unreachable."""
    if not response.is_success:
        raise problem(response.status_code, response.content, response.headers.get("retry-after"))


def _answer(response: httpx.Response) -> Any:
    raise_for(response)
    if not response.content:
        return None
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise problem(response.status_code, b"", None) from None
