"""Whether the documents are those that the entries name, and those made after the end begin as the entries say.

What is sealed into a PDF is not looked at: that takes a parser of PDF, and the hash of a whole file says more.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from domain.canonical import MAX_INTEGER, Json, canonical
from domain.findings import Check, Detail, Finding, counted, weigh
from domain.ids import is_sha256
from infrastructure.bundle_format import Document
from infrastructure.evidence.case import Case


class Beginning(NamedTuple):
    """The first `size` bytes of a file have this SHA-256 in hex, says the entry at `position`."""

    size: int
    sha256: str
    position: int


def check_files(case: Case) -> Finding:
    """Whether every document that the facts name is there as they say, or said to be withheld, and no other."""
    named, content = case.documents, case.content
    wrong: list[Detail] = []
    for name, document in content.documents.items():
        if document.sha256 != name:
            wrong.append(Detail(f"the document {name} hashes to {document.sha256}", named.get(name), name))
        elif name not in named:
            wrong.append(Detail(f"the document {name} is one that no entry names", name=name))
    strange = [name for name in content.withheld if name not in named]
    wrong += [Detail(f"the document {name} is said to be withheld, and no entry names it", name=name) for name in strange]
    wrong += [detail for name, begins in _beginnings(case).items() for detail in _differing(content.documents[name], begins)]
    there = {*content.documents, *content.withheld, *case.superseded}
    missing = [
        Detail(f"the document {name} is not there", position, name) for name, position in named.items() if name not in there
    ]
    withheld = f", {len(content.withheld):,} withheld" if content.withheld else ""
    finding = weigh(
        Check.FILES, wrong, missing, f"{counted(len(content.documents), 'document')} as the entries name them{withheld}"
    )
    named_withheld = tuple(Detail(f"the document {name} is withheld", named.get(name), name) for name in content.withheld)
    return replace(finding, details=finding.details + named_withheld)


def _beginnings(case: Case) -> dict[str, set[Beginning]]:
    """What each file made after the end begins with: what was sealed, and the form before a renewal if that is there too."""
    bodies: dict[bytes, Beginning] = {}
    found: dict[str, set[Beginning]] = defaultdict(set)
    documents = case.content.documents
    for position, data in case.facts_of_made():
        paper = canonical(data.get("document"))
        body, name, before = _body(data, position), data.get("sha256"), data.get("previous_sha256")
        if body is not None:
            bodies[paper] = body
        if not isinstance(name, str) or name not in documents:
            continue
        if paper in bodies:
            found[name].add(bodies[paper])
        if isinstance(before, str) and before in documents:
            found[name].add(Beginning(_size(documents[before]), before, position))
    return found


def _body(data: Mapping[str, Json], position: int) -> Beginning | None:
    digest, size = data.get("body_sha256"), data.get("body_bytes")
    if not isinstance(digest, str) or not is_sha256(digest) or type(size) is not int or not 1 <= size <= MAX_INTEGER:
        return None
    return Beginning(size, digest, position)


def _size(document: Document) -> int:
    return sum(map(len, document.chunks()))


def _differing(document: Document, begins: Iterable[Beginning]) -> Iterator[Detail]:
    """Compares in one reading, in the order of the sizes."""
    digest, size, chunks = sha256(), 0, document.chunks()
    chunk = b""
    for begin in sorted(begins):
        while size + len(chunk) < begin.size and (more := next(chunks, None)) is not None:
            digest.update(chunk)
            size, chunk = size + len(chunk), more
        taken = begin.size - size
        digest.update(chunk[:taken])
        size, chunk = size + len(chunk[:taken]), chunk[taken:]
        if size < begin.size or digest.hexdigest() != begin.sha256:
            said = f"the document {document.sha256} does not begin with the {begin.size:,} bytes of the hash {begin.sha256}"
            yield Detail(f"{said} that the entry at position {begin.position} names", begin.position, document.sha256)
