"""XEP-0115: one hash stands for what a client is and can do, so that it need not be asked."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NODE = "urn:uuid:6d6f7c1e-5f0b-4c57-9a0e-2f4f8b7b5c1d"  # a URI that names the software alone (§4)
FORM_TYPE = "FORM_TYPE"


class Identity(NamedTuple):
    """What a client says it is, with the language of its name."""

    category: str
    type: str
    language: str
    name: str


OWN = Identity("client", "console", "", "xmppsh")


def verification(
    identities: Sequence[Identity], features: Sequence[str], forms: Iterable[Mapping[str, Sequence[str]]] = ()
) -> str | None:
    """The hash (§5.1); None for an answer that nobody may trust, since it says something twice (§5.4)."""
    kinds = [one[FORM_TYPE][0] for one in forms if one.get(FORM_TYPE)]
    if any(len(set(listed)) != len(listed) for listed in (identities, features, kinds)):
        return None
    parts = [f"{one.category}/{one.type}/{one.language}/{one.name}" for one in sorted(identities, key=_octets)]
    parts += sorted(features, key=str.encode)
    for form in sorted((one for one in forms if one.get(FORM_TYPE)), key=lambda one: one[FORM_TYPE][0].encode()):
        parts.append(form[FORM_TYPE][0])
        for name in sorted((name for name in form if name != FORM_TYPE), key=str.encode):
            parts += [name, *sorted(form[name], key=str.encode)]
    text = "".join(f"{part}<" for part in parts)
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def _octets(identity: Identity) -> list[bytes]:
    return [part.encode() for part in identity]
