"""TLS: a certificate that does not prove the domain, and handshakes that are none."""

import re
from typing import Any

import pytest

from hostile.certificates import ELSEWHERE
from hostile.misbehaviour import CLOSE, CUT, RESET, SILENCE
from hostile.scenario import PING, Outcome, Scenario, check
from hostile.server import DOMAIN


def refused(name: str, certificate: str, says: str, **more: Any) -> Scenario:
    """A certificate that does not fit: 76, layer tls. No stream is left to end when TLS never came up."""
    return Scenario(name, {}, layer="tls", tls=certificate, says=says, text_command=PING, footer=False, **more)


DIRECT: dict[str, Any] = {"direct": True, "options": ("--tls", "direct")}
REFUSED = [
    refused("cert-self-signed", "self-signed", "self.signed"),
    refused("cert-expired", "expired", "expired"),
    refused("cert-not-yet-valid", "not-yet-valid", "not valid yet|not yet valid"),
    refused("cert-wrong-name", "wrong-name", f"{ELSEWHERE}.*{DOMAIN}"),
    refused("cert-wrong-name-direct", "wrong-name", f"{ELSEWHERE}.*{DOMAIN}", **DIRECT),
    refused("cert-of-the-dialled-host", "dialled-host", f"localhost.*{DOMAIN}", hosts=("localhost:{port}",)),
    refused("cert-of-the-dialled-address", "dialled-host", f"127.0.0.1.*{DOMAIN}"),
    refused("cert-wrong-ca", "wrong-ca", DOMAIN),
    refused("cert-wrong-ca-direct", "wrong-ca", DOMAIN, **DIRECT),
    refused("cert-pin-wrong", "good", "pin", options=("--pin", "sha256:" + "0" * 64)),
    refused("cert-pin-of-another", "good", "pin", options=("--pin", "sha256:{pin-self-signed}")),
    refused("tls-1.1", "tls-1.1", ""),
]


@pytest.mark.parametrize("scenario", REFUSED, ids=lambda scenario: scenario.name)
def test_a_certificate_that_does_not_fit_is_refused(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        # Nothing, or (pins are compared behind the handshake) the end of a stream that never was.
        assert run.encrypted in (b"", b"</stream:stream>")


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("pin-right", {}, 0, tls="self-signed", options=("--pin", "sha256:{pin-self-signed}")),
        Scenario("pin-right-of-two", {}, 0, tls="self-signed",
                 options=("--pin", "sha256:" + "0" * 64, "--pin", "sha256:{pin-self-signed}")),
        Scenario("insecure", {}, 0, tls="self-signed", options=("--insecure",)),
        Scenario("insecure-wrong-name", {}, 0, tls="wrong-name", options=("--insecure",)),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_a_pin_or_insecure_lets_the_user_decide(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        warnings = [line for line in run.err.splitlines() if line.startswith("xmppsh: ") and "insecure" in line]
        assert len(warnings) == ("--insecure" in scenario.options), run.err


STARTTLS = ("--tls", "starttls")
BROKEN = [
    # Garbage and alerts are TLS failures; an end without a word may also count as a lost connection (69).
    Scenario("tls-garbage", {"tls": (b"\x99" * 500, CLOSE)}, 76, "tls", footer=False),
    Scenario("tls-garbage-direct", {"accept": (b"\x99" * 500, CLOSE)}, 76, "tls", footer=False, **DIRECT),
    Scenario("tls-xml-behind-proceed", {"tls": ("<message/>", CLOSE)}, 76, "tls", footer=False),
    Scenario("tls-eof", {"tls": CUT}, (69, 76), ("tls", "tcp"), says="TLS", footer=False),
    Scenario("tls-reset", {"tls": RESET}, (69, 76), ("tls", "tcp"), says="TLS", footer=False),
    Scenario("tls-eof-direct", {"accept": CUT}, (69, 76), ("tls", "tcp"), says="TLS", footer=False, **DIRECT),
    Scenario("tls-silent", {"tls": SILENCE}, (75, 76), ("tls", "stream"), says="TLS", footer=False, connect_s=3.0,
             within_s=3.0),
    Scenario("tls-silent-direct", {"accept": SILENCE}, (75, 76), ("tls", "stream"), says="TLS", footer=False,
             connect_s=3.0, within_s=3.0, **DIRECT),
    # A server that wants TLS at once answers our header with a TLS alert, or closes, or waits.
    Scenario("starttls-to-a-direct-port", {}, (69, 75, 76), ("tls", "stream", "tcp"), direct=True, footer=False,
             options=STARTTLS, connect_s=3.0),
    Scenario("direct-to-a-starttls-port", {}, (69, 76), "tls", footer=False, options=("--tls", "direct")),
]  # fmt: skip


@pytest.mark.parametrize("scenario", BROKEN, ids=lambda scenario: scenario.name)
def test_a_handshake_that_is_none_is_a_sentence(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.encrypted == b""
    if scenario.name == "direct-to-a-starttls-port":
        assert "starttls" in (outcome.json.error["hint"] or "")
    if scenario.name == "starttls-to-a-direct-port":
        assert re.search("direct|port", outcome.json.error["hint"] or "")
