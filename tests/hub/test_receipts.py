"""What a pong proves, and when a ping may leave; with a clock of its own."""

from hub.receipts import Proof

NOW = 1000.0


def test_a_pong_proves_what_was_handed_over_before_its_ping() -> None:
    proof = Proof()
    proof.handed[7] = 55
    proof.handed[8] = 56
    payload = proof.ping(NOW)
    proof.handed[7] = 57
    assert proof.pong(payload) == {7: 55, 8: 56}
    assert proof.handed == {7: 57}


def test_a_pong_proves_only_once() -> None:
    proof = Proof()
    proof.handed[7] = 55
    payload = proof.ping(NOW)
    assert proof.pong(payload) == {7: 55}
    assert proof.pong(payload) == {}


def test_a_pong_that_answers_no_ping_of_ours_proves_nothing() -> None:
    proof = Proof()
    proof.handed[7] = 55
    assert proof.pong(b"") == {}
    payload = proof.ping(NOW)
    assert proof.pong(b"") == {}
    assert proof.pong(b"\0" * 8) == {}
    assert proof.pong(payload + b"\0") == {}
    assert proof.pinged_at == NOW
    assert proof.pong(payload) == {7: 55}


def test_a_pong_to_an_earlier_ping_proves_nothing_of_a_later_one() -> None:
    proof = Proof()
    first = proof.ping(NOW)
    proof.pong(first)
    proof.handed[7] = 55
    second = proof.ping(NOW + 1)
    assert proof.pong(first) == {}
    assert proof.pong(second) == {7: 55}


def test_the_first_ping_may_leave_at_once_and_the_next_an_interval_after_it() -> None:
    proof = Proof()
    assert proof.wait(NOW, 0.5) == 0.0
    proof.pong(proof.ping(NOW))
    assert proof.wait(NOW + 0.125, 0.5) == 0.375
    assert proof.wait(NOW + 0.5, 0.5) == 0.0
    assert proof.wait(NOW + 9, 0.5) == 0.0


def test_no_second_ping_may_leave_while_one_is_under_way() -> None:
    proof = Proof()
    payload = proof.ping(NOW)
    assert proof.wait(NOW + 60, 0.5) is None
    proof.pong(b"another")
    assert proof.wait(NOW + 60, 0.5) is None
    proof.pong(payload)
    assert proof.wait(NOW + 60, 0.5) == 0.0


def test_it_is_known_since_when_a_pong_is_due() -> None:
    proof = Proof()
    seen = [proof.pinged_at]
    payload = proof.ping(NOW)
    seen.append(proof.pinged_at)
    proof.pong(payload)
    seen.append(proof.pinged_at)
    assert seen == [None, NOW, None]


def test_no_two_pings_have_one_payload() -> None:
    one, other = Proof(), Proof()
    payloads = [one.ping(NOW), other.ping(NOW), one.ping(NOW)]
    assert len(set(payloads)) == 3
    assert all(len(payload) <= 125 for payload in payloads)
