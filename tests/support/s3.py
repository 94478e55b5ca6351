"""An S3 service for our own tests: moto's as a process of its own, or any that the environment names.

    BESEDA_TEST_S3_ENDPOINT  _REGION  _BUCKET  _ACCESS_KEY  _SECRET_KEY

A bucket that is named must exist. Servers with data folders of their own don't see each other's objects in it.
"""

import asyncio
import contextlib
import functools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config

from beseda import keys
from storage.attachments.objects import ObjectNames
from tests.support.server import ServerProcess, Setting

START_SECONDS = 20.0


@dataclass(frozen=True)
class Bucket:
    """A bucket on a service that is there."""

    endpoint: str
    region: str
    name: str
    access_key: str
    secret_key: str
    is_real: bool
    """Moto's takes any signature in a URL (its IAM mode knows them in headers only), and heeds no condition."""

    def settings(self, **changes: Setting) -> dict[str, Setting]:
        """The settings of a server whose files go here; `changes` are to those in `[attachments.s3]`."""
        values: dict[str, Setting] = {
            "endpoint": self.endpoint,
            "region": self.region,
            "bucket": self.name,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            **changes,
        }
        return {
            "attachments.store": "s3",
            **{f"attachments.s3.{name}": value for name, value in values.items()},
        }

    def require_real(self, reason: str) -> None:
        """Skip the test where moto stands in for S3 and is no match for it."""
        if not self.is_real:
            pytest.skip(
                f"moto {reason}: name a real service by BESEDA_TEST_S3_ENDPOINT, _BUCKET, _ACCESS_KEY and _SECRET_KEY"
            )

    @functools.cached_property
    def client(self) -> Any:
        """boto3's client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def keys(self, prefix: str) -> set[str]:
        """The keys of all objects under a prefix."""
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        assert not listed["IsTruncated"]
        return {found["Key"] for found in listed.get("Contents", [])}

    def put(self, key: str, data: bytes) -> None:
        """Make an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def empty(self, *prefixes: str) -> None:
        """Remove all objects under these prefixes."""
        for prefix in prefixes:
            for key in self.keys(prefix):
                self.client.delete_object(Bucket=self.name, Key=key)


@contextlib.contextmanager
def running_bucket() -> Iterator[Bucket]:
    """The bucket that the environment names, or one on a service of our own."""
    given = {
        name: os.environ.get(f"BESEDA_TEST_S3_{name}", "")
        for name in ("ENDPOINT", "REGION", "BUCKET", "ACCESS_KEY", "SECRET_KEY")
    }
    if given["ENDPOINT"]:
        region = given["REGION"] or "us-east-1"
        bucket = Bucket(
            given["ENDPOINT"], region, given["BUCKET"], given["ACCESS_KEY"], given["SECRET_KEY"], True
        )
        yield bucket
        bucket.client.close()
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        bucket = Bucket(f"http://127.0.0.1:{port}", "eu-central-1", "beseda", "id", "a secret", False)
        place = {"LocationConstraint": bucket.region}
        bucket.client.create_bucket(Bucket=bucket.name, CreateBucketConfiguration=place)
        yield bucket
        bucket.client.close()
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "moto's server has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < deadline, "moto's server does not listen"
        time.sleep(0.05)


def names(server: ServerProcess) -> ObjectNames:
    """How a server names its objects."""
    key = (server.data_dir / keys.FILE_NAME).read_bytes()
    return ObjectNames(keys.derive(key, "objects").hex()[:16])


class Proxy:
    """A TCP proxy before a service, on a thread of its own, which passes bytes on until the test decides otherwise."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.reset()

    def reset(self) -> None:
        """Pass everything on, what was swallowed too."""
        self.requests = 0
        """How many pieces of requests have come."""
        self.swallows: Callable[[bytes], bool] = lambda request: False
        """Which requests are not passed on, as long as it says so."""
        self.cuts = False
        """Whether connections are closed as soon as a request comes."""
        self.answer_bytes: int | None = None
        """After how many bytes answers stop."""


@contextlib.contextmanager
def proxied(bucket: Bucket) -> Iterator[Proxy]:
    """A proxy before the bucket's service."""
    if not bucket.endpoint.startswith("http://"):
        pytest.skip("the test's proxy speaks no TLS: name an endpoint with http://")
    host, _, port = bucket.endpoint.removeprefix("http://").partition(":")

    async def requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(answers(theirs, writer))
        try:
            while (data := await reader.read(65536)) and not proxy.cuts:
                proxy.requests += 1
                while proxy.swallows(data):
                    await asyncio.sleep(0.01)
                ours.write(data)
                await ours.drain()
        except ConnectionError:
            pass
        finally:
            back.cancel()
            ours.transport.abort()
            writer.transport.abort()

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if proxy.answer_bytes is not None:
                    data = data[: proxy.answer_bytes]
                    proxy.swallows = lambda request: True
                writer.write(data)
                await writer.drain()
            writer.close()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(requests, "127.0.0.1", 0)

    with asyncio.Runner(debug=False) as runner:
        server = runner.run(listen())
        proxy = Proxy(server.sockets[0].getsockname()[1])
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield proxy
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
