"""What the machine knows by itself: hosts file, name servers, getaddrinfo, and the order of addresses."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.dns import NameServer, Silent, serving

from xmppsh.config.values import Override, override
from xmppsh.config.values import name_servers as dns_option
from xmppsh.errors import UsageError
from xmppsh.model import Candidate
from xmppsh.resolve.addresses import find_addresses, name_look_up
from xmppsh.resolve.options import LookupOptions
from xmppsh.resolve.preference import preferred
from xmppsh.resolve.system import in_hosts_file, name_servers, system_addresses
from xmppsh.resolve.trouble import NotLookedUp


@pytest.mark.parametrize(("text", "found"), [
    ("127.0.0.1 a.example", ("127.0.0.1",)),
    ("127.0.0.1\tb.example A.EXAMPLE  c # d\n::1 a.example\n", ("127.0.0.1", "::1")),
    ("fe80::1%lo a.example\r\n", ("fe80::1%lo",)),
    ("# 127.0.0.1 a.example\n", ()),
    ("127.0.0.1 x.a.example a.example.x\n", ()),
    ("a.example 127.0.0.1\n\n\xff\n", ()),
    ("127.0.0.1 a.example\n127.0.0.1 a.example\n", ("127.0.0.1",)),
])  # fmt: skip
def test_the_hosts_file_is_read_as_hosts_5_has_it(tmp_path: Path, text: str, found: tuple[str, ...]) -> None:
    (tmp_path / "hosts").write_bytes(text.encode("latin-1"))
    assert in_hosts_file(tmp_path / "hosts", "a.example") == found
    assert in_hosts_file(tmp_path / "none", "a.example") == ()


@pytest.mark.parametrize(("text", "found"), [
    ("nameserver 192.0.2.1\n", (("192.0.2.1", 53),)),
    ("search x\nnameserver 192.0.2.1\n nameserver\t::1 # x\nnameserver ns.example\noptions rotate",
     (("192.0.2.1", 53), ("::1", 53))),
    ("\n".join(f"nameserver 192.0.2.{n}" for n in range(9)), tuple((f"192.0.2.{n}", 53) for n in range(3))),
    ("nameserver [::1]:5353\nnameserver 192.0.2.1:0\n", (("::1", 5353),)),
    ("", (("127.0.0.1", 53),)),
    ("nameserver\n", (("127.0.0.1", 53),)),
])  # fmt: skip
def test_the_name_servers_are_those_of_resolv_conf_5(tmp_path: Path, text: str, found: tuple[tuple[str, int]]) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    assert name_servers(tmp_path / "resolv.conf") == found
    assert name_servers(tmp_path / "none") == (("127.0.0.1", 53),)


async def test_without_dns_the_system_looks_a_name_up() -> None:
    assert "127.0.0.1" in await system_addresses("localhost", socket.AF_INET)
    found = await find_addresses("localhost", None, LookupOptions(hosts_file=Path("/nowhere")), 5, print)
    assert set(found.addresses) <= {"127.0.0.1", "::1"}


async def test_the_dialler_is_told_in_the_terms_of_getaddrinfo() -> None:
    look_up = name_look_up(LookupOptions(), 5, print)
    assert await look_up(at("127.0.0.1"), socket.AF_INET) == ("127.0.0.1",)
    with pytest.raises(socket.gaierror, match="exists only in Tor"):
        await look_up(at("a.onion"), socket.AF_UNSPEC)
    with pytest.raises(socket.gaierror, match="is no IPv6 address"):
        await look_up(at("127.0.0.1"), socket.AF_INET6)


async def test_the_dialler_too_dials_where_resolve_says() -> None:
    look_up = name_look_up(LookupOptions(overrides=(override("proxy.example:5222:192.0.2.7"),)), 5, print)
    assert await look_up(at("proxy.example"), socket.AF_UNSPEC) == ("192.0.2.7",)


@pytest.mark.parametrize(("name", "searched", "asked"), [
    ("server.example", False, "server.example."),  # what an SRV record or a JID names stands as it is
    ("server.example", True, "server.example"),
    ("server", False, "server"),
])  # fmt: skip
async def test_the_search_list_completes_what_a_person_gave_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, name: str, searched: bool, asked: str
) -> None:
    names = []

    def note(name: str, *_arguments: object, **_options: object) -> list[Any]:
        names.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.9", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", note)
    found = await find_addresses(name, None, LookupOptions(), 5, print, searched=searched)
    assert (found.addresses, names) == (("192.0.2.9",), [asked])


def at(name: str) -> Candidate:
    return Candidate(name, 5222, "starttls", "test")


def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """getaddrinfo waits for dead name servers."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: time.sleep(60))


