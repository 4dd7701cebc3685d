"""ejabberd as Debian packages it, asked through its HTTP API.

It runs without Erlang distribution: no node name, no epmd, no cookie, so that nothing of it is shared with another
Erlang on the machine. `ejabberdctl` is only read, to learn where Erlang is; it insists on a user of its own.
"""

import contextlib
import http.client
import json
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from support import slow_ejabberd
from support.root import program, seen
from support.servers import LOOPBACK, MAX_UPLOAD_BYTES, START_TIMEOUT_S, Account, Options, Server, ServerFailed

API_TIMEOUT_S = 60.0
MAX_STANZA_BYTES = 262_144  # what Debian's configuration sets

BARE = ("mod_admin_extra", "mod_disco", "mod_http_api", "mod_roster")
MODULES: dict[str, dict[str, Any]] = {
    "mod_adhoc": {},
    "mod_admin_extra": {},
    "mod_blocking": {},
    "mod_caps": {},
    "mod_carboncopy": {},
    "mod_client_state": {},
    "mod_configure": {},
    "mod_disco": {},
    "mod_http_api": {},
    "mod_last": {},
    "mod_offline": {},
    "mod_ping": {},
    "mod_privacy": {},
    "mod_private": {},
    "mod_pubsub": {"access_createnode": "all", "plugins": ["flat", "pep"]},
    "mod_register": {},
    "mod_roster": {"versioning": True},
    "mod_time": {},
    "mod_vcard": {"search": False},
    "mod_version": {},
}
DATABASE = "ejabberd.sqlite"
API_COMMANDS = ["add_rosteritem", "check_account", "kick_session", "kick_user", "register", "status", "user_resources"]


