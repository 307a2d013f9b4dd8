"""Attacks by whoever passes a bundle on: with a copy alone, or with a reader's trust."""

from dataclasses import replace
from datetime import timedelta

from domain.entry import decode
from domain.findings import Check
from domain.merkle import inclusion_proof
from domain.note import Note, cosign_text, format_note, parse_note
from infrastructure.bundle_format import Content, Document
from infrastructure.bundle_lines import Disclosed, EntryLine, ErasedBy, Heads, Withheld
from tests.evidence_attack import (
    BY_HISTORY,
    CHAIN,
    COMPLETENESS,
    DECEIVED,
    HISTORY,
    INCLUSION,
    INDETERMINATE,
    INVALID,
    LINKED,
    OWN_KEY,
    UNLINKED,
    UNWITNESSED,
    Found,
    Holds,
    Means,
    attack,
)
from tests.evidence_scene import (
    CODE,
    CONSENT,
    CONSENT_EDITED,
    CONTENT,
    ENVELOPE,
    FIRST,
    MIDDLE,
    ORIGINALS,
    SCENE,
    SECOND,
    SIZE,
    WORLD,
    entry_at,
    line_at,
    line_of,
    other_consent,
    relinked,
    rewritten,
    scene,
    showing,
    signed_checkpoint,
    with_lines,
    without,
    without_document,
)
from tests.evidence_stamps import Authority
from tests.evidence_world import WITNESSES, entry_of, repacked, signing_key, text_of, unpacked, witness_key
from tests.histories import ORIGIN

# Entries of a copy


@attack(Holds.COPY, UNLINKED)
def entry_modified() -> Content:
    """changes what an entry says, and hashes it again"""
    return showing(with_lines(line_of(other_consent(entry_at(CONSENT)), CONSENT)))


@attack(Holds.COPY, LINKED)
def entry_modified_and_relinked() -> Content:
    """changes what an entry says, and links those after it again"""
    return showing(relinked(with_lines(line_of(other_consent(entry_at(CONSENT)), CONSENT))))


@attack(Holds.COPY, UNLINKED)
def leaf_kept() -> Content:
    """changes what an entry says, and leaves the leaf beside it"""
    return showing(with_lines(replace(line_of(other_consent(entry_at(CONSENT)), CONSENT), leaf=line_at(CONSENT).leaf)))


@attack(Holds.COPY, LINKED)
def last_entry_modified() -> Content:
    """changes the last entry, after which nothing is linked"""
    last = CONTENT.entries[-1].position
    return showing(with_lines(line_of(replace(entry_at(last), by={"id": "key-2", "kind": "partner-key"}), last)))


@attack(Holds.COPY, {CHAIN: INVALID, HISTORY: INDETERMINATE})
def entry_deleted() -> Content:
    """leaves an entry out of the middle of a stream"""
    return showing(without(CONSENT))


@attack(Holds.COPY, BY_HISTORY, least=LINKED)
def entry_deleted_and_relinked() -> Content:
    """leaves an entry out of the middle, numbers and links those after it again"""
    return showing(relinked(without(CODE)))


def earlier_consent() -> Content:
    # MIDDLE is free: an entry of another stream stands there.
    return showing(with_lines(line_of(replace(entry_at(CONSENT), at=entry_at(MIDDLE - 1).at), MIDDLE)))


@attack(Holds.COPY, UNLINKED)
def entry_backdated() -> Content:
    """inserts an entry with an earlier time at a position that is free in the bundle"""
    return earlier_consent()


@attack(Holds.COPY, BY_HISTORY)
def entry_backdated_and_relinked() -> Content:
    """inserts an entry with an earlier time, numbers and links those after it again"""
    return showing(relinked(earlier_consent().entries))


def exchanged() -> Content:
    here, there = CODE + 1, CODE + 2
    first, second = replace(entry_at(there), at=entry_at(here).at), replace(entry_at(here), at=entry_at(there).at)
    return showing(with_lines(line_of(first, here), line_of(second, there)))


@attack(Holds.COPY, UNLINKED)
def entries_reordered() -> Content:
    """puts two entries in each other's place, with the times of their new places"""
    return exchanged()


@attack(Holds.COPY, BY_HISTORY, least=LINKED)
def entries_reordered_and_relinked() -> Content:
    """puts two entries in each other's place, numbers and links them again"""
    return showing(relinked(exchanged().entries))


