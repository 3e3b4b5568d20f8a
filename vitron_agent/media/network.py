"""Sockets for downloads: to addresses that were checked, and to no others; none works beyond its deadline.

The check sits where the socket is opened: the address that was judged is the one that is connected to, whatever a
second look-up of the name would say, while TLS and the Host header go on using the name. This file does not know HTTP.
"""

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from vitron_agent.errors import DownloadError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
"""(name, port) -> every address of the name, as text."""

CONNECT_SECONDS = 5.0  # for one address, so that a dead one leaves time for the next
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)


def system_resolver(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a name."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: Address) -> bool:
    """Whether an address lies in the public internet.

    Of IPv6 only the global range counts, without the ranges that hide an IPv4 address: mapped, 6to4, Teredo, NAT64.
    """
    if isinstance(address, ipaddress.IPv6Address):
        tunnel = address.sixtofour or address.teredo
        return address in _GLOBAL_V6 and address.is_global and not tunnel
    return address.is_global and not address.is_multicast and not address.is_reserved


class CheckedNetwork(httpcore.NetworkBackend):
    """Opens sockets for one download. Each name is looked up once, and one bad address spoils the name."""

    def __init__(self, name: str, resolve: Resolver, allowed: Sequence[Network], seconds: float) -> None:
        """Start the clock.

        Args:
            name: What errors call the download: the address as the user gave it. Where it leads to is not told.
            resolve: Looks names up.
            allowed: Networks that may be opened although they are not public.
            seconds: How long all sockets together may work.
        """
        self._name, self._resolve, self._allowed = name, resolve, allowed
        self._seconds, self._deadline = seconds, time.monotonic() + seconds
        self._known: dict[str, list[str]] = {}
        self._sockets = httpcore.SyncBackend()

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            DownloadError: There are none.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DownloadError(f"{self._name} took more than {self._seconds:g} seconds: try another address")
        return left

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, all of them checked.

        Raises:
            DownloadError: One of them may not be opened, or there are none; which of the two is not told.
        """
        if host not in self._known:
            found = list(dict.fromkeys(self._look_up(host, port)))
            if not found or not all(self._may_open(address) for address in found):
                raise DownloadError(f"{self._name} is no public address: only public ones are opened")
            self._known[host] = found
        return self._known[host]

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first checked address that answers."""
        failure: Exception = httpcore.ConnectError("no address")
        for address in self.addresses(host, port):
            seconds = min(self.left(), CONNECT_SECONDS)
            try:
                stream = self._sockets.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self.left)
        raise failure

    def _look_up(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host as they are found; numbers are read here and nowhere else."""
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        if _NUMERIC.fullmatch(host):  # 2130706433, 0x7f000001, 0177.0.0.1 and 127.1 are no names
            return []
        try:
            return self._resolve(host, port)
        except (OSError, UnicodeError):
            return []

    def _may_open(self, address: str) -> bool:
        found = ipaddress.ip_address(address)
        return is_public(found) or any(found in network for network in self._allowed)


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline of the whole download."""

    def __init__(self, stream: httpcore.NetworkStream, left: Callable[[], float]) -> None:
        self._stream, self._left = stream, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes."""
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all bytes."""
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Encrypt the connection, under the same deadline."""
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._left)

    def get_extra_info(self, info: str) -> Any:
        """Tell what the connection knows about itself."""
        return self._stream.get_extra_info(info)
