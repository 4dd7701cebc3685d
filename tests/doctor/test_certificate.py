"""The certificates as they were sent: in order, and a missing one is named."""

import ssl

import trustme

from xmppsh.doctor.check_certificate import chain_of

ROOT = trustme.CA(organization_name="Root Authority")
BETWEEN = ROOT.create_child_ca()
LEAF = BETWEEN.issue_cert("example.org", common_name="example.org")


def der(pem: trustme.Blob) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.bytes().decode())


def name_of(certificate: bytes) -> str:
    (name,), _ = chain_of([certificate])
    return name


OWN, MIDDLE, TOP = der(LEAF.cert_chain_pems[0]), der(BETWEEN.cert_pem), der(ROOT.cert_pem)


def test_a_whole_chain_has_no_gap() -> None:
    for chain in ([OWN], [OWN, MIDDLE], [OWN, MIDDLE, TOP]):
        names, gap = chain_of(chain)
        assert (names, gap) == ([name_of(one) for one in chain], "")
        assert names[0] == "example.org"


def test_a_missing_certificate_between_two_is_named() -> None:
    names, gap = chain_of([OWN, TOP])
    assert names == ["example.org", "Root Authority"]
    assert gap == f"the one of {name_of(MIDDLE)} is missing after example.org, where Root Authority was sent"


def test_what_cannot_be_read_is_left_out() -> None:
    assert chain_of([b"\x30\x03\x02\x01\x01"]) == ([], "")
    assert chain_of([]) == ([], "")