@attack(Holds.COPY, UNLINKED)
def entry_of_another_ledger() -> Content:
    """puts a genuine entry of another ledger into the place of one"""
    other = scene("countersign.test/sandbox").world
    return showing(with_lines(entry_of(other.rows[CONSENT - 1])))


@attack(Holds.COPY, {CHAIN: INVALID, HISTORY: INDETERMINATE})
def stream_of_another_envelope() -> Content:
    """adds the genuine entries of another envelope's process, with their proofs"""
    return replace(SCENE.content(streams={ENVELOPE, FIRST, SECOND, SCENE.others[1]}), documents=CONTENT.documents)


@attack(Holds.COPY, {**UNLINKED, COMPLETENESS: INVALID})
def entry_of_another_stream() -> Content:
    """puts the genuine consent of the first participant into the place of the second's"""
    theirs = SCENE.position("signing.consent-given", FIRST)
    return showing(with_lines(replace(line_at(theirs), position=CONSENT)))


@attack(Holds.COPY, {HISTORY: INVALID})
def process_of_another_envelope() -> Content:
    """puts a genuine process of another envelope beside the envelope"""
    return replace(SCENE.content(SCENE.others[1]), documents=CONTENT.documents)


# Completeness


def before_the_end() -> list[EntryLine]:
    return [line for line in CONTENT.entries if line.position < MIDDLE]


@attack(Holds.COPY, {COMPLETENESS: INVALID})
def end_withheld() -> Content:
    """leaves out how the last process went on, and keeps the manifest"""
    return showing(before_the_end())


@attack(Holds.COPY, {COMPLETENESS: INVALID, HISTORY: INVALID}, least={COMPLETENESS: INVALID})
def participant_withheld() -> Content:
    """leaves out a participant's entries and their row in the manifest"""
    assert CONTENT.heads is not None
    rows = tuple(row for row in CONTENT.heads.rows if str(SECOND).encode() not in row.row)
    content = replace(CONTENT, heads=replace(CONTENT.heads, rows=rows))
    return showing([line for line in CONTENT.entries if decode(line.raw).stream != SECOND], content)


def with_manifest(heads: Heads | None, *lines: EntryLine) -> Content:
    """The beginning of the streams with another manifest, whose entry is one of `lines`."""
    assert CONTENT.heads is not None
    erasures = [line for line in CONTENT.ledger_entries if line.position != CONTENT.heads.position]
    ledger = tuple(sorted((*erasures, *lines), key=lambda line: line.position))
    proofs = {line.position: inclusion_proof(WORLD.leaves(), line.position - 1) for line in ledger}
    content = replace(CONTENT, heads=heads, ledger_entries=ledger, proofs={**CONTENT.proofs, **proofs})
    return showing(before_the_end(), content)


@attack(Holds.COPY, {COMPLETENESS: INDETERMINATE}, Means.RECEIPT)
def end_withheld_with_the_manifest() -> Content:
    """leaves out the end and the manifest"""
    return with_manifest(None)


@attack(Holds.COPY, {INCLUSION: INVALID})
def end_withheld_with_a_forged_manifest() -> Content:
    """leaves out the end, and makes a manifest that fits"""
    forged = rewritten(lambda placed: [*placed[: MIDDLE - 1], placed[-1]])
    heads = forged.content(earlier=(), stamped={}).heads
    assert heads is not None
    return with_manifest(replace(heads, position=SIZE), replace(entry_of(forged.world.rows[-1]), position=SIZE))


@attack(Holds.COPY, {}, Means.RECEIPT, said=f"what happened after position {MIDDLE - 1}")
def end_withheld_with_an_old_manifest() -> Content:
    """leaves out the end, and shows the manifest from before it, with its proof from the public log"""
    heads = SCENE.content(size=MIDDLE, earlier=(), stamped={}).heads
    return with_manifest(heads, entry_of(WORLD.rows[MIDDLE - 1]))


@attack(Holds.COPY, {}, Means.LATER_RECEIPT, said=f"what happened after position {MIDDLE - 1}")
def old_bundle() -> Content:
    """shows a genuine bundle from before the end"""
    return SCENE.content(size=MIDDLE, earlier=(), stamped={MIDDLE: WORLD.now})


@attack(Holds.COPY, {}, said="the other participants: their part was not checked")
def part_for_the_whole() -> Content:
    """shows the bundle of one participant as if it were that of the envelope"""
    return SCENE.content(FIRST)


# Personal values and documents

