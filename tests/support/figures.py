"""The figures of the suites that trust rests on, one line each at the end of a run: what held, of how much."""

from collections.abc import Iterable

SUITES = {
    "hostile servers": ("tests/hostile/",),
    "hostile peers": (
        "tests/xep/test_hostile_services",
        "tests/xep/test_hostile_peers",
        "tests/witness/test_strangers",
        "tests/interop/test_asked",
    ),
    "hostile input": ("tests/xmlio/test_reader_", "tests/agent/test_clients"),
    "fuzz": ("tests/fuzz/",),
    "terminal": ("tests/output/test_safe", "tests/commands/test_terminal", "tests/output/test_text"),
    "secrets": ("tests/config/test_secrets", "tests/interop/test_secrets"),
    "files": (
        "tests/config/test_ours",
        "tests/config/test_paths",
        "tests/outbox/test_disks",
        "tests/interop/test_full_disk",
    ),
    "config": (
        "tests/config/test_edit",
        "tests/config/test_load",
        "tests/config/test_proxy",
        "tests/config/test_schema",
        "tests/commands/test_config",
        "tests/interop/test_login",
    ),
    "doctor": (
        "tests/doctor/",
        "tests/commands/test_doctor",
        "tests/hostile/test_doctor",
        "tests/interop/test_doctor",
        "tests/interop/test_explain",
    ),
}


def figures(outcomes: Iterable[tuple[str, bool]]) -> list[str]:
    """A line for each suite that ran; outcomes: the id of each test, and whether it passed."""
    counts = {suite: [0, 0] for suite in SUITES}
    for name, has_passed in outcomes:
        for suite, places in SUITES.items():
            if name.startswith(places):
                counts[suite][0] += has_passed
                counts[suite][1] += 1
    return [f"{suite}: {held} of {ran} hold" for suite, (held, ran) in counts.items() if ran]
