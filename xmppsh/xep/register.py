"""XEP-0077: an account is made, gets another password, goes. Its old fields and its data form are one form here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xmppsh import ns
from xmppsh.xep.forms import Field, Form, form_in, submitted
from xmppsh.xep.missing import NotOffered
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Jid
    from xmppsh.session.session_port import RequestsPort
    from xmppsh.xmlio.build import Xml

QUERY = f"{{{ns.REGISTER}}}query"
WHAT = "accounts that one makes oneself (XEP-0077)"
NO_FIELDS = ("instructions", "registered", "x", "data")  # children of the query that nobody fills in


class Wanted(NamedTuple):
    """What a server wants to know of a new account. as_form: it is to be answered as a data form."""

    form: Form
    as_form: bool


async def wanted(requests: RequestsPort, server: Jid) -> Wanted:
    """Ask for the fields (§3.1.1); raises NotOffered where accounts are made elsewhere, on a page of the web."""
    query = tree(await requests.request("get", server, element("query", {"xmlns": ns.REGISTER}))).find(QUERY)
    form = form_in(query)
    if form is not None:
        return Wanted(form, as_form=True)
    fields = [] if query is None else [_old_field(one) for one in query if _is_field(one)]
    if not fields:
        url = None if query is None else query.findtext(f"{{{ns.OOB}}}x/{{{ns.OOB}}}url")
        raise NotOffered(f"{server} does not offer {WHAT} on its stream", hint=url and f"it refers to {url}")
    instructions = "" if query is None else query.findtext(f"{{{ns.REGISTER}}}instructions", "")
    return Wanted(Form(None, (instructions,), tuple(fields)), as_form=False)


def _is_field(child: Tree) -> bool:
    namespace, _, name = child.tag[1:].partition("}")
    return namespace == ns.REGISTER and name not in NO_FIELDS


def _old_field(child: Tree) -> Field:
    """§4 and the table of §14: each of them must be given; `key` goes back as it came."""
    name = child.tag.partition("}")[2]
    kind = {"password": "text-private", "key": "hidden"}.get(name, "text-single")
    return Field(name, kind, None, kind != "hidden", (), (child.text,) if child.text else ())


def making(asked: Wanted, values: dict[str, tuple[str, ...]]) -> Xml:
    """The payload that makes the account (§3.1.1, with a form §6)."""
    if asked.as_form:
        return element("query", {"xmlns": ns.REGISTER}, submitted(values))
    fields = (element(name, None, *texts[:1]) for name, texts in values.items())
    return element("query", {"xmlns": ns.REGISTER}, *fields)


def changing(username: str, password: str) -> Xml:
    """The payload that gives the account another password (§3.3)."""
    facts = (element("username", None, username), element("password", None, password))
    return element("query", {"xmlns": ns.REGISTER}, *facts)


def removing() -> Xml:
    """The payload that deletes the account (§3.2)."""
    return element("query", {"xmlns": ns.REGISTER}, element("remove"))
