"""Asking one witness for a cosignature: C2SP tlog-witness v1.0.0, `add-checkpoint`, as the log sees it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from domain.note import NoteError, SignatureInvalid, Verified, VerifierKey, check_signature, parse_note, parse_signature
from domain.policy import Witness
from domain.spelling import SpellingError
from domain.witnessing import SIZE_MEDIA_TYPE, Submission, format_submission, parse_size
from infrastructure.clock import Clock
from infrastructure.issuers import is_loopback
from infrastructure.signing_keys import verify_ed25519

#: For each step of a request, and for the whole of its answer's body. Witnesses answer within a fraction of a second.
TIMEOUT_SECONDS: Final = 5.0

#: Some signature lines, or a reason.
MAX_ANSWER_BYTES: Final = 16_384
_MAX_REASON_CHARACTERS: Final = 200

#: How far a witness's clock may be from ours: its time is evidence, so a wrong one is not taken in.
CLOCK_SECONDS: Final = 300


class WitnessFailed(Exception):
    """No cosignature came that can be used; the message says why."""


class KnowsAnotherSize(WitnessFailed):
    """The witness has cosigned `size` last: ask again from there."""

    def __init__(self, size: int) -> None:
        super().__init__(f"it has cosigned size {size} last")
        self.size = size


class WitnessClient:
    """Asks one witness, one request at a time. Blocking; the connection is kept for the next one."""

    def __init__(self, witness: Witness, clock: Clock) -> None:
        """`witness` has an address. Blocking."""
        # Imported where there is a witness: it takes a quarter of a second.
        import httpx

        url = witness.url or ""
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self._key: VerifierKey = witness.key
        self._clock = clock
        # A proxy of the environment is for other machines. Nothing leads elsewhere: a redirection is a failure.
        self._http = httpx.Client(
            timeout=TIMEOUT_SECONDS,
            trust_env=not is_loopback(url),
            headers={"accept-encoding": "identity", "user-agent": "countersign"},
        )

    def close(self) -> None:
        self._http.close()

    def submit(self, submission: Submission) -> Verified:
        """The witness's cosignature of the submission's checkpoint, checked: its key, the text, and about now.

        Raises KnowsAnotherSize, WitnessFailed.
        """
        with _failures():
            status, media_type, body = self._post(format_submission(submission))
        if status == 409 and media_type == SIZE_MEDIA_TYPE:
            try:
                size = parse_size(body)
            except SpellingError as err:
                raise WitnessFailed(f"it tells a size that is {err}") from err
            if size == submission.old:
                raise WitnessFailed(f"it refuses size {size} and asks for it")
            raise KnowsAnotherSize(size)
        if status != 200:
            raise WitnessFailed(f"it answered {status}: {_reason(body)}")
        return self._cosignature(parse_note(submission.note).text, body)

    def _post(self, content: bytes) -> tuple[int, str, bytes]:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        body = bytearray()
        with self._http.stream("POST", self._url, content=content) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise WitnessFailed(f"it answered more than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise WitnessFailed(f"it took more than {TIMEOUT_SECONDS:g} seconds")
            return response.status_code, response.headers.get("content-type", ""), bytes(body)

    def _cosignature(self, text: str, body: bytes) -> Verified:
        """The line of the witness's key; those of other keys say nothing (tlog-witness)."""
        for line in body.decode(errors="replace").split("\n"):
            try:
                signature = parse_signature(line)
            except NoteError:
                continue
            if (signature.name, signature.id) == (self._key.name, self._key.id):
                break
        else:
            raise WitnessFailed("it answered without a signature by its key")
        try:
            verified = check_signature(text, signature, self._key, verify_ed25519)
        except SignatureInvalid as err:
            raise WitnessFailed(str(err)) from err
        if verified.time is None or abs(verified.time - self._clock.now().timestamp()) > CLOCK_SECONDS:
            raise WitnessFailed(f"its clock and ours differ by more than {CLOCK_SECONDS} seconds")
        return verified


def cosigned_at(verified: Verified, clock: Clock) -> datetime:
    """The time that a cosignature says, which `submit` has found to be about now."""
    return datetime.fromtimestamp(verified.time or 0, clock.now().tzinfo)


def _reason(body: bytes) -> str:
    """What a witness says, as far as it can stand in a log."""
    text = " ".join(body.decode(errors="replace").split())
    return "".join(character for character in text if character.isprintable())[:_MAX_REASON_CHARACTERS]


@contextmanager
def _failures() -> Iterator[None]:
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as err:
        raise WitnessFailed(str(err) or type(err).__name__) from err
