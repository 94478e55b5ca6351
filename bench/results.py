"""What a run of the benchmark found: each run's figures, their medians and spread, and the machine; as JSON."""

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from bench.scale import Figures

LIMIT = 0.9
"""Cores: a generator that used more of its one was what limited the run."""


@dataclass
class Case:
    """A scenario with a peer: the figures of its runs, and why there are no more of them."""

    scenario: str
    peer: str
    runs: list[Figures] = field(default_factory=list)
    failure: str | None = None

    def figures(self) -> list[str]:
        """The names of what every run has told, in the first one's order."""
        return [name for name in (self.runs or [{}])[0] if all(name in run for run in self.runs)]

    def median(self, figure: str) -> float:
        """Over all runs. Raises KeyError where one of them doesn't have it, or there is no run."""
        if not self.runs:
            raise KeyError(figure)
        return statistics.median(run[figure] for run in self.runs)

    def spread(self, figure: str) -> tuple[float, float]:
        """The least and the most. Raises as `median` does."""
        if not self.runs:
            raise KeyError(figure)
        values = [run[figure] for run in self.runs]
        return min(values), max(values)

    @property
    def is_limited(self) -> bool:
        """Whether the generator, not the server, was the limit of some run."""
        return any(is_limited(run) for run in self.runs)

    def told(self) -> dict[str, Any]:
        """As JSON has it: of the figures, those that every run has."""
        figures = {
            name: {"median": _rounded(self.median(name)), "runs": [_rounded(run[name]) for run in self.runs]}
            for name in self.figures()
        }
        return {"scenario": self.scenario, "peer": self.peer, "failure": self.failure, "figures": figures}

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """The reverse of `told`."""
        figures = {name: figure["runs"] for name, figure in told["figures"].items()}
        runs = [dict(zip(figures, values, strict=True)) for values in zip(*figures.values(), strict=True)]
        return cls(told["scenario"], told["peer"], runs, told["failure"])


@dataclass
class Results:
    """All of it. `stores` tells whether what a peer acknowledges is durable, `missing` why a peer isn't there."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    seconds: float
    full: bool
    stores: dict[str, bool] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    def scenarios(self) -> list[str]:
        """Their names, in the order in which they ran."""
        return list(dict.fromkeys(case.scenario for case in self.cases))

    def of(self, scenario: str) -> list[Case]:
        """A scenario's cases, in the order in which its peers ran."""
        return [case for case in self.cases if case.scenario == scenario]

    def median(self, scenario: str, peer: str, figure: str) -> float | None:
        """None where that was not measured, or failed."""
        for case in self.of(scenario):
            if case.peer == peer and figure in case.figures():
                return case.median(figure)
        return None

    def failures(self) -> Iterator[Case]:
        """The cases that failed."""
        return (case for case in self.cases if case.failure is not None)

    def joined(self, other: Self) -> Self:
        """These, and what only the other has measured, scenario by scenario."""
        have = {(case.scenario, case.peer) for case in self.cases}
        cases = self.cases + [case for case in other.cases if (case.scenario, case.peer) not in have]
        order = list(dict.fromkeys(case.scenario for case in cases))
        measured = {case.peer for case in cases}
        return replace(
            self,
            versions=other.versions | self.versions,
            stores=other.stores | self.stores,
            missing={
                peer: why for peer, why in (other.missing | self.missing).items() if peer not in measured
            },
            cases=sorted(cases, key=lambda case: order.index(case.scenario)),
        )

    def save(self, path: Path) -> None:
        """Write it as JSON, a case a line, the medians beside the runs for whoever reads it without us."""
        rest = {name: value for name, value in vars(self).items() if name != "cases"}
        head = json.dumps(rest, indent=1, ensure_ascii=False).removesuffix("\n}")
        cases = ",\n  ".join(json.dumps(case.told(), ensure_ascii=False) for case in self.cases)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".new")
        try:
            unfinished.write_text(f'{head},\n "cases": [\n  {cases}\n ]\n}}\n', "utf-8")
            unfinished.replace(path)
        finally:
            # Who is interrupted here keeps what was saved before.
            unfinished.unlink(missing_ok=True)


def is_limited(figures: Figures) -> bool:
    """Whether the generator was the limit of a run."""
    return any(name.endswith("generator_cpu") and value > LIMIT for name, value in figures.items())


def load(path: Path) -> Results:
    """What `save` wrote. Raises OSError, and ValueError where it is something else."""
    document = json.loads(path.read_text("utf-8"))
    try:
        if not isinstance(document, dict):
            raise TypeError("it is no object")
        cases = [Case.of(case) for case in document.pop("cases")]
        return Results(**document, cases=cases)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} was not written by `python -m bench`: {error!r}") from error


def _rounded(value: float) -> float:
    """With five significant digits: more would be noise in a file that is kept under version control."""
    return float(f"{value:.5g}")
