"""What a report needs of a run directory, each part either there or with the reason why not."""

from __future__ import annotations

import json
import pathlib

import h5py
import numpy as np

import ntkspectra

from .blocks import Unavailable
from .numbers import at

FILES = ("kernel.h5", "spectrum.h5", "theory.json", "summary.json")


class RunData:
    def __init__(self, directory: str | pathlib.Path):
        self.run = ntkspectra.load(directory)
        self.directory = pathlib.Path(directory)
        if not any((self.directory / name).is_file() for name in FILES):
            raise FileNotFoundError(
                f"{directory} is no run directory: it holds none of {', '.join(FILES)}"
            )
        self.theory, self.no_theory = self._json("theory.json")
        self.summary, self.no_summary = self._json("summary.json")

    def _json(self, name: str) -> tuple[dict, str]:
        """The object, and why it is empty."""
        path = self.directory / name
        if not path.is_file():
            stage = "`ntk theory` has not run" if name == "theory.json" else "no stage has finished"
            return {}, f"there is no {name} ({stage})"
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError, RecursionError) as error:
            return {}, f"{name} cannot be read ({error})"
        if not isinstance(value, dict):
            return {}, f"{name} holds no JSON object"
        return value, ""

    def open(self, name: str) -> h5py.File:
        path = self.directory / name
        if not path.is_file():
            stage = name.split(".")[0]
            raise Unavailable(f"there is no {name} (`ntk {stage}` has not run)")
        try:
            return h5py.File(path, "r")
        except OSError as error:
            raise Unavailable(f"{name} cannot be read ({error})") from error

    def kernels(self) -> list[str]:
        """Names, total first; of spectrum.h5 where there is no theory.json."""
        names = at(self.theory, "kernels", default={})
        names = list(names) if isinstance(names, dict) else []
        if not names:
            try:
                with self.open("spectrum.h5") as file:
                    names = [name for name in file if isinstance(file[name], h5py.Group)]
            except Unavailable:
                names = []
        names = names or ["total"]
        return sorted(names, key=lambda name: (name != "total", name))

    def report(self, kernel: str) -> dict:
        """theory.json's part on a kernel."""
        if self.no_theory:
            raise Unavailable(self.no_theory)
        report = at(self.theory, "kernels", kernel)
        if not isinstance(report, dict):
            raise Unavailable(f"theory.json holds nothing on the kernel {kernel}")
        return report

    def spectrum(self, kernel: str, form: str) -> tuple[np.ndarray, dict]:
        """Eigenvalues of K/n and the attributes beside them; form: raw or centred."""
        with self.open("spectrum.h5") as file:
            if f"{kernel}/{form}/eigenvalues" not in file:
                raise Unavailable(f"spectrum.h5 holds no {form} eigenvalues of the kernel {kernel}")
            group = file[f"{kernel}/{form}"]
            return group["eigenvalues"][...].astype(float), dict(group.attrs)

    def attributes(self, name: str) -> dict[str, str]:
        """Root attributes as text."""
        with self.open(name) as file:
            return {key: _as_text(value) for key, value in file.attrs.items()}

    def combination(self, kernel: str) -> dict[str, float]:
        """Groups of kernel.h5 and their weights that a kernel of the spectrum is made of."""
        rule = at(self.theory, "settings", "kernels", kernel, default=kernel)
        if rule in ("all", "total"):
            return {"total": 1.0}
        weights = {}
        for term in str(rule).split("+"):
            factor, _, name = term.rpartition("*")
            weights[name.strip()] = float(factor) if factor.strip() else 1.0
        return weights


def _as_text(value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return ", ".join(_as_text(v) for v in value.ravel()[:50])
    return str(value)


class KernelData:
    """One kernel of a run: what every section is made from."""

    def __init__(self, data: RunData, name: str):
        self.data, self.name = data, name

    @property
    def report(self) -> dict:
        return self.data.report(self.name)

    def part(self, *keys):
        """A part of theory.json that has to be there, or the reason why it is not."""
        value = at(self.report, *keys)
        if value is None:
            limits = [str(line) for line in at(self.report, "limits", default=[])]
            told = f" (limits: {'; '.join(limits)})" if limits else ""
            raise Unavailable(f"theory.json has no {'.'.join(map(str, keys))} here{told}")
        return value

    def label_sets(self) -> list[dict]:
        sets = at(self.report, "labels", default=[])
        return [s for s in sets if isinstance(s, dict)] if isinstance(sets, list) else []

    def studies(self) -> list[dict]:
        """learning_curves.labels, empty where learning curves were not measured."""
        sets = at(self.report, "learning_curves", "labels", default=[])
        return [s for s in sets if isinstance(s, dict)] if isinstance(sets, list) else []

    def study_of(self, name: str) -> dict | None:
        return next((s for s in self.studies() if s.get("name") == name), None)

    def sizes(self) -> list[int]:
        sizes = at(self.report, "learning_curves", "sizes", default=[])
        return [int(n) for n in sizes]

    def rule(self, name: str, label: str) -> dict | None:
        study = self.study_of(label)
        rules = at(study, "rules", default=[])
        return next((r for r in rules if isinstance(r, dict) and r.get("rule") == name), None)
