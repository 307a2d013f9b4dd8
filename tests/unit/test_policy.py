"""Policies: what a file may say, which checkpoints are accepted, and which witnesses are enough."""

from itertools import combinations

import pytest

from domain.checkpoint import Checkpoint, CheckpointError, format_checkpoint
from domain.note import (
    Note,
    NoteError,
    NotSigned,
    SignatureInvalid,
    SignatureType,
    SignerKey,
    VerifierKey,
    cosign_text,
    format_note,
    sign_text,
)
from domain.policy import (
    MAX_DEFINITIONS,
    MAX_POLICY_BYTES,
    Group,
    Log,
    Policy,
    PolicyError,
    Witness,
    format_policy,
    open_checkpoint,
    parse_policy,
)
from infrastructure.signing_keys import SigningKey, public_of, verify_ed25519


def key_of(name: str, type: SignatureType, seed: int) -> SigningKey:
    private = seed.to_bytes(32, "big")
    return SigningKey(SignerKey(VerifierKey(name, type, public_of(private)), private))


ORIGIN = "ledger.example/1"
LOG = key_of(ORIGIN, SignatureType.ED25519, 1)
OTHER_LOG = key_of("ledger.example/2", SignatureType.ED25519, 2)
NEXT_KEY = key_of(ORIGIN, SignatureType.ED25519, 3)
X1, X2, X3, Y1, Y2, Y3 = (
    key_of(f"{name}.example", SignatureType.COSIGNATURE, seed)
    for seed, name in enumerate(("x1", "x2", "x3", "y1", "y2", "y3"), 10)
)
WITNESSES = (X1, X2, X3, Y1, Y2, Y3)

#: The example of tlog-policy.
EXAMPLE = f"""log {LOG.key}

witness X1 {X1.key}
witness X2 {X2.key}
witness X3 {X3.key}
group X-witnesses 2 X1 X2 X3

witness Y1 {Y1.key}
witness Y2 {Y2.key}
witness Y3 {Y3.key}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
""".encode()

W1 = f"witness w1 {X1.key}\n"
W2 = f"witness w2 {X2.key}\n"


# --- the file -----------------------------------------------------------------------------------------------------


def test_the_specifications_example_is_read() -> None:
    policy = parse_policy(EXAMPLE)
    assert policy.logs == (Log(LOG.key),)
    assert [witness.name for witness in policy.witnesses] == ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    assert policy.groups == (
        Group("X-witnesses", 2, ("X1", "X2", "X3")),
        Group("Y-witnesses", 1, ("Y1", "Y2", "Y3")),
        Group("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    )
    assert policy.quorum == "X-and-Y"


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("quorum none\n", Policy((), (), (), "none")),
        ("quorum none", Policy((), (), (), "none")),
        (
            f"\n# comment\n\t # another\n\twitness \t w1  {X1.key}   https://w1.example/  \n\n  quorum\tw1",
            Policy((), (Witness("w1", X1.key, "https://w1.example/"),), (), "w1"),
        ),
        (
            f"log {LOG.key} https://log.example/\nlog {OTHER_LOG.key}\nquorum none\n",
            Policy((Log(LOG.key, "https://log.example/"), Log(OTHER_LOG.key)), (), (), "none"),
        ),
        (
            f"witness all {X1.key}\nwitness any {X2.key}\ngroup group 2 all any\nquorum group\n",
            Policy((), (Witness("all", X1.key), Witness("any", X2.key)), (Group("group", 2, ("all", "any")),), "group"),
        ),
        (f"{W1}quorum w1\ngroup g any w1\n", Policy((), (Witness("w1", X1.key),), (Group("g", 1, ("w1",)),), "w1")),
    ],
)
def test_what_the_specification_allows_is_read(text: str, policy: Policy) -> None:
    assert parse_policy(text.encode()) == policy
    assert parse_policy(format_policy(policy)) == policy


