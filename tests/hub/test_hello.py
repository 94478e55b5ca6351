"""The first frames of a socket (docs/protocol.md section 6, Connecting)."""

from tests.support.hub import House


async def test_hello_comes_first_and_names_the_user_the_logs_tip_and_the_log(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    last = await house.post(bob, dialog, "hi")
    socket = await house.connect(ann)
    log = socket.hello["log"]
    assert socket.hello == {"type": "hello", "user_id": ann.id, "event_id": last, "log": log}
    assert isinstance(log, str)
    assert log
    assert (await house.connect(bob)).hello == {**socket.hello, "user_id": bob.id}


async def test_on_a_new_server_the_logs_tip_is_0(house: House) -> None:
    socket = await house.connect(await house.person())
    assert socket.hello["event_id"] == 0


async def test_after_hello_comes_an_online_status_for_each_contact_who_is_online(house: House) -> None:
    ann, bob, cat, dan, eve = await house.people("ann", "bob", "cat", "dan", "eve")
    await house.dialog(ann, bob)
    await house.group(cat, ann, dan, bob)
    await house.dialog(eve, bob)  # Eve is no contact of Ann's, Dan is not online
    for person in (bob, cat, eve):
        await house.connect(person)
    socket = await house.connect(ann)
    await socket.settle()
    hello, *others = socket.received
    assert hello["type"] == "hello"
    assert sorted(others, key=lambda frame: int(frame["user_id"])) == [
        {"type": "online_status", "user_id": bob.id, "online": True},
        {"type": "online_status", "user_id": cat.id, "online": True},
    ]


async def test_the_answer_to_the_upgrade_hello_and_presence_leave_in_one_write(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    await house.connect(bob)
    client = await house.dial()
    await client.send_upgrade(ann)
    everything = await client.first_read()
    assert everything.startswith(b"HTTP/1.1 101 ")
    assert b'"hello"' in everything
    assert b'"online_status"' in everything


async def test_frames_that_come_with_the_upgrade_request_are_answered_in_their_order(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.dial()
    frames = [
        {"type": "send_message", "temp_id": str(number), "conversation_id": dialog, "text": f"early {number}"}
        for number in range(10)
    ]
    async with house.held():  # so that the last one waits to be read, too
        await client.send_upgrade(ann, *frames)
        await house.until(lambda: house.hub.admission.under_way)
        await client.send_json({**frames[0], "temp_id": "last"})
    assert (await client.answer()).status == 101
    assert (await client.text())["type"] == "hello"
    acks = [await client.text("message_sent") for _ in range(11)]
    assert [ack["temp_id"] for ack in acks] == [*(str(number) for number in range(10)), "last"]


async def test_a_bad_frame_behind_the_upgrade_request_is_refused_after_hello(house: House) -> None:
    ann = await house.person()
    client = await house.dial()
    await client.send_upgrade(ann, {"type": "dance"})
    assert (await client.answer()).status == 101
    assert (await client.text())["type"] == "hello"
    assert (await client.text())["code"] == "unknown_type"


async def test_a_client_that_is_gone_before_it_is_admitted_leaves_nothing(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    witness = await house.connect(bob)
    for _ in range(20):
        client = await house.dial()
        await client.send_upgrade(ann)
        client.reset()
    await house.until(lambda: len(house.state.connections) == 1, "only the witness is left")
    await house.gone(ann)
    await witness.settle()
    online = [frame["online"] for frame in witness.take("online_status")]
    assert online == [True, False] * (len(online) // 2)
