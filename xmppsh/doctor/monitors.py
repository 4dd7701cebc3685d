"""The report for what watches a service: a Nagios plugin's output, and OpenMetrics for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.output import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xmppsh.doctor.report import Check

NAGIOS_STATES = ("OK", "WARNING", "CRITICAL")  # by exit code (Monitoring Plugins Guidelines)
METRIC_STATES = {"ok": 0, "warn": 1, "fail": 2}


def nagios(checks: Sequence[Check], took_s: float) -> tuple[list[str], int]:
    """What a plugin prints, and its exit code: the state with its first cause and figures, then the other causes."""
    bad = [check for status in ("fail", "warn") for check in checks if check.status == status]
    code = 2 if any(check.status == "fail" for check in bad) else 1 if bad else 0
    causes = [f"{check.group} {check.check}: {check.detail}" for check in bad]
    said = causes[0] if causes else f"{sum(check.status == 'ok' for check in checks)} checks"
    figures = [f"time={took_s:.3f}s", f"failed={len([one for one in bad if one.status == 'fail'])}"]
    days = [check.value for check in checks if check.group == "tls" and check.value is not None]
    figures += [f"certificate_days={min(days):.0f}"] if days else []
    line = f"XMPP {NAGIOS_STATES[code]} - {_unpiped(said)} | {' '.join(figures)}"
    return [line, *map(_unpiped, causes[1:])], code


def _unpiped(text: str) -> str:
    return safe.line(text).replace("|", "/")  # where the figures begin


def openmetrics(domain: str, checks: Sequence[Check], took_s: float, code: int) -> Iterator[str]:
    """The lines of an exposition (OpenMetrics 1.0). domain: whom the report is of."""
    made = [check for check in checks if check.status != "skip"]
    yield from _family(
        "xmppsh_check_state",
        "Each check: 0 is ok, 1 a warning, 2 a failure.",
        ((_labels(domain, check), METRIC_STATES[check.status]) for check in made),
    )
    for group, name, about in (
        ("tcp", "xmppsh_connect_seconds", "How long connecting took."),
        ("tls", "xmppsh_certificate_days", "Days until the certificate expires."),
    ):
        figures = [
            (_labels(domain, check), check.value) for check in made if check.group == group and check.value is not None
        ]
        yield from _family(name, about, figures)
    of_domain = f'{{domain="{_escaped(domain)}"}}'
    yield from _family("xmppsh_doctor_seconds", "How long the report took.", [(of_domain, round(took_s, 3))])
    yield from _family("xmppsh_doctor_code", "The exit code of the report; 0: nothing failed.", [(of_domain, code)])
    yield "# EOF"


def _family(name: str, about: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    if name.endswith("_seconds"):
        yield f"# UNIT {name} seconds"
    yield f"# HELP {name} {about}"
    for labels, value in samples:
        yield f"{name}{labels} {value:g}"


def _labels(domain: str, check: Check) -> str:
    pairs = {"domain": domain, "layer": check.group, "check": check.check}
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items()) + "}"


def _escaped(value: str) -> str:
    return safe.line(value).replace("\\", "\\\\").replace('"', '\\"')
