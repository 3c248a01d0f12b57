"""The page's server: one process, on this machine alone, that only reads."""

import errno
import getpass
import json
import os
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from redqueen.errors import ConfigError, RedQueenError
from redqueen.report.html import document
from redqueen.watch.watched import WatchedRun

PORT = 8765
HOST = "127.0.0.1"
NAMES = frozenset({HOST, "localhost"})
"""What a browser may call this server; another name is another site's that points here."""


class Server(ThreadingHTTPServer):
    """Serves the page of some runs; `port` 0 is any free one.

    Raises:
        ConfigError: the port is taken, or not to be had.
    """

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, directories: Sequence[Path], port: int = PORT) -> None:
        # A name travels in addresses, which hold no bytes that are no text.
        self.runs = {
            os.fsencode(directory).decode("utf-8", "backslashreplace"): WatchedRun(directory)
            for directory in directories
        }
        self.names = json.dumps([*self.runs])
        self.faults: set[str] = set()
        """What has gone wrong and was shown."""
        try:
            super().__init__((HOST, port), Handler)
        except OverflowError:
            raise ConfigError(f"there is no port {port}; choose one up to 65535") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(f"port {port} is taken; choose another one with --port") from None
            reason = error.strerror or error
            raise ConfigError(f"cannot listen on port {port}: {reason}") from None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def run_named(self, name: str) -> WatchedRun:
        """Return a run, the first one without a name.

        Raises:
            ConfigError: no such run is watched.
        """
        if not name:
            return next(iter(self.runs.values()))
        if name not in self.runs:
            raise ConfigError(f"no run {name!r} is watched here, but {', '.join(self.runs)}")
        return self.runs[name]

    def server_close(self) -> None:
        """Close the socket and the databases."""
        super().server_close()
        for run in self.runs.values():
            run.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away or is too slow is no error; anything else is shown as always."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """`/` is the page, `/page` what has changed of it, `/texts` a search; all with GET."""

    server: Server
    timeout = 60.0
    """Seconds that a browser may take to ask, or to be told."""
    server_version = "redqueen"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a request; what goes wrong is a sentence that the page shows."""
        try:
            url = urlsplit(self.path)
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            self._json(400, {"error": "This is no address."})
            return
        query = dict(parse_qsl(url.query))
        asker = self.headers.get("Sec-Fetch-Site", "none")
        if host not in NAMES:
            self._json(403, {"error": "This server answers to 127.0.0.1 and localhost only."})
        elif url.path == "/":
            page = document("Runs", '{"live":true}', live=True)
            self._send(200, "text/html; charset=utf-8", page)
        elif asker not in ("none", "same-origin"):
            self._json(403, {"error": "This server answers to its own page only."})
        elif url.path in ("/page", "/texts"):
            self._data(url.path, query)
        else:
            self._json(404, {"error": f"There is no {url.path[:80]!r} here."})

    def _data(self, path: str, query: Mapping[str, str]) -> None:
        try:
            run = self.server.run_named(query.get("run", ""))
            if path == "/texts":
                answer = run.texts(query)
            else:
                answer = run.changes(query.get("since", ""), self.server.names)
        except RedQueenError as error:
            self._json(200, {"error": str(error)})
            return
        except Exception as error:
            # A fault of ours, or rows that redqueen has not written: the page stays, and says so.
            fault = f"{type(error).__name__}: {error}"
            if fault not in self.server.faults:
                self.server.faults.add(fault)
                traceback.print_exc()
            text = (
                f"This run cannot be shown ({fault}); the terminal of `redqueen watch` says where."
            )
            self._json(500, {"error": text})
            return
        self._send(200, "application/json", answer)

    def _json(self, status: int, value: Mapping[str, str]) -> None:
        self._send(status, "application/json", json.dumps(value))

    def _send(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Content-Security-Policy", "frame-ancestors 'none'"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""


def _read_ahead(server: Server) -> None:
    """Read all runs once, so that the first browser need not wait; it will be told what fails."""
    for run in server.runs.values():
        try:
            run.changes("", "[]")
        except RedQueenError:
            continue


def user_name() -> str:
    """Return who is logged in; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "USER"


def serve(directories: Sequence[Path], port: int = PORT) -> None:
    """Serve the page of some runs until Ctrl-C, saying where it is.

    Raises:
        ConfigError: the port is taken.
    """
    with Server(directories, port) as server:
        where = f"{server.port}:{HOST}:{server.port}"
        print(f"Watching {', '.join(server.runs)}: http://{HOST}:{server.port}/")
        print(f"From elsewhere: ssh -N -L {where} {user_name()}@{socket.gethostname()}")
        print("Ctrl-C ends the watching, not the run.", flush=True)
        Thread(target=_read_ahead, args=(server,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
