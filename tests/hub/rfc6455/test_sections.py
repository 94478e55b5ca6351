"""What RFC 6455 asks of a server, section by section, and the test that asks it of ours."""

import re
from pathlib import Path

TABLE = """
    4.2.1   GET only                                    test_only_get_opens_a_socket
    4.2.1   HTTP/1.1                                    beseda/test_upgrade: another_version_of_http_is_ignored
    4.2.1   `websocket`, `Upgrade`, whatever the case   test_what_is_a_handshake_is_accepted
    4.2.1   a request for anything else is none         test_a_request_that_asks_for_no_websocket
    4.2.1   a host, a key of 16 bytes, a version: once  test_what_is_no_handshake_is_400
    4.2.1   an origin that may                          hub/test_handshake: pages_of_any_other_origin
    4.2.2   Sec-WebSocket-Accept                        test_the_answer_proves_that_the_key_was_read
    4.2.2   another version: told which                 test_another_version_is_426
    4.2.2   nothing is taken up that was not offered    test_what_is_a_handshake_is_accepted
    5.1     frames from a client are masked             test_what_breaks_the_framing
    5.1     frames to a client are not                  support/raw: a server masks nothing
    5.2     reserved bits and opcodes                   test_what_breaks_the_framing
    5.2     lengths of 7, 16 and 64 bits                test_a_payload_of_any_size_is_read
    5.2     the server's lengths                        hub/test_frames: what_the_library_would_write
    5.2     lengths beyond all                          test_a_length_that_is_too_large
    5.3     masks                                       test_any_mask_is_taken_off
    5.4     fragments, in order                         test_a_message_may_be_cut_into_fragments_anywhere
    5.4     fragments of one byte and of none           test_a_message_may_come_in_fragments_of_one_byte
    5.4     control frames between them                 test_control_frames_between_fragments
    5.4     and beside the largest message              hub/test_close_codes: none_of_the_messages_bytes
    5.4     no message within a message                 test_what_breaks_the_framing
    5.5     control frames: 125 bytes, no fragments     test_a_control_frame_in_fragments
    5.5.1   a close is answered by a close              test_a_clients_close_is_echoed
    5.5.1   its body: a code, then UTF-8                test_half_a_code, test_a_reason_that_is_no_utf_8
    5.5.1   nothing is read behind it                   test_frames_behind_a_close
    5.5.1   a close within a message                    test_a_close_within_a_message
    5.5.2   a ping is answered with its body            test_a_ping_is_answered, test_pings_are_answered
    5.5.3   a pong may come unasked                     test_a_pong_that_nobody_asked_for
    5.6     text is UTF-8, each message by itself       test_a_character_is_not_put_together, test_every_character
    7.1.1   the server ends the stream first            test_a_clients_close_is_echoed
    7.1.4   its own close: after the client's           test_after_the_servers_close
    7.1.5   no close at all                             test_a_client_that_ends_its_half
    7.1.6   a reset                                     test_a_client_that_resets
    7.1.7   to fail: what came before is done           test_what_came_before_the_broken_frame
    7.4     codes that may be sent, and others          test_every_code_that_a_client, test_a_code_that_nobody
    8.1     what is no UTF-8                            test_what_is_no_utf_8, test_a_message_that_ends_within
    8.1     refused at the message's end at latest      test_what_is_wrong_waits_for_the_end
    9.1     extensions may be declined                  test_what_is_a_handshake_is_accepted
    10.4    limits to frames and messages               hub/test_close_codes: one_byte_more_closes_with_1009
    -       TCP cuts as it likes                        test_frames_may_come_byte_by_byte, test_two_frames_may_be_cut
    -       many frames in a segment                    test_many_frames_may_come_in_one_segment
    -       frames in the upgrade's segment             test_frames_may_come_with_the_upgrade
"""
"""By the beginning of its name; of one that lies elsewhere in `tests`, by its file and a part of the name."""

HERE = Path(__file__).parent


def named() -> list[str]:
    """What the last column names."""
    rows = (re.split(r" {2,}", line.strip())[2] for line in TABLE.strip().splitlines())
    return [name for row in rows for name in row.split(", ")]


def test_every_test_that_the_table_names_is_there() -> None:
    here = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    for name in named():
        file, _, part = name.rpartition(": ")
        if file:
            assert part in (HERE.parents[1] / f"{file}.py").read_text(), name
        else:
            assert f"async def {name}" in here, name


def test_every_test_here_is_in_the_table() -> None:
    tests = [
        name
        for path in HERE.glob("test_*.py")
        if path != Path(__file__)
        for name in re.findall(r"^async def (test_\w+)", path.read_text(), re.MULTILINE)
    ]
    assert len(tests) > 30
    assert [test for test in tests if not any(test.startswith(name) for name in named())] == []
