"""jobs/default_data.py: the cleaning rules, on made-up rows; nothing is fetched."""

import statistics
import sys
import unittest
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "jobs"))
import default_data  # noqa: E402
from source_table import Problem  # noqa: E402


class Cleaning(unittest.TestCase):
    def test_texts_are_unescaped_and_stripped(self):
        data = b"7\t0.5\tfish &amp; chips \r\n8\t1\tyou&amp;#39;d like it\r\n9\t1\tna\xc3\xafve\r\n"
        self.assertEqual(default_data.parse_texts(data),
                         {"7": "fish & chips", "8": "you'd like it", "9": "naïve"})

    def test_byte_order_mark_is_not_part_of_the_first_id(self):
        data = b"\xef\xbb\xbf1_1\t0.9\t0.1\t[1, -2, 3]\r\n1_2\t0\t0\t[0, 0, 4]\r\n"
        self.assertEqual(default_data.parse_ratings(data), {"1_1": [1, -2, 3], "1_2": [0, 0, 4]})

    def test_split_leaves_the_drawn_person_out(self):
        ratings = [4, -1, 0, 2, 3]
        rating, mean, variance_of_mean, variance = default_data.one_rater(ratings, [1, 4, 0, 2, 3])
        others = [4, 0, 2, 3]
        self.assertEqual(rating, -1)
        self.assertAlmostEqual(mean, 2.25, places=14)
        self.assertAlmostEqual(variance, statistics.pvariance(others) * 4 / 3, places=14)
        self.assertAlmostEqual(variance_of_mean, variance / 4, places=14)

    def test_draw_is_reproducible_uniform_and_depends_on_the_set(self):
        def draw(name):
            return [default_data.draw_people(name, block, 15) for block in range(3000)]
        draws = draw("movies")
        self.assertEqual(draws, draw("movies"))
        self.assertTrue(all(sorted(people) == list(range(15)) for people in draws))
        for place in (0, 6):  # the one rater, the last of seven
            counts = Counter(people[place] for people in draws)
            self.assertEqual(set(counts), set(range(15)))
            # 200 expected a position, standard deviation 13.7: five of them
            self.assertLess(max(abs(count - 200) for count in counts.values()), 69)
        self.assertNotEqual(draws, draw("nyt"))

    def test_doses_are_nested_and_the_reference_has_none_of_their_people(self):
        people = [3, 8, 0, 5, 9, 1, 7, 2, 6, 4]
        ratings = [10.0**person for person in range(10)]  # a mean shows whose ratings are in it
        values = default_data.doses(ratings, people)
        self.assertEqual(len(values), len(default_data.DOSE_COLUMNS) - 2)
        row = dict(zip(default_data.DOSE_COLUMNS[2:], values))
        for q in (1, 2, 4, 7):
            self.assertAlmostEqual(row[f"q{q}"] * q, sum(10.0**p for p in people[:q]), delta=1e-5)
        others = [10.0**p for p in (2, 6, 4)]
        self.assertAlmostEqual(row["reference"], sum(others) / 3, places=6)
        variance = statistics.variance(others)
        self.assertAlmostEqual(row["reference_variance"], variance / 3, delta=1e-6 * variance)
        for q in (1, 2, 4, 7):
            self.assertAlmostEqual(row[f"noise_q{q}"], variance / q, delta=1e-6 * variance)


