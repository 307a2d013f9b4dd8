"""The mails that invited people got: files in the outbox of an installation without a mail server."""

import re
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a person needs of an invitation: the two lines that its text says are for programs."""

    session: str
    token: str


@dataclass(slots=True)
class Mailbox:
    """`outbox` is the folder that mails are written to. File names sort by the time of the invitation."""

    outbox: Path
    _read: dict[str, tuple[str, Invitation]] = field(default_factory=dict)

    def of(self, email: str) -> list[Invitation]:
        """Everything that was sent to an address, the oldest first."""
        return [invitation for to, invitation in self._all() if to == email]

    def all(self) -> list[Invitation]:
        """Everything that was sent, the oldest first."""
        return [invitation for _, invitation in self._all()]

    def _all(self) -> list[tuple[str, Invitation]]:
        for path in self.outbox.glob("*.eml"):
            if path.name not in self._read:
                self._read[path.name] = _parsed(path.read_bytes())
        return [mail for _, mail in sorted(self._read.items())]


def _parsed(raw: bytes) -> tuple[str, Invitation]:
    message = message_from_bytes(raw, policy=policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    session, token = (re.search(rf"^{label}: (\S+)\s*$", text, re.MULTILINE) for label in ("Session", "Token"))
    assert session is not None
    assert token is not None
    return str(message["To"].addresses[0].addr_spec), Invitation(session[1], token[1])
