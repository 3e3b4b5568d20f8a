"""Downloads from a real server on this machine: what is fetched, what is refused, and that errors tell nothing more."""

import gzip
import http.server
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from vitron_agent.errors import DownloadError, InputError
from vitron_agent.media import Downloads, MediaKind, encode_mp4, encode_png
from vitron_agent.media.download import MAX_URL
from vitron_agent.testing import paint

PNG = encode_png(paint("a picture"))
MP4 = encode_mp4(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), 8)
NAME = "pictures.example"
Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


class Site:
    """A server whose pages are functions; it notes every request."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[Handler] = []
        site = self

        class Page(Handler):
            def do_GET(self) -> None:
                site.asked.append(self)
                page = site.pages.get(self.path, lambda handler: handler.send_error(404, "no secret here"))
                try:
                    page(self)
                except OSError:  # the client hung up, as it should
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def add(self, path: str, page: Answer) -> str:
        """Add a page and return its address."""
        self.pages[path] = page
        return f"http://{NAME}:{self.port}{path}"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every look-up and every connection that is tried; none succeeds."""
    tried: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        tried.append(arguments)
        raise OSError("no network in this test")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    return tried


def local(**settings: Any) -> Downloads:
    """Downloads whose names all lie on this machine."""
    return Downloads(**{"allowed": ("127.0.0.0/8",), "resolve": lambda host, port: ["127.0.0.1"], **settings})


def page(body: bytes = PNG, kind: str = "image/png", status: int = 200, **headers: str) -> Answer:
    """A page with a body; headers are written with `_` for `-`."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Type": kind, "Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def leads_to(target: str, status: int = 302) -> Answer:
    return page(b"", status=status, Location=target)


def refused(downloads: Downloads, url: str, kind: MediaKind = MediaKind.IMAGE) -> str:
    """Return what a download that fails says: one line, with nothing of what lies behind the address."""
    with pytest.raises(DownloadError) as caught:
        downloads.read(url, kind)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 250
    secrets = r"secret|Errno|refused|object at|at 0x"
    assert re.search(secrets, said) is None
    assert "127.0.0.1" in url or "127.0.0.1" not in said
    assert caught.value.__cause__ is None
    return said


# What is read.


@pytest.mark.parametrize(
    ("body", "kind", "wanted"),
    [
        (PNG, "image/png", MediaKind.IMAGE),
        (PNG, "Image/PNG; q=1", MediaKind.IMAGE),
        (MP4, "video/mp4", MediaKind.VIDEO),
    ],
)
def test_a_file_comes_as_it_is(site: Site, body: bytes, kind: str, wanted: MediaKind) -> None:
    url = site.add("/a?size=2", page(body, kind))
    assert local().read(url, wanted) == body
    (request,) = site.asked
    assert request.headers["Host"] == f"{NAME}:{site.port}"  # the name, though the socket goes to the address
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["User-Agent"] == "vitron-agent"


def test_a_chunked_body_is_read(site: Site) -> None:
    def chunked(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Content-Type", "image/png")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in (PNG[:20], PNG[20:]):
            handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    assert local().read(site.add("/", chunked), MediaKind.IMAGE) == PNG


def test_nothing_of_the_environment_is_used(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text(f"machine {NAME} login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    assert local().read(site.add("/", page()), MediaKind.IMAGE) == PNG
    assert site.asked[0].headers["Authorization"] is None


# Which addresses are opened.


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://127.0.0.1:8000/x",
        "http://169.254.169.254/latest/meta-data",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[fe80::1%25eth0]/",
        "http://10.0.0.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "https://192.168.0.1/",
        "http://ok.com\\@127.0.0.1/",
        "http://ok.com@127.0.0.1/",
        "http://me:word@ok.com/",
        "http://ok.com#@127.0.0.1\\/",
        "http://127.0.0.1\t.ok.com/",
        "http://ok.com/\r\nHost: 127.0.0.1",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http:///etc/passwd",
        "http://",
        "//127.0.0.1/",
        "file:///etc/passwd",
        "ftp://ok.com/a.png",
        "gopher://ok.com/",
        "javascript:alert(1)",
        "/etc/passwd",
        "C:\\Windows\\win.ini",
        "http://ok.com:99999/",
        "http://ok.com/" + "a" * MAX_URL,
        "",
    ],
)
def test_a_blocked_address_opens_no_socket(url: str, opened: list[Any]) -> None:
    refused(Downloads(), url)
    assert opened == []


def test_the_guard_sees_a_socket(opened: list[Any]) -> None:
    with pytest.raises(DownloadError):
        Downloads(attempts=1).read("http://93.184.215.14/a.png", MediaKind.IMAGE)
    assert [arguments[0] for arguments in opened] == [("93.184.215.14", 80)]


@pytest.mark.parametrize("host", ["localhost", "%31%32%37.0.0.1", "LOCALHOST", "localhost."])
def test_names_of_this_machine_are_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the system's own resolver, which answers these from its hosts file."""

    def refuse(*arguments: Any, **_: Any) -> Any:
        raise AssertionError(f"opened {arguments}")

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert "no public address" in refused(Downloads(), f"http://{host}/")


