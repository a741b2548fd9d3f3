#!/usr/bin/env python3
"""Turn a table of texts into a data file that `ntk` reads.

Tokenises one text column (or a pair of them) with the model's own tokenizer.json and writes an HDF5
file: `tokens`, `offsets`, `token_type`, `label` or `target`, optional reference values and groups,
`source_row`, and attributes that say where all of it came from (docs/file-format.md). With
--labels-only there are no texts and no tokens: other labels for a kernel that is there (`ntk theory
--targets`).

Exit codes: 0 written, 2 usage, 3 bad input, 5 input/output.
"""

import argparse
import hashlib
import io
import os
import random
import sys
from pathlib import Path

import h5py
import numpy as np
from tokenizers import Tokenizer

from source_table import (BAD_INPUT, IO, USAGE, Problem, groups_of, labels_of, numbers_of,
                          read_table, tasks_of, texts_of)

ENCODE_ROWS = 4096  # texts tokenised at a time


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


# --- rows -----------------------------------------------------------------------------------------


def drawn_rows(groups, wanted, seed):
    """Indexes of the rows of whole groups, drawn at random until they are at least so many."""
    if not 0 < wanted <= len(groups):
        raise Problem(USAGE, f"--sample-groups {wanted} does not fit",
                      f"the table has {len(groups)} rows", "Give a number from 1 to that.")
    numbers, sizes = np.unique(groups, return_counts=True)
    # By random() alone, whose sequence Python promises to keep.
    generator = random.Random(seed)
    order = sorted(range(len(numbers)), key=[generator.random() for _ in numbers].__getitem__)
    needed = int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1
    return np.flatnonzero(np.isin(groups, numbers[order[:needed]]))


# --- the program ----------------------------------------------------------------------------------


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="prepare_data.py", allow_abbrev=False,
        description="Tokenise a table of texts into a data file for ntk.",
        epilog="A data file is read back with h5py; docs/file-format.md lists what it holds.")
    add = parser.add_argument
    add("--model", metavar="DIR", help="model directory with tokenizer.json")
    add("--input", required=True, metavar="FILE", help="table: .tsv, .csv, .jsonl or .parquet")
    add("--text", metavar="COLUMN")
    add("--text2", metavar="COLUMN", help="second text of a pair")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--label", metavar="COLUMN", help="class names or numbers")
    what.add_argument("--target", metavar="COLUMN[,COLUMN...]",
                      help="real values; several columns are label sets for one output")
    add("--classes", metavar="A,B,...", help="fixes the order of classes (with --label)")
    add("--reference", metavar="COLUMN", help="what the target would be without noise")
    add("--reference-variance", metavar="COLUMN", help="variance of the reference")
    add("--noise-variance", metavar="COLUMN[,COLUMN...]",
        help="variance of the target's noise; several columns: one for each target")
    add("--group", metavar="COLUMN", help="rows never split between train and test")
    add("--labels-only", action="store_true",
        help="write no tokens (no --model, --text): other labels for a kernel that is there")
    add("--source-row", metavar="COLUMN",
        help="with --labels-only: the row of the kernel's source table that each row is about "
             "(unset: rows are in that table's order)")
    add("--task", metavar="COLUMN", help="tasks that the rows belong to: names or numbers")
    add("--sample-groups", type=int, metavar="ROWS",
        help="keep whole groups only, drawn at random until they have so many rows")
    add("--seed", type=int, default=1, metavar="S", help="of --sample-groups (1)")
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
    if options.labels_only and (options.model or options.text or options.text2):
        parser.error("--labels-only with --model or texts (it writes no tokens) Drop one of them.")
    if not options.labels_only:
        if not (options.model and options.text):
            parser.error("--model and --text are missing (texts are tokenised by the model's own "
                         "tokenizer) Give both, or --labels-only.")
        if options.source_row:
            parser.error("--source-row without --labels-only (a file with texts is the source) "
                         "Drop it.")
    if options.classes is not None:
        options.classes = [name.strip() for name in options.classes.split(",")]
        if not options.label:
            parser.error("--classes without --label (it orders the classes of labels) Drop it.")
        if "" in options.classes or len(set(options.classes)) < len(options.classes):
            parser.error("--classes names a class twice or an empty one (each is an output) "
                         "Give every class once.")
    if options.target is not None:
        options.target = columns_of(parser, "--target", options.target)
    if options.noise_variance is not None:
        options.noise_variance = columns_of(parser, "--noise-variance", options.noise_variance)
        sets = len(options.target) if options.target else 1
        if len(options.noise_variance) not in (1, sets):
            parser.error(f"--noise-variance names {len(options.noise_variance)} columns (there "
                         f"are {sets} label sets) Name one for all of them, or one for each.")
    if options.sample_groups is not None and not options.group:
        parser.error("--sample-groups without --group (it draws whole groups) Name their column.")
    return options


