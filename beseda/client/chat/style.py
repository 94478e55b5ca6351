"""Colours: the terminal's own sixteen, and of those only what can be read on dark and on light."""

from prompt_toolkit.styles import Style

STYLE = Style.from_dict(
    {
        "bar": "reverse",
        "lost": "reverse bold ansired",
        "faint": "dim",
        "me": "bold ansigreen",
        "name0": "bold ansicyan",
        "name1": "bold ansimagenta",
        "name2": "bold ansiblue",
        "name3": "bold ansired",
        "name4": "bold ansiyellow",
        "file": "underline",
        "read": "ansigreen",
        "error": "ansired",
        "open": "reverse",
        "unread": "bold",
        "count": "bold ansired",
        "online": "ansigreen",
        "prompt": "bold",
        "completion-menu": "noinherit reverse",
        "completion-menu.completion": "noinherit reverse",
        "completion-menu.completion.current": "noinherit bold",
        "completion-menu.meta.completion": "noinherit reverse",
        "completion-menu.meta.completion.current": "noinherit",
        "scrollbar.background": "",
        "scrollbar.button": "reverse",
    }
)
