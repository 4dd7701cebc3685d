"""Three machines on one cable each: network namespaces of a test's own, joined by a bridge in a fourth.

Nothing of the machine's own network is touched. The namespaces go with the test run, even when that is killed.
"""

import os
import secrets
import shutil
import subprocess
from typing import Literal, Self

Machine = Literal["client", "server", "witness"]

ADDRESSES: dict[Machine, str] = {"server": "10.198.0.1", "client": "10.198.0.2", "witness": "10.198.0.3"}
NETWORK_BITS = 24
CABLE = "cable0"  # the machine's end; the bridge's end has the machine's name
BRIDGE = "bridge0"


class NetworkFailed(Exception):
    """`ip` refused what the test support asked of it."""


class Network:
    """The four namespaces, by the name that they have in common; `create()` makes them, `close()` removes them."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or f"xmppsh-{secrets.token_hex(3)}"
        self._remover: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str | None:
        """Why there can be no namespaces here, or None."""
        if os.geteuid() != 0:
            return "network namespaces need root"
        if shutil.which("ip") is None:
            return "network namespaces need `ip` (package iproute2)"
        probe = f"xmppsh-probe-{secrets.token_hex(3)}"
        try:
            _ip("netns", "add", probe)
            try:
                _ip("-n", probe, "link", "add", "probe0", "type", "bridge")
                _ip("-n", probe, "link", "add", "probe1", "type", "veth", "peer", "name", "probe2")
            finally:
                _ip("netns", "del", probe)
        except NetworkFailed as error:
            return f"no network namespaces here: {error}"
        return None

    def create(self) -> Self:
        """Make the namespaces and plug every cable in."""
        spaces = [self._space(which) for which in ("bridge", *ADDRESSES)]
        self._remover = _remove_when_we_die(spaces)
        for space in spaces:
            _ip("netns", "add", space)
        self._bridge("link", "add", BRIDGE, "type", "bridge")
        self._bridge("link", "set", BRIDGE, "up")
        for machine, address in ADDRESSES.items():
            space = self._space(machine)
            self._bridge("link", "add", machine, "type", "veth", "peer", "name", CABLE, "netns", space)
            self._bridge("link", "set", machine, "master", BRIDGE, "up")
            _ip("-n", space, "addr", "add", f"{address}/{NETWORK_BITS}", "dev", CABLE)
            for device in ("lo", CABLE):
                _ip("-n", space, "link", "set", device, "up")
        return self

    def close(self) -> None:
        """Remove the namespaces; what still runs in one of them has no network any more."""
        if self._remover is not None:
            self._remover.communicate()
            self._remover = None

    def __enter__(self) -> Self:
        try:
            return self.create()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def command(self, machine: Machine, *arguments: str) -> list[str]:
        """A command line that runs `arguments` on that machine; the process id is the command's own."""
        return ["ip", "netns", "exec", self._space(machine), *arguments]

    def pull(self, machine: Machine = "client") -> None:
        """Pull the machine's cable: its interface is down, the others see nothing of it."""
        _ip("-n", self._space(machine), "link", "set", CABLE, "down")

    def plug(self, machine: Machine = "client") -> None:
        """Plug the cable in again."""
        _ip("-n", self._space(machine), "link", "set", CABLE, "up")

    def lose(self, machine: Machine = "client") -> None:
        """Lose every packet from and to the machine; no end of the cable sees that anything happened."""
        self._bridge("link", "set", machine, "nomaster")

    def restore(self, machine: Machine = "client") -> None:
        """Carry packets again."""
        self._bridge("link", "set", machine, "master", BRIDGE)

    def _space(self, which: str) -> str:
        return f"{self.name}-{which}"

    def _bridge(self, *arguments: str) -> None:
        _ip("-n", self._space("bridge"), *arguments)


def _ip(*arguments: str) -> None:
    outcome = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise NetworkFailed(f"ip {' '.join(arguments)}: {outcome.stderr.strip()}")


def _remove_when_we_die(spaces: list[str]) -> subprocess.Popen[bytes]:
    """A process that deletes the namespaces at our end of file."""
    script = 'read -r _; for space; do ip netns del "$space" 2>/dev/null; done'
    return subprocess.Popen(
        ["/bin/sh", "-c", script, "remover", *spaces], stdin=subprocess.PIPE, start_new_session=True
    )
