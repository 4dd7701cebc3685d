"""What is printed of a report, and when: each check as it comes, rows, or all of it at the end for a monitor."""

from xmppsh.doctor.report import Check
from xmppsh.doctor.shown import EachCheck, ForMonitor, InRows, Shown
from xmppsh.output.verbatim import Verbatim

GOOD, BAD = Check("tcp", "192.0.2.7:5222", "ok", "1 ms"), Check("tls", "handshake 192.0.2.7:5222", "fail", "no TLS")


def printed(shown: Shown) -> list[str]:
    records = [*shown.add(GOOD), *shown.add(BAD), *shown.end(0.5, 76)]
    return [record.text() for record in records if isinstance(record, Verbatim)]


def test_for_programs_there_are_checks_alone_and_for_people_a_summary_behind_them() -> None:
    assert printed(EachCheck(with_summary=False)) == []
    summary = "1 failed, 0 warnings, 1 ok, 0 not made in 0.5 s; exit code 76"
    assert printed(EachCheck(with_summary=True)) == [summary]
    assert printed(InRows("example.org", 0))[::3] == ["example.org", summary]


def test_only_a_plugin_has_an_exit_code_of_its_own() -> None:
    plugin, metrics = ForMonitor("nagios", "example.org"), ForMonitor("openmetrics", "example.org")
    assert printed(plugin)[0].startswith("XMPP CRITICAL - tls handshake")
    assert printed(metrics)[-1] == "# EOF"
    assert (plugin.code, metrics.code) == (2, None)
