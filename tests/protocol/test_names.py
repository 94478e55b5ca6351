"""Usernames and emails: which are valid, and which are one and the same."""

import pytest

from protocol import names
from protocol.errors import Refused


@pytest.mark.parametrize(
    "text",
    [
        "anna", "Anna", "a.b", "a_b-c.d", "...", "123", "x" * 32, "анна", "Ελένη", "李小龙", "さくら", "김민수",
        "हिन्दी", "עברית", "مريم", "ไทยแลนด์", "anna٣", "Zoë", "ß" * 3, "𝒶𝓃𝓃𝒶",
    ],
)  # fmt: skip
def test_letters_and_digits_of_any_script_make_a_username(text: str) -> None:
    assert names.username(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "ab", "x" * 33, "an na", " anna", "anna ", "an\tna", "an\nna", "an\0na", "anna!", "an@na", "an/na",
        "<anna>",
        "anna👋", "an\u200bna", "an\u200dna", "\u202eanna", "\ufeffanna", "an\u00a0na", "anna½", "anna²²²²/", "€€€",
        "\u0301anna", "①/②",
    ],
)  # fmt: skip
def test_everything_else_is_no_username(text: str) -> None:
    with pytest.raises(Refused) as caught:
        names.username(text)
    assert caught.value.code == "invalid"
    assert caught.value.errors is not None
    assert [error["field"] for error in caught.value.errors] == ["username"]


@pytest.mark.parametrize(
    "invisible",
    [
        "\u034f",
        "\u115f",
        "\u1160",
        "\u17b4",
        "\u17b5",
        "\u180b",
        "\u180f",
        "\u3164",
        "\ufe00",
        "\ufe0f",
        "\uffa0",
        "\U000e0100",
    ],
)
def test_nobody_can_bear_anothers_name_with_something_invisible_in_it(invisible: str) -> None:
    for text in (f"anna{invisible}", f"{invisible}anna", f"an{invisible}na"):
        with pytest.raises(Refused):
            names.username(text)


def test_the_length_is_that_of_what_is_shown() -> None:
    assert names.username("①②③") == "123"
    assert names.username("ﬃ" * 10) == "ffi" * 10
    with pytest.raises(Refused):
        names.username("ﬃ" * 11)
    with pytest.raises(Refused):
        names.username("e\u0301o\u0301")


def test_a_username_is_shown_as_nfkc_and_keeps_its_case() -> None:
    assert names.username("ＡＮＮＡ") == "ANNA"
    assert names.username("Zoe\u0308") == "Zoë"


@pytest.mark.parametrize(
    "one, other",
    [
        ("anna", "ANNA"),
        ("Straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ﬁnn", "FINN"),
        ("ｗｉｄｅ", "wide"),
        ("Zoe\u0308", "ZOË"),
        ("𝒶𝓃𝓃𝒶", "Anna"),
        ("ǅungla", "Ǆungla"),
        ("Ⅷabc", "viiiabc"),
    ],
)
def test_usernames_that_differ_in_case_or_form_only_are_the_same(one: str, other: str) -> None:
    assert names.username_key(names.username(one)) == names.username_key(names.username(other))


@pytest.mark.parametrize(
    "one, other", [("anna", "аnna"), ("anna", "annä"), ("anna", "ann.a"), ("i̇stanbul", "istanbul")]
)
def test_other_usernames_are_different(one: str, other: str) -> None:
    assert names.username_key(names.username(one)) != names.username_key(names.username(other))


def test_every_character_that_may_stand_in_a_name_has_a_stable_key() -> None:
    allowed = 0
    for code in [*range(0x3000), *range(0x3000, 0xD800, 11), *range(0xE000, 0x20000, 3)]:
        try:
            name = names.username(f"ab{chr(code)}cd")
        except Refused:
            continue
        allowed += 1
        key = names.username_key(name)
        assert names.username(name) == name
        assert names.username_key(key) == key
    assert allowed > 10_000


@pytest.mark.parametrize(
    "text",
    [
        "anna@example.org", "a.b+c@example.co.uk", "ANNA@EXAMPLE.ORG", "anna@home", "anna@localhost", "anna@nas.local",
        "анна@пример.рф", "anna@bücher.example", "o'hara@example.org", "a@b.test",
    ],
)  # fmt: skip
def test_an_email_with_valid_syntax_is_taken(text: str) -> None:
    assert "@" in names.email(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "anna", "@", "anna@", "@example.org", "anna@@example.org", "an na@example.org", " anna@example.org",
        "anna@example.org ", "anna@example..org", ".anna@example.org", "anna@-example.org", "anna@example.org\n",
        "anna@exam\0ple.org", "anna\r\nBcc: x@example.org", "Anna <anna@example.org>", "anna@[127.0.0.1]",
        '"anna"@example.org', "anna@" + "x" * 64 + ".org", "anna@" + "a." * 130 + "org",
        "anna@xn--a", "\u202eanna@example.org", "an\u200bna@example.org",
    ],
)  # fmt: skip
def test_an_email_without_valid_syntax_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        names.email(text)
    assert caught.value.code == "invalid"
    assert caught.value.errors is not None
    assert [error["field"] for error in caught.value.errors] == ["email"]
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    "one, other",
    [
        ("anna@example.org", "Anna@Example.ORG"),
        ("anna@bücher.example", "ANNA@BÜCHER.EXAMPLE"),
        ("anna@xn--bcher-kva.example", "anna@bücher.example"),
        ("anna@example。org", "anna@example.org"),
        ("ａｎｎａ@example.org", "anna@example.org"),
        ("ZOE\u0308@example.org", "zoë@example.org"),
    ],
)
def test_emails_that_differ_in_case_or_form_only_are_the_same(one: str, other: str) -> None:
    assert names.email_key(names.email(one)) == names.email_key(names.email(other))


@pytest.mark.parametrize(
    "text",
    [
        "anna@xn--bcher-kva.example",
        "anna@example。org",
        "Anna@Bücher.example",
        "anna@home",
        "ａnna@example.org",
    ],
)
def test_who_types_an_email_as_it_was_registered_is_found(text: str) -> None:
    assert names.email_key(text) == names.email_key(names.email(text))


def test_anything_may_be_tried_as_an_email_at_a_login() -> None:
    for text in ("", "no email", "@" * 1024, "a@" + "x." * 500, "\0", "ﷺ" * 1000, "a@xn--" + "9" * 500):
        assert isinstance(names.email_key(text), str)
