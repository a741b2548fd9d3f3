"""The verbs that scripts ask: one value of a job file or of a summary."""

import json
import re
import tomllib

import support


class Values(support.Case):
    def setUp(self):
        super().setUp()
        self.job_file = self.job("train.h5", data={"evaluate": ["a.h5", "b.h5"]})

    def value(self, *arguments):
        result = support.run(*arguments)
        self.assertEqual(result.code, 0, result.text)
        return result.out.removesuffix("\n")

    def test_value_of_a_job(self):
        job = ("job", self.job_file)
        self.assertEqual(self.value(*job, "--get", "run.directory"), str(self.home / "run"))
        self.assertEqual(self.value(*job, "--get", "kernel.tile_samples"), "8")
        self.assertEqual(self.value(*job, "--set", "kernel.tile_samples=16", "--get",
                                    "kernel.tile_samples"), "16")
        self.assertEqual(self.value(*job, "--get", "kernel.batch_samples"), "32")
        self.assertEqual(self.value(*job, "--get", "data.evaluate"), '["a.h5", "b.h5"]')
        self.assertEqual(self.value(*job, "--get", "model.pooling"), "")  # set by the family
        strange = 'run "a" ü'
        self.assertEqual(self.value(*job, "--set", f"run.directory={strange}", "--get",
                                    "run.directory"), strange)

    def test_whole_job(self):
        job = tomllib.loads(self.value("job", self.job_file, "--set", "run.seed=3"))
        self.assertEqual(job["run"]["seed"], 3)
        self.assertEqual(job["data"]["evaluate"], ["a.h5", "b.h5"])
        self.assertEqual(job["kernel"]["storage"], "fp64")  # a default

    def test_job_refusals(self):
        for words, arguments in ((("kernel.tile_sample", "did you mean kernel.tile_samples?"),
                                  (self.job_file, "--get", "kernel.tile_sample")),
                                 (("neither",), ()), (("both",), (self.job_file, "--defaults")),
                                 (("nope",), (self.job_file, "--set", "run.nope=1")),
                                 (("no job file",), (self.home / "none.toml",))):
            with self.subTest(words[0]):
                self.assert_refused(support.run("job", *arguments), 2, *words,
                                    status="usage error")

    def test_value_of_a_summary(self):
        path = self.home / "summary.json"
        path.write_text(json.dumps({"kernel": {"units_done": 12}, "stop": {"reason": "STOP file"},
                                    "none": None}))
        self.assertEqual(self.value("inspect", path, "--get", "kernel.units_done"), "12")
        self.assertEqual(self.value("inspect", path, "--get", "stop.reason"), "STOP file")
        self.assertEqual(self.value("inspect", path, "--get", "none"), "null")

    def test_inspect_refusals(self):
        path = self.home / "summary.json"
        path.write_text('{"kernel": {"units_done": 12}}')
        for name in ("stop.reason", "kernel.units_done.x", "kernel..", "kernel.x"):
            with self.subTest(name):
                self.assert_refused(support.run("inspect", path, "--get", name), 3, name,
                                    status="bad input")
        path.write_text('{"kernel": {"units_')
        self.assert_refused(support.run("inspect", path, "--get", "kernel"), 3, "damaged",
                            status="bad input")


class ExitCodes(support.Case):
    def test_table_for_users_has_those_of_the_sources(self):
        # Other tests hold what the program prints against the table.
        names = dict(re.findall(r"^  (\w+) = (\d+)", (support.ROOT / "src/base/error.hpp").read_text(),
                                re.MULTILINE))
        words = re.findall(r'case ExitCode::(\w+):\s+return "(.*)";',
                           (support.ROOT / "src/app/status.cpp").read_text())
        self.assertEqual(len(words), len(names))
        self.assertEqual({int(names[name]): word for name, word in words}, support.STATUS)


if __name__ == "__main__":
    support.main()
