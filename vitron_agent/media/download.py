"""Pictures and videos from the web, for whoever switches it on: public http(s) addresses, within limits, checked.

Nothing of the environment is used (no proxies, no credentials), nothing of the answer but its bytes is kept, and errors
name the address as it was given, never where it led. Which sockets may be opened is network.py's matter; whether the
bytes are a picture is the decoders'.
"""

import contextlib
import ipaddress
import re
import ssl
from dataclasses import dataclass, field

import httpcore
import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from vitron_agent.errors import DownloadError, InputError, quoted
from vitron_agent.media.network import CheckedNetwork, Network, Resolver, system_resolver
from vitron_agent.media.refs import MediaKind

MAX_URL = 2_000  # characters
_BUSY = (429, 502, 503, 504)
_HEADERS = {"User-Agent": "vitron-agent", "Accept-Encoding": "identity"}  # compressed media gain nothing, and may bomb
_SUSPECT = re.compile(r"[^!-~]|\\")  # blanks, controls and backslashes: two parsers may read two hosts

# How files begin that a server declares as this type.
_PICTURES = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/webp": rb"RIFF....WEBP",
    "image/gif": rb"GIF8[79]a",
    "image/bmp": rb"BM",
    "image/x-ms-bmp": rb"BM",
}
_VIDEOS = {
    "video/mp4": rb"....ftyp",
    "video/quicktime": rb"....(?:ftyp|moov|mdat|wide|free|skip)",
    "video/webm": rb"\x1aE\xdf\xa3",
    "video/x-matroska": rb"\x1aE\xdf\xa3",
    "video/x-msvideo": rb"RIFF....AVI ",
    "image/gif": rb"GIF8[79]a",
}


class _TransientError(DownloadError):
    """A failure that another try may not see."""


class _Transport(httpx.HTTPTransport):
    """httpx's own transport over sockets of ours.

    It is used without `httpx.Client`, which would keep cookies, log addresses and look into redirects.
    """

    def __init__(self, network: CheckedNetwork, trusted: ssl.SSLContext | None) -> None:
        context = trusted or httpx.create_ssl_context(trust_env=False)
        # httpx offers no public way to hand the sockets in; httpcore, below it, does.
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=network)


@dataclass(frozen=True)
class Downloads:
    """Downloads media; each `read` stands alone, so one object serves several threads.

    Attributes:
        max_bytes: the largest file.
        seconds: the longest that one download may take, redirects and retries included. A name's look-up has the
            system's own limit.
        max_redirects: how many redirects are followed.
        attempts: how often a failure that may pass by itself (a broken connection, a busy server) is met.
        allowed: networks, such as "10.1.0.0/16", that may be opened although they are not public.
        resolve: looks names up.
        trusted: the TLS certificates to trust; None for the usual ones.
    """

    max_bytes: int = 20_000_000
    seconds: float = 20.0
    max_redirects: int = 3
    attempts: int = 3
    allowed: tuple[str, ...] = ()
    resolve: Resolver = system_resolver
    trusted: ssl.SSLContext | None = None
    _networks: tuple[Network, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read the allowed networks."""
        try:
            networks = tuple(ipaddress.ip_network(network) for network in self.allowed)
        except ValueError as error:
            raise InputError(f"{error}: write an allowed network like 10.1.0.0/16") from None
        object.__setattr__(self, "_networks", networks)

    def read(self, url: str, kind: MediaKind) -> bytes:
        """Download one file.

        Args:
            url: its http or https address.
            kind: what it must be: a picture or a video.

        Returns:
            Its bytes, which begin like the type that the server declares.

        Raises:
            DownloadError: the address may not be opened, does not answer in time, or answers with something else.
        """
        name = shown(url)
        target = _parsed(url, name)
        network = CheckedNetwork(name, self.resolve, self._networks, self.seconds)
        again = Retrying(
            stop=stop_after_attempt(self.attempts),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            retry=retry_if_exception_type(_TransientError),
            reraise=True,
        )
        with _Transport(network, self.trusted) as transport:
            return again(self._attempt, transport, target, kind, name)

    def _attempt(self, transport: _Transport, url: httpx.URL, kind: MediaKind, name: str) -> bytes:
        try:
            return self._follow(transport, url, kind, name)
        except httpx.InvalidURL:
            raise DownloadError(f"{name} redirects to what is no address: give another one") from None
        except httpx.ReadTimeout:
            raise DownloadError(f"{name} took more than {self.seconds:g} seconds: try another address") from None
        except httpx.HTTPError:  # what it says may hold an address
            raise _TransientError(f"{name} cannot be reached, or broke off: try again later") from None

    def _follow(self, transport: _Transport, url: httpx.URL, kind: MediaKind, name: str) -> bytes:
        """Go where an address leads; every step passes the same checks."""
        for _ in range(self.max_redirects + 1):
            request = httpx.Request("GET", url, headers=_HEADERS)
            with contextlib.closing(transport.handle_request(request)) as response:
                if not response.has_redirect_location:
                    return self._body(response, kind, name)
                url = url.join(_parsed(response.headers["Location"], name, absolute=False))
                url = _parsed(str(url), name)
        raise DownloadError(f"{name} redirects more than {self.max_redirects} times: give the address it leads to")

    def _body(self, response: httpx.Response, kind: MediaKind, name: str) -> bytes:
        """Read an answer, as long as it is what was asked for."""
        _check_status(response.status_code, name)
        starts = _VIDEOS if kind is MediaKind.VIDEO else _PICTURES
        declared = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        noun = "video" if kind is MediaKind.VIDEO else "picture"
        if declared not in starts:
            raise DownloadError(f"{name} is of type {quoted(declared, 40)}: give the address of a {noun} itself")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DownloadError(f"{name} comes compressed, which was not asked for: give another address")
        data = bytearray()
        too_large = DownloadError(f"{name} has more than {self.max_bytes:,} bytes: make it smaller first")
        if int(response.headers.get("Content-Length", 0)) > self.max_bytes:
            raise too_large
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > self.max_bytes:
                raise too_large
        if not re.match(starts[declared], data, re.DOTALL):
            raise DownloadError(f"{name} says that it is {declared}, and is not: give another address")
        return bytes(data)


def shown(url: str) -> str:
    """Return what errors call an address: without its path and query, which may be secret."""
    return quoted(re.split(r"[/?#]", url.partition("://")[2] or url, maxsplit=1)[0].rpartition("@")[2])


def _parsed(url: str, name: str, absolute: bool = True) -> httpx.URL:
    """Return an address taken apart.

    Raises:
        DownloadError: it is none, or none that is opened.
    """
    if len(url) > MAX_URL or _SUSPECT.search(url):
        raise DownloadError(f"{name} is no plain address: write it in ASCII, at most {MAX_URL} characters")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise DownloadError(f"{name} is no address: check how it is written") from None
    if absolute and (parsed.scheme not in ("http", "https") or not parsed.host):
        raise DownloadError(f"{name} is no http or https address: only those are opened")
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise DownloadError(f"{name} is no address: its port does not exist")
    if parsed.userinfo:
        raise DownloadError(f"{name} comes with a user's name or password: leave them out")
    return parsed


def _check_status(status: int, name: str) -> None:
    if status in _BUSY:
        raise _TransientError(f"{name} is busy (status {status}): try again later")
    if status != 200:
        raise DownloadError(f"{name} answers with status {status}: check the address")
