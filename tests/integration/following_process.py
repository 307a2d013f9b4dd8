"""A process that follows the log into a tally, for tests that run several and kill some: URL and a name in, states out."""

import sys
import time

from infrastructure.following import Follower
from infrastructure.notifications import LogListener
from projections.runner import Runner
from tests.integration.read_side import tally


def main(url: str) -> None:
    listener = LogListener(url)
    listener.start()
    follower = Follower(url, "projections", Runner([tally()], batch=7).step, listener)
    follower.start()
    print("started", flush=True)
    active = False
    while True:
        if follower.active != active:
            active = follower.active
            print("active" if active else "waiting", flush=True)
        time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1])
