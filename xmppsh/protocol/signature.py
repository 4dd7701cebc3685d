"""Which hash a certificate is signed with, read from its DER without a library (RFC 5280 §4.1.1)."""

from __future__ import annotations

SEQUENCE, OID = 0x30, 0x06
PSS, PSS_DEFAULT = "2a864886f70d01010a", "sha1"  # RFC 4055 §3.1: its hash stands in its parameters
HASHES = {  # by object identifiers, the encoded ones in hex
    "2a864886f70d010104": "md5",
    "2a864886f70d010105": "sha1",
    "2a864886f70d01010b": "sha256",
    "2a864886f70d01010c": "sha384",
    "2a864886f70d01010d": "sha512",
    "2a864886f70d01010e": "sha224",
    # ECDSA, RFC 5758 §3.2
    "2a8648ce3d0401": "sha1",
    "2a8648ce3d040301": "sha224",
    "2a8648ce3d040302": "sha256",
    "2a8648ce3d040303": "sha384",
    "2a8648ce3d040304": "sha512",
    # DSA, RFC 5758 §3.1
    "2a8648ce380403": "sha1",
    "608648016503040301": "sha224",
    "608648016503040302": "sha256",
    # the hashes themselves, in the parameters of RSASSA-PSS
    "2b0e03021a": "sha1",
    "608648016503040201": "sha256",
    "608648016503040202": "sha384",
    "608648016503040203": "sha512",
    "608648016503040204": "sha224",
}


def signature_hash(certificate: bytes) -> str | None:
    """The name of the hash in hashlib.

    None when it is another one, when the signature has none (Ed25519), or when this is no certificate.
    """
    try:
        (whole,) = _parts(certificate)
        _, algorithm, _ = _parts(_content(whole, SEQUENCE))
        name, *parameters = _parts(_content(algorithm, SEQUENCE))
        identifier = _content(name, OID).hex()
        return _pss_hash(parameters) if identifier == PSS else HASHES.get(identifier)
    except (ValueError, IndexError):
        return None


def _pss_hash(parameters: list[tuple[int, bytes]]) -> str | None:
    for tag, content in _parts(_content(parameters[0], SEQUENCE)):
        if tag == 0xA0:  # [0] hashAlgorithm
            (algorithm,) = _parts(content)
            return HASHES.get(_content(_parts(_content(algorithm, SEQUENCE))[0], OID).hex())
    return PSS_DEFAULT


def _content(part: tuple[int, bytes], tag: int) -> bytes:
    if part[0] != tag:
        raise ValueError
    return part[1]


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """The values that stand one after the other, by tag and content; raises ValueError or IndexError."""
    parts, at = [], 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError
        parts.append((tag, data[at : at + length]))
        at += length
    return parts
