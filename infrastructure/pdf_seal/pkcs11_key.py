"""A key that seals and never leaves its token or module (HSM), reached through a PKCS#11 library (OASIS PKCS #11 v2.40)."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pkcs11
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import Certificate
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, PKCS11Error, Session

from infrastructure.pdf_seal.credentials import KeyUnusable, SealSigner, checked, path_to_root, signs_for
from infrastructure.secrets import SecretError

#: Asked again with the same PIN, a token locks itself.
_OUR_FAULT: Final = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked, pkcs11.PinExpired)


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Which key is meant: the library's file, the labels of the token and of the private key in it, and the token's PIN."""

    module: Path
    token: str
    label: str
    pin: str = field(repr=False)


class Pkcs11Key:
    """The key at a place. Logs in when it is first used, and again when the token was away."""

    def __init__(self, place: KeyPlace) -> None:
        self._place = place
        self._one_at_a_time = threading.Lock()  # a session does one thing at a time (section 5.1)
        self._session: Session | None = None
        self._key: Any = None
        self._refused: str | None = None

    def sign(self, message: bytes) -> bytes:
        """As `SealSigner.sign`; raises KeyUnusable."""
        with self._one_at_a_time:
            if self._refused is not None:
                raise KeyUnusable(self._refused)
            try:
                with suppress(PKCS11Error):
                    if self._key is not None:
                        return self._signed(message)
                self._open()
                return self._signed(message)
            except _OUR_FAULT as err:
                self._refused = f"the token {self._place.token} refuses its PIN ({type(err).__name__}), and is not asked again"
                raise KeyUnusable(self._refused) from err
            except PKCS11Error as err:
                raise KeyUnusable(f"the key {self._place.label} cannot be used: {type(err).__name__} {err}".rstrip()) from err

    def _open(self) -> None:
        """Anew: of what was there before, nothing is left to rely on."""
        with suppress(PKCS11Error):
            if self._session is not None:
                self._session.close()
        self._session = self._key = None
        token = pkcs11.lib(str(self._place.module)).get_token(token_label=self._place.token)
        try:
            self._session = token.open(user_pin=self._place.pin)
        except pkcs11.UserAlreadyLoggedIn:
            self._session = token.open()  # whoever logs in does so for the whole process (section 5.6)
        self._key = self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=self._place.label)

    def _signed(self, message: bytes) -> bytes:
        pin = {"pin": self._place.pin} if _asks_each_time(self._key) else {}
        if self._key.key_type is KeyType.RSA:
            return bytes(self._key.sign(message, mechanism=Mechanism.SHA256_RSA_PKCS, **pin))
        # Both numbers, each as long as the other (section 2.3.1).
        numbers = bytes(self._key.sign(sha256(message).digest(), mechanism=Mechanism.ECDSA, **pin))
        half = len(numbers) // 2
        return encode_dss_signature(int.from_bytes(numbers[:half], "big"), int.from_bytes(numbers[half:], "big"))


def _asks_each_time(key: Any) -> bool:
    """Whether the key wants the PIN for each signature (section 4.9, CKA_ALWAYS_AUTHENTICATE)."""
    try:
        return bool(key[Attribute.ALWAYS_AUTHENTICATE])
    except pkcs11.AttributeTypeInvalid:
        return False


def from_pkcs11(place: KeyPlace, known: Sequence[Certificate]) -> SealSigner:
    """The key at a place, with the one of the `known` certificates that it signs for, which lead to a root; raises SecretError."""
    where = f"the key {place.label} of the token {place.token}"
    key = Pkcs11Key(place)
    try:
        certificate = next((each for each in known if signs_for(key.sign, each)), None)
    except KeyUnusable as err:
        raise SecretError(f"{where}: {err}") from err
    if certificate is None:
        raise SecretError(f"{where} is not that of any certificate that is given")
    return checked(SealSigner(certificate, path_to_root(certificate, known), key.sign), where)
