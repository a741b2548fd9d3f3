#!/usr/bin/env python3
"""Turn a table of texts into a data file that `ntk` reads.

Tokenises one text column (or a pair of them) with the model's own tokenizer.json and writes an HDF5
file: `tokens`, `offsets`, `token_type`, `label` or `target`, optional reference values and groups,
`source_row`, and attributes that say where all of it came from (docs/file-format.md).

Exit codes: 0 written, 2 usage, 3 bad input, 5 input/output.
"""

import argparse
import csv
import difflib
import hashlib
import io
import json
import math
import os
import re
import reprlib
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from tokenizers import Tokenizer

USAGE, BAD_INPUT, IO = 2, 3, 5
FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
           ".parquet": "parquet"}
ENCODE_ROWS = 4096  # texts tokenised at a time


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


def groups_of(table, column):
    """A group number a row (int64): as given when all are whole numbers, else in order of
    appearance from 0."""
    names = names_of(table, column, "--group")
    if are_integers(names):
        return np.array([int(name) for name in names], dtype=np.int64)
    index = {}
    return np.array([index.setdefault(name, len(index)) for name in names], dtype=np.int64)


# --- tokens ---------------------------------------------------------------------------------------


def load_tokenizer(model, max_tokens, pairs):
    """The tokenizer of a model directory, cutting at max_tokens (special tokens kept, the longer
    text of a pair first) and never padding; with the SHA-256 of its file."""
    path = Path(model) / "tokenizer.json"
    if not path.is_file():
        raise Problem(BAD_INPUT, f"{model} has no tokenizer.json",
                      "texts are tokenised by the model's own fast tokenizer",
                      "Give the model's directory, or save one with transformers' "
                      "AutoTokenizer.from_pretrained(...).save_pretrained(...).")
    data = path.read_bytes()
    try:
        tokenizer = Tokenizer.from_str(data.decode("utf-8"))
    except Exception as error:  # the library raises plain Exception
        raise Problem(BAD_INPUT, f"{path} is not a readable tokenizer", str(error),
                      "Fetch the model again.") from error
    special = tokenizer.num_special_tokens_to_add(pairs)
    least = special + (2 if pairs else 1)
    if max_tokens < least:
        raise Problem(USAGE, f"--max-tokens {max_tokens} is too small",
                      f"{special} special tokens and one for each text need {least}",
                      "Give a larger one.")
    tokenizer.no_padding()  # tokenizer.json may ask for it
    tokenizer.enable_truncation(max_tokens, strategy="longest_first")
    return tokenizer, hashlib.sha256(data).hexdigest()


def encode(tokenizer, table, texts, pairs):
    """(tokens, offsets, token_type, number of truncated rows), rows laid end to end."""
    tokens, types, lengths, truncated = [], [], [], 0
    samples = list(zip(texts, pairs)) if pairs else texts
    for first in range(0, len(samples), ENCODE_ROWS):
        encodings = tokenizer.encode_batch(samples[first:first + ENCODE_ROWS])
        for place, encoding in zip(table.places[first:], encodings):
            if all(encoding.special_tokens_mask):
                raise Problem(BAD_INPUT, f"{table.name}, {place}: no tokens",
                              "the tokenizer drops every character of the text",
                              "Mend or remove the row.")
            tokens.append(np.array(encoding.ids, dtype=np.int32))
            types.append(np.array(encoding.type_ids, dtype=np.int32))
            lengths.append(len(encoding.ids))
            truncated += bool(encoding.overflowing)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.concatenate(tokens), offsets, np.concatenate(types), truncated


