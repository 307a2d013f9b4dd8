"""Attacks on what is made after the end: executed documents, the certificate, and renewed seals."""

from dataclasses import replace
from hashlib import sha256

from domain.entry import Entry
from domain.findings import Check
from infrastructure.bundle_format import Content, Document
from tests.evidence_attack import INDETERMINATE, INVALID, Found, Holds, attack
from tests.evidence_scene import (
    CERTIFICATE,
    CONTENT,
    EXECUTED,
    FORMS,
    RENEWED,
    WORLD,
    edited,
    entry_at,
    rewritten,
    without_document,
)
from tests.evidence_world import repacked, unpacked

BY_FILES: Found = {Check.FILES: INVALID}


@attack(Holds.COPY, BY_FILES)
def executed_files_swapped() -> bytes:
    """gives each of two executed documents the other's name"""
    members = unpacked(CONTENT)
    one, other = (f"documents/{name}.pdf" for name in FORMS)
    return repacked({**members, one: members[other], other: members[one]})


@attack(Holds.COPY, BY_FILES)
def byte_of_an_executed_file_flipped() -> bytes:
    """changes one byte of an executed document"""
    members, name = unpacked(CONTENT), f"documents/{FORMS[1]}.pdf"
    raw = bytearray(members[name])
    raw[len(raw) // 2] ^= 1
    return repacked({**members, name: bytes(raw)})


@attack(Holds.COPY, {Check.FILES: INDETERMINATE})
def certificate_left_out() -> Content:
    """leaves the certificate of completion out"""
    assert CERTIFICATE is not None
    return without_document(CERTIFICATE)


@attack(Holds.COPY, {Check.FILES: INDETERMINATE})
def renewed_seal_taken_back() -> Content:
    """gives the file from before its seal was renewed in the place of the last one"""
    before = str(entry_at(RENEWED).data["previous_sha256"])
    content = without_document(FORMS[0])
    return replace(content, documents={**content.documents, before: Document.of(WORLD.documents[before])})


def with_data(entry: Entry, **data: str) -> Entry:
    return replace(entry, data={**entry.data, **data})


@attack(Holds.AUTHORITY, BY_FILES)
def body_of_another_file() -> Content:
    """says that another text than the executed one was sealed, and writes, signs, cosigns and stamps the whole log anew"""
    return rewritten(edited(EXECUTED, lambda it: with_data(it, body_sha256="ab" * 32))).content()


@attack(Holds.AUTHORITY, BY_FILES)
def executed_file_of_another_document() -> Content:
    """says that the executed form of one document is that of another, and writes, signs, cosigns and stamps the whole log anew"""
    return rewritten(edited(EXECUTED + 1, lambda it: with_data(it, sha256=FORMS[0]))).content()


def renewed_otherwise(begins_with: bytes) -> Content:
    """With a renewed file that begins with something else than the file before it; both are there."""
    raw = begins_with + b"% another seal\n%%EOF\n"
    name = sha256(raw).hexdigest()
    forged = edited(RENEWED, lambda it: with_data(it, sha256=name))
    return rewritten(forged, documents={**WORLD.documents, name: raw}).content(all_forms=True)


@attack(Holds.AUTHORITY, BY_FILES)
def renewed_file_with_another_body() -> Content:
    """renews the seal of another text, and writes, signs, cosigns and stamps the whole log anew"""
    return renewed_otherwise(b"%PDF-1.7\nWhat was never signed\n%%EOF\n")


@attack(Holds.AUTHORITY, BY_FILES)
def renewed_file_with_another_seal() -> Content:
    """takes the seal away before it renews it, and writes, signs, cosigns and stamps the whole log anew; both files are there"""
    body_bytes = entry_at(EXECUTED).data["body_bytes"]
    assert isinstance(body_bytes, int)
    return renewed_otherwise(WORLD.documents[str(entry_at(RENEWED).data["previous_sha256"])][:body_bytes])
