"""Finds a Python that Countersign runs on. Written so that any Python 3 can read it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import List, Optional  # in the type comments

OLDEST = (3, 11)
NEWEST = (3, 14)

#: Prints the version of a Python that can make virtual environments; without one it fails.
_PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


def require_fitting_python():
    # type: () -> None
    """Returns if the running Python fits, else starts the script again with one that does, else ends with the reason."""
    if _runs_fitting():
        return
    for name in _names():
        path = _which(name)
        if path and _fits(path):
            os.execv(path, [path] + sys.argv)
    sys.exit(_advice())


def _names():
    # type: () -> List[str]
    versions = range(NEWEST[1], OLDEST[1] - 1, -1)
    return ["python3.%d" % minor for minor in versions] + ["python3", "python"]


def _which(name):
    # type: (str) -> Optional[str]
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for suffix in ("", ".exe"):
            path = os.path.join(folder, name + suffix)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    return None


def _runs_fitting():
    # type: () -> bool
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return False
    return all(find_spec(module) for module in ("venv", "ensurepip"))


def _fits(python):
    # type: (str) -> bool
    """Whether `python` is of a supported version and has the modules venv and ensurepip.

    It is asked, not judged by its name: a version manager's stand-in may exist and yet not run.
    """
    try:
        answer = subprocess.check_output([python, "-I", "-c", _PROBE], stderr=subprocess.DEVNULL)
        version = tuple(int(part) for part in answer.decode().split("."))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return False
    return OLDEST <= version <= NEWEST


def _advice():
    # type: () -> str
    running = "%d.%d" % sys.version_info[:2]
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return (
            "Python %s is here, but without the modules that make virtual environments (venv, ensurepip).\n"
            "On Debian and Ubuntu install them with: apt-get install python%s-venv" % (running, running)
        )
    return (
        "Countersign needs Python %d.%d to %d.%d; this is Python %s, and no other was found on the PATH.\n"
        "Install one, with its venv module (Debian and Ubuntu: apt-get install python3 python3-venv), and start again."
        % (OLDEST + NEWEST + (running,))
    )


if __name__ == "__main__":
    require_fitting_python()
    print(sys.executable)
