"""Hearing of new entries: LISTEN wakes, a slow poll backs that up, a lost connection is made again.

One listener serves all followers of a process. A wake-up promises nothing but that looking is
worthwhile: whoever is woken reads the log from its own position.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Final

import psycopg

from infrastructure.database import connect

log = logging.getLogger(__name__)

#: Where the recorder announces new entries; the payload is the last position. Named here, below it, for followers
#: need no recorder.
CHANNEL: Final = "countersign_log"

#: How long a follower sleeps at most. A notification that got lost with a connection costs this much.
POLL_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.5
#: How often a waiting listener looks whether it has been closed.
_GLANCE_SECONDS: Final = 0.2


class LogListener:
    """Calls every registered function when there may be new entries, from its own thread.

    The functions must be quick and must not raise: set an event, no more.
    """

    def __init__(self, url: str, poll_seconds: float = POLL_SECONDS) -> None:
        self._url = url
        self._poll_seconds = poll_seconds
        self._wake: set[Callable[[], object]] = set()
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="countersign-listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Idempotent."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def add(self, wake: Callable[[], object]) -> None:
        with self._guard:
            self._wake.add(wake)

    def remove(self, wake: Callable[[], object]) -> None:
        with self._guard:
            self._wake.discard(wake)

    def add_event(self, event: asyncio.Event) -> Callable[[], object]:
        """Sets an event of the running loop at each wake-up; answers what `remove` takes."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        self.add(wake)
        return wake

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except psycopg.Error as err:
                log.warning("not hearing of new entries, polling instead: %s", err)
                self._wake_all()
                self._closing.wait(_RETRY_SECONDS)

    def _listen(self) -> None:
        with connect(self._url) as conn:
            conn.execute(f"LISTEN {CHANNEL}".encode())
            self._wake_all()  # for what came while nobody listened
            silent_seconds = 0.0
            while not self._closing.is_set():
                heard = list(conn.notifies(timeout=_GLANCE_SECONDS, stop_after=1))
                silent_seconds = 0.0 if heard else silent_seconds + _GLANCE_SECONDS
                if heard or silent_seconds >= self._poll_seconds:
                    silent_seconds = 0.0
                    self._wake_all()

    def _wake_all(self) -> None:
        with self._guard:
            wake = tuple(self._wake)
        for each in wake:
            each()
