"""The same actions over HTTP: a small Starlette app that does not know who listens on sockets."""

from api.app import build
from api.services import Services

__all__ = ["Services", "build"]