DISCLOSED = [line for line in CONTENT.disclosures if isinstance(line, Disclosed)]
BY_DISCLOSURES: Found = {Check.DISCLOSURES: INVALID}
BY_FILES: Found = {Check.FILES: INVALID}


@attack(Holds.COPY, BY_DISCLOSURES)
def disclosure_changed() -> Content:
    """gives another personal value, with the salt of the true one"""
    first, *others = CONTENT.disclosures
    assert isinstance(first, Disclosed)
    return replace(CONTENT, disclosures=(replace(first, value="Somebody Else"), *others))


@attack(Holds.COPY, BY_DISCLOSURES)
def disclosure_moved() -> Content:
    """gives values with their salts for each other's entry and path"""
    first, second = DISCLOSED[:2]
    moved = {
        first: replace(first, salt=second.salt, value=second.value),
        second: replace(second, salt=first.salt, value=first.value),
    }
    return replace(CONTENT, disclosures=tuple(moved[line] if line in (first, second) else line for line in CONTENT.disclosures))


@attack(Holds.COPY, {Check.DISCLOSURES: INDETERMINATE})
def disclosure_left_out() -> Content:
    """leaves a personal value out"""
    return replace(CONTENT, disclosures=tuple(line for line in CONTENT.disclosures if line is not DISCLOSED[0]))


@attack(Holds.COPY, {}, said="1 personal value, withheld")
def disclosure_said_to_be_withheld() -> Content:
    """leaves a personal value out, and says that it is withheld"""
    first = DISCLOSED[0]
    return replace(
        CONTENT,
        disclosures=tuple(Withheld(it.position, it.path) if it is first else it for it in CONTENT.disclosures),
    )


@attack(Holds.COPY, BY_DISCLOSURES)
def erasure_of_another_entry() -> Content:
    """says that a value was erased, by an erasure that lists another entry"""
    erased = next(line.erased for line in CONTENT.disclosures if isinstance(line, ErasedBy))
    first = DISCLOSED[0]
    lines = (ErasedBy(it.position, it.path, erased) if it is first else it for it in CONTENT.disclosures)
    return replace(CONTENT, disclosures=tuple(lines))


@attack(Holds.COPY, {INCLUSION: INVALID})
def erasure_made_up() -> Content:
    """says that a value was erased, by an erasure changed so that it lists its entry"""
    erased = next(line.erased for line in CONTENT.disclosures if isinstance(line, ErasedBy))
    first = DISCLOSED[0]
    entry, placed = decode(WORLD.rows[erased - 1].raw), decode(line_at(first.position).raw)
    forged = replace(entry, data={**entry.data, "entries": [{"stream": str(placed.stream), "version": placed.version}]})
    mine = {line.position for line in CONTENT.disclosures if line.position == first.position}
    theirs = {line.position for line in CONTENT.disclosures if isinstance(line, ErasedBy)}
    said = (ErasedBy(it.position, it.path, erased) if it.position in mine else it for it in CONTENT.disclosures)
    kept = (Withheld(it.position, it.path) if it.position in theirs else it for it in said)
    others = (line if line.position != erased else line_of(forged, erased) for line in CONTENT.ledger_entries)
    return replace(CONTENT, disclosures=tuple(kept), ledger_entries=tuple(others))


@attack(Holds.COPY, BY_FILES)
def documents_swapped() -> bytes:
    """gives each of two documents the other's name"""
    members = unpacked(CONTENT)
    one, other = (f"documents/{name}.pdf" for name in ORIGINALS)
    return repacked({**members, one: members[other], other: members[one]})


@attack(Holds.COPY, BY_FILES)
def document_replaced() -> bytes:
    """puts another document under the name of the one that was signed"""
    return repacked({**unpacked(CONTENT), f"documents/{ORIGINALS[0]}.pdf": b"%PDF-1.7\nWhat was never signed\n%%EOF\n"})


@attack(Holds.COPY, {Check.FILES: INVALID})
def document_added() -> Content:
    """adds a document that no entry names"""
    more = Document.of(b"%PDF-1.7\nAn annex\n%%EOF\n")
    return replace(CONTENT, documents={**CONTENT.documents, more.sha256: more})


@attack(Holds.COPY, {Check.FILES: INDETERMINATE})
def document_left_out() -> Content:
    """leaves a document out"""
    return without_document(ORIGINALS[0])


