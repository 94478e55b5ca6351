"""What the benchmark found: kept, put into tables and judged."""

import json
from pathlib import Path

import pytest

from bench import goals, tables
from bench.goals import DIALOGS
from bench.results import load
from bench.rounds import Trial, rounds
from bench.scale import Figures
from tests.bench import made


def row(table: str, name: str) -> list[str]:
    """The cells of the first row that begins with this name."""
    line = next(line for line in table.splitlines() if line.startswith(f"| {name}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_what_is_saved_is_what_is_loaded_and_has_the_medians(tmp_path: Path) -> None:
    results = made.results()
    results.save(tmp_path / "new" / "results.json")
    assert load(tmp_path / "new" / "results.json") == results
    document = json.loads((tmp_path / "new" / "results.json").read_text())
    assert document["cases"][0]["figures"]["cpu_us_per_delivery"]["median"] == 1.5


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cases": [{}]}'])
def test_a_file_that_is_something_else_is_no_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=r"results\.json|Expecting value"):
        load(tmp_path / "results.json")


def test_peers_run_in_turns_and_one_that_fails_leaves_the_others_alone() -> None:
    ran = []

    def trial(scenario: str, peer: str) -> Trial:
        def run() -> Figures:
            ran.append(f"{scenario} {peer}")
            if peer == "bad" and ran.count("room bad") == 2:
                raise RuntimeError("it fell over")
            return {"messages_per_s": float(len(ran))}

        return Trial(scenario, peer, run)

    lines: list[str] = []
    trials = [trial("room", "good"), trial("room", "bad"), trial("dialogs", "good")]
    *_, [good, bad, dialogs] = rounds(trials, 3, lines.append)
    assert ran == ["room good", "room bad"] * 2 + ["room good"] + ["dialogs good"] * 3
    assert [case.failure for case in (good, bad)] == [None, "RuntimeError: it fell over"]
    assert good.runs == [{"messages_per_s": 1.0}, {"messages_per_s": 3.0}, {"messages_per_s": 5.0}]
    assert bad.runs == [{"messages_per_s": 2.0}]
    assert len(dialogs.runs) == 3
    assert len(lines) == len(ran)
    assert lines[3].startswith("room, bad, 2 of 3: FAILED: RuntimeError: it fell over")


def test_the_table_has_the_peers_beside_each_other_with_spread_and_ratio() -> None:
    rendered = tables.render(made.results())
    assert row(rendered, "Beseda")[1:4] == ["1.5 (1.35–1.95)", "", "667,000 (513,000–741,000)"]
    assert row(rendered, "Socket.IO")[1:3] == ["10 (9–13)", "0.15"]
    assert row(rendered, "KiB per socket")[1:] == ["", "7", "13"]


def test_the_table_marks_who_stores_nothing_and_where_the_generator_was_the_limit() -> None:
    rendered = tables.render(made.results())
    marked = [
        row(rendered, "send() each, C")[0],
        row(rendered.partition(f"**{DIALOGS}**")[2], "send() each, C")[0],
    ]
    assert marked == ["send() each, C°†", "send() each, C°"]
    assert "† In some run the generator used more than 0.9 of a core" in rendered


def test_what_is_missing_and_what_failed_is_told_with_its_reason() -> None:
    rendered = tables.render(made.results())
    assert "- Prosody was not measured: there is no prosody: apt install prosody" in rendered
    assert "- Beseda, login, failed: OSError: no more sockets" in rendered


def test_goals_are_judged_by_ratios_of_medians_or_left_open() -> None:
    judged = {goal.name: (reached, is_met) for goal, reached, is_met in goals.judged(made.results())}
    [over_peer, _, unmeasured, *_] = judged.values()
    assert over_peer == (1.5 / 10.0, True)
    assert unmeasured == (None, None)
    assert judged["Idle socket in 50 conversations: RSS"] == (13.0, False)


def test_a_run_that_is_about_no_goal_does_not_list_them() -> None:
    results = made.results()
    assert "### Goals" in tables.render(results)
    results.cases = [case for case in results.cases if case.scenario == "login"]
    assert "### Goals" not in tables.render(results)


def test_a_goal_about_large_numbers_is_not_judged_by_small_ones() -> None:
    results = made.results()
    results.full = False
    judged = {goal.name: is_met for goal, _, is_met in goals.judged(results)}
    assert judged["Idle socket in 50 conversations: RSS"] is None
    assert judged["Server with nobody connected: RSS"] is True
