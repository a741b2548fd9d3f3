"""Reads the files of a run directory as numpy arrays (docs/file-format.md has their layout).

    import ntkspectra
    run = ntkspectra.load("runs/movies")
    K = run.kernel()                    # (n, n), symmetric
    body = run.kernel("body")           # one group of parameters
    lam = run.eigenvalues()             # of the centred K/n, descending
    y = run.samples()["target"]
    table = run.samples_frame()         # the same as a pandas DataFrame, where pandas is installed

`ntk-report RUN` (ntkspectra.report) makes an HTML report of a run directory, `ntk-compare RUN...`
(ntkspectra.compare) tables and figures of several.
"""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass

import h5py
import numpy as np

__all__ = ["Run", "load"]


@dataclass(frozen=True)
class Run:
    """A run directory. Files are opened when asked for and closed again."""

    directory: pathlib.Path

    def _open(self, name: str) -> h5py.File:
        path = self.directory / name
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing (the stage that writes it has not run)")
        return h5py.File(path, "r")

    def groups(self) -> list[str]:
        """Names of the parameter groups whose kernels are stored beside the total."""
        with self._open("kernel.h5") as file:
            return sorted(file["kernel/groups"]) if "groups" in file["kernel"] else []

    def kernel(self, group: str | None = None) -> np.ndarray:
        """The full symmetric kernel (n, n), rows r = sample * outputs + output."""
        with self._open("kernel.h5") as file:
            data = file["kernel/total" if group is None else f"kernel/groups/{group}"]
            triangle = data.attrs["triangle"]
            k = data[...].astype(np.float64)
        if triangle == "lower":
            k = np.tril(k) + np.tril(k, -1).T
        return k

    def evaluation_kernel(self, name: str, group: str | None = None) -> np.ndarray:
        """The kernel (n', n) of an evaluation set's rows against the training rows."""
        part = "total" if group is None else f"groups/{group}"
        with self._open("kernel.h5") as file:
            return file[f"evaluate/{name}/{part}"][...].astype(np.float64)

    def samples(self, name: str | None = None) -> dict[str, np.ndarray]:
        """Per-sample arrays (source_row, tokens, outputs, label or target, ...) of a set."""
        place = "samples" if name is None else f"evaluate/{name}/samples"
        with self._open("kernel.h5") as file:
            return {key: data[...] for key, data in file[place].items()}

    def samples_frame(self, name: str | None = None):
        """samples() as a pandas DataFrame; arrays of several columns become target_0, target_1, ..."""
        try:
            import pandas  # only here: nothing else needs it
        except ImportError as error:
            raise ImportError(
                "samples_frame() needs pandas, which is not installed: pip install pandas"
            ) from error
        columns = {}
        for key, values in self.samples(name).items():
            if values.ndim == 1:
                columns[key] = values
            elif values.shape[1] == 1:
                columns[key] = values[:, 0]
            else:
                columns.update({f"{key}_{c}": values[:, c] for c in range(values.shape[1])})
        return pandas.DataFrame(columns)

    def eigenvalues(self, kernel: str = "total", centred: bool = True) -> np.ndarray:
        """Eigenvalues of K/n in descending order."""
        with self._open("spectrum.h5") as file:
            return file[f"{kernel}/{'centred' if centred else 'raw'}/eigenvalues"][...]

    def resolved(self, kernel: str = "total", centred: bool = True) -> int:
        """How many leading eigenvalues stand clear of the measured error."""
        with self._open("spectrum.h5") as file:
            return int(file[f"{kernel}/{'centred' if centred else 'raw'}"].attrs["resolved"])

    def theory(self) -> dict:
        """theory.json."""
        return json.loads((self.directory / "theory.json").read_text())

    def summary(self) -> dict:
        """summary.json of the last command."""
        return json.loads((self.directory / "summary.json").read_text())


def load(directory: str | pathlib.Path) -> Run:
    """Opens a run directory. Raises FileNotFoundError when there is none."""
    path = pathlib.Path(directory)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is no run directory")
    return Run(path)
