"""Results as tables in Markdown, which a terminal shows as well."""

from collections.abc import Sequence

from bench.goals import judged
from bench.results import LIMIT, Case, Results

OURS = "beseda"
SIDES = ("few_", "many_")
TITLES = {
    "beseda": "Beseda",
    "beseda-quiet": "Beseda, no receipts",
    "prototype": "prototype, no rules",
    "starlette": "Starlette, naive",
    "python-socketio": "python-socketio",
    "socketio": "Socket.IO on Node",
    "broadcast": "broadcast, Python",
    "csend": "send() each, C",
    "prosody": "Prosody",
    "ejabberd": "ejabberd",
}
UNITS = {"per_s": "/s", "ms": ", ms", "mib": ", MiB", "kib": ", KiB", "us": ", µs", "s": ", s"}
DELIVERIES = (
    "cpu_us_per_delivery", "deliveries_per_s", "ack_p50_ms", "ack_p99_ms", "delivery_p50_ms",
    "delivery_p99_ms", "rss_mib",
)  # fmt: skip
MESSAGES = (
    "cpu_us_per_message", "messages_per_s", "ack_p50_ms", "ack_p99_ms", "delivery_p50_ms",
    "delivery_p99_ms", "rss_mib",
)  # fmt: skip
WORDS = {"ack": "ACK", "cpu": "CPU", "rss": "RSS", "us": "µs", "ms": "ms", "kib": "KiB"}
LABELS = {
    "cpu_us_per_message": "CPU per message, µs",
    "cpu_us_per_delivery": "CPU per delivery, µs",
    "server_cpu": "server's CPU, cores",
    "generator_cpu": "generator's CPU, cores",
    "idle_cpu": "idle CPU, cores",
    "s": "start, s",
    "empty_s": "start with nothing stored, s",
    "killed_s": "start after kill -9, s",
    "ratio": "CPU, many to few",
}
LEGEND = (
    "Medians; in brackets the least and the most of {runs}. ° stores nothing: what it acknowledges is in memory. "
    f"† In some run the generator used more than {LIMIT:g} of a core, and was the limit: the server could have carried "
    "more; what a message cost it is right all the same."
)


def number(value: float) -> str:
    """With three significant digits."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def label(figure: str) -> str:
    """`ack_p99_ms` as `ACK p99, ms`."""
    if figure in LABELS:
        return LABELS[figure]
    ending = next((ending for ending in UNITS if figure.endswith(f"_{ending}")), "")
    words = figure.removesuffix(f"_{ending}").split("_")
    return " ".join(WORDS.get(word, word) for word in words) + UNITS.get(ending, "")


def title(peer: str) -> str:
    """What it is called in tables and charts."""
    return TITLES.get(peer, peer)


def cost(cases: Sequence[Case]) -> str:
    """What the scenario is about: what a delivery costs where a message has many, or else what a message costs."""
    first = next((case for case in cases if case.runs), None)
    if first is None or "deliveries_per_s" not in first.figures() or "messages_per_s" not in first.figures():
        return MESSAGES[0]
    many = first.median("deliveries_per_s") > 2 * first.median("messages_per_s")
    return DELIVERIES[0] if many else MESSAGES[0]


def render(results: Results) -> str:
    """The goals, a table for each scenario, and what is not in them."""
    runs = max((len(case.runs) for case in results.cases), default=0)
    told = "1 run" if runs == 1 else f"{runs} runs"
    parts = [_machine(results), *_goals(results), "### By scenario", LEGEND.format(runs=told)]
    for scenario in results.scenarios():
        cases = results.of(scenario)
        if any(case.runs for case in cases):
            parts += [f"**{scenario}**", _compared(results, cases) if len(cases) > 1 else _alone(cases[0])]
    lacking = [f"- {title(peer)} was not measured: {why}" for peer, why in results.missing.items()]
    lacking += [
        f"- {title(case.peer)}, {case.scenario}, failed: {case.failure}" for case in results.failures()
    ]
    return "\n\n".join([part for part in parts if part] + (["\n".join(lacking)] if lacking else []))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The columns aligned; numbers, which are in all but the first, to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ["| " + " | ".join(_aligned(row, widths)) + " |" for row in (head, *rows)]
    rule = [f"{'-' * (width + 1)}{':' if column else '-'}" for column, width in enumerate(widths)]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _machine(results: Results) -> str:
    told = [f"{name} {value}" for name, value in (results.machine | results.versions).items()]
    form = "the full form" if results.full else "the short form"
    return f"Measured on {results.date}, {form}, {results.seconds:g} s a run. {'; '.join(told)}."


def _goals(results: Results) -> list[str]:
    """With their heading; nothing where the run was about none of them."""
    judgements = list(judged(results))
    if all(reached is None for _, reached, _ in judgements):
        return []
    rows = []
    for goal, reached, is_met in judgements:
        unit = f" {goal.unit}".rstrip()
        told = "not measured" if reached is None else number(reached) + unit
        met = "" if reached is None else "only in full" if is_met is None else "yes" if is_met else "**no**"
        rows.append([goal.name, f"≤ {goal.bound:g}{unit}", told, met])
    return ["### Goals", table(["Goal", "Bound", "Reached", "Met"], rows)]


def _compared(results: Results, cases: Sequence[Case]) -> str:
    shown = DELIVERIES if cost(cases) == DELIVERIES[0] else MESSAGES
    ours = results.median(cases[0].scenario, OURS, shown[0])
    rows = []
    for case in cases:
        if not case.runs:
            continue
        theirs = results.median(case.scenario, case.peer, shown[0])
        ratio = number(ours / theirs) if ours and theirs and case.peer != OURS else ""
        marks = ("" if results.stores.get(case.peer, True) else "°") + ("†" if case.is_limited else "")
        cells = [_cell(case, figure) for figure in shown]
        rows.append([title(case.peer) + marks, cells[0], ratio, *cells[1:]])
    return table(["", label(shown[0]), "Beseda's to it", *map(label, shown[1:])], rows)


def _alone(case: Case) -> str:
    """A row for each figure; those with few of something and with many of it stand beside each other."""
    rows: dict[str, dict[str, str]] = {}
    for figure in case.figures():
        side, _, rest = figure.partition("_") if figure.startswith(SIDES) else ("", "", figure)
        rows.setdefault(rest, {})[side] = _cell(case, figure)
    sides = [side for side in ("", "few", "many") if any(side in row for row in rows.values())]
    name = title(case.peer) + ("†" if case.is_limited else "")
    return table(
        [name, *sides],
        [[label(figure), *(row.get(side, "") for side in sides)] for figure, row in rows.items()],
    )


def _cell(case: Case, figure: str) -> str:
    if figure not in case.figures():
        return ""
    median, (least, most) = number(case.median(figure)), map(number, case.spread(figure))
    return median if least == most else f"{median} ({least}–{most})"