def system_of(folder: Path, server: NameServer) -> LookupOptions:
    (folder / "resolv.conf").write_text(f"nameserver [127.0.0.1]:{server.port}\n")
    return LookupOptions(resolv_conf=folder / "resolv.conf")


async def test_a_system_that_is_stuck_does_not_hold_up_what_its_name_servers_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serving(NameServer({"A a.example": ["192.0.2.1"]})) as server:
        stuck(monkeypatch)
        begun = time.monotonic()
        found = await find_addresses("a.example", None, system_of(tmp_path, server), 50, print)
        assert time.monotonic() - begun < 20
    assert found.addresses == ("192.0.2.1",)


async def test_that_nobody_answers_is_told_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with serving(NameServer(otherwise=Silent())) as server:
        stuck(monkeypatch)
        with pytest.raises(NotLookedUp) as caught:
            await find_addresses("a.example", None, system_of(tmp_path, server), 0.4, print)
        # How long is measured: what the system had alone before is not counted, nor what the machine was busy.
        assert re.fullmatch(
            rf"cannot be looked up: no name server answers \({server.place} timed out after 0\.\d s\)",
            str(caught.value),
        )


async def test_a_name_that_the_system_alone_knows_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def slowly(*_arguments: object, **_options: object) -> list[Any]:
        time.sleep(1.5)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.9", 0))]

    async with serving(NameServer()) as server:
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        found = await find_addresses("printer.local", None, system_of(tmp_path, server), 5, print)
    assert found.addresses == ("192.0.2.9",)


@pytest.mark.parametrize(("code", "says"), [
    (socket.EAI_NONAME, "does not exist (no such name in the DNS)"),
    (getattr(socket, "EAI_NODATA", socket.EAI_NONAME), "has no address"),
    # The system does not say how it failed, its name server does: here, that there is none.
    (socket.EAI_AGAIN, "cannot be looked up: no name server can be reached (127.9.8.7 refused)"),
])  # fmt: skip
async def test_what_the_system_says_becomes_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, says: str
) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.9.8.7\n")

    def fail(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(code, "For now")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NotLookedUp) as caught:
        await find_addresses("a.example", None, LookupOptions(resolv_conf=tmp_path / "resolv.conf"), 5, print)
    assert str(caught.value) == says


def test_the_program_does_not_wait_for_a_system_that_is_stuck() -> None:
    code = (
        "import asyncio, socket, time\n"
        "socket.getaddrinfo = lambda *a, **o: time.sleep(20)\n"
        "from xmppsh.resolve.system import system_addresses\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.1): await system_addresses('a.example', 0)\n"
        "    except TimeoutError: pass\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=10)


def test_what_cannot_be_reached_stands_last_and_ipv6_in_front() -> None:
    assert preferred(["127.0.0.1", "127.0.0.2", "127.0.0.1"]) == ("127.0.0.1", "127.0.0.2")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("::1", 9))
            order: tuple[str, ...] = ("::1", "127.0.0.1")
        except OSError:
            order = ("127.0.0.1", "::1")
    assert preferred(["127.0.0.1", "::1"]) == order
    assert preferred(["ff1e::1%9999", "127.0.0.1"])[-1] == "ff1e::1%9999"


@pytest.mark.parametrize(("text", "parsed"), [
    ("a.example:5222:192.0.2.1", Override("a.example", 5222, ("192.0.2.1",))),
    ("+A.example.:5222:192.0.2.1,2001:db8::1,[2001:db8::2]",
     Override("a.example", 5222, ("192.0.2.1", "2001:db8::1", "2001:db8::2"))),
    ("b\u00fccher.example:1:::1", Override("xn--bcher-kva.example", 1, ("::1",))),
    ("*:443:127.0.0.1", Override("*", 443, ("127.0.0.1",))),
])  # fmt: skip
def test_an_override_is_read_as_curl_reads_it(text: str, parsed: Override) -> None:
    assert override(text) == parsed


@pytest.mark.parametrize("text", [
    "", "a", "a:1", "a:1:", "a:1:b", "a:0:127.0.0.1", "a::127.0.0.1", ":1:127.0.0.1", "a:1:127.0.0.1,", "a b:1:::1",
])  # fmt: skip
def test_what_is_no_override_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--resolve: "):
        override(text)


def test_name_servers_are_addresses() -> None:
    assert dns_option("192.0.2.1, [::1]:5353,::1") == (("192.0.2.1", 53), ("::1", 5353), ("::1", 53))
    for text in ("", "dns.example", "192.0.2.1:0", "192.0.2.1,"):
        with pytest.raises(UsageError, match=r"^--dns: "):
            dns_option(text)
