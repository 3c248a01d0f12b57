"""Watching runs from another process: a page on 127.0.0.1, or the terminal."""

from redqueen.watch.server import PORT, Server, serve
from redqueen.watch.terminal import watch_plain

__all__ = ["PORT", "Server", "serve", "watch_plain"]