class EjabberdServer(Server):
    """An ejabberd process. Accounts are kept as plain passwords, so that all logins work; or as hashes."""

    name: ClassVar[str] = "ejabberd"
    packages: ClassVar[str] = "ejabberd erlang-p1-sqlite3"

    def __init__(self, folder: Path, options: Options | None = None) -> None:
        super().__init__(folder, options)
        for name in ("spool", "home"):
            (folder / name).mkdir()
        # JSON is YAML.
        (folder / "ejabberd.yml").write_text(json.dumps(self._configuration(), indent=1))
        (folder / "inetrc").write_text('{lookup,["file","native"]}.\n{host,{127,0,0,1},["localhost"]}.\n')

    @classmethod
    def missing(cls) -> str | None:
        installation = _installation()
        if installation is None:
            return "ejabberd"
        return None if installation.has_sqlite else "erlang-p1-sqlite3"

    def account(self, name: str | None = None, password: str | None = None) -> Account:
        account = self.fresh(name, password)
        user, host = account.jid.split("@")
        self._register(user, host, account.password)
        return account

    def _register(self, user: str, host: str, password: str) -> None:
        """Where its database does not answer in time, ejabberd says that the account exists; so it is looked for."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self._call("register", user=user, host=host, password=password)
            except ServerFailed as error:
                if ": 409 " not in str(error) or time.monotonic() > deadline:
                    raise
                if self._call("check_account", user=user, host=host) != 0:
                    continue
            return

    def befriend(self, a: Account, b: Account) -> None:
        for owner, contact in ((a, b), (b, a)):
            local_user, local_host = owner.jid.split("@")
            user, host = contact.jid.split("@")
            self._call(
                "add_rosteritem",
                localuser=local_user, localhost=local_host, user=user, host=host, nick=user, group="", subs="both",
            )  # fmt: skip

    def kick(self, jid: str) -> None:
        bare, _, resource = jid.partition("/")
        user, host = bare.split("@")
        if resource:
            self._call("kick_session", user=user, host=host, resource=resource, reason="kicked by a test")
        else:
            self._call("kick_user", user=user, host=host)

    def sessions(self, jid: str) -> list[str]:
        user, host = jid.split("@")
        resources = self._call("user_resources", user=user, host=host)
        assert isinstance(resources, list)
        return sorted(f"{jid}/{resource}" for resource in resources)

    def log(self) -> str:
        return self._read("ejabberd.log", "console.log")

    def _call(self, command: str, **arguments: str) -> object:
        """Run one API command. Raises ServerFailed when ejabberd answers with an error."""
        connection = http.client.HTTPConnection(LOOPBACK, self._control_port, timeout=API_TIMEOUT_S)
        try:
            connection.request("POST", _api(command), json.dumps(arguments), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ServerFailed(f"ejabberd refused {command}: {response.status} {text}")
        return json.loads(text)

    def _is_ready(self) -> bool:
        """Its database as well: as long as that does not answer, `register` says that the account exists."""
        probe = {"user": "probe", "host": self.domain}
        try:
            self._call("status")
            with contextlib.suppress(ServerFailed):  # or the account does exist, when the server is started again
                self._call("register", **probe, password="probe")
            return self._call("check_account", **probe) == 0
        except (OSError, http.client.HTTPException, ServerFailed):
            return False

    def _launch(self) -> tuple[list[str], dict[str, str]]:
        installation = _installation()
        if installation is None:
            raise ServerFailed("ejabberd is not installed")
        database = self.folder / DATABASE
        if not database.exists():
            _create_database(database, installation.schema)
        command = [str(installation.erl), "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-noinput"]
        if self._is_slow:
            delays = self.options.message_delay_ms, self.options.arrival_delay_ms
            command += ["-pa", str(slow_ejabberd.compiled(self.folder, *delays))]
        command += ["-mnesia", "dir", f'"{self.folder / "spool"}"', "-s", "ejabberd"]
        environment = {
            "HOME": str(self.folder / "home"),
            "ERL_LIBS": str(installation.libraries),
            "ERL_INETRC": str(self.folder / "inetrc"),
            "ERL_CRASH_DUMP": str(self.folder / "erl_crash.dump"),
            "ERL_MAX_PORTS": "32000",
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
        }
        return command, environment

    @property
    def _is_slow(self) -> bool:
        return bool(self.options.message_delay_ms or self.options.arrival_delay_ms)

    def _configuration(self) -> dict[str, Any]:
        options = self.options
        listener = {"ip": self.host, "module": "ejabberd_c2s", "max_stanza_size": MAX_STANZA_BYTES}
        modules = MODULES | {
            "mod_muc": {"host": "conference.@HOST@", "default_room_options": {"mam": options.archive}},
            "mod_stream_mgmt": {
                "resend_on_timeout": "if_offline",
                "max_ack_queue": options.max_unacked,
                "resume_timeout": options.resume_timeout_s,
                "max_resume_timeout": options.resume_timeout_s,
            },
        }
        modules |= {
            "mod_http_upload": {
                "docroot": str(self.folder / "upload"),
                "put_url": f"http://{LOOPBACK}:{self._upload_port}/upload",
                "max_size": MAX_UPLOAD_BYTES,
                "access": "all",
            }
        }
        if not options.registration:
            del modules["mod_register"]
        if options.archive:
            modules |= {"mod_mam": {"default": "always"}}
        installation = _installation()
        if installation is not None and installation.has_tokens:
            modules |= {"mod_auth_fast": {}}
        if self._is_slow:
            modules |= {slow_ejabberd.NAME: {}}
        if options.bare:
            modules = {name: facts for name, facts in modules.items() if name in BARE}
        return {
            "hosts": [self.domain, self.anonymous_domain],
            "loglevel": "info",
            "log_rotate_count": 0,
            "acme": {"auto": False},
            "ca_file": str(self.ca),
            "certfiles": [str(self._certificate.combined)],
            "listen": [
                {**listener, "port": self.port, "starttls_required": True},
                {**listener, "port": self.tls_port, "tls": True},
                {
                    "ip": LOOPBACK,
                    "port": self._control_port,
                    "module": "ejabberd_http",
                    "request_handlers": {"/api": "mod_http_api"},
                },
                {
                    "ip": LOOPBACK,
                    "port": self._upload_port,
                    "module": "ejabberd_http",
                    "request_handlers": {"/upload": "mod_http_upload"},
                },
            ],
            "api_permissions": {"test support": {"who": {"ip": f"{LOOPBACK}/32"}, "what": API_COMMANDS}},
            "acl": {"admin": {"user": [self.admin]}},
            "access_rules": {"configure": {"allow": "admin"}},
            "auth_method": ["sql"],
            "default_db": "sql",
            "sql_type": "sqlite",
            "sql_database": str(self.folder / DATABASE),
            "auth_password_format": "scram" if options.hashed else "plain",
            "disable_sasl_mechanisms": ["digest-md5", "X-OAUTH2"],
            "registration_timeout": "infinity",
            "s2s_access": "none",
            "shaper_rules": {"max_user_sessions": "infinity", "max_user_offline_messages": "infinity"},
            "modules": modules,
            "host_config": {
                self.anonymous_domain: {
                    "auth_method": ["anonymous"],
                    "default_db": "mnesia",
                    "anonymous_protocol": "sasl_anon",
                    "allow_multiple_connections": True,
                    "modules": {"mod_disco": {}, "mod_ping": {}, "mod_roster": {}},
                }
            },
        }


@dataclass(frozen=True)
class _Installation:
    erl: Path
    libraries: Path

    @property
    def schema(self) -> Path:
        return next(seen(self.libraries).glob("ejabberd-*/priv/sql/lite.sql"))

    @property
    def year(self) -> int:
        """The first part of its version, such as 23."""
        return int(next(seen(self.libraries).glob("ejabberd-*")).name.removeprefix("ejabberd-").partition(".")[0])

    @property
    def has_tokens(self) -> bool:
        """Does it know FAST (XEP-0484)?"""
        return any(seen(self.libraries).glob("ejabberd-*/ebin/mod_auth_fast.beam"))

    @property
    def has_sqlite(self) -> bool:
        return any((seen(self.erl).resolve().parent.parent / "lib").glob("p1_sqlite3-*"))


def epmd() -> str:
    """The program by which Erlang nodes find each other; raises ServerFailed where there is none."""
    found = program("epmd")
    if found is None:
        raise ServerFailed("epmd is not installed")
    return found


def _api(command: str) -> str:
    """The path of an API command. 23.01 knows no versions there; later ones answer in the form of the newest."""
    installation = _installation()
    assert installation is not None
    return f"/api/{command}/v0" if installation.year >= 24 else f"/api/{command}"


def _installation() -> _Installation | None:
    """Where Erlang and ejabberd's modules are, read from ejabberdctl; None when there is none."""
    found = program("ejabberdctl")
    if found is None:
        return None
    said = dict(re.findall(r"^\s*(ERL|ERL_LIBS)=[\"']?([^\"'\n]+)", seen(found).read_text(), re.MULTILINE))
    return _Installation(Path(said["ERL"]), Path(said["ERL_LIBS"]))


def _create_database(path: Path, schema: Path) -> None:
    """SQLite and not Mnesia: that takes 25 ms a message once an archive has some thousand, and writes late."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(schema.read_text())
