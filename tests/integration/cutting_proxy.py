"""A real proxy in front of PostgreSQL that cuts the recorder's connection at its commit, in each of the ways a network can."""

import socket
import threading
import time
from contextlib import suppress
from enum import Enum, auto

from psycopg.conninfo import conninfo_to_dict, make_conninfo

#: The Bind message of the writer's prepared statement `commit`: an empty portal name, then the statement's.
_COMMIT = b"\x00commit\x00"


class Cut(Enum):
    """What becomes of the next commit."""

    NOTHING = auto()
    BEFORE_IT_ARRIVES = auto()
    BEFORE_THE_ANSWER = auto()
    WHILE_IT_IS_STILL_ON_ITS_WAY = auto()


class CuttingProxy:
    """Forwards connections to the server of `url`; `self.url` leads through it. Cuts once for each `cut_next`."""

    def __init__(self, url: str, *, commit: bytes = _COMMIT) -> None:
        """`commit` is by what a commit is known: bytes of the message that asks for it."""
        self._commit = commit
        self._target = conninfo_to_dict(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = make_conninfo(
            url, host="127.0.0.1", port=self._listener.getsockname()[1], sslmode="disable", gssencmode="disable"
        )
        self.cuts = 0
        self.refuses = False
        self._cut = Cut.NOTHING
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, cut: Cut) -> None:
        self._cut = cut

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuses:
                    client.close()
                    continue
                server = self._connect()
                dropping = threading.Event()
                threading.Thread(target=self._upstream, args=(client, server, dropping), daemon=True).start()
                threading.Thread(target=self._downstream, args=(client, server, dropping), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._target["host"]), int(self._target.get("port") or 5432)
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((host, port))

    def _upstream(self, client: socket.socket, server: socket.socket, dropping: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if self._commit in data and self._cut is not Cut.NOTHING:
                    cut, self._cut = self._cut, Cut.NOTHING
                    self.cuts += 1
                    dropping.set()
                    self._drop(cut, data, client, server)
                    return
                server.sendall(data)
        _close(client, server)

    def _drop(self, cut: Cut, data: bytes, client: socket.socket, server: socket.socket) -> None:
        if cut is Cut.BEFORE_IT_ARRIVES:
            _close(client, server)
        elif cut is Cut.BEFORE_THE_ANSWER:
            server.sendall(data)
            time.sleep(0.3)  # its answer is dropped by `_downstream`
            _close(client, server)
        else:
            _close(client)
            time.sleep(0.3)
            server.sendall(data)
            time.sleep(0.3)
            _close(server)

    def _downstream(self, client: socket.socket, server: socket.socket, dropping: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if not dropping.is_set():
                    client.sendall(data)
        if not dropping.is_set():
            _close(client, server)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
