"""What a command cost, in one line for people."""

from xmppsh.connection.costs import Costs


def test_each_step_counts_from_the_one_before_and_the_last_ack_counts() -> None:
    costs = Costs(10.0)
    for step, at in (("dns", 10.002), ("tcp", 10.012), ("tls", 10.030), ("sasl", 10.040), ("bind", 10.040)):
        costs.done(step, at)
    costs.done("ack", 10.050)
    costs.done("ack", 10.075)
    costs.done("tls", 99.0)  # of a later stream
    assert costs.sentence(4, "TLSv1.3") == (
        "dns 2, tcp 10, tls 18, sasl 10, bind 0, ack 35, in all 75 ms; 6 round trips"
    )


def test_a_step_that_was_not_needed_is_left_out() -> None:
    costs = Costs(0.0)
    costs.done("tcp", 0.001)
    assert costs.sentence(3, None) == "tcp 1, in all 1 ms; 4 round trips"


def test_connections_beside_each_other_have_costs_of_their_own() -> None:
    common = Costs(0.0)
    common.done("dns", 0.5)
    one, other = common.beside(), common.beside()
    one.done("tcp", 0.6)
    other.done("tcp", 0.9)
    assert one.sentence(0, None) == "dns 500, tcp 100, in all 600 ms; 1 round trips"
    assert other.sentence(0, None) == "dns 500, tcp 400, in all 900 ms; 1 round trips"
