"""A program that is loaded once and forked for each task. Imports nothing of ours.

Loading the libraries takes many times as long as using them on a document. So a program that has loaded them
waits, and a fork of it does one task and ends. The program itself never reads a byte of a task: what a file did to
one fork is gone with it, and the next is as fresh as a process that was just started.

Standard input is a socket. A byte on it brings two others. The first is the task's: standard input and output of the fork.
The second is the task's fate: it gets how the fork ended (as `os.waitstatus_to_exitcode`), and when its other end is closed
before that, the fork is killed. So it is with all of them at the end of standard input.
"""

import gc
import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

#: Descriptors that a fork could have inherited.
_MOST_DESCRIPTORS: Final = 65_536


def serve(work: Callable[[], None]) -> None:
    """Runs `work` in a fork for each task until standard input ends. `work` ends its process itself, with `os._exit(0)`."""
    gc.freeze()  # else the first collection of garbage in each fork would copy all that is loaded
    _Server(work).run()


class _Server:
    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._control = socket.socket(fileno=os.dup(0))
        self._woken, self._waking = socket.socketpair()
        for each in (self._woken, self._waking):
            each.setblocking(False)
        self._fates: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        try:
            self._run()
        finally:
            for pid in self._fates:
                os.kill(pid, signal.SIGKILL)

    def _run(self) -> None:
        for ending in (signal.SIGINT, signal.SIGTERM):
            # Of a terminal or of a service's end, sent to all processes: who started this finishes its tasks, then standard input ends.
            signal.signal(ending, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        for each in (self._control, self._woken):
            self._selector.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                    self._bury()
                elif key.fileobj is not self._control:
                    if self._fates.get(key.data) is key.fileobj:  # not buried just now, so the number is still its own
                        self._selector.unregister(key.fileobj)
                        os.kill(key.data, signal.SIGKILL)
                elif not self._begin():
                    return

    def _begin(self) -> bool:
        """Starts a task; False if there are none any more."""
        message, descriptors, _, _ = socket.recv_fds(self._control, 1, 2)
        if not message:
            return False
        task, fate = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        with task:
            try:
                pid = os.fork()
            except OSError:
                fate.close()  # too many processes: who waits for it is told that it broke down
                return True
            if not pid:
                self._become(task)
        self._fates[pid] = fate
        self._selector.register(fate, selectors.EVENT_READ, pid)
        return True

    def _become(self, task: socket.socket) -> None:
        """What a fork does: nothing of the program's own, and of other tasks, is left open to it."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(task.fileno(), 0)
            os.dup2(task.fileno(), 1)
            os.closerange(3, _MOST_DESCRIPTORS)
            self._work()
        finally:
            os._exit(1)

    def _bury(self) -> None:
        while self._fates:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            fate = self._fates.pop(pid)
            if fate.fileno() in self._selector.get_map():
                self._selector.unregister(fate)
            with fate, suppress(OSError):  # perhaps nobody waits for it any more
                fate.sendall(str(os.waitstatus_to_exitcode(status)).encode())
