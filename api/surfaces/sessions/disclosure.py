"""What stakeholders consent to: the disclosure that electronic records are used (ESIGN section 101(c)), and where consents are.

A changed text gets a new version, and needs a new consent of everybody.
"""

from hashlib import sha256
from typing import Final
from uuid import UUID

from api.deps import Deps, consent_stream
from domain.actor import Mode
from domain.consent import Consent, DisclosureText

VERSION: Final = "2026-11-01"
LOCALE: Final = "en"

TEXT: Final = """\
Consent to electronic records and signatures

1. What you agree to. You agree to receive, review and sign records electronically, and that your electronic signature
   counts as your signature. This consent covers the records that the sender asks you to sign until you withdraw it.
2. Paper copies. You may ask the sender for any record on paper, in the way that was recorded with your consent. The sender
   tells you before asking for any fee.
3. Withdrawing. You may withdraw this consent at any time by telling the sender. It does not change records that were signed
   before, and the sender may then have to deal with you on paper.
4. Your address. Tell the sender when your e-mail address changes, so that records reach you.
5. What you need. You need an internet connection, a current web browser, a program that shows PDF files, an e-mail
   account, and enough storage to keep copies of what you sign.
6. Your confirmation. By consenting you confirm that you can open and keep records in this form.
"""

#: The text that counts now.
CURRENT: Final = DisclosureText(VERSION, sha256(TEXT.encode()).hexdigest(), LOCALE)


async def consent_of(deps: Deps, tenant: UUID, mode: Mode, stakeholder_id: str) -> Consent | None:
    """The stakeholder's consent as the log has it, whichever text it is to; None if there never was one."""
    return await deps.ledger.state(Consent, consent_stream(deps.vault, tenant, mode, stakeholder_id))
