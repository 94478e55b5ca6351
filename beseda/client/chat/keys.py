"""The keys, besides those of line editing."""

from typing import TYPE_CHECKING

from prompt_toolkit.filters import has_completions
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from beseda.client.chat.app import Chat

TELL_FOCUS = "\x1b[?1004h"
"""Asks the terminal to tell when its window gets and loses the focus; one that can't ignores it."""

LEAVE_FOCUS = "\x1b[?1004l"

# It tells with sequences that have no key of their own; no keyboard has these two.
_FOCUSED, _LEFT = Keys.F23, Keys.F24
ANSI_SEQUENCES.update({"\x1b[I": _FOCUSED, "\x1b[O": _LEFT})


def bindings(chat: "Chat") -> KeyBindings:
    """What each key does."""
    keys = KeyBindings()
    _entering(keys, chat)
    _leaving(keys, chat)
    _walking(keys, chat)
    _focusing(keys, chat)
    return keys


def _entering(keys: KeyBindings, chat: "Chat") -> None:
    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        is_half = buffer.text.endswith((" ", "/"))
        if is_half and buffer.complete_state and buffer.complete_state.current_completion:
            # What was completed wants more words, or is a folder.
            buffer.complete_state = None
        else:
            chat.enter()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("tab")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state:
            buffer.complete_next()
        else:
            buffer.start_completion(select_first=True)


def _leaving(keys: KeyBindings, chat: "Chat") -> None:
    @keys.add("escape", filter=~has_completions)
    def _(_: KeyPressEvent) -> None:
        chat.close()

    @keys.add("escape", filter=has_completions)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()

    @keys.add("c-c")
    @keys.add("<sigint>")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            chat.view.tell("Ctrl-D or /quit leaves.")
        chat.changed()

    @keys.add("c-d")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.delete()
        elif chat.doing.may_go("Ctrl-D"):
            chat.leave("quit")

    @keys.add("f1")
    def _(_: KeyPressEvent) -> None:
        chat.command("/help")


def _focusing(keys: KeyBindings, chat: "Chat") -> None:
    @keys.add(_FOCUSED)
    def _(_: KeyPressEvent) -> None:
        chat.focus(True)

    @keys.add(_LEFT)
    def _(_: KeyPressEvent) -> None:
        chat.focus(False)


def _walking(keys: KeyBindings, chat: "Chat") -> None:
    @keys.add("pageup")
    def _(_: KeyPressEvent) -> None:
        chat.scroll(1)

    @keys.add("pagedown")
    def _(_: KeyPressEvent) -> None:
        chat.scroll(-1)

    @keys.add("c-n", filter=~has_completions)
    def _(_: KeyPressEvent) -> None:
        chat.walk(1)

    @keys.add("c-p", filter=~has_completions)
    def _(_: KeyPressEvent) -> None:
        chat.walk(-1)

    for number in range(1, 11):

        @keys.add("escape", str(number % 10))
        def _(_: KeyPressEvent, number: int = number) -> None:
            chat.go(number)