class Rows(unittest.TestCase):
    @staticmethod
    def make(count, block, people=6):
        """Texts t0, t1, ... whose ratings are their person's number."""
        texts = {str(i): f"t{i}" for i in range(count)}
        return texts, {key: list(range(people)) for key in texts}

    def test_rows_of_a_block_share_group_and_person(self):
        rows = default_data.make_rows("movies", *self.make(60, 3), 3, set())
        self.assertEqual([row[6] for row in rows], [i // 3 for i in range(60)])
        people = [{row[2] for row in rows if row[6] == group} for group in range(20)]
        self.assertTrue(all(len(drawn) == 1 for drawn in people))
        self.assertGreater(len(set.union(*people)), 1)

    def test_without_blocks_rows_draw_alone_and_have_no_group(self):
        rows = default_data.make_rows("nyt", *self.make(60, 0), 0, set())
        self.assertTrue(all(len(row) == len(default_data.COLUMNS) for row in rows))
        self.assertGreater(len({row[2] for row in rows[:10]}), 1)

    def test_doses_are_of_the_same_rows_and_begin_with_the_one_rater(self):
        made = self.make(60, 3, people=12)
        rows = default_data.make_rows("movies", *made, 3, set())
        dosed = default_data.make_rows("movies", *made, 3, set(), default_data.doses)
        self.assertEqual([(row[0], row[2], row[-1]) for row in rows],
                         [(row[0], row[2], row[-1]) for row in dosed])
        for group in range(20):  # ratings are their person's number: one set of people a block
            self.assertEqual(len({tuple(row[2:]) for row in dosed if row[-1] == group}), 1)

    def test_duplicates_are_left_out_without_moving_blocks_or_draws(self):
        texts, ratings = self.make(12, 3)
        alone = default_data.make_rows("movies", texts, ratings, 3, set())
        texts["4"] = "t1"                     # inside the set
        seen = {"t8"}                         # in an earlier set
        rows = default_data.make_rows("movies", texts, ratings, 3, seen)
        self.assertEqual(rows, [row for row in alone if row[0] not in ("4", "8")])
        self.assertIn("t11", seen)

    def test_sets_together_keep_their_groups_apart(self):
        movies = default_data.make_rows("movies", *self.make(6, 3), 3, set())
        tweets = default_data.make_rows("tweets", *self.make(3, 0), 0, set())
        rows = default_data.as_task("movies", movies) + default_data.as_task("tweets", tweets)
        self.assertEqual([row[-2:] for row in rows], [
            *([["movies/0", "movies"]] * 3), *([["movies/1", "movies"]] * 3),
            ["tweets/0", "tweets"], ["tweets/1", "tweets"], ["tweets/2", "tweets"]])
        self.assertEqual([row[:6] for row in rows], [row[:6] for row in movies + tweets])

    def test_texts_and_ratings_are_joined_by_id(self):
        texts = {"1": "one", "2": "two"}
        ratings = {"2": [2, 2, 2], "1": [1, 1, 1]}
        rows = default_data.make_rows("amazon", texts, ratings, 0, set())
        self.assertEqual([(row[1], row[2]) for row in rows], [("one", 1), ("two", 2)])

    def test_ids_that_differ_are_refused(self):
        with self.assertRaisesRegex(Problem, "different ids"):
            default_data.make_rows("nyt", {"1": "one"}, {"2": [1, 2, 3]}, 0, set())


class Stamp(unittest.TestCase):
    def setUp(self):
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        root = Path(temporary.name)
        self.file = root / "data" / "a.tsv"
        changes = mock.patch.multiple(default_data, ROOT=root, DATA=root / "data",
                                      STAMP=root / "data" / "default_data.json")
        changes.start()
        self.addCleanup(changes.stop)

    def stamp(self, version):
        default_data.replace(self.file, b"made")
        default_data.replace(default_data.STAMP, default_data.json.dumps(
            {"version": version,
             "files": {"data/a.tsv": default_data.sha256(self.file)}}).encode())

    def test_up_to_date_only_with_this_version_and_unchanged_files(self):
        self.assertFalse(default_data.up_to_date())
        self.stamp("another version")
        self.assertFalse(default_data.up_to_date())
        self.stamp(default_data.version())
        self.assertTrue(default_data.up_to_date())
        self.file.write_bytes(b"changed")
        self.assertFalse(default_data.up_to_date())
        self.file.unlink()
        self.assertFalse(default_data.up_to_date())

    def test_a_damaged_download_is_fetched_again_and_refused_when_still_wrong(self):
        folder = default_data.DATA / "downloads"
        default_data.replace(folder / "x.whl", b"damaged")

        def pip(command, **_):
            (folder / "x.whl").write_bytes(b"still damaged")
            return mock.Mock(returncode=0, stdout="")
        with mock.patch.object(default_data.subprocess, "run", side_effect=pip) as run:
            with self.assertRaisesRegex(Problem, "not the expected file"):
                default_data.fetch(["x==1"], "x.whl", "0" * 64)
            run.assert_called_once()

    def test_a_failed_fetch_says_what_pip_said(self):
        failed = mock.Mock(returncode=1, stdout="WARNING: slow\nERROR: no route\n\n")
        with mock.patch.object(default_data.subprocess, "run", return_value=failed):
            with self.assertRaisesRegex(Problem, "ERROR: no route.*x.whl.*by hand"):
                default_data.fetch(["x==1"], "x.whl", "0" * 64)


if __name__ == "__main__":
    unittest.main()
