"""Relay: an HTTP CONNECT proxy on loopback that counts what passes, for the Kafka road.

Both directions of every tunnel are added up after the handshake, so the figures are those of
the connection itself: payload of TCP, no packet headers. `cut` is the link that dies.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

MAX_HEADER_BYTES = 4096


class Relay:
    """A proxy at `url`. `up` and `down` are bytes from and to the client."""

    def __init__(self) -> None:
        self.up = self.down = self.tunnels = 0
        self.cut_after: int | None = None
        """So many more bytes come down, then every tunnel is cut, once."""
        self.stays_cut = False
        """After a cut it is `closed`."""
        self.closed = False
        """Nobody behind it answers: 502, as when the broker is away."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def total(self) -> int:
        """Bytes in both directions."""
        return self.up + self.down

    def reset(self) -> None:
        """Counts from 0 again."""
        with self._lock:
            self.up = self.down = self.tunnels = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self._cut()

    def _cut(self) -> None:
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with client:
            header = b""
            while b"\r\n\r\n" not in header and len(header) < MAX_HEADER_BYTES:
                header += client.recv(1) or b"\r\n\r\n"
            words = header.split()
            if words[:1] != [b"CONNECT"]:
                return
            host, _, port = words[1].decode().rpartition(":")
            try:
                if self.closed:
                    raise ConnectionRefusedError
                broker = socket.create_connection((host, int(port)))
            except OSError:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            with broker:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with self._lock:
                    self._open |= {client, broker}
                    self.tunnels += 1
                back = threading.Thread(target=self._pour, args=(broker, client, False))
                back.start()
                self._pour(client, broker, True)
                back.join()
                with self._lock:
                    self._open -= {client, broker}

    def _pour(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._counted(len(data), up):
                    self._cut()
                    break
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _counted(self, size: int, up: bool) -> bool:
        """True when the link dies now."""
        with self._lock:
            self.up += size if up else 0
            self.down += 0 if up else size
            if up or self.cut_after is None:
                return False
            self.cut_after -= size
            if self.cut_after > 0:
                return False
            self.cut_after = None
            self.closed = self.closed or self.stays_cut
            return True
