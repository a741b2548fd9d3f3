"""A unit is one label set learned on one kernel of one run: a point of a comparison."""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass

from ..report.numbers import at, number, numbers
from ..report.rundata import KernelData, RunData

try:
    import tomllib
except ImportError:  # before Python 3.11: head draws are then not found to belong together
    tomllib = None


@dataclass(frozen=True)
class Unit:
    run: str
    family: str  # equal for runs that differ in the head's seed alone
    kernel: str
    label: str
    report: dict  # theory.json's part on the kernel
    study: dict  # its learning curves of the label set

    @property
    def sizes(self) -> list[int]:
        return [int(n) for n in at(self.report, "learning_curves", "sizes", default=[])]

    def rule(self, name: str) -> dict:
        rules = at(self.study, "rules", default=[])
        return next((r for r in rules if isinstance(r, dict) and r.get("rule") == name), {})

    def at_largest(self, rule: str, what: str = "risk") -> float | None:
        values = at(self.rule(rule), what, default=[])
        return number(values[-1]) if values else None

    def slopes(self) -> dict[str, float | None]:
        """Slopes of log risk on log n: measured at the oracle stop, and as predicted."""
        return {
            "measured": number(at(self.rule("oracle"), "slope")),
            "plug-in": number(at(self.study, "plug_in", "slope")),
            "decay alone": number(at(self.report, "decay", "worst_case_exponent")),
        }

    def risks(self) -> dict[str, float | None]:
        """At the largest n: measured, predicted from the training rows alone, and corrected."""
        predicted = numbers(at(self.study, "plug_in", "risk", default=[]))
        return {
            "measured": self.at_largest("oracle"),
            "plug-in": number(predicted[-1]) if predicted else None,
            "corrected": number(at(self.study, "corrected", "risk")),
        }


def _family(directory: pathlib.Path) -> str:
    """The job without what makes a head draw, as text; the directory where it cannot be read."""
    try:
        job = tomllib.loads((directory / "run.toml").read_text(encoding="utf-8"))
        job["run"] = {"seed": job["run"].get("seed")}
        job["model"].pop("head_seed", None)
    except (AttributeError, KeyError, OSError, ValueError):
        return str(directory)
    return json.dumps(job, sort_keys=True, default=str)


def run_names(directories) -> list[str]:
    """The last parts of the paths, as many as tell them apart."""
    paths = [pathlib.Path(d).resolve() for d in directories]
    for depth in range(1, max(len(p.parts) for p in paths) + 1):
        names = ["/".join(p.parts[-depth:]) for p in paths]
        if len(set(names)) == len(names):
            return names
    raise ValueError("a run directory is given twice")


def collect(directories) -> list[Unit]:
    """Every label set of every kernel whose learning curve was measured, in the runs' order. Raises
    FileNotFoundError or ValueError, naming the run, where there is none."""
    units = []
    for name, directory in zip(run_names(directories), directories):
        data = RunData(directory)
        if data.no_theory:
            raise FileNotFoundError(f"{directory}: {data.no_theory}")
        family, before = _family(pathlib.Path(directory)), len(units)
        for kernel in data.kernels():
            whole = KernelData(data, kernel)
            for study in whole.studies():
                label = str(study.get("name"))
                units.append(Unit(name, family, kernel, label, whole.report, study))
        if len(units) == before:
            raise ValueError(f"{directory}: its theory.json has no learning curves to compare")
    return units


def heads(units: list[Unit]) -> dict[tuple[str, str, str], list[Unit]]:
    """Units that differ in the drawn head alone, by (first run, kernel, label); only those of
    which there are several."""
    groups: dict[tuple[str, str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.family, unit.kernel, unit.label), []).append(unit)
    return {(u[0].run, u[0].kernel, u[0].label): u for u in groups.values() if len(u) > 1}
