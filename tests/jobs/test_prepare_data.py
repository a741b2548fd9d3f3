"""jobs/prepare_data.py: formats, pairs, labels, targets, truncation, encodings, errors."""

import contextlib
import hashlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np
import pyarrow
from pyarrow import parquet
from tokenizers import Tokenizer, models, pre_tokenizers, processors

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "jobs"))
import prepare_data  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "green", "fox", "runs", "café"]
PAD, UNK, CLS, SEP, A, RED, GREEN, FOX, RUNS, CAFE = range(len(WORDS))


def make_tokenizer(folder):
    """A word-level tokenizer of ten words with BERT's special tokens, and with padding and
    truncation switched on in its file, as some published ones have."""
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)])
    tokenizer.enable_padding(pad_id=PAD, pad_token="[PAD]", length=16)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"))


class PrepareData(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        make_tokenizer(self.folder)
        self.output = self.folder / "out.h5"

    def write(self, name, content, encoding="utf-8"):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    def run_program(self, path, *arguments, text="text"):
        """(exit code, what was written to stderr)"""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            try:
                code = prepare_data.main(["--model", str(self.folder), "--input", str(path),
                                          "--text", text, "-o", str(self.output), *arguments])
            except SystemExit as stop:  # argparse
                code = stop.code
        return code, errors.getvalue()

    def prepared(self, path, *arguments, **named):
        """Runs the program, which must succeed: (datasets, file attributes, those of labels)"""
        code, errors = self.run_program(path, *arguments, **named)
        self.assertEqual((code, errors), (0, ""))
        with h5py.File(self.output) as file:
            datasets = {name: dataset[()] for name, dataset in file.items()}
            values = file["label" if "label" in file else "target"]
            return datasets, dict(file.attrs), {k: list(v) for k, v in values.attrs.items()}

    def refused(self, code, path, *arguments, says, **named):
        """The program must end with this code and say all of these; nothing is left behind."""
        found, errors = self.run_program(path, *arguments, **named)
        self.assertEqual(found, code, errors)
        for words in says:
            self.assertIn(words, errors)
        self.assertEqual([p.name for p in self.folder.glob("out*")], [])

    # --- what is written ---

    def test_layout_of_single_texts(self):
        source = self.write("in.tsv", "text\tkind\na red fox\tyes\nruns\tno\nblue fox\tyes\n")
        data, attributes, names = self.prepared(source, "--label", "kind")
        self.assertEqual(set(data), {"tokens", "offsets", "label", "source_row"})
        np.testing.assert_array_equal(
            data["tokens"], [CLS, A, RED, FOX, SEP, CLS, RUNS, SEP, CLS, UNK, FOX, SEP])
        np.testing.assert_array_equal(data["offsets"], [0, 5, 8, 12])
        np.testing.assert_array_equal(data["label"], [1, 0, 1])
        np.testing.assert_array_equal(data["source_row"], [1, 2, 3])
        self.assertEqual([data[k].dtype for k in ("tokens", "offsets", "label", "source_row")],
                         [np.int32, np.int64, np.int32, np.int64])
        self.assertEqual(names, {"classes": ["no", "yes"]})
        tokenizer = (self.folder / "tokenizer.json").read_bytes()
        self.assertEqual(attributes, {
            "format": "ntkspectra-data", "format_version": 1, "source_file": "in.tsv",
            "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
            "text_column": "text", "max_tokens": 128, "truncated_rows": 0})

    def test_every_format_gives_the_same_data(self):
        rows = [{"text": "a red, fox", "score": 1.5}, {"text": 'a "green"\tfox', "score": -2.0}]
        sources = [
            self.write("in.tsv", 'text\tscore\r\na red, fox\t1.5\r\n"a ""green""\tfox"\t-2\r\n'),
            self.write("in.csv", '\ufeffscore,text\n1.5,"a red, fox"\n\n-2.0,"a ""green""\tfox"\n'),
            self.write("in.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n"),
            self.folder / "in.parquet"]
        parquet.write_table(pyarrow.Table.from_pylist(rows), sources[-1])
        for source in sources:
            with self.subTest(source.suffix):
                data, attributes, names = self.prepared(source, "--target", "score")
                self.assertEqual(data["tokens"].tolist(), [CLS, A, RED, UNK, FOX, SEP, CLS, A, UNK,
                                                           GREEN, UNK, FOX, SEP])
                self.assertEqual(data["target"].tolist(), [[1.5], [-2.0]])
                self.assertEqual(data["target"].dtype, np.float64)
                self.assertEqual(names, {"columns": ["score"]})
                self.assertEqual(attributes["source_file"], source.name)

    def test_pairs_have_token_types(self):
        source = self.write("in.tsv", "text\tother\ty\na fox\truns\t1\nred\ta green fox\t0\n")
        data, attributes, _ = self.prepared(source, "--label", "y", "--text2", "other")
        self.assertEqual(data["tokens"].tolist(), [CLS, A, FOX, SEP, RUNS, SEP,
                                                   CLS, RED, SEP, A, GREEN, FOX, SEP])
        self.assertEqual(data["token_type"].tolist(), [0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1])
        self.assertEqual(data["token_type"].dtype, np.int32)
        self.assertEqual(attributes["text2_column"], "other")

    def test_truncation_keeps_special_tokens_and_is_recorded(self):
        source = self.write("in.tsv", "text\ty\na red fox runs\t1\na fox\t2\n")
        data, attributes, _ = self.prepared(source, "--target", "y", "--max-tokens", "4")
        self.assertEqual(data["tokens"].tolist(), [CLS, A, RED, SEP, CLS, A, FOX, SEP])
        self.assertEqual((attributes["max_tokens"], attributes["truncated_rows"]), (4, 1))

    def test_truncation_of_pairs_cuts_the_longer_text(self):
        source = self.write("in.tsv", "text\tother\ty\na red green fox runs\tfox\t1\n"
                            "fox\ta red green fox runs\t1\n")
        data, attributes, _ = self.prepared(source, "--target", "y", "--text2", "other",
                                            "--max-tokens", "6")
        self.assertEqual(data["tokens"].tolist(), [CLS, A, RED, SEP, FOX, SEP,
                                                   CLS, FOX, SEP, A, RED, SEP])
        self.assertEqual(attributes["truncated_rows"], 2)

    def test_lines_inside_quotes_and_rows_beyond_one_batch(self):
        rows = prepare_data.ENCODE_ROWS + 3
        source = self.write("in.csv", "text,y\n" + '"a\nfox",1\n' * rows)
        data, _, _ = self.prepared(source, "--target", "y")
        self.assertEqual(data["offsets"].tolist(), list(range(0, 4 * rows + 1, 4)))
        self.assertEqual(data["source_row"].tolist(), list(range(1, rows + 1)))

    def test_same_input_gives_the_same_bytes(self):
        source = self.write("in.tsv", "text\ty\na fox\t1\n")
        self.prepared(source, "--target", "y")
        first = self.output.read_bytes()
        self.prepared(source, "--target", "y")
        self.assertEqual(self.output.read_bytes(), first)

    # --- labels, targets, the rest ---

    def test_integer_labels_sort_by_value(self):
        source = self.write("in.tsv", "text\ty\na\t10\nred\t-1\nfox\t2\n")
        data, _, names = self.prepared(source, "--label", "y")
        self.assertEqual(names["classes"], ["-1", "2", "10"])
        self.assertEqual(data["label"].tolist(), [2, 0, 1])

    def test_classes_fix_the_order_and_may_be_absent(self):
        source = self.write("in.tsv", "text\ty\na\tlow\nred\tlow\n")
        data, _, names = self.prepared(source, "--label", "y", "--classes", "low,mid,high")
        self.assertEqual(names["classes"], ["low", "mid", "high"])
        self.assertEqual(data["label"].tolist(), [0, 0])

    def test_several_targets_are_label_sets(self):
        source = self.write("in.tsv", "text\tu\tv\na\t1\t1e-3\nred\t3\t4\nfox\t5\t6\n")
        data, _, names = self.prepared(source, "--target", "v,u")
        self.assertEqual(data["target"].tolist(), [[0.001, 1], [4, 3], [6, 5]])
        self.assertEqual(names["columns"], ["v", "u"])

    def test_reference_columns_and_groups(self):
        source = self.write("in.tsv", "text\ty\tr\trv\tnv\tg\n"
                            "a\t1\t0.5\t0.1\t0\tx9\nred\t2\t1.5\t0.2\t4\t7\nfox\t2\t1\t0\t1\tx9\n")
        data, _, _ = self.prepared(
            source, "--target", "y", "--reference", "r", "--reference-variance", "rv",
            "--noise-variance", "nv", "--group", "g")
        self.assertEqual(data["reference"].tolist(), [0.5, 1.5, 1.0])
        self.assertEqual(data["reference_variance"].tolist(), [0.1, 0.2, 0.0])
        self.assertEqual(data["noise_variance"].tolist(), [0.0, 4.0, 1.0])
        self.assertEqual(data["group"].tolist(), [0, 1, 0])  # in order of appearance
        self.assertEqual(data["group"].dtype, np.int64)

    def test_every_target_may_have_its_noise(self):
        source = self.write("in.tsv", "text\tu\tv\tnu\tnv\na\t1\t2\t0.5\t0\nred\t3\t4\t1\t9\n")
        both = ("--target", "v,u", "--noise-variance", "nv,nu")
        self.assertEqual(self.prepared(source, *both)[0]["noise_variance"].tolist(),
                         [[0, 0.5], [9, 1]])
        one = ("--target", "v,u", "--noise-variance", "nv")
        self.assertEqual(self.prepared(source, *one)[0]["noise_variance"].tolist(), [0, 9])
        one = ("--target", "u", "--noise-variance", "nu")
        self.assertEqual(self.prepared(source, *one)[0]["noise_variance"].tolist(), [0.5, 1])

    def test_tasks_are_named_in_order_of_appearance(self):
        source = self.write("in.tsv", "text\ty\tt\na\t1\tz\nred\t3\tb\nfox\t5\tz\n")
        data, _, _ = self.prepared(source, "--target", "y", "--task", "t")
        self.assertEqual((data["task"].tolist(), data["task"].dtype), ([0, 1, 0], np.int32))
        with h5py.File(self.output) as file:
            self.assertEqual(list(file["task"].attrs["tasks"]), ["z", "b"])
        source = self.write("in.tsv", "text\ty\tt\na\t1\t \n")
        self.output.unlink()
        self.refused(3, source, "--target", "y", "--task", "t",
                     says=["line 2", "'t' is empty", "--task"])

    def test_whole_groups_are_drawn(self):
        groups = [0, 0, 1, 1, 1, 2, 2, 3, 0, 3]
        source = self.write("in.tsv", "text\ty\tg\n" + "".join(
            f"fox\t{i}\t{g}\n" for i, g in enumerate(groups)))
        arguments = ("--target", "y", "--group", "g", "--sample-groups")
        drawn = set()
        for seed in range(12):
            data, attributes, _ = self.prepared(source, *arguments, "4", "--seed", str(seed))
            self.assertEqual((attributes["sample_groups"], attributes["sample_seed"]), (4, seed))
            rows = (data["source_row"] - 1).tolist()
            self.assertEqual(data["target"][:, 0].tolist(), rows)
            kept = {groups[i] for i in rows}
            self.assertEqual(rows, [i for i, g in enumerate(groups) if g in kept])
            # Enough rows, and no group more than that takes.
            self.assertGreaterEqual(len(rows), 4)
            self.assertLess(len(rows) - max(groups.count(g) for g in kept), 4)
            drawn.add(tuple(rows))
        self.assertGreater(len(drawn), 3)
        data, _, _ = self.prepared(source, *arguments, "10")
        self.assertEqual(len(data["source_row"]), 10)
        self.output.unlink()
        for rows in ("0", "11"):
            self.refused(2, source, *arguments, rows, says=["does not fit", "10 rows"])

    def test_integer_groups_are_kept(self):
        source = self.write("in.jsonl", '{"text": "a", "y": 1, "g": 30}\n'
                            '{"text": "fox", "y": 2, "g": -4}\n')
        data, _, _ = self.prepared(source, "--target", "y", "--group", "g")
        self.assertEqual(data["group"].tolist(), [30, -4])

    # --- encodings ---

    def test_stated_encodings(self):
        for encoding in ("latin-1", "utf-16", "utf-8", "utf-8-sig", "cp1252"):
            with self.subTest(encoding):
                source = self.write("in.tsv", "text\ty\na café\t1\n", encoding)
                data, _, _ = self.prepared(source, "--target", "y", "--encoding", encoding)
                self.assertEqual(data["tokens"].tolist(), [CLS, A, CAFE, SEP])

    def test_undecodable_byte_names_line_and_offset(self):
        source = self.write("in.tsv", b"text\ty\r\na fox\t1\r\na caf\xe9\t2\r\n")
        self.refused(3, source, "--target", "y",
                     says=["line 3", "byte offset 22", "0xE9", "--encoding"])
        source = self.write("in.tsv", b"\xef\xbb\xbftext\ty\na caf\xe9\t2\n")
        self.refused(3, source, "--target", "y", says=["line 2", "byte offset 15"])

    # --- refusals: exit code and what the message names ---

    def test_missing_column_names_the_others_nearest_first(self):
        source = self.write("in.tsv", "label\tSentence\tid\na\tb\tc\n")
        self.refused(3, source, "--label", "label", text="sentence1",
                     says=["'sentence1'", "nearest first: Sentence, ", "--text"])

    def test_bad_values_name_their_line(self):
        table = "text\tother\ty\tg\n{}\n{}\n"
        good = "a\tfox\t1\t1"
        for arguments, row, says in [
                (["--target", "y"], "   \tfox\t2\t1", ["line 3", "'text' is empty"]),
                (["--target", "y", "--text2", "other"], "a\t\t2\t1",
                 ["line 3", "'other' is empty"]),
                (["--target", "y"], "a\tfox\tbig\t1", ["line 3", "'y' is 'big'"]),
                (["--target", "y"], "a\tfox\tnan\t1", ["line 3", "'y' is 'nan'"]),
                (["--target", "y"], "a\tfox\t1_0\t1", ["line 3", "'y' is '1_0'"]),
                (["--target", "y", "--noise-variance", "y"], "a\tfox\t-1\t1",
                 ["line 3", "--noise-variance", "at least 0"]),
                (["--target", "y,g", "--noise-variance", "g,y"], "a\tfox\t-1\t1",
                 ["line 3", "'y' is '-1'", "--noise-variance", "at least 0"]),
                (["--label", "y"], "a\tfox\t \t1", ["line 3", "'y' is empty"]),
                (["--target", "y", "--group", "g"], "a\tfox\t1\t", ["line 3", "'g' is empty"]),
                (["--target", "y"], "a\tfox\t1", ["line 3", "3 fields", "header has 4"]),
                (["--target", "y"], 'a\t"fox"es\t1\t1', ["line 3", "--no-quotes"]),
                (["--target", "y"], 'a\t"fox\t1\t1', ["line 3", "--no-quotes"]),
                (["--label", "y"], good, ["one class only", "--classes"]),
                (["--label", "y", "--classes", "1,10"], "a\tfox\t11\t1",
                 ["line 3", "unknown class '11'", "nearest first: 1"])]:
            with self.subTest(arguments=arguments, row=row):
                source = self.write("in.tsv", table.format(good, row))
                self.refused(3, source, *arguments, says=says)

    def test_quotes_can_be_plain_text(self):
        source = self.write("in.tsv", 'text\ty\n"fox" runs\t1\n')
        data, _, _ = self.prepared(source, "--target", "y", "--no-quotes")
        self.assertEqual(data["tokens"].tolist(), [CLS, UNK, FOX, UNK, RUNS, SEP])

    def test_bad_json_lines(self):
        for line, says in [('{"text": "a", ', ["line 2", "not JSON"]),
                           ('["a", 1]', ["line 2", "not an object"]),
                           ('{"text": "a"}', ["line 2", "no value for 'y'"]),
                           ('{"text": null, "y": 1}', ["line 2", "no value for 'text'"]),
                           ('{"text": 5, "y": 1}', ["line 2", "'text' is not text"]),
                           ('{"text": "a", "y": true}', ["line 2", "'y' is True"]),
                           # Beyond float64, and beyond what Python reads as an integer.
                           ('{"text": "a", "y": 1%s}' % ("0" * 400),
                            ["line 2", "'y' is 1000", "finite number"]),
                           ('{"text": "a", "y": 1%s}' % ("0" * 5000),
                            ["line 2", "a number cannot be read"])]:
            with self.subTest(line):
                source = self.write("in.jsonl", '{"text": "fox", "y": 1}\n' + line + "\n")
                self.refused(3, source, "--target", "y", says=says)

    def test_files_without_use(self):
        self.refused(3, self.write("in.tsv", "text\ty\n"), "--target", "y", says=["no rows"])
        self.refused(3, self.write("in.tsv", ""), "--target", "y", says=["no rows"])
        self.refused(3, self.write("in.parquet", b"PAR0"), "--target", "y", says=["Parquet"])
        self.refused(3, self.write("in.tsv", "text\ty\ty\na\t1\t2\n"), "--target", "y",
                     says=["2 columns 'y'"])
        self.refused(2, self.write("in.xlsx", "text"), "--target", "y", says=[".tsv", ".parquet"])
        self.refused(5, self.folder / "none.tsv", "--target", "y", says=["none.tsv", "No such"])

    def test_text_that_the_tokenizer_drops(self):
        source = self.write("in.tsv", "text\ty\na\t1\n\u200b\t2\n")
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        from tokenizers import normalizers
        tokenizer.normalizer = normalizers.Replace("\u200b", "")
        tokenizer.save(str(self.folder / "tokenizer.json"))
        self.refused(3, source, "--target", "y", says=["line 3", "no tokens"])

    def test_tokenizer_missing_or_broken(self):
        source = self.write("in.tsv", "text\ty\na\t1\n")
        self.write("tokenizer.json", '{"model": 1}')
        self.refused(3, source, "--target", "y", says=["not a readable tokenizer"])
        (self.folder / "tokenizer.json").unlink()
        self.refused(3, source, "--target", "y", says=["no tokenizer.json"])

    def test_usage_errors(self):
        source = self.write("in.tsv", "text\ty\na\t1\nfox\t2\n")
        for arguments, says in [([], ["--label", "--target"]),
                                (["--label", "y", "--target", "y"], ["not allowed with"]),
                                (["--target", "y", "--classes", "1,2"], ["--classes without"]),
                                (["--label", "y", "--classes", "1,1"], ["twice"]),
                                (["--target", "y,y"], ["--target", "twice"]),
                                (["--target", "y,"], ["--target", "empty"]),
                                (["--target", "y", "--noise-variance", "y,y"],
                                 ["2 columns", "1 label sets"]),
                                (["--target", "y,x,z", "--noise-variance", "y,y"],
                                 ["2 columns", "3 label sets"]),
                                (["--label", "y", "--noise-variance", "y,y"], ["1 label sets"]),
                                (["--target", "y", "--sample-groups", "1"],
                                 ["--sample-groups without --group"]),
                                (["--target", "y", "--encoding", "utf-9"], ["utf-9"]),
                                (["--target", "y", "--encoding", "base64"], ["base64"]),
                                (["--target", "y", "--max-tokens", "2"], ["too small", "need 3"])]:
            with self.subTest(arguments):
                self.refused(2, source, *arguments, says=says)

    def test_output_that_cannot_be_written(self):
        source = self.write("in.tsv", "text\ty\na\t1\n")
        self.output = self.folder / "nowhere" / "out.h5"
        self.refused(5, source, "--target", "y", says=["cannot read or write"])

    def test_failure_keeps_the_earlier_output(self):
        self.prepared(self.write("in.tsv", "text\ty\na\t1\n"), "--target", "y")
        before = self.output.read_bytes()
        code, _ = self.run_program(self.write("in.tsv", "text\ty\na\tx\n"), "--target", "y")
        self.assertEqual((code, self.output.read_bytes()), (3, before))

    def run_labels(self, path, *arguments):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            try:
                code = prepare_data.main(["--input", str(path), "-o", str(self.output),
                                          "--labels-only", *arguments])
            except SystemExit as stop:  # argparse
                code = stop.code
        return code, errors.getvalue()

    def test_labels_alone(self):
        path = self.write("data.tsv", "row\ty\tv\n7\t1.5\t0.25\n3\t-2\t0\n")
        code, errors = self.run_labels(path, "--target", "y", "--noise-variance", "v")
        self.assertEqual((code, errors), (0, ""))
        with h5py.File(self.output) as file:
            self.assertEqual(set(file), {"target", "noise_variance", "source_row"})
            self.assertEqual(file["source_row"][...].tolist(), [1, 2])
            self.assertEqual(file["target"][...].tolist(), [[1.5], [-2.0]])
            self.assertEqual(file.attrs["source_file"], "data.tsv")
        code, errors = self.run_labels(path, "--target", "y", "--source-row", "row")
        self.assertEqual((code, errors), (0, ""))
        with h5py.File(self.output) as file:
            self.assertEqual(file["source_row"][...].tolist(), [7, 3])

    def test_labels_alone_refuse_what_they_cannot_use(self):
        twice = self.write("data.tsv", "row\ty\n7\t1.5\n7\t-2\n")
        code, errors = self.run_labels(twice, "--target", "y", "--source-row", "row")
        self.assertEqual(code, 3)
        self.assertIn("source row 7 again", errors)
        part = self.write("part.tsv", "row\ty\n7.5\t1.5\n")
        code, errors = self.run_labels(part, "--target", "y", "--source-row", "row")
        self.assertEqual(code, 3)
        self.assertIn("whole numbers", errors)
        code, errors = self.run_labels(twice, "--target", "y", "--text", "row")
        self.assertEqual(code, 2)
        code, errors = self.run_program(twice, "--target", "y", "--source-row", "row")
        self.assertEqual(code, 2)


if __name__ == "__main__":
    unittest.main()
