"""`doctor` and `explain` for another account than the configured one: what belongs to that one is left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.dns import HOST, NameServer, serving
from support.places import refused
from support.program import Program

from xmppsh.app.app import App
from xmppsh.app.console import Console
from xmppsh.app.shutdown import Shutdown
from xmppsh.config.load import load
from xmppsh.model import Credentials, Jid
from xmppsh.output.streams import InputStream, OutputStream

OWN, OTHER = "hostile.example", "good.example"
ZONE = {f"SRV _xmpp-client._tcp.{OTHER}": ["0 0 5222 a.example.net"], "A a.example.net": [HOST]}
EXPLAIN, DOCTOR = ("--format", "json", "explain"), ("--format", "json", "-n", "doctor")
PIN = "a" * 64
CONFIG = f"""
jid = "juliet@{OWN}"
host = "192.0.2.1"
tls = "direct"
resolve = "elsewhere.example:5222:192.0.2.1"
dns = "192.0.2.53"
ca = "/own/ca"
cert = "/own/cert"
key = "/own/key"
mechanism = "EXTERNAL"
timeout = 7
"""


@pytest.fixture
def configured(program: Program, tmp_path: Path) -> Program:
    """An account with a server that is found nowhere but where the config file says."""
    write(tmp_path, f"jid = 'juliet@{OWN}'\nhost = '{HOST}:1'\n")
    return program


def write(home: Path, text: str) -> None:
    (home / "xmppsh").mkdir(exist_ok=True)
    (home / "xmppsh" / "config.toml").write_text(text)
    (home / "xmppsh" / "config.toml").chmod(0o600)


async def places(program: Program, *arguments: str) -> list[tuple[str, str]]:
    """What `explain` would dial, and who says so."""
    async with serving(NameServer(ZONE)) as names:
        outcome = await program.run("--dns", names.place, *EXPLAIN, *arguments)
    assert outcome.code == 0, outcome.stderr
    return [(f"{record['host']}:{record['port']}", record["source"]) for record in outcome.records]


# ── The way to the server ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("account", [OTHER, f"romeo@{OTHER}"])
async def test_the_host_of_the_config_is_not_another_domains(configured: Program, account: str) -> None:
    assert await places(configured, account) == [("a.example.net:5222", f"SRV _xmpp-client._tcp.{OTHER}")]
    async with serving(NameServer(ZONE)) as names:
        outcome = await configured.run("--dns", names.place, *DOCTOR, account)
    assert outcome.code == 0
    assert "addresses a.example.net" in [record["check"] for record in outcome.records]


@pytest.mark.parametrize("account", [[], [OWN], [f"romeo@{OWN}"]], ids=["none", "domain", "account"])
async def test_it_is_used_for_every_account_of_its_own_domain(configured: Program, account: list[str]) -> None:
    assert await places(configured, *account) == [(f"{HOST}:1", "host in the config file")]


async def test_only_an_option_names_the_place_of_another_domain(configured: Program) -> None:
    assert await places(configured, "--host", "127.0.0.2", OTHER) == [("127.0.0.2:5222", "--host")]
    configured.env["XMPPSH_HOST"] = "127.0.0.3"
    assert await places(configured, OTHER) == [("a.example.net:5222", f"SRV _xmpp-client._tcp.{OTHER}")]
    assert await places(configured, OWN) == [("127.0.0.3:5222", "XMPPSH_HOST")]


async def test_the_host_of_a_profile_belongs_to_its_account(program: Program, tmp_path: Path) -> None:
    write(tmp_path, f"[profile.work]\njid = 'juliet@{OWN}'\nhost = '{HOST}:1'\n")
    assert await places(program, "-P", "work") == [(f"{HOST}:1", "host in [profile.work]")]
    assert (await places(program, "-P", "work", OTHER))[0][0] == "a.example.net:5222"


async def test_without_an_account_the_host_of_the_config_is_for_all(program: Program, tmp_path: Path) -> None:
    write(tmp_path, f"host = '{HOST}:1'\n")
    assert await places(program, OTHER) == [(f"{HOST}:1", "host in the config file")]


async def test_without_an_account_the_host_of_the_environment_is_for_accounts_alone(program: Program) -> None:
    program.env["XMPPSH_HOST"] = "127.0.0.3"
    assert await places(program, OTHER) == [("a.example.net:5222", f"SRV _xmpp-client._tcp.{OTHER}")]
    assert await places(program, f"juliet@{OTHER}") == [("127.0.0.3:5222", "XMPPSH_HOST")]


async def test_the_doctor_says_who_named_the_host(program: Program) -> None:
    with refused() as port:
        program.env["XMPPSH_HOST"] = f"{HOST}:{port}"
        outcome = await program.run("doctor", f"juliet@{OTHER}")
    assert "dns: XMPPSH_HOST says where to connect" in outcome.stdout
    assert "check XMPPSH_HOST" in outcome.stderr


async def test_the_doctor_dials_the_other_domains_own_server(configured: Program, tmp_path: Path) -> None:
    with refused() as own, refused() as other:
        write(tmp_path, f"jid = 'juliet@{OWN}'\nhost = '{HOST}:{own}'\n")
        zone = ZONE | {f"SRV _xmpp-client._tcp.{OTHER}": [f"0 0 {other} a.example.net"]}
        async with serving(NameServer(zone)) as names:
            outcome = await configured.run("--dns", names.place, "--connect-timeout", "2", "doctor", OTHER)
    assert outcome.code == 69
    assert outcome.stderr.startswith(f"xmppsh: {OTHER}: no address answers ({HOST}:{other} refused)")
    assert f":{own}" not in outcome.stdout + outcome.stderr


# ── Trust and secrets ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def app(tmp_path: Path) -> Callable[..., App]:
    """The program with the config above, and these options and variables."""

    def make(options: dict[str, Any] | None = None, **variables: str) -> App:
        write(tmp_path, CONFIG)
        env = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)} | variables
        settings = load(options or {}, env)
        return App.of(settings, Console(env, InputStream(0), OutputStream(1), lambda _: None, Shutdown()))

    return make


def seen(app: App, account: str) -> dict[str, str | None]:
    """Whom we trust and who we are, for that account; without what is not set."""
    jid = Jid.parse(account)
    policy = app.account.another(jid).options_for(jid, Credentials()).policy
    facts = {"ca": policy.ca, "cert": policy.certificate, "key": policy.key, "pin": "".join(policy.pins)}
    return {name: str(fact) for name, fact in facts.items() if fact}


OWN_CERT = {"cert": "/own/cert", "key": "/own/key"}


def test_trust_is_of_a_domain_and_a_certificate_of_an_account(app: Callable[..., App]) -> None:
    assert seen(app(), f"juliet@{OWN}/phone") == {"ca": "/own/ca", **OWN_CERT}
    assert seen(app(), f"romeo@{OWN}") == {"ca": "/own/ca"}
    assert seen(app(), f"juliet@{OTHER}") == {}
    assert seen(app(), OTHER) == {}


def test_trust_in_the_environment_is_for_any_domain_and_secrets_are_not(app: Callable[..., App]) -> None:
    made = app(XMPPSH_CA="/any/ca", XMPPSH_CERT="/any/cert", XMPPSH_KEY="/any/key")
    assert seen(made, OTHER) == {"ca": "/any/ca"}


def test_options_are_for_whatever_the_command_names(app: Callable[..., App]) -> None:
    assert seen(app({"pin": (PIN,), **OWN_CERT}), OTHER) == {"pin": PIN, **OWN_CERT}


def test_what_is_true_of_this_machine_and_of_names_is_kept(app: Callable[..., App]) -> None:
    other = app().account.another(Jid.parse(OTHER)).settings
    assert (other.host, other.tls, other.mechanism) == ((), "auto", None)
    assert other.resolve[0].name == "elsewhere.example"
    assert (other.dns, other.timeout) == (((("192.0.2.53", 53),),), 7.0)
