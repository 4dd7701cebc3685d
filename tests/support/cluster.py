"""Two ejabberd nodes that are one server: what either knows of accounts and sessions, and the archive, the other has.

The database is Mnesia, which the nodes replicate. They find each other by an epmd of their own, on loopback alone.
"""

import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

from support.ejabberd import API_COMMANDS, EjabberdServer, epmd
from support.root import inside
from support.servers import LOOPBACK, POLL_S, START_TIMEOUT_S, PortClaim, ServerFailed

JOINING_S = 60.0


class Node(EjabberdServer):
    """One of them. Its distribution listens on loopback; epmd_port: where the nodes are told of each other."""

    def __init__(self, folder: Path, number: int, epmd_port: int, cookie: str) -> None:
        self.node = f"xmppsh{number}-{epmd_port}@{LOOPBACK}"
        self._epmd_port, self._cookie = epmd_port, cookie
        super().__init__(folder)

    def join(self, other: "Node") -> None:
        """Become a node of the other's cluster: accounts, sessions and archive are copied."""
        # By another Erlang: it restarts ejabberd, and with it whoever asked through its API.
        command, environment = self._launch()
        met = f"pong = rpc:call('{self.node}', net_adm, ping, ['{other.node}'])"
        joined = f"ok = rpc:call('{self.node}', ejabberd_cluster, join, ['{other.node}'])"
        name = ["-name", f"asks-{secrets.token_hex(4)}@{LOOPBACK}", "-hidden"]
        # On disc alone, as ejabberd makes it, the table takes 25 ms a message once it has some thousand.
        kept = ", ".join(
            f"{{atomic, ok}} = rpc:call('{node}', mnesia, change_table_copy_type, [archive_msg, '{node}', disc_copies])"
            for node in (self.node, other.node)
        )
        work = ", ".join((met, joined, kept, "halt()"))
        command = [command[0], *name, *self._distribution, "-noinput", "-eval", f"{work}."]
        subprocess.run(
            inside(command), env=os.environ | environment, check=True, capture_output=True, timeout=JOINING_S
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready() or len(self._nodes()) < 2:
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.node} did not join\n{self.log()}")
            time.sleep(POLL_S)

    def _nodes(self) -> list[object]:
        nodes = self._call("list_cluster")
        assert isinstance(nodes, list)
        return nodes

    @property
    def _distribution(self) -> list[str]:
        loopback = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        return ["-setcookie", self._cookie, "-start_epmd", "false", *loopback]

    def _launch(self) -> tuple[list[str], dict[str, str]]:
        command, environment = super()._launch()
        erl, *rest = command
        return [erl, "-name", self.node, *self._distribution, *rest], environment | {
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
        }

    def _configuration(self) -> dict[str, Any]:
        configuration = super()._configuration()
        for name in ("sql_type", "sql_database"):
            del configuration[name]
        commands = [*API_COMMANDS, "list_cluster"]
        permission = {"test support": {"who": {"ip": f"{LOOPBACK}/32"}, "what": commands}}
        return configuration | {"auth_method": ["mnesia"], "default_db": "mnesia", "api_permissions": permission}


class Cluster:
    """Both nodes, started and joined; ca: a file with the authorities of both."""

    def __init__(self, folder: Path) -> None:
        self._epmd = PortClaim()
        cookie = secrets.token_hex(16)
        for name in ("one", "two"):
            (folder / name).mkdir(parents=True)
        self.one, self.two = (
            Node(folder / name, number, self._epmd.port, cookie) for number, name in enumerate(("one", "two"), 1)
        )
        self.ca = folder / "ca.pem"
        self.ca.write_text(self.one.ca.read_text() + self.two.ca.read_text())
        self._names: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start both, and make them one server."""
        command = [epmd(), "-port", str(self._epmd.port), "-address", LOOPBACK]
        self._names = subprocess.Popen(inside(command), stdin=subprocess.DEVNULL, start_new_session=True)
        self.one.start()
        self.two.start()
        self.two.join(self.one)

    def close(self) -> None:
        """End everything."""
        self.one.close()
        self.two.close()
        if self._names is not None:
            self._names.kill()
            self._names.wait()
        self._epmd.release()
