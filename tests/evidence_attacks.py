"""All attacks on evidence, and the page that lists them (docs/attacks.md)."""

from domain.faults import Verdict
from domain.findings import Check
from tests import evidence_attacks_on_bundles, evidence_attacks_on_files, evidence_attacks_on_ledgers
from tests.evidence_attack import ATTACKS, Attack, Found, Holds, Means

__all__ = ["ATTACKS", "Attack", "Holds", "Means", "page"]

#: Whoever imports them puts their attacks into the table, in this order.
KINDS = {
    "Whoever passes a bundle on": evidence_attacks_on_bundles,
    "On executed documents and their seals": evidence_attacks_on_files,
    "Whoever keeps the ledger": evidence_attacks_on_ledgers,
}

HEAD = """\
# Attacks on evidence, and what finds them

Each row is an attack that a test carries out on a bundle; both verifiers then say what stands here
(`tests/integration/test_attacks_on_evidence.py`). The page is written by `scripts/make_vectors.py`, and the files lie in
`tests/vectors/evidence`.

The attackers are careful: leaves, links, versions, heads manifests, the hashes of `manifest.json` and the archive are those of the
changed content. Of a careless one, who leaves `manifest.json` as it was, `parse` finds every change.

The reader has a policy with the ledger's key that asks for two of three witnesses, the certificate of a time-stamping authority, and
no receipt, unless the row says otherwise. A check in **bold** is invalid, one in *italics* indeterminate; those that are not named
say valid, or are not reached. "Not found" is meant: the verdict is then `valid`, and the last column says what would show it.
"""

TAIL = f"""\
What the last column means:

{{means}}

## Before there is a bundle

Whoever holds the database alone cannot have a changed log signed: the sealer hashes every entry anew before it signs, compares with the
last checkpoint, which it also keeps outside the database, and refuses, with the position, until somebody has looked.
`countersign fsck` finds the same in a database at rest. Whoever holds the log's key as well can change, take out, insert or exchange
entries: all of that is a log written anew, as in the rows with "{Holds.KEY}". What is then shown by nothing that the ledger gives out is shown by
what somebody else kept: a receipt, a checkpoint, a cosignature, a time stamp.

## What no row is about

None of this shows that what the server wrote down was true: who sat before the screen, which document was on it, what its
clock said. And `valid` is said of a bundle as of a position: what came after it is for a newer bundle to show.
"""


def page() -> str:
    parts = [HEAD]
    for kind, module in KINDS.items():
        rows = [_row(each) for each in ATTACKS if each.module == module.__name__]
        parts.append(
            f"## {kind}\n\n"
            "| attack | what the attacker does | and must hold | found by `countersign verify` | by `verify_evidence.py` | otherwise found by |\n"
            "|---|---|---|---|---|---|\n" + "".join(rows)
        )
    parts.append(TAIL.format(means="\n".join(f"- {_title(means)}: {means.value}." for means in Means)))
    return "\n".join(parts)


def _row(attack: Attack) -> str:
    main, second = _found(attack.found), _found(attack.least)
    otherwise = [_title(means) for means in attack.means]
    if attack.said:
        otherwise.insert(0, f'the answer says: "{attack.said}"')
    cells = (f"`{attack.name}`", attack.does, attack.holds, main, "the same" if second == main else second, "; ".join(otherwise))
    return "| " + " | ".join(cells) + " |\n"


def _title(means: Means) -> str:
    return means.name.lower().replace("_", " ")


def _found(found: Found) -> str:
    marks = {Verdict.INVALID: "**", Verdict.INDETERMINATE: "*"}
    said = [f"{marks[found[check]]}{check}{marks[found[check]]}" for check in Check if check in found]
    return ", ".join(said) or "not found"
