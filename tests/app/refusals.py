"""What the tests of bad input share: jobs that must be refused."""

import concurrent.futures
import json

import support
from support import STATUS

USAGE, INPUT, NUMERICAL, IO, RESOURCES = 2, 3, 4, 5, 6
RANKS = (0, 4)  # 0: alone, without mpirun
SECONDS = 30  # "within seconds", with room for a busy machine


def change_config(model, **changes):
    """Puts keys into a model's config.json; gives back what they were."""
    config = json.loads((model / "config.json").read_text())
    before = {key: config.get(key) for key in changes}
    (model / "config.json").write_text(json.dumps({**config, **changes}))
    return before


class BadInput(support.Case):
    def setUp(self):
        super().setUp()
        self.train = support.write_classes(self.home / "train.h5", self.generator, 12)

    def refused(self, code, *words, job=None, verb="kernel", overrides=(), **tables):
        """The job is refused on one and on four ranks (both at once, each in a directory of its own
        unless the job is given), and no kernel appears."""
        own = job is None
        job = job or self.job(tables.pop("train", self.train), **tables)

        def start(ranks):
            sets = [*overrides, *([f"run.directory={self.home}/run{ranks}"] if own else [])]
            return support.run(verb, job, *(["--set", *sets] if sets else []), ranks=ranks)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            results = list(pool.map(start, RANKS))
        for ranks, result in zip(RANKS, results):
            with self.subTest(ranks=ranks):
                self.assert_refused(result, code, *words, status=STATUS[code])
                self.assertLess(result.seconds, SECONDS)
        self.assertEqual(list(self.home.glob("run*/kernel.h5*")), [])
