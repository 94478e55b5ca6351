"""The chat's model: each frame, in whatever order it comes, leads to what the server has."""

from beseda.client.chat.conversation import KEPT_ASIDE, KEPT_BACK
from tests.beseda.client.chat.made import (
    BOB,
    CAROL,
    ME,
    composed,
    dialog,
    group,
    message,
    model,
    new,
    opened,
    person,
)


def test_messages_stand_in_the_servers_order_and_each_once() -> None:
    ann = model()
    for number in (12, 14, 13, 12):
        ann.apply(new(number))
    assert [each["id"] for each in opened(ann).messages] == [12, 13, 14]
    assert opened(ann).newest_id == 14


def test_a_message_elsewhere_counts_as_unread_once_and_moves_its_conversation_up() -> None:
    ann = model(dialog(), group())
    assert [each.id for each in ann.listed()] == [8, 7]
    ann.apply(new(12, to=7))
    ann.apply(new(12, to=7))
    assert [each.id for each in ann.listed()] == [7, 8]
    assert ann.conversations[7].unread == 1
    ann.apply(new(13, to=8))
    assert ann.unread_elsewhere() == 1


def test_a_live_frame_that_the_load_has_brought_already_is_not_counted_again() -> None:
    ann = model(dialog(event_id=20, unread_count=3, last_message=message(20)), open_id=None)
    ann.apply(new(19))
    ann.apply(new(20))
    assert ann.conversations[7].unread == 3
    ann.apply(new(21))
    assert ann.conversations[7].unread == 4


def test_an_own_message_is_on_its_way_until_its_ack_and_then_read_to_there() -> None:
    ann = model(dialog(unread_count=2))
    ann.compose(composed("hello"))
    assert [each.temp_id for each in ann.unsent()] == ["t-1"]
    ann.apply({"type": "message_sent", "temp_id": "t-1", "message": message(12, sender=ME, temp_id="t-1")})
    assert ann.unsent() == []
    assert [each["id"] for each in opened(ann).messages] == [12]
    assert (opened(ann).unread, opened(ann).read_id) == (0, 12)


def test_one_that_was_sent_late_reads_nothing() -> None:
    ann = model(dialog(unread_count=2, event_id=11))
    ann.compose(composed("hello"))
    ann.part()
    ann.apply({"type": "message_sent", "temp_id": "t-1", "message": message(12, sender=ME, temp_id="t-1")})
    assert (opened(ann).unread, opened(ann).read_id) == (2, 0)


def test_a_repeat_that_comes_back_as_new_message_is_an_ack_too() -> None:
    ann = model()
    ann.compose(composed("hello"))
    ann.apply(new(12, sender=ME, temp_id="t-1"))
    assert ann.unsent() == []
    assert opened(ann).unread == 0


def test_a_refused_message_says_why_and_keeps_its_place() -> None:
    ann = model()
    ann.apply(new(12))
    ann.compose(composed("x" * 20_000))
    ann.refuse("t-1", "text: at most 10,000 characters")
    assert ann.unsent() == []
    assert (ann.outbox["t-1"].refused, ann.outbox["t-1"].after) == ("text: at most 10,000 characters", 12)


def test_receipts_are_watermarks_that_only_rise_and_read_implies_delivered() -> None:
    ann = model()
    for kind, number in (("read", 14), ("delivered", 12), ("read", 13)):
        ann.apply({"type": kind, "message_id": number, "conversation_id": 7, "user_id": BOB})
    assert opened(ann).read == {BOB: 14}
    assert opened(ann).delivered == {BOB: 14}


def test_what_was_read_on_another_device_is_read_here_and_what_is_older_changes_nothing() -> None:
    ann = model(dialog(unread_count=5, read_id=10))
    ann.apply({"type": "unread", "conversation_id": 7, "message_id": 12, "unread_count": 1})
    ann.apply({"type": "unread", "conversation_id": 7, "message_id": 11, "unread_count": 3})
    assert (opened(ann).read_id, opened(ann).unread) == (12, 1)


def test_who_types_stops_with_a_message_a_stop_or_a_lost_connection() -> None:
    ann = model()
    types = {"type": "typing", "conversation_id": 7, "user_id": BOB}
    for end in (new(12), types | {"type": "typing_stop"}, None):
        ann.apply(types)
        assert opened(ann).typing == {BOB}
        ann.part() if end is None else ann.apply(end)
        assert opened(ann).typing == set()


def test_people_come_and_go_and_nobody_is_thought_online_without_a_connection() -> None:
    ann = model()
    ann.apply({"type": "online_status", "user_id": CAROL, "online": True})
    assert ann.people[CAROL].online
    seen = "2026-11-23T13:05:00.123Z"
    ann.apply({"type": "online_status", "user_id": BOB, "online": False, "last_seen_at": seen})
    assert (ann.people[BOB].online, ann.people[BOB].last_seen_at) == (False, seen)
    ann.part()
    assert not ann.people[CAROL].online


def test_conversations_come_change_and_go() -> None:
    ann = model()
    ann.apply({"type": "conversation_created", "event_id": 20, "conversation": group(8, event_id=20)})
    assert ann.title(ann.conversations[8]) == "Team"
    told = group(8, event_id=21, title="Tea", members=[ME, BOB])
    ann.apply({"type": "conversation_updated", "event_id": 21, "conversation_id": 8, "conversation": told})
    assert (ann.title(ann.conversations[8]), ann.conversations[8].members) == ("Tea", [ME, BOB])
    ann.apply({"type": "conversation_removed", "event_id": 22, "conversation_id": 8})
    assert set(ann.conversations) == {7}


