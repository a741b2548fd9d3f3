"""Turns a data file with real-valued targets into one with two classes, the sign of the target.

Usage: python tests/benchmarks/make_binary.py data/movies.h5 data/movies-binary.h5

Rows whose first target is exactly zero have no sign and are left out.
"""

import sys

import h5py
import numpy as np

from data_files import set_labels, take


def main(source, destination):
    with h5py.File(source) as file:
        target = file["target"][()].reshape(len(file["offsets"]) - 1, -1)[:, 0]
    rows = np.flatnonzero(target)
    # These describe the rating itself and would be wrong beside its sign.
    about_target = ("target", "reference", "reference_variance", "noise_variance")
    take(source, rows, destination, drop=about_target)
    with h5py.File(destination, "a") as file:
        set_labels(file, target[rows] > 0, ["negative", "positive"])
        file.attrs["derived"] = "label = sign of target; rows with target 0 left out"
    share = np.mean(target[rows] > 0)
    print(f"{destination}: {len(rows)} of {len(target)} rows, {share:.1%} positive")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