def test_names_are_octets() -> None:
    """A Kelvin sign is not a K, and an octet that is no UTF-8 is a name too."""
    raw = b"witness \xe2\x84\xaa %b\nwitness K\x80 %b\ngroup g all \xe2\x84\xaa K\x80\nquorum g\n" % (
        str(X1.key).encode(),
        str(X2.key).encode(),
    )
    policy = parse_policy(raw)
    assert parse_policy(format_policy(policy)) == policy
    with pytest.raises(PolicyError, match="not defined"):
        parse_policy(raw.replace(b"all \xe2\x84\xaa", b"all K"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no line with the quorum"),
        (W1, "no line with the quorum"),
        ("quorum none\n\x01", "octet 0x01"),
        ("quorum none\r\n", "octet 0x0d"),
        ("quorum none\n\x7f", "octet 0x7f"),
        ("# a comment\x00\nquorum none\n", "octet 0x00"),
        ("quibble w1\nquorum none\n", "line 1: a line begins with"),
        ("Quorum none\n", "line 1: a line begins with"),
        (f"{W1.strip()} https://w1.example/ # comment\nquorum w1\n", "line 1: a witness is written"),
        ("log\nquorum none\n", "line 1: a log is written"),
        (f"log {LOG.key} a b\nquorum none\n", "line 1: a log is written"),
        ("log garbage\nquorum none\n", "line 1: a key is written"),
        ("quorum none\nlog \x80+00000000+AA==\n", "line 2: a key's name holds a lone surrogate"),
        (f"log {X1.key}\nquorum none\n", "line 1: a key of type 0x04 where one of type 0x01"),
        (f"log {LOG.key}\nlog {LOG.key} https://log.example/\nquorum none\n", "line 2: a public key a second time"),
        ("witness w1\nquorum none\n", "line 1: a witness is written"),
        (f"witness w1 {LOG.key}\nquorum none\n", "line 1: a key of type 0x01 where one of type 0x04"),
        (f"witness none {X1.key}\nquorum none\n", "the name none is taken"),
        (f"{W1}witness w1 {X2.key}\nquorum w1\n", "line 2: a name is defined a second time"),
        (f"{W1}witness w2 {X1.key}\nquorum w1\n", "line 2: a public key a second time"),
        (f"{W1}group w1 any w1\nquorum w1\n", "line 2: a name is defined a second time"),
        (f"{W1}group g 1\nquorum w1\n", "line 2: a group is written"),
        (f"{W1}group none any w1\nquorum none\n", "the name none is taken"),
        (f"{W1}group g 0 w1\nquorum g\n", "a number from 1 to 1"),
        (f"{W1}group g -1 w1\nquorum g\n", "a number from 1 to 1"),
        (f"{W1}group g 01 w1\nquorum g\n", "a number from 1 to 1"),
        (f"{W1}group g 2 w1\nquorum g\n", "a number from 1 to 1"),
        (f"{W1}group g {'9' * 5000} w1\nquorum g\n", "a number from 1 to 1"),
        (f"{W1}group g ALL w1\nquorum g\n", "a number from 1 to 1"),
        (f"{W1}group g any w2\nquorum g\n", "line 2: a member is not defined"),
        (f"group g any w1\n{W1}quorum g\n", "line 1: a member is not defined"),
        (f"{W1}group g any g\nquorum g\n", "line 2: a member is not defined"),
        (f"{W1}group g any none w1\nquorum g\n", "line 2: a member is not defined"),
        (f"{W1}group g all w1 w1\nquorum g\n", "line 2: a name is a member more than once"),
        (f"{W1}{W2}group g any w1 w2\ngroup h any w1\nquorum g\n", "line 4: a name is a member more than once"),
        (f"{W1}quorum w1\nquorum w1\n", "line 3: a second line with a quorum"),
        ("quorum none\nquorum none\n", "line 2: a second line with a quorum"),
        ("quorum unknown\n", "line 1: the quorum is not defined"),
        (f"quorum w1\n{W1}", "line 1: the quorum is not defined"),
        ("quorum\n", "line 1: the quorum is written"),
        (f"{W1}quorum w1 w1\n", "line 2: the quorum is written"),
        (f"{W1}quorum w1\n" + "#" * MAX_POLICY_BYTES, "a policy has at most"),
    ],
)
def test_what_the_specification_does_not_allow_is_refused(text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        parse_policy(text.encode("latin-1"))


def test_a_key_with_a_wrong_id_is_refused() -> None:
    wrong = str(X1.key).replace(X1.key.id.hex(), "00000000")
    with pytest.raises(PolicyError, match=r"line 1: the key of x1\.example has another id"):
        parse_policy(f"witness w1 {wrong}\nquorum w1\n".encode())


def test_one_public_key_under_two_names_is_refused() -> None:
    """Else one witness could be counted as two."""
    for known, again in ((f"witness w1 {X1.key}", "witness w2 "), (f"log {LOG.key}", "log ")):
        key = X1.key if "witness" in known else LOG.key
        with pytest.raises(PolicyError, match="line 2: a public key a second time"):
            parse_policy(f"{known}\n{again}{VerifierKey('impostor.example', key.type, key.public)}\nquorum none\n".encode())


def test_a_policy_takes_256_of_each_and_no_more() -> None:
    keys = [VerifierKey("k", SignatureType.ED25519, number.to_bytes(32, "big")) for number in range(MAX_DEFINITIONS + 1)]
    lines = [f"log {key}" for key in keys]
    assert len(parse_policy("\n".join([*lines[:-1], "quorum none"]).encode()).logs) == MAX_DEFINITIONS
    with pytest.raises(PolicyError, match="more than 256 logs"):
        parse_policy("\n".join([*lines, "quorum none"]).encode())
    witnesses = [f"witness {n} {VerifierKey('k', SignatureType.COSIGNATURE, key.public)}" for n, key in enumerate(keys)]
    with pytest.raises(PolicyError, match="more than 256 witnesses"):
        parse_policy("\n".join([*witnesses, "quorum none"]).encode())
    groups = [witnesses[0], "group g0 any 0", *(f"group g{n} any g{n - 1}" for n in range(1, MAX_DEFINITIONS + 1))]
    with pytest.raises(PolicyError, match="more than 256 groups"):
        parse_policy("\n".join([*groups, "quorum none"]).encode())
    deep = parse_policy("\n".join([*groups[:-1], "quorum g255"]).encode())
    assert deep.has_quorum([VerifierKey("k", SignatureType.COSIGNATURE, keys[0].public)])


@pytest.mark.parametrize(
    "policy",
    [
        Policy((), (), (), "undefined"),
        Policy((), (Witness("two words", X1.key),), (), "none"),
        Policy((), (Witness("", X1.key),), (), "none"),
        Policy((), (Witness("w", X1.key, "a\nb"),), (), "none"),
        Policy((), (Witness("w", X1.key, ""),), (), "none"),
        Policy((), (Witness("w\ud800", X1.key),), (), "none"),
        Policy((Log(X1.key),), (), (), "none"),
        Policy((), (), (Group("g", 1, ("nobody",)),), "none"),
    ],
)
def test_a_policy_that_could_not_be_read_back_is_not_written(policy: Policy) -> None:
    with pytest.raises(PolicyError):
        format_policy(policy)


# --- the quorum ---------------------------------------------------------------------------------------------------


def test_the_quorum_is_reached_by_just_the_sets_that_the_example_names() -> None:
    policy = parse_policy(EXAMPLE)
    for count in range(7):
        for some in combinations(WITNESSES, count):
            enough = sum(each in some for each in (X1, X2, X3)) >= 2 and any(each in some for each in (Y1, Y2, Y3))
            assert policy.has_quorum({each.key for each in some}) is enough


def test_keys_that_the_policy_does_not_know_do_not_count() -> None:
    policy = parse_policy(f"{W1}quorum w1\n".encode())
    same_name = VerifierKey(X1.key.name, SignatureType.COSIGNATURE, X2.key.public)
    as_log = VerifierKey(X1.key.name, SignatureType.ED25519, X1.key.public)
    assert not policy.has_quorum([X2.key, same_name, as_log])
    assert policy.has_quorum([X1.key])


def test_no_quorum_needs_no_witness_and_a_group_without_enough_is_none() -> None:
    assert parse_policy(f"{W1}quorum none\n".encode()).has_quorum([])
    assert not parse_policy(f"{W1}{W2}group g all w1 w2\nquorum g\n".encode()).has_quorum([X1.key])


# --- checkpoints --------------------------------------------------------------------------------------------------

TEXT = format_checkpoint(Checkpoint(ORIGIN, 7, bytes(32)))
POLICY = parse_policy(EXAMPLE)


def test_a_checkpoint_of_a_log_of_the_policy_is_accepted_with_its_cosignatures() -> None:
    stranger = key_of("stranger.example", SignatureType.COSIGNATURE, 99)
    signatures = (cosign_text(TEXT, X1, 10), sign_text(TEXT, LOG), cosign_text(TEXT, stranger, 11), cosign_text(TEXT, Y2, 12))
    accepted = open_checkpoint(format_note(Note(TEXT, signatures)), POLICY, verify_ed25519)
    assert accepted.checkpoint == Checkpoint(ORIGIN, 7, bytes(32))
    assert accepted.log == POLICY.logs[0]
    assert [(each.key, each.time) for each in accepted.cosignatures] == [(X1.key, 10), (Y2.key, 12)]
    assert accepted.cosigners == {X1.key, Y2.key}
    assert not POLICY.has_quorum(accepted.cosigners)
    assert POLICY.has_quorum(accepted.cosigners | {X3.key})


def test_witnesses_alone_do_not_make_a_checkpoint() -> None:
    raw = format_note(Note(TEXT, tuple(cosign_text(TEXT, each, 1) for each in WITNESSES)))
    with pytest.raises(NotSigned, match="no signature by a log"):
        open_checkpoint(raw, POLICY, verify_ed25519)


def test_another_logs_signature_does_not_count_for_this_origin() -> None:
    policy = parse_policy(f"log {LOG.key}\nlog {OTHER_LOG.key}\nquorum none\n".encode())
    with pytest.raises(NotSigned, match="origin"):
        open_checkpoint(format_note(Note(TEXT, (sign_text(TEXT, OTHER_LOG),))), policy, verify_ed25519)
    both = format_note(Note(TEXT, (sign_text(TEXT, OTHER_LOG), sign_text(TEXT, LOG))))
    assert open_checkpoint(both, policy, verify_ed25519).log.key == LOG.key


def test_while_a_log_changes_its_key_either_key_is_enough() -> None:
    both = format_note(Note(TEXT, (sign_text(TEXT, LOG), sign_text(TEXT, NEXT_KEY))))
    for known in ([LOG], [NEXT_KEY], [LOG, NEXT_KEY]):
        policy = parse_policy("".join([*(f"log {each.key}\n" for each in known), "quorum none\n"]).encode())
        assert open_checkpoint(both, policy, verify_ed25519).checkpoint.origin == ORIGIN


def test_a_known_witness_whose_signature_fails_refuses_the_checkpoint() -> None:
    forged = cosign_text(TEXT.replace("7", "8"), X1, 1)
    with pytest.raises(SignatureInvalid) as refused:
        open_checkpoint(format_note(Note(TEXT, (sign_text(TEXT, LOG), forged))), POLICY, verify_ed25519)
    assert refused.value.key == X1.key


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    for text in ("hello\n", f"{ORIGIN}\n07\nAAAA\n"):
        with pytest.raises(CheckpointError):
            open_checkpoint(format_note(Note(text, (sign_text(text, LOG),))), POLICY, verify_ed25519)
    with pytest.raises(NoteError):
        open_checkpoint(TEXT.encode(), POLICY, verify_ed25519)
