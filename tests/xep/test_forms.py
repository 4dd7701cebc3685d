"""Data forms (XEP-0004): what is put into them is checked by the types of their fields."""

import pytest

from xmppsh.errors import UsageError
from xmppsh.xep.forms import Form, filled, form_in, names_hint, reported_in, split, submitted
from xmppsh.xmlio.reader import read_element, tree

XML = """<command><x xmlns='jabber:x:data' type='form'><title>T</title><instructions>do</instructions>
<field var='FORM_TYPE' type='hidden'><value>urn:form</value></field>
<field var='note' type='fixed'><value>read me</value></field>
<field var='name' type='text-single' label='Name'><required/></field>
<field var='open' type='boolean'><value>0</value></field>
<field var='who' type='list-single'><option label='All'><value>all</value></option><option><value>none</value></option>
<value>all</value></field>
<field var='tags' type='list-multi'><option><value>a</value></option><option><value>b</value></option></field>
<field var='admins' type='jid-multi'/><field var='about' type='text-multi'/><field var='plain'/></x></command>"""


@pytest.fixture
def form() -> Form:
    found = form_in(tree(read_element(XML)))
    assert found is not None
    return found


def test_a_form_is_read_with_what_is_asked(form: Form) -> None:
    assert (form.title, form.instructions) == ("T", ("do", "read me"))
    assert [one.name for one in form.asked] == ["name", "open", "who", "tags", "admins", "about", "plain"]
    assert form.asked[0].required
    assert form.asked[2].options == (("all", "All"), ("none", None))
    assert form.asked[6].type == "text-single"


def test_what_stands_in_it_is_sent_back_and_what_is_given_replaces_it(form: Form) -> None:
    given = split(["name=x=y", "open=yes", "tags=a", "tags=b", "admins=A@B", "about=one\r\ntwo"])
    values = filled(form, given)
    assert values == {
        "FORM_TYPE": ("urn:form",), "name": ("x=y",), "open": ("1",), "who": ("all",), "tags": ("a", "b"),
        "admins": ("a@b",), "about": ("one", "two"), "plain": (),
    }  # fmt: skip
    sent = tree(read_element(f"<command>{submitted(values)}</command>"))
    assert reported_in(sent)[0]["tags"] == ["a", "b"]


def test_a_list_and_a_field_of_addresses_are_emptied_by_nothing(form: Form) -> None:
    values = filled(form, split(["name=x", "who=", "tags=", "admins="]))
    assert [values[name] for name in ("who", "tags", "admins")] == [(), (), ()]


WRONG = {
    "required": ([], "name must be given"),
    "unknown": (["name=x", "nmae=y"], "there is no field 'nmae'"),
    "fixed": (["name=x", "note=y"], "note is fixed"),
    "no boolean": (["name=x", "open=maybe"], "open: 'maybe' is not yes or no"),
    "no choice": (["name=x", "who=some"], "who: 'some' is not one of all, none"),
    "several": (["name=x", "name=y"], "name takes one value"),
    "no JID": (["name=x", "admins=@"], "admins: "),
    "both are named": (["open=maybe"], "open: 'maybe' is not yes or no; name must be given"),
}


@pytest.mark.parametrize(("pairs", "sentence"), WRONG.values(), ids=WRONG)
def test_all_that_is_wrong_is_named(form: Form, pairs: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        filled(form, split(pairs))
    assert str(caught.value).startswith(sentence)
    assert caught.value.hint == (
        "name=…" if "nmae" in sentence else "the fields are name, open, who, tags, admins, about, plain"
    )


FIELDS = ["muc#roomconfig_persistentroom", "muc#roomconfig_roomname", "pubsub#deliver_payloads"]
FIELDS_ARE = "the fields are muc#roomconfig_persistentroom, muc#roomconfig_roomname, pubsub#deliver_payloads"


@pytest.mark.parametrize(("typed", "meant"), [
    ("persistent", "muc#roomconfig_persistentroom=…"), ("ROOMNAME", "muc#roomconfig_roomname=…"),
    ("muc#roomconfig_roomnam", "muc#roomconfig_roomname=…"), ("deliver_payloads", "pubsub#deliver_payloads=…"),
    ("name", "muc#roomconfig_roomname=…"), *((far, FIELDS_ARE) for far in ("zebra", "room", "titles", "x_zebra")),
])  # fmt: skip
def test_a_name_that_no_field_has_is_told_with_the_one_that_was_meant(typed: str, meant: str) -> None:
    assert names_hint([typed], FIELDS) == meant


@pytest.mark.parametrize("pair", ["name", "=x", ""])
def test_a_word_without_a_name_and_a_value_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="is not FIELD=VALUE"):
        split([pair])


def test_a_result_gives_its_rows_or_its_fields() -> None:
    rows = "<x xmlns='jabber:x:data' type='result'><item><field var='a'><value>1</value></field></item><item/></x>"
    assert reported_in(tree(read_element(f"<c>{rows}</c>"))) == [{"a": ["1"]}]
    assert reported_in(tree(read_element("<c/>"))) == []