def columns_of(parser, option, text):
    """The columns that an option lists."""
    columns = [column.strip() for column in text.split(",")]
    if "" in columns or (option == "--target" and len(set(columns)) < len(columns)):
        parser.error(f"{option} {text} names a column twice or an empty one (label sets go by "
                     "their columns' names) Give every column once.")
    return columns


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


def source_rows(table, column):
    """Which row of the source table (int64, from 1) each row is about."""
    if column is None:
        return np.arange(1, len(table.places) + 1, dtype=np.int64)
    values = numbers_of(table, column, "--source-row", least=0)
    seen = {}
    for value, place in zip(values, table.places):
        if value != int(value):
            raise Problem(BAD_INPUT, f"{table.name}, {place}: '{column}' is {value}",
                          "rows are counted in whole numbers", "Mend the row.")
        if int(value) in seen:
            raise Problem(BAD_INPUT, f"{table.name}, {place}: source row {int(value)} again",
                          f"{seen[int(value)]} is about it already", "Keep one of them.")
        seen[int(value)] = place
    return values.astype(np.int64)


def label_columns(table, options):
    """Datasets of labels and what is known of them; attributes of the label dataset."""
    values = {}
    if options.label:
        values["label"], classes = labels_of(table, options.label, options.classes)
        label_attributes = [("label", "classes", classes)]
    else:
        columns = options.target
        values["target"] = np.column_stack([numbers_of(table, c, "--target") for c in columns])
        label_attributes = [("target", "columns", columns)]
    if options.reference:
        values["reference"] = numbers_of(table, options.reference, "--reference")
    if options.reference_variance:
        values["reference_variance"] = numbers_of(table, options.reference_variance,
                                                  "--reference-variance", least=0)
    if options.noise_variance:
        noise = [numbers_of(table, c, "--noise-variance", least=0) for c in options.noise_variance]
        values["noise_variance"] = np.column_stack(noise) if len(noise) > 1 else noise[0]
    if options.group:
        values["group"] = groups_of(table, options.group)
    if options.task:
        values["task"], tasks = tasks_of(table, options.task)
        label_attributes.append(("task", "tasks", tasks))
    return values, label_attributes


def prepare_labels(options):
    table, source_sha256 = read_table(options.input, options.encoding, not options.no_quotes)
    values, label_attributes = label_columns(table, options)
    values["source_row"] = source_rows(table, options.source_row)
    attributes = {"format": "ntkspectra-data", "format_version": 1, "source_file": table.name,
                  "source_sha256": source_sha256}
    write(options.output, values, label_attributes, attributes)
    print(f"{options.output}: {len(table.places)} rows of labels, without tokens")


def prepare(options):
    table, source_sha256 = read_table(options.input, options.encoding, not options.no_quotes)
    source_row = np.arange(1, len(table.rows) + 1, dtype=np.int64)
    if options.sample_groups is not None:
        kept = drawn_rows(groups_of(table, options.group), options.sample_groups, options.seed)
        table.rows = [table.rows[i] for i in kept]
        table.places = [table.places[i] for i in kept]
        source_row = source_row[kept]
    texts = texts_of(table, options.text, "--text")
    pairs = texts_of(table, options.text2, "--text2") if options.text2 else None
    values, label_attributes = label_columns(table, options)

    tokenizer, tokenizer_sha256 = load_tokenizer(options.model, options.max_tokens, bool(pairs))
    tokens, offsets, types, truncated = encode(tokenizer, table, texts, pairs)
    datasets = {"tokens": tokens, "offsets": offsets}
    if pairs:
        datasets["token_type"] = types
    datasets |= values
    datasets["source_row"] = source_row

    attributes = {"format": "ntkspectra-data", "format_version": 1, "source_file": table.name,
                  "source_sha256": source_sha256, "tokenizer_sha256": tokenizer_sha256,
                  "text_column": options.text, "max_tokens": options.max_tokens,
                  "truncated_rows": truncated}
    if pairs:
        attributes["text2_column"] = options.text2
    if options.sample_groups is not None:
        attributes["sample_groups"] = options.sample_groups
        attributes["sample_seed"] = options.seed
    write(options.output, datasets, label_attributes, attributes)
    lengths = np.diff(offsets)
    print(f"{options.output}: {len(texts)} rows, {lengths.min()} to {lengths.max()} tokens "
          f"(mean {lengths.mean():.1f}), {truncated} truncated to {options.max_tokens}")


def main(arguments=None):
    """Runs the program; returns its exit code."""
    try:
        options = parse(arguments)
        (prepare_labels if options.labels_only else prepare)(options)
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
