"""Refusals: one exception, one code each, and what a client is told of it."""

import re
from typing import get_args

from protocol.errors import HTTP_STATUS, SOCKET_CODES, TITLES, Code, Refused, invalid, not_found, problem

CODES: tuple[Code, ...] = get_args(Code)


def test_every_code_has_a_status_and_a_title_and_nothing_else_has() -> None:
    assert len(CODES) > 20
    assert set(HTTP_STATUS) == set(TITLES) == set(CODES)
    assert all(400 <= status < 600 and status != 500 for status in HTTP_STATUS.values())
    assert all(TITLES.values())
    assert len(set(TITLES.values())) == len(TITLES)
    assert all(re.fullmatch("[a-z_]+", code) for code in CODES)


def test_what_the_socket_calls_by_another_name_has_one_that_the_protocol_knows() -> None:
    # docs/protocol.md section 6, "Errors".
    told = {
        "malformed", "unknown_type", "invalid", "not_found", "forbidden", "rate_limited", "attachment_unavailable",
        "temp_id_conflict", "unavailable",
    }  # fmt: skip
    assert set(SOCKET_CODES) <= set(CODES)
    assert set(SOCKET_CODES.values()) <= told <= set(CODES)


def test_a_refusal_has_a_sentence_for_people_even_where_none_was_given() -> None:
    for code in CODES:
        refused = Refused(code)
        assert (refused.code, refused.status) == (code, HTTP_STATUS[code])
        assert refused.detail.endswith(".")
    assert Refused("forbidden", "Only owners may do this.").detail == "Only owners may do this."


def test_a_problem_is_what_rfc_9457_says_with_our_stable_code() -> None:
    assert problem(Refused("forbidden", "No.")) == {
        "type": "about:blank",
        "title": "Not allowed",
        "status": 403,
        "detail": "No.",
        "code": "forbidden",
    }
    assert problem(Refused("rate_limited", retry_after=7, status=503))["status"] == 503


def test_a_problem_with_fields_names_them() -> None:
    body = problem(invalid("members.0", "there is no such user"))
    assert (body["status"], body["code"]) == (422, "invalid")
    assert body["errors"] == [{"field": "members.0", "message": "there is no such user"}]
    assert "errors" not in problem(not_found())


def test_what_must_not_be_told_apart_is_refused_in_the_same_words() -> None:
    assert problem(not_found()) == problem(not_found())
    assert not_found().status == 404
