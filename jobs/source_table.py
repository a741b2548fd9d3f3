"""Tables of texts: reading TSV, CSV, JSONL and Parquet files, and their columns as checked values.

Whatever is wrong is a Problem that names the file and the line.
"""

import csv
import difflib
import hashlib
import io
import json
import math
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

USAGE, BAD_INPUT, IO = 2, 3, 5  # exit codes
FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
           ".parquet": "parquet"}


class Problem(Exception):
    """A user-visible error: PROBLEM (WHY) SUGGESTION, with the exit code."""

    def __init__(self, code, problem, why, suggestion):
        super().__init__(f"{problem} ({why}) {suggestion}")
        self.code = code


@dataclass
class Table:
    """Rows of a source file, with the place of each ("line 7") for messages."""

    name: str
    columns: list
    rows: list  # of {column: value}
    places: list

    def column(self, column, option):
        """The values of a column, in file order."""
        if column not in self.columns:
            raise Problem(BAD_INPUT, f"{self.name} has no column '{column}'",
                          f"its columns, nearest first: {', '.join(nearest(column, self.columns))}",
                          f"Name one of them with {option}.")
        if self.columns.count(column) > 1:
            raise Problem(BAD_INPUT, f"{self.name} has {self.columns.count(column)} columns "
                          f"'{column}'", "which one is meant is unclear", "Rename them.")
        values = []
        for row, place in zip(self.rows, self.places):
            if row.get(column) is None:
                raise Problem(BAD_INPUT, f"{self.name}, {place}: no value for '{column}'",
                              "every row needs one", "Fill it in or remove the row.")
            values.append(row[column])
        return values


def nearest(word, choices):
    """The choices, most similar to the word first."""
    def likeness(choice):
        return difflib.SequenceMatcher(None, word.lower(), str(choice).lower()).ratio()
    return sorted(choices, key=likeness, reverse=True)


# --- reading tables -------------------------------------------------------------------------------


def decode(data, encoding, name):
    """Bytes of a file as text, without byte-order mark."""
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[:error.start].decode(encoding, errors="replace")
        line = len(re.findall("\r\n|\r|\n", before)) + 1
        raise Problem(BAD_INPUT, f"{name}, line {line}, byte offset {error.start}: "
                      f"byte 0x{data[error.start]:02X} cannot be decoded",
                      f"the file is not {encoding}: {error.reason}",
                      "State the file's encoding with --encoding, for example latin-1 or cp1252."
                      ) from error


