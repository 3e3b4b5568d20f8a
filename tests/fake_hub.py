"""A Hugging Face hub on this machine: one repository, served over HTTP with ranges, that can break off."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "c" * 40


class FakeHub:
    """Files by repository and path.

    Attributes:
        files: repository -> path -> content.
        breaks: paths whose first download ends after its half, and every further one at once.
        ranges: what byte ranges were asked for.
        sent: the files that were downloaded, or begun to be.
        revisions: which revisions were asked for.
        status: what every question is answered with, unless it is 200.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.breaks: set[str] = set()
        self.ranges: list[str] = []
        self.sent: list[str] = []
        self.revisions: list[str] = []
        self.status = 200
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["FakeHub"]:
        """Answer on a free port as long as the block lasts."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        """Answer one request."""
        path = unquote(request.path.partition("?")[0]).strip("/")
        found = next((name for name in self.files if name in path), None)
        if self.status != 200 or found is None:
            self._send(request, b"{}", {"X-Error-Code": "RepoNotFound"}, self.status if found else 404)
            return
        files = self.files[found]
        if path.startswith("api/models/"):
            tree = "/tree/" in path
            self.revisions.append(path.rpartition("/")[2])
            self._send(request, json.dumps(self._tree(files) if tree else self._info(found, files)).encode(), {})
            return
        self._file(request, files, path.partition("/resolve/")[2].partition("/")[2], body)

    def _file(self, request: BaseHTTPRequestHandler, files: dict[str, bytes], name: str, body: bool) -> None:
        data, wanted = files[name], request.headers.get("Range")
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        code, start = 200, 0
        if wanted and body:
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            code = 206
        rest = data[start:]
        self.sent += [name] * body
        half = 0 if wanted else len(rest) // 2
        self._send(request, rest, headers, code, body, half if body and name in self.breaks else None)

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler,
        data: bytes,
        headers: dict[str, str],
        code: int = 200,
        body: bool = True,
        only: int | None = None,
    ) -> None:
        request.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(data[:only])
            request.wfile.flush()
        if only is not None:
            request.close_connection = True
            request.connection.close()

    @staticmethod
    def _info(repository: str, files: dict[str, bytes]) -> dict[str, object]:
        siblings = [{"rfilename": name, "size": len(data), "blobId": "0" * 40} for name, data in files.items()]
        return {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings, "tags": [],
                "private": False, "downloads": 0, "likes": 0}  # fmt: skip

    @staticmethod
    def _tree(files: dict[str, bytes]) -> list[dict[str, object]]:
        return [{"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in files.items()]
