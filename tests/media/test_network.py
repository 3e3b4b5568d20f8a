"""Which addresses a socket may be opened to, and that the checked one is the one."""

import ipaddress
import socket
import time
from collections.abc import Sequence
from typing import Any

import httpcore
import pytest

from vitron_agent.errors import DownloadError
from vitron_agent.media.network import CheckedNetwork, is_public

PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:4700::6810:84e5"]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",  # carrier-grade NAT
    "169.254.169.254",  # the metadata service of clouds
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]


class Opened:
    """Notes which sockets were asked for, and opens none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[str] = []
        monkeypatch.setattr(socket, "create_connection", self._refuse)

    def _refuse(self, address: tuple[str, int], *_: Any, **__: Any) -> Any:
        self.addresses.append(address[0])
        raise OSError("no network in this test")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    return Opened(monkeypatch)


def network(*answers: Sequence[str], allowed: Sequence[str] = (), seconds: float = 5) -> CheckedNetwork:
    """A network whose names lead to these addresses, one answer after the other."""
    rest = list(answers)
    networks = [ipaddress.ip_network(text) for text in allowed]
    return CheckedNetwork("'pictures.example'", lambda host, port: rest.pop(0), networks, seconds)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_all_others(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", [*NOT_PUBLIC, "fe80::1%eth0"])
@pytest.mark.parametrize("before", [[], ["93.184.215.14"]], ids=["alone", "behind a public one"])
def test_a_name_that_leads_there_opens_nothing(address: str, before: list[str], opened: Opened) -> None:
    with pytest.raises(DownloadError, match="no public address") as caught:
        network([*before, address]).connect_tcp("pictures.example", 80)
    assert opened.addresses == []
    assert address not in str(caught.value)


def test_a_name_that_changes_its_mind_is_asked_once(opened: Opened) -> None:
    """DNS rebinding: public for the check, loopback for the connection."""
    rebinding = network(["93.184.215.14"], ["127.0.0.1"])
    for _ in range(3):
        with pytest.raises(httpcore.ConnectError):
            rebinding.connect_tcp("pictures.example", 80)
    assert opened.addresses == ["93.184.215.14"] * 3


def test_every_address_is_tried_in_order(opened: Opened) -> None:
    with pytest.raises(httpcore.ConnectError):
        network(["2606:4700::6810:84e5", "93.184.215.14", "93.184.215.14"]).connect_tcp("pictures.example", 80)
    assert opened.addresses == ["2606:4700::6810:84e5", "93.184.215.14"]


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "0", "foo.0x7f"])
def test_numbers_in_other_forms_are_no_names(host: str, opened: Opened) -> None:
    with pytest.raises(DownloadError, match="no public address"):
        network(["93.184.215.14"]).connect_tcp(host, 80)
    assert opened.addresses == []


def test_whether_a_name_is_unknown_or_private_is_not_told() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    told = []
    for resolve in (unknown, lambda host, port: ["10.0.0.1"], lambda host, port: []):
        with pytest.raises(DownloadError) as caught:
            CheckedNetwork("'intranet'", resolve, (), 5).addresses("intranet", 80)
        told.append(str(caught.value))
    assert len(set(told)) == 1


def test_an_allowed_network_is_opened_and_its_neighbours_are_not() -> None:
    allowed = ["10.1.0.0/16", "::1/128"]
    assert network(["10.1.2.3", "::1"], allowed=allowed).addresses("a", 80) == ["10.1.2.3", "::1"]
    with pytest.raises(DownloadError):
        network(["10.2.0.1"], allowed=allowed).addresses("a", 80)


def test_no_unix_socket_is_opened() -> None:
    with pytest.raises(NotImplementedError):
        network().connect_unix_socket("/var/run/docker.sock")


def test_every_read_ends_at_the_deadline_of_all() -> None:
    """A listener that never answers: each read may wait only as long as is left."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        quiet = network(["127.0.0.1"], allowed=["127.0.0.1"], seconds=0.3)
        stream = quiet.connect_tcp("pictures.example", silent.getsockname()[1])
        with pytest.raises(httpcore.ReadTimeout):
            stream.read(10, timeout=60)
        with pytest.raises(DownloadError, match=r"more than 0\.3 seconds"):
            stream.read(10, timeout=60)
        stream.close()
    assert time.monotonic() - start < 30  # of a minute
