"""A network line that stops in the middle of a transfer: a TCP proxy that holds a connection after so many bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

_PIECE_BYTES = 1 << 14


class SlowLine:
    """Forwards connections to ``url``. While held, each connection gets ``limit_bytes`` of answer, then nothing.

    It knows nothing of TLS: what passes is what the two ends say to each other.
    """

    def __init__(self, url: str, *, limit_bytes: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._limit_bytes = limit_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._closed = False
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> SlowLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._open.set()
        self._listener.close()

    def hold(self) -> None:
        """Stop every connection after its next ``limit_bytes``."""
        self._open.clear()

    def release(self) -> None:
        """Let everything pass."""
        self._open.set()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            for source, sink, held in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._forward, args=(source, sink, held), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, held: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                passed = 0 if self._open.is_set() else passed + len(piece)
                if held and passed > self._limit_bytes:
                    self._open.wait()
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
