"""Whose address a request came from, and how that is known: evidence, so nothing that a client merely wrote."""

from types import SimpleNamespace
from typing import cast

import pytest
from starlette.requests import Request

from api.deps import Deps
from api.http import client_address
from domain.actor import AddressSource
from infrastructure.settings import Settings

PROXIES = {"COUNTERSIGN_TRUSTED_PROXIES": "10.0.0.0/8,fd00::/8"}
SOCKET, PROXY = AddressSource.SOCKET, AddressSource.TRUSTED_PROXY


def seen(peer: str | None, *forwarded: str) -> tuple[str, AddressSource] | None:
    """What is found for a connection from `peer` with one X-Forwarded-For line for each of `forwarded`."""
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    request = Request({"type": "http", "client": None if peer is None else (peer, 1), "headers": headers})
    return client_address(request, cast(Deps, SimpleNamespace(settings=Settings.read(PROXIES))))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", [], ("192.0.2.1", SOCKET)),
        ("192.0.2.1", ["198.51.100.7"], ("192.0.2.1", SOCKET)),
        ("127.0.0.1", ["198.51.100.7"], ("127.0.0.1", SOCKET)),
        ("2001:db8::1", [], ("2001:db8::1", SOCKET)),
        ("10.0.0.1", [], ("10.0.0.1", SOCKET)),
        ("10.0.0.1", [""], ("10.0.0.1", SOCKET)),
        ("10.0.0.1", ["198.51.100.7"], ("198.51.100.7", PROXY)),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], ("198.51.100.7", PROXY)),
        ("10.0.0.1", ["1.1.1.1,198.51.100.7 , 10.9.9.9"], ("198.51.100.7", PROXY)),
        ("10.0.0.1", ["10.1.1.1"], ("10.0.0.1", SOCKET)),
        ("10.0.0.1", ["198.51.100.7, unknown"], ("10.0.0.1", SOCKET)),
        ("fd00::1", ["2001:db8::7"], ("2001:db8::7", PROXY)),
    ],
)
def test_only_trusted_proxies_are_believed_and_only_what_they_wrote(
    peer: str, forwarded: list[str], found: tuple[str, AddressSource]
) -> None:
    assert seen(peer, *forwarded) == found


def test_a_line_that_the_proxy_added_comes_after_the_line_of_the_client() -> None:
    assert seen("10.0.0.1", "1.1.1.1", "198.51.100.7") == ("198.51.100.7", PROXY)


def test_an_ipv4_address_is_the_same_on_a_socket_for_both_families() -> None:
    assert seen("::ffff:192.0.2.1") == ("192.0.2.1", SOCKET)
    assert seen("::ffff:10.0.0.1", "::ffff:198.51.100.7") == ("198.51.100.7", PROXY)


@pytest.mark.parametrize("peer", [None, "testclient", "/run/countersign.sock"])
def test_without_an_address_none_is_made_up(peer: str | None) -> None:
    assert seen(peer, "198.51.100.7") is None
