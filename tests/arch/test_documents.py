"""The documents say what the code does: the reference is made from it, and what they refer to is there."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from interop.test_lacking import LACKING

from xmppsh.config.schema import SETTINGS
from xmppsh.errors import ExitCode
from xmppsh.registry import COMMANDS, GROUPS

ROOT = Path(__file__).parents[2]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in [path.stem, *re.findall(r"^ *(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)]
}
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def _maker(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


making, manual, tabs, table = map(_maker, ("reference", "manual", "tab_table", "table"))


def test_the_reference_is_made_from_the_code() -> None:
    assert making.DOCUMENT.read_text() == making.reference(), "run: python tests/arch/reference.py"


def test_the_help_is_made_from_the_code() -> None:
    assert Path(making.FILE).read_text(encoding="utf-8") == making.helps(), "run: python tests/arch/reference.py"


def test_the_table_of_the_tab_key_is_made_from_the_code() -> None:
    assert Path(tabs.FILE).read_text(encoding="utf-8") == tabs.table(), "run: python tests/arch/reference.py"


def test_the_reference_has_every_command_setting_and_exit_code() -> None:
    text = making.reference()
    assert [path for path in COMMANDS if f"#### {' '.join(path)}\n" not in text] == []
    assert [setting.key for setting in SETTINGS if f"`{setting.key}`" not in text] == []
    assert [code for code in ExitCode if f"| {int(code)} | {code.name} |" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_link_of_a_document_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_test_that_a_document_names_is_there(document: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", document.read_text()))
    assert named - TESTS == set()


def test_each_reported_fault_is_held_by_at_least_three_tests() -> None:
    rows = [line for line in (ROOT / "docs" / "reported.md").read_text().splitlines() if line.startswith("| ")]
    assert [row for row in rows[1:] if not row.startswith("| --- ") and len(re.findall("`test_", row)) < 3] == []


def test_the_tree_of_the_architecture_names_every_file() -> None:
    tree = (ROOT / "ARCHITECTURE.md").read_text().split("```")[1]
    named = set(re.findall(r"\w+\.py", tree)) | {"__init__.py", "__main__.py"}
    by_rule = re.compile(r"commands/|playground/|doctor/check_")  # a file a command, a file a layer
    files = [path.relative_to(ROOT / "xmppsh") for path in sorted((ROOT / "xmppsh").rglob("*.py"))]
    assert [str(file) for file in files if file.name not in named and not by_rule.match(str(file))] == []


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_a_file_that_a_document_names_is_there(document: str) -> None:
    for name in re.findall(
        r"`((?:xmppsh|session|connection|ghosts|witness|outbox|tests)/[a-z_/]+\.py)`", (ROOT / document).read_text()
    ):
        assert (ROOT / name).exists() or (ROOT / "xmppsh" / name).exists(), name


def test_the_manual_is_made_from_the_code() -> None:
    made = {path.name: path.read_text() for path in manual.FOLDER.iterdir()}
    assert made == manual.pages(), "run: python tests/arch/manual.py"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_is_typeset_without_a_warning() -> None:
    pages = sorted(manual.FOLDER.iterdir())
    typeset = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", *pages], capture_output=True, check=True)
    assert typeset.stderr == b""
    assert all(path.stem.upper().encode() in typeset.stdout for path in pages)


CONTRACT = (ROOT / "docs" / "cli.md").read_text()


def promised() -> set[tuple[str, ...]]:
    """The commands that the contract promises in a sentence each."""
    table = CONTRACT.partition("## Commands in a sentence")[2].partition("\n## ")[0]
    found = set()
    for cell in re.findall(r"^\| (`.*?`) \| ", table, re.MULTILINE):
        for usage in re.findall(r"`([^`]+)`", cell):
            name, _, rest = usage.partition(" ")
            below = rest.split(" ")[0].split(r"\|") if (name,) in GROUPS else []
            found |= {(name, one) for one in below} or {(name,)}
    return found


def test_the_contract_promises_the_commands_that_there_are_and_no_others() -> None:
    assert promised() == set(COMMANDS)


@pytest.mark.parametrize(
    ("document", "least"), [("from-aioxmpp-pitfalls.md", 5), ("compliance.md", 20), ("commands.md", 75)]
)
def test_the_tests_that_a_document_names_are_there(document: str, least: int) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / document).read_text())
    assert len(named) >= least
    assert [one for one in named if f"def {one[1]}(" not in (ROOT / one[0]).read_text()] == []


def test_every_command_has_its_tests() -> None:
    assert {name: tests for name, tests in table.shown().items() if not tests} == {}
    assert set(table.shown()) == {" ".join(path) for path in COMMANDS}
    assert table.DOCUMENT.read_text() == table.document(), "run: python tests/arch/table.py --write"


# The groups of commands that ask a server for what it may lack, and the one that asks a person.
ASKING = {"block", "bookmarks", "vcard", "avatar", "history", "pubsub", "adhoc", "room", "upload", "version", "time"}
ASKING |= {"last"}


def test_each_command_that_asks_for_what_a_server_may_lack_is_tried_where_it_is_lacking() -> None:
    tried = {tuple(command.split()[: 2 if (command.split()[0],) in GROUPS else 1]) for command in LACKING}
    assert {path for path in COMMANDS if path[0] in ASKING} - tried == {("avatar", "get")}


def test_what_is_claimed_of_the_compliance_suites_is_shown_by_a_test() -> None:
    rows = [row.split(" | ") for row in (ROOT / "docs" / "compliance.md").read_text().splitlines() if " | yes" in row]
    assert rows
    assert [row for row in rows if "::" not in row[-1]] == []


def test_the_description_of_the_project_names_what_the_code_knows() -> None:
    named = set(re.findall(r"xep-(\d{4})\.html", (ROOT / "doap.xml").read_text()))
    code = "\n".join(path.read_text() for path in (ROOT / "xmppsh").rglob("*.py"))
    assert ElementTree.parse(ROOT / "doap.xml").getroot().tag.endswith("}RDF")
    assert sorted(xep for xep in named if xep not in code) == []


def test_the_site_has_every_page() -> None:
    site = (ROOT / "mkdocs.yml").read_text()
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f" {path.name}\n" not in site] == []
