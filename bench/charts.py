"""Results as bar charts in SVG, for light and dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.goals import DELIVERY, DIALOGS, MESSAGE, ROOM
from bench.results import Case, Results
from bench.tables import OURS, number, title

SVG = "http://www.w3.org/2000/svg"
HOW = "shorter is better; a line goes from the least to the most of the runs"
WIDTH = 760
MARGIN = 24
TOP = 82
ROW = 34
BAR = 20
NAMES = 190
VALUES = 80

STYLE = """
    text { font-family: ui-sans-serif, system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 14px;
      fill: #23262d; }
    .title { font-size: 17px; font-weight: 600; }
    .note { font-size: 12px; fill: #666b75; }
    .name { text-anchor: end; }
    .strong { font-weight: 600; }
    .panel { fill: #fbf9f5; stroke: #e2dcd0; }
    .axis { stroke: #d3ccbf; }
    .ours { fill: #b5502a; }
    .stores { fill: #1f6f78; }
    .light { fill: #a9cfd0; }
    .spread { stroke: #23262d; stroke-width: 1.5; }
    @media (prefers-color-scheme: dark) {
      text { fill: #ece8e0; }
      .note { fill: #a3a8b2; }
      .panel { fill: #181a1f; stroke: #33373f; }
      .axis { stroke: #434852; }
      .ours { fill: #ec9a70; }
      .stores { fill: #6cc3c5; }
      .light { fill: #2f5c60; }
      .spread { stroke: #ece8e0; }
    }"""


@dataclass(frozen=True)
class Chart:
    """A figure of a scenario, by peer; the shorter the bar, the better."""

    file: str
    title: str
    scenario: str
    figure: str


CHARTS = (
    Chart("delivery.svg", "Server's CPU per delivery, µs", ROOM, DELIVERY),
    Chart("message.svg", "Server's CPU per message, µs", DIALOGS, MESSAGE),
)


def draw(chart: Chart, results: Results) -> str:
    """The chart as SVG: bars from the shortest to the longest, whose length is the median. Raises ValueError
    where nothing of it was measured.
    """
    cases = [case for case in results.of(chart.scenario) if chart.figure in case.figures()]
    if not cases:
        raise ValueError(f"there are no figures of {chart.scenario!r} for {chart.file}")
    cases.sort(key=lambda case: case.median(chart.figure))
    height = TOP + ROW * len(cases) + 42
    unit = (WIDTH - 2 * MARGIN - NAMES - VALUES) / max(case.spread(chart.figure)[1] for case in cases)
    told = "; ".join(f"{title(case.peer)} {number(case.median(chart.figure))}" for case in cases)
    lines = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title text">',
        f'  <title id="title">{escape(chart.title)}: {escape(chart.scenario)}</title>',
        f'  <desc id="text">{escape(told)}.</desc>',
        f"  <style>{STYLE}\n  </style>",
        f'  <rect class="panel" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="12"/>',
        f'  <text class="title" x="{MARGIN}" y="36">{escape(chart.title)}</text>',
        f'  <text class="note" x="{MARGIN}" y="58">{escape(chart.scenario)}; {HOW}</text>',
    ]
    for row, case in enumerate(cases):
        lines += _bar(case, chart.figure, TOP + ROW * row, unit, results.stores.get(case.peer, True))
    lines.append(f'  <path class="axis" d="M{MARGIN + NAMES} {TOP - 8}V{TOP + ROW * len(cases) - 6}"/>')
    lines += _legend(height - 20)
    return "\n".join([*lines, "</svg>", ""])


def _bar(case: Case, figure: str, top: int, unit: float, stores: bool) -> Sequence[str]:
    median, (least, most) = case.median(figure), case.spread(figure)
    left, middle, baseline = MARGIN + NAMES, top + BAR // 2, top + 15
    kind = "ours" if case.peer.startswith(OURS) else "stores" if stores else "light"
    strong = " strong" if case.peer == OURS else ""
    begin, end = (left + unit * value for value in (least, most))
    return [
        f'  <text class="name{strong}" x="{left - 12}" y="{baseline}">{escape(title(case.peer))}</text>',
        f'  <rect class="{kind}" x="{left}" y="{top}" width="{unit * median:.1f}" height="{BAR}"/>',
        f'  <path class="spread" d="M{begin:.1f} {middle}H{end:.1f}"/>',
        f'  <text class="value{strong}" x="{end + 10:.1f}" y="{baseline}">{number(median)}</text>',
    ]


def _legend(baseline: int) -> Sequence[str]:
    lines, left = [], MARGIN + NAMES
    for kind, told, width in (
        ("ours", "Beseda", 84),
        ("stores", "stored before the ACK", 168),
        ("light", "stores nothing", 0),
    ):
        lines.append(f'  <rect class="{kind}" x="{left}" y="{baseline - 10}" width="11" height="11" rx="2"/>')
        lines.append(f'  <text class="note" x="{left + 17}" y="{baseline}">{told}</text>')
        left += width
    return lines
