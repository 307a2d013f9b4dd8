"""Invitations and the session tokens that only the invited get to see (docs/adr/0009)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from domain.ids import uuid7
from domain.signing import Invitation, Session
from infrastructure.secrets import Keys, mint, token_hash


class InvitationMint:
    """Makes invitations and the session tokens that only the invited get to see."""

    def __init__(self, keys: Keys, lifetime: timedelta, random: Callable[[int], bytes]) -> None:
        self._key = keys.tokens
        self._lifetime = lifetime
        self._random = random

    def invitation(self, now: datetime) -> Invitation:
        """A fresh invitation; its token is derived from its id, so it needs to be stored nowhere."""
        identity = uuid7(now, self._random(10))
        return Invitation(identity, token_hash(self.token(identity)), now + self._lifetime)

    def token(self, invitation: UUID) -> str:
        """The session token of an invitation: `sig_` and 43 characters."""
        return "sig_" + mint(self._key, "session-token/v1", str(invitation))

    def session(self, now: datetime, lifetime: timedelta) -> Session:
        """A fresh session for somebody who has just signed in; its token is derived likewise."""
        identity = uuid7(now, self._random(10))
        return Session(identity, token_hash(self.session_token(identity)), now + lifetime)

    def session_token(self, session: UUID) -> str:
        """The token of a session of somebody who signed in: `sig_` and 43 characters."""
        return "sig_" + mint(self._key, "signed-in-session-token/v1", str(session))
