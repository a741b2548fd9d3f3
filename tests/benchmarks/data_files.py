"""Reading, cutting and writing data files (HDF5; docs/file-format.md) for the benchmarks."""

import h5py
import numpy as np

RAGGED = ("tokens", "token_type")


def samples_of(path, rows=None):
    """The token ids of the given rows (all rows if None), a list of int arrays."""
    with h5py.File(path) as file:
        offsets, tokens = file["offsets"][()], file["tokens"][()]
    rows = range(len(offsets) - 1) if rows is None else rows
    return [tokens[offsets[r] : offsets[r + 1]].astype(np.int64) for r in rows]


def take(source, rows, destination, drop=()):
    """Writes the given rows of the data file `source` to `destination`, in that order, without the
    datasets named in `drop`; attributes are copied. Returns nothing."""
    rows = np.asarray(rows)
    with h5py.File(source) as old, h5py.File(destination, "w") as new:
        offsets = old["offsets"][()]
        for name, value in old.attrs.items():
            new.attrs[name] = value
        lengths = np.diff(offsets)[rows]
        new["offsets"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        for name, dataset in old.items():
            if name == "offsets" or name in drop:
                continue
            data = dataset[()]
            if name in RAGGED:
                new[name] = np.concatenate([data[offsets[r] : offsets[r + 1]] for r in rows])
            else:
                new[name] = data[rows]
            for key, value in dataset.attrs.items():
                new[name].attrs[key] = value


def write_labelled(destination, samples, labels, classes):
    """Writes a data file of token id lists with one class label each."""
    with h5py.File(destination, "w") as file:
        file["tokens"] = np.concatenate(samples).astype(np.int32)
        file["offsets"] = np.cumsum([0] + [len(s) for s in samples]).astype(np.int64)
        file["source_row"] = np.arange(len(samples), dtype=np.int64)
        set_labels(file, labels, classes)


def set_labels(file, labels, classes):
    """Adds `label` with its attribute `classes` to an open data file."""
    file["label"] = np.asarray(labels, dtype=np.int32)
    file["label"].attrs.create("classes", list(classes), dtype=h5py.string_dtype())