# --- the program ----------------------------------------------------------------------------------


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="prepare_data.py", allow_abbrev=False,
        description="Tokenise a table of texts into a data file for ntk.",
        epilog="A data file is read back with h5py; docs/file-format.md lists what it holds.")
    add = parser.add_argument
    add("--model", required=True, metavar="DIR", help="model directory with tokenizer.json")
    add("--input", required=True, metavar="FILE", help="table: .tsv, .csv, .jsonl or .parquet")
    add("--text", required=True, metavar="COLUMN")
    add("--text2", metavar="COLUMN", help="second text of a pair")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--label", metavar="COLUMN", help="class names or numbers")
    what.add_argument("--target", metavar="COLUMN[,COLUMN...]",
                      help="real values; several columns are label sets for one output")
    add("--classes", metavar="A,B,...", help="fixes the order of classes (with --label)")
    add("--reference", metavar="COLUMN", help="what the target would be without noise")
    add("--reference-variance", metavar="COLUMN", help="variance of the reference")
    add("--noise-variance", metavar="COLUMN", help="variance of the target's noise")
    add("--group", metavar="COLUMN", help="rows never split between train and test")
    add("--max-tokens", type=int, default=128, metavar="N", help="special ones included (128)")
    add("--encoding", default="utf-8", help="of the text file (utf-8)")
    add("--no-quotes", action="store_true", help="quotes in a TSV or CSV file are plain text")
    add("-o", "--output", required=True, metavar="OUT.h5")
    options = parser.parse_args(arguments)
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=options.encoding)
    except LookupError:
        parser.error(f"unknown --encoding '{options.encoding}' (no text codec has that name) "
                     "Use for example utf-8, utf-16, latin-1, cp1252.")
    if options.classes is not None:
        options.classes = [name.strip() for name in options.classes.split(",")]
        if not options.label:
            parser.error("--classes without --label (it orders the classes of labels) Drop it.")
        if "" in options.classes or len(set(options.classes)) < len(options.classes):
            parser.error("--classes names a class twice or an empty one (each is an output) "
                         "Give every class once.")
    return options


def write(path, datasets, label_attributes, attributes):
    """Writes the file under a temporary name, then renames it: readers never see half of one."""
    temporary = Path(f"{path}.partial")
    try:
        with h5py.File(temporary, "w") as file:
            for name, values in datasets.items():
                file.create_dataset(name, data=values)
            for dataset, name, names in label_attributes:
                file[dataset].attrs.create(name, names, dtype=h5py.string_dtype())
            for name, value in attributes.items():
                file.attrs[name] = value
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def prepare(options):
    table, source_sha256 = read_table(options.input, options.encoding, not options.no_quotes)
    texts = texts_of(table, options.text, "--text")
    pairs = texts_of(table, options.text2, "--text2") if options.text2 else None

    values = {}
    if options.label:
        values["label"], classes = labels_of(table, options.label, options.classes)
        label_attributes = [("label", "classes", classes)]
    else:
        columns = options.target.split(",")
        values["target"] = np.column_stack([numbers_of(table, c, "--target") for c in columns])
        label_attributes = [("target", "columns", columns)]
    if options.reference:
        values["reference"] = numbers_of(table, options.reference, "--reference")
    for name in ("reference_variance", "noise_variance"):
        column = getattr(options, name)
        if column:
            values[name] = numbers_of(table, column, "--" + name.replace("_", "-"), least=0)
    if options.group:
        values["group"] = groups_of(table, options.group)

    tokenizer, tokenizer_sha256 = load_tokenizer(options.model, options.max_tokens, bool(pairs))
    tokens, offsets, types, truncated = encode(tokenizer, table, texts, pairs)
    datasets = {"tokens": tokens, "offsets": offsets}
    if pairs:
        datasets["token_type"] = types
    datasets |= values
    datasets["source_row"] = np.arange(1, len(texts) + 1, dtype=np.int64)

    attributes = {"format": "ntkspectra-data", "format_version": 1, "source_file": table.name,
                  "source_sha256": source_sha256, "tokenizer_sha256": tokenizer_sha256,
                  "text_column": options.text, "max_tokens": options.max_tokens,
                  "truncated_rows": truncated}
    if pairs:
        attributes["text2_column"] = options.text2
    write(options.output, datasets, label_attributes, attributes)
    lengths = np.diff(offsets)
    print(f"{options.output}: {len(texts)} rows, {lengths.min()} to {lengths.max()} tokens "
          f"(mean {lengths.mean():.1f}), {truncated} truncated to {options.max_tokens}")


def main(arguments=None):
    """Runs the program; returns its exit code."""
    try:
        prepare(parse(arguments))
        return 0
    except Problem as problem:
        print(f"prepare_data.py: {problem}", file=sys.stderr)
        return problem.code
    except OSError as error:
        print(f"prepare_data.py: cannot read or write {error.filename or 'a file'} "
              f"({error.strerror or error}) Check the path, its permissions and free space.",
              file=sys.stderr)
        return IO


if __name__ == "__main__":
    sys.exit(main())
