"""Starts the embedded PostgreSQL again when it was killed, for as long as a process of ours needs it.

Nobody else would: it has no service manager. A database given by DATABASE_URL has its own keeper.
"""

import logging
import threading
from types import TracebackType
from typing import Final, Self

from infrastructure.embedded import EmbeddedServer, EmbeddedServerError

log = logging.getLogger(__name__)

#: How soon a killed server is noticed. A look costs two reads of small files.
LOOK_SECONDS: Final = 0.25
#: After a start that failed. What hinders it (a full disk, say) is for a person to mend.
PAUSE_SECONDS: Final = 5.0


class Watchdog:
    """Watches `server` on a thread of its own while the block lasts; without a server it does nothing.

    Of several processes that watch the same server one starts it, the others find it running.
    """

    def __init__(self, server: EmbeddedServer | None) -> None:
        self._server = server
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="countersign-watchdog", daemon=True)

    def __enter__(self) -> Self:
        if self._server is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = LOOK_SECONDS
        while not self._closing.wait(pause):
            pause = self._look()

    def _look(self) -> float:
        """Answers how long to wait before the next look."""
        if self._server is None or self._server.process_id() is not None:
            return LOOK_SECONDS
        log.warning("PostgreSQL is not running any more; starting it again")
        try:
            self._server.ensure_running()
        except EmbeddedServerError as err:
            log.error("PostgreSQL could not be started again, trying again in %s s: %s", PAUSE_SECONDS, err)
            return PAUSE_SECONDS
        except Exception:
            # Whatever it is, a watchdog that ends for good would be noticed too late by everybody.
            log.exception("PostgreSQL could not be started again, trying again in %s s", PAUSE_SECONDS)
            return PAUSE_SECONDS
        log.warning("PostgreSQL runs again")
        return LOOK_SECONDS
