"""`doctor` on a server that is found by its name alone, and what it told."""

from typing import Any

from support.dns import HOST, NameServer, serving
from support.program import Outcome, Program
from support.servers import Server


def found_by_name(program: Program) -> Program:
    """This program, which finds its server by the name alone and tells everything as JSON."""
    del program.env["XMPPSH_HOST"]
    program.env["XMPPSH_FORMAT"] = "json"
    return program


def zone_of(server: Server) -> dict[str, Any]:
    return {
        f"SRV _xmpps-client._tcp.{server.domain}": [f"10 0 {server.tls_port} a.example.net"],
        f"SRV _xmpp-client._tcp.{server.domain}": [f"5 0 {server.port} a.example.net"],
        "A a.example.net": [HOST],
    }


async def examine(program: Program, server: Server, *arguments: str) -> Outcome:
    async with serving(NameServer(zone_of(server), checks=True, signed="")) as names:
        return await program.run("--dns", names.place, "doctor", *arguments)


def told(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {record["check"]: record for record in outcome.records}


def statuses(outcome: Outcome, *groups: str) -> dict[str, str]:
    wanted = [record for record in outcome.records if not groups or record["group"] in groups]
    return {record["check"]: record["status"] for record in wanted}