@attack(Holds.COPY, {}, said="1 document, withheld")
def document_said_to_be_withheld() -> Content:
    """leaves a document out, and says that it is withheld"""
    return SCENE.content(withheld_documents=[ORIGINALS[0]])


# What no check looks at


@attack(Holds.COPY, {}, Means.ELSEWHERE)
def report_that_lies() -> bytes:
    """writes another report"""
    lie = b"Nobody has signed anything.\n"
    return repacked({**unpacked(CONTENT), "report.txt": lie, "report.html": lie})


@attack(Holds.COPY, {}, Means.ELSEWHERE)
def verifier_replaced() -> bytes:
    """puts a program that calls everything valid into the place of verify_evidence.py"""
    return repacked({**unpacked(CONTENT), "verify_evidence.py": b'print("valid")\n'})


# Whose log, who has seen it, since when


@attack(Holds.COPY, {Check.PARSE: INVALID})
def policy_in_the_bundle() -> bytes:
    """adds a policy to the bundle"""
    return repacked({**unpacked(CONTENT), "policy.txt": DECEIVED.policy})


@attack(Holds.READER, {}, Means.POLICY, Means.RECEIPT, reader=DECEIVED)
def policy_of_the_attacker() -> Content:
    """writes the whole log anew, signs it with another key of the ledger's name, and gives the reader a policy with that key"""
    return rewritten(CONSENT_EDITED, keys=(OWN_KEY,), cosigners=()).content()


@attack(Holds.COPY, {Check.POLICY: INVALID})
def bundle_of_another_ledger() -> Content:
    """shows the genuine bundle of another ledger, such as one for tests"""
    return scene("countersign.test/sandbox").content()


@attack(Holds.COPY, {Check.CHECKPOINT: INVALID})
def bundle_of_another_ledger_renamed() -> Content:
    """shows the bundle of another ledger under this one's name"""
    return replace(scene("countersign.test/sandbox").content(), ledger=ORIGIN)


@attack(Holds.COPY, {Check.CHECKPOINT: INVALID})
def checkpoint_changed() -> Content:
    """changes the root of the checkpoint to that of a log written anew, and keeps the signatures"""
    forged = rewritten(CONSENT_EDITED).content(stamped={}, earlier=())
    note, false = parse_note(CONTENT.checkpoint), parse_note(forged.checkpoint)
    return replace(forged, checkpoint=format_note(Note(false.text, note.signatures)))


@attack(Holds.COPY, UNWITNESSED)
def cosignatures_removed() -> Content:
    """takes the cosignatures away"""
    return replace(CONTENT, checkpoint=signed_checkpoint(WORLD, SIZE), earlier={})


@attack(Holds.COPY, UNWITNESSED)
def witnesses_unknown() -> Content:
    """puts cosignatures by keys of its own under the witnesses' names"""
    text, note = parse_note(CONTENT.checkpoint).text, parse_note(signed_checkpoint(WORLD, SIZE))
    strangers = (signing_key(witness_key(name).key.name, witness_key(name).key.type, 2) for name in WITNESSES)
    signatures = (*note.signatures, *(cosign_text(text, key, 1_800_000_000) for key in strangers))
    return replace(CONTENT, checkpoint=format_note(Note(text, signatures)), earlier={})


@attack(Holds.COPY, {Check.CHECKPOINT: INVALID})
def cosignature_of_another_checkpoint() -> Content:
    """copies the cosignatures of the checkpoint before under the last one"""
    before = parse_note(CONTENT.earlier[MIDDLE].note)
    note = parse_note(signed_checkpoint(WORLD, SIZE))
    return replace(CONTENT, checkpoint=format_note(Note(note.text, (*note.signatures, *before.signatures[1:]))), earlier={})


@attack(Holds.COPY, {Check.TIME: INVALID})
def token_of_another_checkpoint() -> Content:
    """puts the time stamp of one checkpoint beside another"""
    return replace(CONTENT, timestamps={MIDDLE: CONTENT.timestamps[SIZE]})


@attack(Holds.COPY, {Check.TIME: INVALID})
def token_of_another_authority() -> Content:
    """has the checkpoint stamped by an authority of its own, with an earlier time"""
    text, time = text_of(CONTENT.checkpoint), WORLD.now - timedelta(days=30)
    return replace(CONTENT, timestamps={SIZE: Authority("Another").stamp(text, time)})


@attack(Holds.COPY, {Check.TIME: INDETERMINATE})
def token_removed() -> Content:
    """takes the time stamp away"""
    return replace(CONTENT, timestamps={})
