"""The page of the licences has what an installation brings along, and each licence as the package itself says it."""

import re
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = re.findall(r"^([\w.-]+)==", (ROOT / "requirements/run.txt").read_text(), re.MULTILINE)
TOLD = dict(re.findall(r"^\| (\w[\w-]*) \| ([^|]+) \|", (ROOT / "docs/licences.md").read_text(), re.MULTILINE))
FAMILIES = {
    "MIT": "MIT",
    "BSD": "BSD",
    "Apache": "Apache",
    "ISC": "ISC",
    "Mozilla": "MPL",
}  # as a package says, as we do


@pytest.mark.parametrize("name", PINNED)
def test_the_licence_of_each_package_is_told(name: str) -> None:
    facts = metadata(name)
    classifiers = facts.get_all("Classifier") or []
    said = " ".join([facts.get("License-Expression") or facts.get("License") or "", *classifiers])
    families = [ours for theirs, ours in FAMILIES.items() if theirs in said]
    assert families, f"{name}: a licence that nobody has looked at: {said}"
    assert all(family in TOLD[name] for family in families)


def test_nothing_is_told_that_is_not_there() -> None:
    assert set(TOLD) - {"package"} == set(PINNED)


def test_every_release_is_pinned_by_its_hashes() -> None:
    for file in ("run", "dev"):
        releases = re.split(r"^(?=[\w.-]+==)", (ROOT / f"requirements/{file}.txt").read_text(), flags=re.MULTILINE)[1:]
        assert len(releases) > 10
        assert all("--hash=sha256:" in release for release in releases)
