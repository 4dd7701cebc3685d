"""`doctor` before servers that have SASL2 (XEP-0388), alone or beside the older login."""

import pytest

from hostile.misbehaviour import authentication, features, mechanisms
from hostile.scenario import Outcome, Scenario, check
from hostile.test_doctor import DOCTOR, records

ALONE, SCRAM = "by SASL2 alone, with tokens (FAST) by HT-SHA-256-NONE", "SCRAM-SHA-256"
NEWER = [
    (Scenario("doctor-sasl2-alone", {"features-tls": features(authentication(SCRAM))}, 0, command=DOCTOR),
     f"{SCRAM}; {ALONE}", f"{SCRAM} by SASL2"),
    (Scenario("doctor-sasl2-as-well", {"features-tls": features(mechanisms(SCRAM) + authentication(SCRAM, tokens=""))},
              0, command=DOCTOR),
     f"{SCRAM}; by SASL2 as well", f"{SCRAM} by SASL2"),
    (Scenario("doctor-sasl2-weaker", {"features-tls": features(mechanisms(SCRAM) + authentication("PLAIN", tokens=""))},
              0, command=DOCTOR),
     f"PLAIN, {SCRAM}; by SASL2 PLAIN", SCRAM),
]  # fmt: skip


@pytest.mark.parametrize(("scenario", "offers", "choice"), NEWER, ids=[line[0].name for line in NEWER])
def test_which_login_offers_what_and_is_used_is_told(
    scenario: Scenario, offers: str, choice: str, outcome: Outcome
) -> None:
    check(outcome)
    found = {one["check"].partition(" 127")[0]: one for one in records(outcome.json) if one["group"] == "sasl"}
    assert (found["mechanisms"]["status"], found["mechanisms"]["detail"]) == ("ok", offers)
    assert found["choice"]["detail"] == choice
    assert found["login"]["status"] == "ok"
    used = outcome.json.encrypted
    assert (b"<authenticate" in used) is choice.endswith("SASL2")
