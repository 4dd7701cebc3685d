"""Prosody as Debian packages it, asked through its admin socket."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar, cast
from xml.etree import ElementTree as ET

from support.root import inside, program, seen
from support.servers import MAX_UPLOAD_BYTES, Account, Options, Server, ServerFailed

SHELL_TIMEOUT_S = 60.0
MAX_SOCKET_PATH = 100  # sun_path holds 108 bytes

BARE = ["admin_shell", "admin_socket", "disco", "roster", "saslauth", "tls"]
MODULES = [
    "adhoc", "admin_adhoc", "admin_shell", "admin_socket", "blocklist", "bookmarks", "carbons", "csi_simple", "disco",
    "lastactivity", "pep", "ping", "private", "register", "roster", "saslauth", "smacks", "time", "tls", "vcard4",
    "vcard_legacy", "version",
]  # fmt: skip
# The newer login (XEP-0388, XEP-0386, XEP-0484), where the community's modules are there: not in Debian 12's Prosody.
MODERN = ["sasl2", "sasl2_bind2", "sasl2_fast", "sasl2_sm", "sasl_ssdp"]
MODULE_FOLDER = "/usr/lib/prosody/modules"

# One Lua chunk each, run inside the server; the %s are Lua string literals.
CREATE_USER = 'return require"core.usermanager".create_user(%s, %s, %s)'
# Through rostermanager because it caches rosters: a file written behind its back would not be seen.
ADD_CONTACT = """
local rm, user, host, jid = require"core.rostermanager", %s, %s, %s
local roster = rm.load_roster(user, host)
roster[jid] = { subscription = "both", groups = {} }
return rm.save_roster(user, host, roster, jid)
"""
CLOSE_SESSIONS = """
local wanted = %s
local closing = {}
for full_jid, session in pairs(prosody.full_sessions) do
    if full_jid == wanted or full_jid:match("^[^/]*") == wanted then closing[#closing + 1] = session end
end
for _, session in ipairs(closing) do session:close() end
return #closing
"""
LIST_SESSIONS = """
local wanted, found = %s, {}
for full_jid in pairs(prosody.full_sessions) do
    if full_jid:match("^[^/]*") == wanted then found[#found + 1] = full_jid end
end
return table.concat(found, "\\n")
"""


class ProsodyServer(Server):
    """A Prosody process. Accounts are kept as plain passwords, so both SCRAM variants and PLAIN work; or as hashes."""

    name: ClassVar[str] = "prosody"
    packages: ClassVar[str] = "prosody lua-sec"

    def __init__(self, folder: Path, options: Options | None = None) -> None:
        super().__init__(folder, options)
        self._socket_folder: Path | None = None
        self._socket = folder / "admin.sock"
        if len(os.fsencode(self._socket)) > MAX_SOCKET_PATH:
            self._socket_folder = Path(tempfile.mkdtemp(prefix="xmppsh-"))
            self._socket = self._socket_folder / "admin.sock"
        (folder / "data").mkdir()
        (folder / "prosody.cfg.lua").write_text(self._configuration())

    @classmethod
    def missing(cls) -> str | None:
        prosody = program("prosody")
        if prosody is None:
            return "prosody"
        # LuaSec is only recommended by the package, and Prosody starts without it: with no TLS at all.
        interpreter = seen(prosody).read_text(errors="replace").partition("\n")[0].removeprefix("#!").split()
        probe = subprocess.run(inside([*interpreter, "-e", 'require "ssl"']), capture_output=True, check=False)
        return None if probe.returncode == 0 else "lua-sec"

    def account(self, name: str | None = None, password: str | None = None) -> Account:
        account = self.fresh(name, password)
        user, host = account.jid.split("@")
        self._eval(CREATE_USER % (lua(user), lua(account.password), lua(host)))
        return account

    def befriend(self, a: Account, b: Account) -> None:
        for owner, contact in ((a, b), (b, a)):
            user, host = owner.jid.split("@")
            self._eval(ADD_CONTACT % (lua(user), lua(host), lua(contact.jid)))

    def kick(self, jid: str) -> None:
        self._eval(CLOSE_SESSIONS % lua(jid))

    def sessions(self, jid: str) -> list[str]:
        return sorted(self._eval(LIST_SESSIONS % lua(jid)).removeprefix("Result:").split())

    def close(self) -> None:
        super().close()
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def log(self) -> str:
        return self._read("prosody.log", "console.log")

    def _launch(self) -> tuple[list[str], dict[str, str]]:
        prosody = program("prosody")
        if prosody is None:
            raise ServerFailed("prosody is not installed")
        return [prosody, "--config", str(self.folder / "prosody.cfg.lua"), "-F"], {}

    def _is_ready(self) -> bool:
        try:
            return self._eval("return 1") == "Result: 1"
        except OSError:
            return False

    def _eval(self, chunk: str) -> str:
        """Run one Lua chunk in the server. Raises ServerFailed when it fails or returns false."""
        # util.adminstream: a stream over a Unix socket; one <repl-input/>, any number of <repl-output/>, one result.
        line = "".join(f"&#{ord(c)};" if c in "<>&" else c for c in ">(function() " + chunk + " end)()")
        opening = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='xmpp:prosody.im/admin'>"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SHELL_TIMEOUT_S)
            connection.connect(str(self._socket))
            connection.sendall(f"{opening}<repl-input>{line}</repl-input>".encode())
            result = _read_result(connection)
        text = result.text or ""
        if result.get("type") == "error" or text in ("Result: nil", "Result: false"):
            raise ServerFailed(f"prosody refused: {text}\n{chunk}")
        return text

    def _configuration(self) -> str:
        options = self.options
        archive = '"mam"; ' if options.archive and not options.bare else ""
        certificate = f"{{ certificate = {lua(self._certificate.chain)}; key = {lua(self._certificate.key)} }}"
        return f"""
run_as_root = true
pidfile = {lua(self.folder / "prosody.pid")}
data_path = {lua(self.folder / "data")}
admin_socket = {lua(self._socket)}
log = {{ {{ levels = {{ min = "info" }}; to = "file"; filename = {lua(self.folder / "prosody.log")} }} }}

interfaces = {{ {lua(self.host)} }}
http_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {self._upload_port} }}
https_ports = {{}}
http_default_host = {lua("upload." + self.domain)}
http_external_url = "http://127.0.0.1:{self._upload_port}/"
local_interfaces = {{ {lua(self.host)} }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
ssl = {certificate}
c2s_direct_tls_ssl = {certificate}
c2s_require_encryption = true
allow_unencrypted_plain_auth = false

modules_enabled = {{ {archive}{"; ".join(map(lua, BARE if options.bare else MODULES + modern()))} }}
admins = {{ {lua(self.admin)} }}
modules_disabled = {{ "s2s"; "s2s_auth_certs"; "limits" }}
authentication = "{"internal_hashed" if options.hashed else "internal_plain"}"
storage = {"{ archive = 'sql'; muc_log = 'sql' }" if options.sql else '"internal"'}
sql = {{ driver = "SQLite3"; database = {lua(self.folder / "archives.sqlite")} }}
allow_registration = {"true" if options.registration else "false"}
additional_registration_fields = {{ {"; ".join(map(lua, options.also_asked.split()))} }}
archive_expires_after = "never"
default_archive_policy = true
max_archive_query_results = 50
storage_archive_item_limit = 100000
smacks_hibernation_time = {options.resume_timeout_s}
smacks_max_queue_size = {min(options.max_unacked, 500)}

VirtualHost {lua(self.domain)}
VirtualHost {lua(self.anonymous_domain)}
    authentication = "anonymous"
{"" if options.bare else self._components()}
"""

    def _components(self) -> str:
        return f"""
Component {lua("upload." + self.domain)} "http_file_share"
    http_file_share_size_limit = {MAX_UPLOAD_BYTES}
Component {lua(self.conference)} "muc"
    {'modules_enabled = { "muc_mam" }' if self.options.archive else ""}
    restrict_room_creation = false
    muc_room_locking = false
"""


def modern() -> list[str]:
    """Those of `MODERN` that are installed."""
    return [name for name in MODERN if seen(f"{MODULE_FOLDER}/mod_{name}").exists()]


def lua(value: str | Path) -> str:
    """The Lua string literal for a text: whatever is not plain becomes a decimal escape."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:/@_-"
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03}" for byte in str(value).encode()) + '"'


def _read_result(connection: socket.socket) -> ET.Element:
    parser: Any = ET.XMLPullParser(["end"])  # typeshed has every kind of event in one union
    deadline = time.monotonic() + SHELL_TIMEOUT_S
    while time.monotonic() < deadline:
        data = connection.recv(65536)
        if not data:
            raise ServerFailed("prosody closed its admin socket without an answer")
        parser.feed(data)
        for _, element in parser.read_events():
            if element.tag.endswith("}repl-result"):
                return cast("ET.Element", element)
    raise ServerFailed(f"prosody's admin socket did not answer within {SHELL_TIMEOUT_S:.0f} s")
