"""Results as they are published: `python -m bench.page FILE.json ...`.

It puts the tables into docs/benchmarks.md, the charts into docs/charts/ and the results into docs/benchmarks.json, in
place of those that are there. Of several files each adds what the ones before it have not measured.
"""

import argparse
import functools
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
    """Publish files of results."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="what `python -m bench` wrote")
    try:
        results = functools.reduce(Results.joined, map(load, parser.parse_args().files))
        files = made(results, (DOCS / "benchmarks.md").read_text("utf-8"))
    except (OSError, json.JSONDecodeError, ValueError) as error:
        parser.error(str(error))
    results.save(DOCS / "benchmarks.json")
    for name, text in files.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
