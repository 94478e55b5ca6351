"""A run's results as they are published: `python -m bench.page FILE.json`.

It puts the tables into docs/benchmarks.md, the charts into docs/charts/ and the results into docs/benchmarks.json.
"""

import argparse
import json
from pathlib import Path

from bench.charts import CHARTS, draw
from bench.results import Results, load
from bench.tables import render

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN = "<!-- made by `python -m bench.page`, do not edit -->"
END = "<!-- the end of what is made -->"


def made(results: Results, page: str) -> dict[str, str]:
    """The page with the tables between its two markers, and the charts; by their paths in `DOCS`.

    Raises ValueError where the page lacks the markers, or a chart's figures were not measured.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN} and {END}")
    files = {f"charts/{chart.file}": draw(chart, results) for chart in CHARTS}
    return files | {"benchmarks.md": f"{head}{BEGIN}\n\n{render(results)}\n\n{END}{tail}"}


def main() -> None:
    """Publish a file of results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="what `python -m bench` wrote")
    file = parser.parse_args().file
    try:
        results = load(file)
        files = made(results, (DOCS / "benchmarks.md").read_text("utf-8"))
    except (OSError, json.JSONDecodeError, ValueError) as error:
        parser.error(str(error))
    results.save(DOCS / "benchmarks.json")
    for name, text in files.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
