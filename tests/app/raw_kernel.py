"""Where things lie in a kernel file, so that tests can look into files whose metadata a kill left in
pieces, and say what a call that changed the file was about."""

import dataclasses
import os

import h5py
import numpy as np


@dataclasses.dataclass(frozen=True)
class Place:
    """A dataset in the file."""
    offset: int
    shape: tuple
    dtype: np.dtype

    @property
    def row_bytes(self):
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    @property
    def end(self):
        return self.offset + int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def view(self, data):
        """The dataset's values in `data`, a file's bytes; None where the file ends before."""
        if self.end > len(data):
            return None
        count = int(np.prod(self.shape, dtype=np.int64))
        return np.frombuffer(data, self.dtype, count, self.offset).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class Set:
    """Training or evaluation kernel: `parent` is /kernel or /evaluate/SET without the slash."""
    parent: str
    symmetric: bool
    row_starts: tuple
    column_starts: tuple
    rows: int  # of the journal: one a range, then their sum
    matrices: tuple  # "total", "groups/..."
    outputs: str

    @property
    def ranges(self):
        return 1 if self.rows == 1 else self.rows - 1

    def tiles(self):
        """(number, row panel, column panel)"""
        number = 0
        for row in range(len(self.row_starts) - 1):
            for column in range(row + 1 if self.symmetric else len(self.column_starts) - 1):
                yield number, row, column
                number += 1

    def matrix(self, row, name):
        """Path of a matrix of a journal row."""
        if self.rows == 1 or row == self.rows - 1:
            return f"{self.parent}/{name}"
        return f"partial/{row}/{self.parent}/{name}"

    def box(self, row, column):
        return (slice(self.row_starts[row], self.row_starts[row + 1]),
                slice(self.column_starts[column], self.column_starts[column + 1]))


class RawKernel:
    """What is known of a file's layout, from an unfinished file that HDF5 can open."""

    def __init__(self, path):
        self.places, self.sets = {}, []
        with h5py.File(path, locking=False) as file:
            def visit(name, item):
                if isinstance(item, h5py.Dataset) and item.id.get_offset() is not None:
                    self.places[name] = Place(item.id.get_offset(), item.shape, item.dtype)

            file.visititems(visit)
            parents = ["kernel"]
            if "evaluate" in file:
                parents += [f"evaluate/{name}" for name in file["evaluate"]]
            for parent in parents:
                journal = file[f"journal/{parent}"]
                groups = file[parent].get("groups", ())
                self.sets.append(Set(
                    parent, parent == "kernel", tuple(map(int, journal["row_starts"])),
                    tuple(map(int, journal["column_starts"])), journal["state"].shape[0],
                    ("total", *(f"groups/{name}" for name in groups)),
                    "samples/outputs" if parent == "kernel" else f"{parent}/samples/outputs"))
            self.rows_per_sample = int(file.attrs["rows_per_sample"])
        self.first = min(place.offset for place in self.places.values())

    @property
    def units(self):
        return sum(s.ranges * len(list(s.tiles())) for s in self.sets)

    def journalled(self, path, reference):
        """Units in the journal of the file, and how many datasets' tiles of journalled entries
        differ from those in `reference` (bytes of a file with everything in it; None: not asked)."""
        data = path.read_bytes()
        units = wrong = 0
        for s in self.sets:
            state = self.places[f"journal/{s.parent}/state"].view(data)
            if state is None:
                continue
            for number, row, column in s.tiles():
                if s.rows > 1 and state[-1, number]:
                    units += s.ranges
                    entries = [s.rows - 1]
                else:
                    entries = [r for r in range(s.ranges) if state[r, number]]
                    units += len(entries)
                for entry in entries if reference else ():
                    wrong += self.differing(s, entry, row, column, data, reference)
        return units, wrong

    def differing(self, s, entry, row, column, data, reference):
        box = s.box(row, column)
        wrong = 0
        for name in s.matrices:
            place = self.places[s.matrix(entry, name)]
            mine = place.view(data)
            wrong += mine is None or \
                mine[box].tobytes() != place.view(reference)[box].tobytes()
        carries = row == column if s.symmetric else column == 0
        if carries and entry in (0, s.rows - 1):
            rows = slice(*(i // self.rows_per_sample for i in (box[0].start, box[0].stop)))
            place = self.places[s.outputs]
            wrong += place.view(data)[rows].tobytes() != place.view(reference)[rows].tobytes()
        return wrong

    def extent(self, name):
        """For NTK_FAULT: the bytes of a dataset."""
        place = self.places[name]
        return {"from": place.offset, "to": place.end}

    def above_the_diagonal(self, name, row):
        """The bytes of a row of a matrix that only the mirror writes."""
        place, s = self.places[name], self.sets[0]
        panel = next(p for p, end in enumerate(s.row_starts[1:]) if row < end)
        start = place.offset + row * place.row_bytes
        return {"from": start + s.row_starts[panel + 1] * place.dtype.itemsize,
                "to": start + place.row_bytes}


def damage(path, offset, bit=0):
    """Flips one bit of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))
        file.flush()
        os.fsync(file.fileno())