def test_a_name_that_turns_private_is_never_connected_to(opened: list[Any]) -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"], ["127.0.0.1"]]
    downloads = Downloads(resolve=lambda host, port: answers.pop(0))
    assert "cannot be reached" in refused(downloads, "http://rebind.example/a.png")
    assert {arguments[0][0] for arguments in opened} == {"93.184.215.14"}
    assert len(answers) == 2


def test_an_allowed_network_must_be_one() -> None:
    with pytest.raises(InputError, match=r"10\.1\.0\.0/16"):
        Downloads(allowed=("everything",))


# Redirects.


def test_redirects_are_followed_also_to_another_name(site: Site) -> None:
    site.add("/c", page(Set_Cookie="a=b"))
    site.add("/b", leads_to(f"http://other.example:{site.port}/c", 301))
    assert local().read(site.add("/a", leads_to("b", 307)), MediaKind.IMAGE) == PNG
    assert [request.headers["Host"].split(":")[0] for request in site.asked] == [NAME, NAME, "other.example"]


def test_a_loop_ends_after_three(site: Site) -> None:
    assert "more than 3 times" in refused(local(), site.add("/a", leads_to("/a")))
    assert len(site.asked) == 4


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/secret",
        "http://169.254.169.254/",
        "//10.0.0.1/",
        "http://[::1]/",
        "http://intranet.example/",
        "file:///etc/passwd",
        "ftp://other.example/a.png",
        "http://other.example\\@10.0.0.1/",
        "http://me@other.example/",
        "data:image/png;base64,AAAA",
        "http://other.example:99999/",
        "http://[::1/",
    ],
)
def test_a_redirect_is_checked_like_the_first_address(site: Site, target: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1"] if host == "intranet.example" else ["127.0.0.1"]

    said = refused(local(resolve=resolve), site.add("/a", leads_to(target)))
    assert NAME in said
    assert not any(word in said for word in ("10.0.0.1", "169.254", "intranet", "passwd", "other"))
    assert {request.path for request in site.asked} == {"/a"}


# Limits.


def body_of(size: int, sent: list[int], declared: bool) -> Answer:
    """A picture that goes on and on."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/png")
        if declared:
            handler.send_header("Content-Length", str(size))
        handler.end_headers()
        handler.wfile.write(PNG)
        block = bytes(100_000)
        while sum(sent) < size:
            sent.append(handler.connection.send(block))

    return answer


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_100_megabytes_is_cut_off(site: Site, declared: bool) -> None:
    sent: list[int] = []
    said = refused(
        Downloads(allowed=("127.0.0.1",), resolve=lambda *_: ["127.0.0.1"]),
        site.add("/", body_of(10**8, sent, declared)),
    )
    assert "more than 20,000,000 bytes" in said
    assert sum(sent) < 60_000_000  # what was read, and what lay in the sockets' buffers


def test_the_limit_itself_is_allowed(site: Site) -> None:
    url = site.add("/", page())
    assert local(max_bytes=len(PNG)).read(url, MediaKind.IMAGE) == PNG
    assert f"more than {len(PNG) - 1} bytes" in refused(local(max_bytes=len(PNG) - 1), url)


def drip(head: bytes, endless: bytes, said: list[bytes]) -> Answer:
    """A server that has said so much, and then says a little every 20 ms, 500 times; `said` is that."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(head)
        for _ in range(500):
            said.append(endless)
            handler.wfile.write(endless)
            handler.wfile.flush()
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize(
    ("head", "endless"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Type: image/png\r\n\r\n", b"x"),
        (b"HTTP/1.0 200 OK\r\n", b"X-Slow: 1\r\n"),
        (b"", b"H"),
        (b"", b""),
    ],
    ids=["body", "headers", "status line", "silence"],
)
def test_a_slow_server_is_left(site: Site, head: bytes, endless: bytes) -> None:
    said: list[bytes] = []
    assert "took more than 0.4 seconds" in refused(local(seconds=0.4), site.add("/", drip(head, endless, said)))
    assert len(said) < 250


def test_redirects_and_tries_share_the_time(site: Site) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.25)
        leads_to("/")(handler)

    assert "took more than 0.4 seconds" in refused(local(seconds=0.4), site.add("/", slow))


# What comes back.

