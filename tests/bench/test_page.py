"""docs/benchmarks.md, and what is made for it."""

from dataclasses import replace

import pytest

from bench import page
from bench.results import load
from tests.bench import made


def test_the_page_gets_its_tables_between_the_markers_and_keeps_the_rest() -> None:
    text = f"# Title\n\n{page.BEGIN}\nold\n{page.END}\n\nmore\n"
    once = page.made(made.results(), text)["benchmarks.md"]
    assert once.startswith(f"# Title\n\n{page.BEGIN}\n\nMeasured on 2026-11-24")
    assert once.endswith(f"\n\n{page.END}\n\nmore\n")
    assert "old" not in once.split()
    assert page.made(made.results(), once)["benchmarks.md"] == once
    with pytest.raises(ValueError, match="lacks the lines"):
        page.made(made.results(), "# Title\n")


def test_the_page_and_the_charts_are_what_the_committed_results_make() -> None:
    text = (page.DOCS / "benchmarks.md").read_text("utf-8")
    for name, expected in page.made(load(page.DOCS / "benchmarks.json"), text).items():
        assert (page.DOCS / name).read_text("utf-8") == expected, "python -m bench.page docs/benchmarks.json"
        assert name == "benchmarks.md" or f"]({name})" in text


def test_of_several_files_each_adds_what_those_before_it_lack() -> None:
    first, second = made.results(), made.results()
    second.cases = [replace(case, scenario=f"{case.scenario}, again") for case in second.cases]
    second.cases += first.cases
    joined = first.joined(second)
    assert joined.scenarios() == [*first.scenarios(), *(f"{name}, again" for name in first.scenarios())]
    assert [case for case in joined.cases if "again" not in case.scenario] == first.cases
