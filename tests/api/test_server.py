"""What a server tells of itself (docs/protocol.md section 0)."""

import beseda
from tests.support.fixtures import StartServer
from tests.support.rest import Rest, succeeded


async def test_a_server_tells_what_its_settings_are_without_a_token(start_server: StartServer) -> None:
    limits = {
        "message_chars": 11,
        "frame_bytes": 4096,
        "body_bytes": 5000,
        "group_members": 12,
        "live_members": 13,
        "sockets_per_user": 0,
        "messages_per_second": 17,
        "message_burst": 18,
        "requests_per_second": 19,
        "request_burst": 20,
    }
    attachments = {"max_bytes": 14, "unsent_files": 15, "unsent_bytes": 16}
    settings: dict[str, int | str] = {f"limits.{name}": value for name, value in limits.items()}
    settings |= {f"attachments.{name}": value for name, value in attachments.items()}
    process = start_server({**settings, "auth.registration": "closed"})
    async with Rest(process) as rest:
        about = succeeded(await rest.get("/server"))
    features = about.pop("features")
    assert about == {
        "version": beseda.version(),
        "registration": "closed",
        "limits": {**limits, "message_attachments": 10, "attachments": attachments},
    }
    assert len(features) == len(set(features)) > 5
    assert {"rotation", "receipts"} <= set(features)
