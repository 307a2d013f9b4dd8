"""Attacks by whoever keeps the ledger and its key, up to those who hold every key there is."""

from dataclasses import replace
from datetime import timedelta

from domain.findings import Check
from domain.merkle import consistency_proof
from infrastructure.bundle_format import Content, Earlier
from tests.evidence_attack import HISTORY, INDETERMINATE, INVALID, LAX, OWN_KEY, TRUSTING, Found, Holds, Means, attack
from tests.evidence_scene import (
    CODE,
    CONSENT_EDITED,
    CONTENT,
    MIDDLE,
    SCENE,
    SECOND,
    SIZE,
    WORLD,
    continued_otherwise,
    edited,
    rewritten,
)
from tests.evidence_world import WITNESSES


def split(cosigned_by: tuple[str, ...] = ()) -> Content:
    return rewritten(CONSENT_EDITED, cosigners=cosigned_by).content(stamped={})


UNSEEN: Found = {Check.QUORUM: INDETERMINATE, Check.TIME: INDETERMINATE}


@attack(Holds.DATABASE, {Check.CHECKPOINT: INVALID})
def log_rewritten_without_the_key() -> Content:
    """writes the whole log anew, and signs it with another key of the ledger's name"""
    return rewritten(CONSENT_EDITED, keys=(OWN_KEY,), cosigners=()).content()


@attack(Holds.KEY, UNSEEN, Means.RECEIPT, Means.CHECKPOINT)
def log_rewritten_with_the_key() -> Content:
    """changes an entry, and writes and signs the whole log anew"""
    return split()


@attack(Holds.KEY, {Check.TIME: INVALID, Check.QUORUM: INDETERMINATE}, Means.RECEIPT, Means.CHECKPOINT)
def log_rewritten_with_the_old_token() -> Content:
    """changes an entry, writes and signs the whole log anew, and keeps the time stamp of the true log"""
    return replace(split(), timestamps=CONTENT.timestamps)


@attack(Holds.KEY, {Check.CHECKPOINT: INVALID})
def log_rewritten_after_a_cosigned_checkpoint() -> Content:
    """changes an entry, and shows a cosigned checkpoint of the true log before the new one"""
    forged = rewritten(edited(6, lambda entry: replace(entry, by={"id": "key-2", "kind": "partner-key"})), cosigners=())
    earlier = Earlier(CONTENT.earlier[MIDDLE].note, consistency_proof(forged.world.leaves(), MIDDLE))
    return replace(forged.content(stamped={}), earlier={MIDDLE: earlier})


@attack(Holds.KEY, {}, Means.WITNESSES, Means.RECEIPT, Means.CHECKPOINT, reader=TRUSTING)
def split_view() -> Content:
    """shows different readers different logs of one size; these want no witness"""
    return split()


@attack(Holds.KEY, {}, Means.WITNESSES, Means.RECEIPT, Means.CHECKPOINT, reader=LAX)
def split_view_between_witnesses() -> Content:
    """shows different witnesses different logs; any one of them is enough for these readers"""
    return split(("carol",))


@attack(Holds.KEY, UNSEEN, Means.RECEIPT, Means.CHECKPOINT)
def log_cut_off_and_continued() -> Content:
    """takes the newest entries of the whole log away, and goes on otherwise"""
    forged = continued_otherwise()
    return replace(forged, world=replace(forged.world, cosigners=())).content(stamped={}, earlier=())


@attack(Holds.KEY, {**UNSEEN, HISTORY: INVALID}, Means.RECEIPT, Means.CHECKPOINT, least=UNSEEN)
def code_removed_with_the_key() -> Content:
    """takes away that a code was sent, and writes and signs the whole log anew"""
    return rewritten(lambda placed: [it for it in placed if it[0] != CODE], cosigners=()).content(stamped={})


@attack(Holds.KEY, UNSEEN, Means.RECEIPT)
def entry_backdated_with_the_key() -> Content:
    """inserts a second view of a document with the time of the first, and writes and signs the whole log anew"""
    viewed = SCENE.position("signing.document-viewed", SECOND)
    return rewritten(lambda placed: [*placed[:viewed], *placed[viewed - 1 :]], cosigners=()).content(stamped={})


@attack(Holds.QUORUM, {Check.TIME: INDETERMINATE}, Means.RECEIPT, Means.CHECKPOINT)
def log_rewritten_with_a_quorum() -> Content:
    """changes an entry, and has the log that was written anew cosigned"""
    return split(WITNESSES)


@attack(Holds.QUORUM, {}, Means.RECEIPT, Means.CHECKPOINT, Means.TIME)
def log_rewritten_and_stamped_later() -> Content:
    """changes an entry, has the log that was written anew cosigned, and stamped by an honest authority a month later"""
    return rewritten(CONSENT_EDITED).content(stamped={SIZE: WORLD.now + timedelta(days=30)})


@attack(Holds.QUORUM, {HISTORY: INVALID, Check.TIME: INDETERMINATE}, Means.RECEIPT, Means.CHECKPOINT)
def completed_without_signatures() -> Content:
    """takes a signature away, and has the log that was written anew cosigned"""
    signed = SCENE.position("signing.document-signed", SECOND)
    return rewritten(lambda placed: [it for it in placed if it[0] != signed]).content(stamped={})


@attack(Holds.AUTHORITY, {}, Means.RECEIPT, Means.CHECKPOINT)
def log_rewritten_with_every_key() -> Content:
    """changes an entry, and has the log that was written anew cosigned and stamped with the time of the true one"""
    return rewritten(CONSENT_EDITED).content()
