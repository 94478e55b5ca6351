"""Where everything is on the screen."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.layout import (
    ConditionalContainer,
    Dimension,
    Float,
    FloatContainer,
    HSplit,
    Layout,
    VSplit,
    Window,
)
from prompt_toolkit.layout.controls import BufferControl, UIContent, UIControl
from prompt_toolkit.layout.menus import CompletionsMenu

from beseda.client.chat import frame
from beseda.client.chat.view import Fragments

if TYPE_CHECKING:
    from beseda.client.chat.app import Chat

MOST_INPUT_ROWS = 6
MOST_NOTICE_ROWS = 4

Render = Callable[[int, int], list[Fragments]]


class Pane(UIControl):
    """Rows that a function of width and height gives."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self.width = 80
        self.height = 20

    def create_content(self, width: int, height: int) -> UIContent:
        """The rows, for this size."""
        self.width, self.height = width, height
        found = self._render(width, height)
        return UIContent(lambda at: list(found[at]), line_count=len(found), show_cursor=False)


def build(chat: "Chat") -> Layout:
    """The screen: a heading, the list and the conversation, notices, the status, the input."""
    model, view = chat.model, chat.view

    def columns() -> int:
        return get_app().output.get_size().columns

    def row(render: Callable[[int], Fragments]) -> Window:
        return Window(Pane(lambda width, _: [render(width)]), height=1)

    listed = Window(
        Pane(lambda width, height: frame.conversations(model, width, height)),
        width=lambda: Dimension.exact(frame.list_width(columns())),
    )
    beside = ConditionalContainer(
        VSplit([listed, Window(char="│", width=1, style="class:faint")]),
        Condition(lambda: bool(model.conversations) and frame.list_width(columns()) > 0),
    )
    notices = ConditionalContainer(
        Window(
            Pane(lambda width, _: frame.notices(view, width)[:MOST_NOTICE_ROWS]),
            height=lambda: min(len(frame.notices(view, columns())), MOST_NOTICE_ROWS),
        ),
        Condition(lambda: bool(frame.notices(view, columns()))),
    )
    entry = _entry(chat)
    body = HSplit(
        [
            row(lambda width: frame.heading(model, view, width, datetime.now().astimezone())),
            VSplit([beside, Window(chat.thread)]),
            notices,
            row(lambda width: frame.status(model, view, width)),
            entry,
        ]
    )
    menu = Float(CompletionsMenu(max_height=8), xcursor=True, ycursor=True)
    return Layout(FloatContainer(body, [menu]), entry)


def _entry(chat: "Chat") -> Window:
    return Window(
        BufferControl(chat.input),
        height=Dimension(min=1, max=MOST_INPUT_ROWS),
        dont_extend_height=True,
        wrap_lines=True,
        get_line_prefix=lambda number, wraps: [("class:prompt", "> " if number == wraps == 0 else "  ")],
    )