HTML = b"<!doctype html><script>alert('secret')</script>"


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (HTML, "text/html", "is of type 'text/html'"),
        (HTML, "image/png", "says that it is image/png, and is not"),
        (PNG, "image/jpeg", "says that it is image/jpeg, and is not"),
        (PNG, "application/octet-stream", "is of type 'application/octet-stream'"),
        (PNG, "text/html", "is of type 'text/html'"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", "is of type 'image/svg+xml'"),
        (MP4, "video/mp4", "give the address of a picture itself"),
        (b"", "image/png", "says that it is image/png, and is not"),
        (PNG[:4], "image/png", "says that it is image/png, and is not"),
        (b"GIF89a=1;alert(1)", "image/png", "says that it is image/png, and is not"),
    ],
)
def test_an_answer_must_be_what_it_claims(site: Site, body: bytes, kind: str, said: str) -> None:
    assert said in refused(local(), site.add("/", page(body, kind)))
    assert len(site.asked) == 1


@pytest.mark.parametrize("kind", ["application/vnd.apple.mpegurl", "application/x-mpegurl", "video/mp4", "audio/mpeg"])
def test_a_playlist_is_no_video(site: Site, kind: str) -> None:
    url = site.add("/", page(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", kind))
    assert re.search("is of type|and is not", refused(local(), url, MediaKind.VIDEO))


def test_an_answer_without_a_type_is_refused(site: Site) -> None:
    assert "is of type ''" in refused(local(), site.add("/", page(kind="")))


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip"])
def test_a_compressed_answer_is_never_unpacked(site: Site, encoding: str) -> None:
    bomb = gzip.compress(PNG + bytes(50_000_000))
    assert len(bomb) < 100_000
    assert "comes compressed" in refused(local(), site.add("/", page(bomb, Content_Encoding=encoding)))


@pytest.mark.parametrize(
    ("status", "tries"), [(404, 1), (500, 1), (401, 1), (204, 1), (206, 1), (304, 1), (503, 3), (429, 3)]
)
def test_a_failure_is_told_and_only_passing_ones_are_tried_again(site: Site, status: int, tries: int) -> None:
    said = refused(local(), site.add("/", page(HTML if status not in (204, 304) else b"", status=status)))
    assert f"status {status}" in said
    assert len(site.asked) == tries


def test_a_page_that_is_not_there(site: Site) -> None:
    assert "answers with status 404" in refused(local(), f"http://{NAME}:{site.port}/none")


def test_a_busy_server_is_met_again(site: Site) -> None:
    def busy_once(handler: Handler) -> None:
        page(b"", status=200 if len(site.asked) > 1 else 503)(handler) if len(site.asked) < 2 else page()(handler)

    assert local().read(site.add("/", busy_once), MediaKind.IMAGE) == PNG
    assert len(site.asked) == 2


def test_a_body_cut_short_is_tried_again_and_then_told(site: Site) -> None:
    assert "broke off" in refused(local(), site.add("/", page(PNG[:50], Content_Length=str(len(PNG)))))
    assert len(site.asked) == 3


@pytest.mark.parametrize("head", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.0 200 OK\r\nBroken\r\n\r\n"])
def test_what_speaks_no_http_is_told(site: Site, head: bytes) -> None:
    assert "cannot be reached, or broke off" in refused(local(), site.add("/", lambda h: void(h.wfile.write(head))))


def void(_: object) -> None:
    """Drop a value."""


def test_a_closed_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "cannot be reached" in refused(local(), f"http://{NAME}:{port}/")


@pytest.mark.parametrize("length", ["abc", "-5", "9" * 30, "9" * 5000, "1, 2", "1e3"])
def test_a_length_that_is_no_number_is_told(site: Site, length: str) -> None:
    assert re.search(
        "broke off|more than 20,000,000 bytes", refused(local(), site.add("/", page(Content_Length=length)))
    )


def test_headers_without_end_are_told(site: Site) -> None:
    endless = b"HTTP/1.0 200 OK\r\n" + b"X-More: 1\r\n" * 50_000
    assert "broke off" in refused(local(), site.add("/", lambda h: void(h.wfile.write(endless))))


# TLS.


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for the name, and for no address."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    path = tmp_path / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return path


def test_tls_is_spoken_with_the_name_and_not_with_the_address(site: Site, certificate: Path) -> None:
    names: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda connection, name, _: void(names.append(name))
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    url = site.add("/", page()).replace("http:", "https:")
    trusting = ssl.create_default_context(cafile=str(certificate))
    assert local(trusted=trusting).read(url, MediaKind.IMAGE) == PNG
    assert names == [NAME]
    assert site.asked[0].headers["Host"] == f"{NAME}:{site.port}"
    assert "cannot be reached" in refused(local(trusted=trusting), url.replace(NAME, "other.example"))
    assert "cannot be reached" in refused(local(), url)
    assert len(site.asked) == 1
