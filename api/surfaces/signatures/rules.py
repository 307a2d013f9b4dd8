"""What holds of a request beyond its schema: the rules that look at several of its members."""

from api.surfaces.signatures.bodies import CreateBody, RecipientBody
from api.surfaces.signatures.parsing import Faults
from domain.personal import mailbox


def signs(recipient: RecipientBody) -> bool:
    """Whether a recipient signs, rather than getting a copy alone."""
    return (recipient.designation or "Signer") == "Signer"


def check(body: CreateBody, faults: Faults) -> None:
    """Adds what is wrong with a request to `faults`, but for where its fields stand."""
    _check_orders(body, faults)
    _check_persons(body, faults)
    if not any(map(signs, body.recipients)):
        faults.add(("recipients",), "At least one recipient must be a Signer")
    elif not body.fields and not body.anchor_tags:
        faults.add((), "At least one of fields and anchorTags is required when a recipient is a Signer")


def _check_orders(body: CreateBody, faults: Faults) -> None:
    orders = [recipient.order for recipient in body.recipients if recipient.order is not None]
    if orders and sorted(orders) != list(range(1, len(body.recipients) + 1)):
        faults.add(("recipients",), f"The orders must be exactly 1..{len(body.recipients)}, each once, or all left out")


def _check_persons(body: CreateBody, faults: Faults) -> None:
    """One person holds one place among those who sign, and one among those who get a copy."""
    first: dict[tuple[bool, str], int] = {}
    for index, recipient in enumerate(body.recipients):
        earlier = first.setdefault((signs(recipient), mailbox(recipient.email)), index)
        if earlier != index:
            faults.add(("recipients", index), f"The same person as recipients[{earlier}]")