def read_separated(text, name, delimiter, quotes):
    """CSV or TSV with a header; quoted fields may hold the delimiter and line ends."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True,
                        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE)
    header, rows, places = None, [], []
    line = 1  # where the row begins; reader.line_num is where it ends
    try:
        for fields in reader:
            if header is None:
                header = fields
            elif fields:
                if len(fields) != len(header):
                    raise Problem(BAD_INPUT, f"{name}, line {line}: {len(fields)} fields",
                                  f"the header has {len(header)}",
                                  "Quote fields that hold separators, or mend the row.")
                rows.append(dict(zip(header, fields)))
                places.append(f"line {line}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise Problem(BAD_INPUT, f"{name}, line {line}: the row cannot be read", str(error),
                      "Mend its quotes, or give --no-quotes when quotes are plain text.") from error
    return Table(name, header or [], rows, places)


def read_jsonl(text, name):
    """One JSON object a line."""
    rows, places = [], []
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except json.JSONDecodeError as error:
            raise Problem(BAD_INPUT, f"{name}, line {line}: not JSON",
                          f"{error.msg} at column {error.colno}", "Mend the line.") from error
        except ValueError as error:  # a whole number of thousands of digits
            raise Problem(BAD_INPUT, f"{name}, line {line}: a number cannot be read", str(error),
                          "Mend the line.") from error
        if not isinstance(row, dict):
            raise Problem(BAD_INPUT, f"{name}, line {line}: not an object",
                          'each line must look like {"column": value, ...}', "Mend the line.")
        rows.append(row)
        places.append(f"line {line}")
    return Table(name, list(rows[0]) if rows else [], rows, places)


def read_parquet(path):
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise Problem(USAGE, f"cannot read {path.name}", "Parquet needs the package pyarrow",
                      "Install it: .venv/bin/pip install pyarrow.") from error
    try:
        table = parquet.read_table(path)
    except OSError:
        raise
    except Exception as error:  # pyarrow's own errors share no other base
        raise Problem(BAD_INPUT, f"{path.name} is not a readable Parquet file",
                      str(error).splitlines()[0], "Make the file again.") from error
    rows = table.to_pylist()
    return Table(path.name, table.column_names, rows, [f"row {i}" for i in range(1, len(rows) + 1)])


def read_table(path, encoding="utf-8", quotes=True):
    """Reads a TSV, CSV, JSONL or Parquet file; returns (Table, SHA-256 of the file)."""
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise Problem(USAGE, f"cannot tell the format of {path.name}",
                      f"names end in {', '.join(FORMATS)}", "Rename the file by its format.")
    data = path.read_bytes()
    if kind == "parquet":
        table = read_parquet(path)
    else:
        text = decode(data, encoding, path.name)
        table = (read_jsonl(text, path.name) if kind == "jsonl" else
                 read_separated(text, path.name, "\t" if kind == "tsv" else ",", quotes))
    if not table.rows:
        raise Problem(BAD_INPUT, f"{path.name} has no rows", "nothing follows the header",
                      "Give a file with data.")
    return table, hashlib.sha256(data).hexdigest()


# --- columns --------------------------------------------------------------------------------------


def texts_of(table, column, option):
    values = table.column(column, option)
    for value, place in zip(values, table.places):
        if not isinstance(value, str):
            raise Problem(BAD_INPUT, f"{table.name}, {place}: '{column}' is not text",
                          f"it is {value!r}", f"Name a text column with {option}.")
        if not value.strip():
            raise Problem(BAD_INPUT, f"{table.name}, {place}: '{column}' is empty",
                          "a sample needs text", "Fill it in or remove the row.")
    return values


def numbers_of(table, column, option, least=-math.inf):
    """A column as float64; every value finite and at least `least`."""
    numbers = np.empty(len(table.rows))
    for i, value in enumerate(table.column(column, option)):
        try:
            # float() also takes digits grouped by underscores, which no table means.
            number = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)
        except (TypeError, ValueError, OverflowError):  # the last: an integer beyond float64
            number = math.nan
        if not math.isfinite(number) or number < least:
            limit = "" if least == -math.inf else f" of at least {least:g}"
            raise Problem(BAD_INPUT, f"{table.name}, {table.places[i]}: '{column}' is "
                          f"{reprlib.repr(value)}",
                          f"{option} needs a finite number{limit} in every row",
                          "Mend the value or remove the row.")
        numbers[i] = number
    return numbers


def names_of(table, column, option):
    """A column of names or whole numbers, as text."""
    names = []
    for value, place in zip(table.column(column, option), table.places):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        name = str(value).strip()
        if not name:
            raise Problem(BAD_INPUT, f"{table.name}, {place}: '{column}' is empty",
                          f"{option} needs a value in every row", "Fill it in or remove the row.")
        names.append(name)
    return names


def are_integers(names):
    return all(re.fullmatch(r"[-+]?\d{1,18}", name, re.ASCII) for name in names)


def labels_of(table, column, classes=None):
    """A class index a row (int32) and the class names: whole numbers sorted by value, other names
    as text, or the order given."""
    names = names_of(table, column, "--label")
    if classes is None:
        if are_integers(names):
            names = [str(int(name)) for name in names]
            classes = sorted(set(names), key=int)
        else:
            classes = sorted(set(names))
        if len(classes) < 2:
            raise Problem(BAD_INPUT, f"'{column}' of {table.name} has one class only",
                          f"every row says '{classes[0]}'",
                          "Name all classes with --classes A,B,..., or use --target.")
    index = {name: i for i, name in enumerate(classes)}
    for name, place in zip(names, table.places):
        if name not in index:
            raise Problem(BAD_INPUT, f"{table.name}, {place}: unknown class '{name}'",
                          f"--classes names, nearest first: {', '.join(nearest(name, classes))}",
                          "Add it to --classes or mend the row.")
    return np.array([index[name] for name in names], dtype=np.int32), classes


def tasks_of(table, column):
    """A task index a row (int32) and the tasks' names, in order of appearance."""
    names = names_of(table, column, "--task")
    tasks = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([tasks[name] for name in names], dtype=np.int32), list(tasks)


def groups_of(table, column):
    """A group number a row (int64): as given when all are whole numbers, else in order of
    appearance from 0."""
    names = names_of(table, column, "--group")
    if are_integers(names):
        return np.array([int(name) for name in names], dtype=np.int64)
    index = {}
    return np.array([index.setdefault(name, len(index)) for name in names], dtype=np.int64)
