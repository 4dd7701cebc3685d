"""The schemas of the records: true of what is printed, and of the examples in docs/cli.md."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from xmppsh.output.record import Record
from xmppsh.output.records import record
from xmppsh.output.schema import schema
from xmppsh.registry.record_types import all_types
from xmppsh.xmlio.reader import read_element

EXAMPLES = re.findall(r"^- `([a-z-]+)`: `(\{.*?\})`$", (Path(__file__).parents[2] / "docs/cli.md").read_text(), re.M)
STANZAS = [
    "<message/>",
    "<message from='a@b' id='1' type='error'><body>x</body><x xmlns='jabber:x:oob'><url>u</url></x></message>",
    "<presence from='a@b'><show>away</show><priority>300</priority></presence>",
    "<iq type='get' id='1'><q xmlns='q'/></iq>",
]


def check(document: Any, kind: type[Record]) -> None:
    Draft202012Validator(schema(kind)).validate(document)


@pytest.mark.parametrize("name", all_types())
def test_a_schema_is_one_and_every_field_is_described(name: str) -> None:
    found = schema(all_types()[name])
    Draft202012Validator.check_schema(found)
    assert found["description"]
    assert all(len(field["description"]) > 5 for field in found["properties"].values())


@pytest.mark.parametrize("xml", STANZAS)
def test_a_stanza_is_as_its_schema_says(xml: str) -> None:
    made = record(read_element(xml), lambda: datetime(2026, 11, 22, tzinfo=UTC))
    check(json.loads(json.dumps(made.data())), type(made))


def test_every_record_has_an_example_in_the_contract() -> None:
    assert [name for name, _ in EXAMPLES] == sorted(all_types())


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example_is_as_the_schema_says(name: str, example: str) -> None:
    check(json.loads(example), all_types()[name])
