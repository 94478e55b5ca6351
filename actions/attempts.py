"""How often passwords and registrations may be tried (docs/protocol.md section 1).

Nobody can lock an account for its owner elsewhere: what counts is the account and the address together, and the
address.
"""

import contextlib
import ipaddress
import time
from collections.abc import Callable, Iterator

from actions.buckets import Buckets
from protocol.errors import Refused

IPV6_PREFIX = 64
"""One customer's: who has one such address has all of them."""


class Attempts:
    """Failed tries at passwords, and registrations, by address. Each a minute, and at once; 0 for no limit.

    `clock` gives seconds, and is never set back. On the event loop only.
    """

    def __init__(
        self,
        logins: int = 0,
        of_an_address: int = 0,
        registrations: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logins = Buckets[tuple[int | str, str]](
            "auth.login_attempts_per_minute", "failed logins", logins / 60, logins, clock
        )
        self._of_addresses = Buckets[str](
            "auth.address_attempts_per_minute",
            "failed logins from your network",
            of_an_address / 60,
            of_an_address,
            clock,
        )
        self._registrations = Buckets[str](
            "auth.registrations_per_minute",
            "registrations from your network",
            registrations / 60,
            registrations,
            clock,
        )

    @contextlib.contextmanager
    def at_password(self, account: int | str, address: str) -> Iterator[None]:
        """The block tries a password: it counts as failed where it ends with `invalid_credentials`, else not at all.

        It counts from the beginning, so that many at once are no more than one after the other. `account` is the
        user's id, or what was given for an account that there is not. Raises Refused `rate_limited`.
        """
        network = network_of(address)
        key = (account, network)
        self._of_addresses.require(network)
        self._logins.take(key)
        self._of_addresses.take(network)
        try:
            yield
        except Refused as refusal:
            if refusal.code != "invalid_credentials":
                self._forgive(key)
            raise
        except BaseException:
            self._forgive(key)
            raise
        self._forgive(key)

    def at_registering(self, address: str) -> None:
        """Somebody registers; it counts however it ends. Raises Refused `rate_limited`."""
        self._registrations.take(network_of(address))

    def _forgive(self, key: tuple[int | str, str]) -> None:
        self._logins.give_back(key)
        self._of_addresses.give_back(key[1])


def network_of(address: str) -> str:
    """Whose address it is: itself, or of an IPv6 address its /64."""
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(ipaddress.IPv6Network((parsed, IPV6_PREFIX), strict=False))