def test_an_event_older_than_what_is_loaded_undoes_nothing() -> None:
    ann = model(group(8, event_id=30, title="Now"))
    told = group(8, event_id=20, title="Then")
    ann.apply({"type": "conversation_updated", "event_id": 20, "conversation_id": 8, "conversation": told})
    ann.apply({"type": "conversation_removed", "event_id": 21, "conversation_id": 8})
    assert ann.title(ann.conversations[8]) == "Now"


def test_who_is_added_again_starts_anew_with_that_conversation() -> None:
    ann = model()
    ann.apply(new(12))
    ann.apply({"type": "conversation_created", "event_id": 20, "conversation": dialog(event_id=20)})
    assert opened(ann).messages == []
    assert not opened(ann).is_loaded


def test_messages_count_that_follow_a_replayed_conversation_which_is_told_as_it_is_now() -> None:
    ann = model()
    told = group(8, event_id=24)
    ann.apply({"type": "conversation_created", "event_id": 20, "conversation": told})
    ann.apply(new(21, to=8))
    ann.apply({"type": "conversation_updated", "event_id": 22, "conversation_id": 8, "conversation": told})
    ann.apply(new(23, to=8))
    ann.apply(new(24, to=8))
    assert ann.conversations[8].unread == 3


def test_after_a_break_groups_are_loaded_when_they_show_for_their_receipts_and_keep_their_messages() -> None:
    ann = model(dialog(), group(), open_id=8)
    ann.apply(new(21, to=8))
    ann.resume()
    assert not opened(ann).is_loaded
    assert [each["id"] for each in opened(ann).messages] == [21]
    ann.show(7)
    opened(ann).load([], 100)
    ann.resume()
    assert opened(ann).is_loaded


def test_a_reload_drops_what_is_gone_and_what_was_missed_and_keeps_the_open_one() -> None:
    ann = model(dialog(7), group(8), dialog(9, CAROL))
    for to in (7, 8, 9):
        ann.apply(new(10 + to, to=to))
    ann.part()
    ann.reload([dialog(7, event_id=40, last_message=message(40)), group(8, event_id=18)])
    assert set(ann.conversations) == {7, 8}
    assert [each["id"] for each in ann.conversations[7].messages] == [17]
    assert ann.conversations[8].messages == []


def test_a_page_that_reaches_what_is_held_is_joined_and_one_that_does_not_replaces_it() -> None:
    ann = model()
    ann.apply(new(12))
    opened(ann).load([message(14), message(13), message(12)], 3)
    assert [each["id"] for each in opened(ann).messages] == [12, 13, 14]
    opened(ann).load([message(30), message(29), message(28)], 3)
    assert [each["id"] for each in opened(ann).messages] == [28, 29, 30]
    assert opened(ann).has_older


def test_live_messages_that_came_before_the_first_page_are_kept() -> None:
    ann = model(open_id=None)
    ann.apply(new(15))
    ann.conversations[7].load([message(14), message(13)], 100)
    assert [each["id"] for each in ann.conversations[7].messages] == [13, 14, 15]
    assert not ann.conversations[7].has_older


def test_memory_is_bounded() -> None:
    ann = model(dialog(7), group(8))
    for number in range(100, 100 + KEPT_BACK + 5):
        ann.apply(new(number, to=7))
    for number in range(10_000, 10_000 + KEPT_ASIDE + 5):
        ann.apply(new(number, to=8))
    assert len(ann.conversations[7].messages) == KEPT_BACK
    assert len(ann.conversations[8].messages) == KEPT_ASIDE
    ann.show(8)
    assert len(ann.conversations[7].messages) == KEPT_ASIDE
    assert ann.conversations[7].has_older


def test_names_are_of_people_titles_of_groups_and_none_is_a_command_to_the_terminal() -> None:
    ann = model(
        dialog(7),
        group(8, title="\x1b]0;owned\x07 Team\u202e"),
        group(9, title=None),
        group(10, members=[ME]),
    )
    ann.meet([person(BOB, "b\x1bob")])
    assert ann.title(ann.conversations[7]) == "b�ob"
    assert ann.title(ann.conversations[8]) == "�]0;owned� Team"
    assert ann.title(ann.conversations[9]) == "b�ob, carol"
    ann.apply({"type": "user_updated", "event_id": 30, "user": person(BOB, "robert")})
    assert ann.title(ann.conversations[7]) == "robert"


def test_frames_that_are_unknown_or_about_unknown_conversations_change_nothing() -> None:
    ann = model()
    ann.apply({"type": "brand_new", "x": 1})
    ann.apply(new(50, to=99))
    for kind in ("typing", "typing_stop", "read", "delivered"):
        ann.apply({"type": kind, "conversation_id": 99, "user_id": BOB, "message_id": 1})
    ann.apply({"type": "online_status", "user_id": 99, "online": True})
    assert set(ann.conversations) == {7}
    assert 99 not in ann.people


def test_names_that_nobody_has_told_yet_are_asked_for() -> None:
    ann = model(dialog(7, peer=44), group(8), group(9, title=None, members=[ME, BOB, 45]))
    assert ann.strangers() == {44, 45}
