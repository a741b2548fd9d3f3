"""The templates in slurm/ under the variables that sbatch sets. Stand-ins for srun, mpirun and
scontrol say what they were called with; the launched program is what a test says it is. The real
thing, on a real Slurm, is in tests/slurm/."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.path.abspath(os.environ["NTK_PROGRAM"])


class Template(unittest.TestCase):
    TEMPLATE = "cpu"
    START = ["srun", "--mpi=pmix", "--cpus-per-task=4"]
    MORE = {}  # variables that this kind of job has

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        shutil.copytree(ROOT / "slurm", self.folder / "slurm")  # submitted from here
        for name in ("srun", "mpirun", "scontrol"):
            path = self.folder / name
            # The program's part: $LAUNCHED, a line of shell.
            path.write_text(f"""#!/bin/bash
if [[ {name} == scontrol && $* == *"show job"* ]]; then echo "$JOB_RECORD"; exit; fi
printf '%s\\n' {name} "$@" >{self.folder}/{name}.said
env >{self.folder}/{name}.env
[[ {name} == scontrol ]] || eval "$LAUNCHED"
""")
            path.chmod(0o755)
        self.run_directory = self.folder / "run"
        self.run_directory.mkdir()
        self.summary = self.run_directory / "summary.json"
        self.job = self.folder / "job.toml"
        self.job.write_text(f'[run]\ndirectory = "{self.run_directory}"\n[model]\npath = "m"\n'
                            '[data]\ntrain = "t.h5"\n')

    def start(self, *arguments, **variables):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "NTK_"))}
        settings = {"PATH": f"{self.folder}:{kept['PATH']}", "NTK_PROGRAM": PROGRAM,
                    "SLURM_CPUS_PER_TASK": "4", "SLURM_JOB_ID": "7", "LAUNCHED": "", **self.MORE}
        for said in self.folder.glob("*.said"):
            said.unlink()
        return subprocess.Popen(["bash", f"slurm/{self.TEMPLATE}.sbatch", *map(str, arguments)],
                                cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, env={**kept, **settings, **variables})

    def ends(self, process, code=0):
        text, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code, text)
        return text

    def said(self, name):
        path = self.folder / f"{name}.said"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def words(self, *arguments, launcher="srun", **variables):
        self.ends(self.start(*arguments, **variables))
        return self.said(launcher)


class Cpu(Template):
    def memory(self, **variables):
        words = self.words(self.job, **variables)
        return [w.split("=")[1] for w in words if w.startswith("kernel.memory_gib=")]

    def test_command(self):
        words = self.words(self.job, "--set", "data.samples=5", SLURM_MEM_PER_CPU="2048")
        self.assertEqual(words, [*self.START, PROGRAM, "run", str(self.job), "--set",
                                 "kernel.memory_gib=6.40", "--set", "data.samples=5"])

    def test_verb(self):
        words = self.words("merge", self.job)
        self.assertEqual(words, [*self.START, PROGRAM, "merge", str(self.job)])

    def test_mpirun(self):
        words = self.words(self.job, launcher="mpirun", NTK_LAUNCHER="mpirun", SLURM_NTASKS="6")
        self.assertEqual(words, ["mpirun", "--bind-to", "none", "-n", "6", PROGRAM, "run",
                                 str(self.job)])

    def test_memory_of_a_node_is_shared_by_its_ranks(self):
        node = {"SLURM_MEM_PER_NODE": "65536"}  # sbatch --mem=64G: no memory per CPU is set
        self.assertEqual(self.memory(**node, SLURM_NTASKS_PER_NODE="8"), ["6.40"])
        self.assertEqual(self.memory(**node, SLURM_TASKS_PER_NODE="16(x2),4"), ["3.20"])
        self.assertEqual(self.memory(**node), ["51.20"])

    def test_without_a_limit_the_program_takes_its_share_of_the_node(self):
        self.assertEqual(self.memory(), [])
        self.assertEqual(self.memory(SLURM_MEM_PER_NODE="0"), [])  # --mem=0: all of the node
        self.assertEqual(self.memory(SLURM_MEM_PER_CPU="0"), [])

    def test_memory_that_the_job_sets(self):
        words = self.words(self.job, "--set", "kernel.memory_gib=3", SLURM_MEM_PER_CPU="2048")
        self.assertEqual([w for w in words if "memory" in w], ["kernel.memory_gib=3"])

    def test_usage(self):
        self.assertIn("no job file", self.ends(self.start(), code=2))
        text = self.ends(self.start(self.job, "--set", "kernel.nope=1"), code=2)
        self.assertIn("kernel.nope", text)
        self.assertIn("STATUS: usage error", text)
        self.assertEqual(self.said("srun"), [])

    def test_program_that_cannot_be_asked(self):
        for code in (126, 127):
            program = self.folder / "broken"
            program.write_text(f"#!/bin/sh\necho 'no library'\nexit {code}\n")
            program.chmod(0o755)
            text = self.ends(self.start(self.job, NTK_PROGRAM=str(program)), code=code)
            self.assertIn("no library", text)

    def test_site(self):
        site = self.folder / "slurm/sites/here.env"
        site.write_text('NTK_MPI=pmix_v4\nNTK_SCRATCH=/scratch$UNSET\nexport FROM_SITE=1\n')
        words = self.words(self.job, "--set", "run.directory=a/b", NTK_SITE="here")
        self.assertEqual(words, ["srun", "--mpi=pmix_v4", "--cpus-per-task=4", PROGRAM, "run",
                                 str(self.job), "--set", "run.directory=a/b", "--set",
                                 "run.directory=/scratch/a/b"])
        self.assertIn("FROM_SITE=1", (self.folder / "srun.env").read_text())
        absolute = self.words(self.job, NTK_SITE="here")
        self.assertEqual(absolute[-1], str(self.job))
        self.ends(self.start(self.job, NTK_SITE="nowhere"), code=2)

    def test_example_of_a_site_is_shell(self):
        example = ROOT / "slurm/sites/example.env"
        text = subprocess.run(["bash", "-c", f"module() {{ echo \"module $*\"; }}; source {example}; "
                               "env"], check=True, text=True, capture_output=True).stdout
        for words in ("module load", "SBATCH_ACCOUNT=", "SBATCH_PARTITION="):
            self.assertIn(words, text)


class Gpu(Template):
    TEMPLATE = "gpu"
    MORE = {"SLURM_GPUS_PER_NODE": "4"}

    def test_command(self):
        words = self.words(self.job, "--set", "data.samples=5", SLURM_MEM_PER_CPU="2048")
        self.assertEqual(words, [*self.START, "--gpu-bind=none", PROGRAM, "run", str(self.job),
                                 "--set", "kernel.device=cuda", "--set", "data.samples=5"])

    def test_mpirun_is_told_nothing_of_gpus(self):
        words = self.words(self.job, launcher="mpirun", NTK_LAUNCHER="mpirun")
        self.assertEqual(words, ["mpirun", "--bind-to", "none", PROGRAM, "run", str(self.job),
                                 "--set", "kernel.device=cuda"])


class Array(Template):
    TEMPLATE = "array"

    def test_line_of_a_list(self):
        jobs = self.folder / "list.txt"
        jobs.write_text(f"{self.job} --set run.seed=1\n"
                        f"kernel {self.job} --set 'model.parameters={{ include = [\"a b\"] }}' "
                        "run.seed=2\n\n$(touch run/evil)\n")
        words = self.words(jobs, SLURM_ARRAY_TASK_ID="1")
        self.assertEqual(words[3:], [PROGRAM, "run", str(self.job), "--set", "run.seed=1"])
        words = self.words(jobs, SLURM_ARRAY_TASK_ID="2")
        self.assertEqual(words[3:], [PROGRAM, "kernel", str(self.job), "--set",
                                     'model.parameters={ include = ["a b"] }', "run.seed=2"])
        for task in ("3", "4", "5"):  # empty, no job file, beyond the end
            self.ends(self.start(jobs, SLURM_ARRAY_TASK_ID=task), code=2)
            self.assertEqual(self.said("srun"), [])
        self.assertFalse((self.run_directory / "evil").exists())

    def test_share(self):
        words = self.words("--shares", "8", self.job, "--set", "run.seed=1",
                           SLURM_ARRAY_TASK_ID="3")
        self.assertEqual(words[3:], [PROGRAM, "kernel", str(self.job), "--set", "run.seed=1",
                                     "--share", "3/8"])

    def test_no_array(self):
        self.assertIn("no array task", self.ends(self.start(self.job), code=2))
        self.ends(self.start("--shares", "8", SLURM_ARRAY_TASK_ID="3"), code=2)


class Again(Template):
    """After exit code 85."""

    job_record = ""  # what Slurm has of the job

    def stopped(self, reason="signal SIGUSR1", units=5, arguments=(), launcher=85, **variables):
        """One start that ends with 85, or so it says. Returns whether the job was queued again."""
        after = self.folder / "after.json"
        after.write_text(json.dumps({"exit_code": 85, "stop": {"reason": reason}, "ended": "now",
                                     "kernel": {"units": 100, "units_done": units}}))
        process = self.start(self.job, *arguments, **variables, JOB_RECORD=self.job_record,
                             LAUNCHED=f"cp {after} {self.summary}; exit {launcher}")
        self.text = self.ends(process, code=85)
        queued = self.said("scontrol")[:2] == ["scontrol", "requeue"]
        self.assertEqual(queued, "slurm: queued again" in self.text, self.text)
        return queued

    def test_reasons(self):
        self.stopped()
        self.assertEqual(self.said("scontrol"), ["scontrol", "requeue", "7"])
        for reason in ("signal SIGUSR1", "end of the Slurm job", "run.max_hours"):
            self.summary.unlink(missing_ok=True)
            self.assertTrue(self.stopped(reason), reason)
        for reason in ("STOP file", "signal SIGTERM", "signal SIGINT"):
            self.summary.unlink(missing_ok=True)
            self.assertFalse(self.stopped(reason), reason)
            self.assertIn(reason, self.text)

    def test_task_of_an_array(self):
        array = {"SLURM_JOB_ID": "6", "SLURM_ARRAY_JOB_ID": "6", "SLURM_ARRAY_TASK_ID": "3"}
        self.stopped(**array)
        self.assertEqual(self.said("scontrol"), ["scontrol", "requeue", "6_3"])

    def test_only_after_85(self):
        for code in (0, 2, 7, 137):
            self.ends(self.start(self.job, LAUNCHED=f"exit {code}"), code=code)
            self.assertEqual(self.said("scontrol"), [])

    def test_launcher_that_was_told_of_a_kill(self):
        self.assertTrue(self.stopped(launcher=137))
        # The summary of an earlier start says nothing, and one that is gone neither.
        for launched in ("exit 137", f"rm {self.summary}; exit 137"):
            self.ends(self.start(self.job, LAUNCHED=launched), code=137)
            self.assertEqual(self.said("scontrol"), [])

    def test_85_without_a_summary(self):
        text = self.ends(self.start(self.job, LAUNCHED="exit 85"), code=85)
        self.assertIn("no limit was reached", text)
        self.assertEqual(self.said("scontrol"), [])

    def test_refused_by_slurm(self):
        (self.folder / "scontrol").write_text("#!/bin/sh\nexit 1\n")
        after = {"exit_code": 85, "stop": {"reason": "signal SIGUSR1"}}
        self.summary.write_text(json.dumps(after))
        text = self.ends(self.start(self.job, LAUNCHED="exit 85"), code=85)
        self.assertIn("Slurm refuses", text)

    def test_cap(self):
        self.assertTrue(self.stopped(units=5, NTK_MAX_REQUEUES="3", SLURM_RESTART_COUNT="2"))
        self.assertFalse(self.stopped(units=9, NTK_MAX_REQUEUES="3", SLURM_RESTART_COUNT="3"))
        self.assertIn("NTK_MAX_REQUEUES", self.text)

    def test_without_progress(self):
        self.assertTrue(self.stopped(units=5))
        self.assertTrue(self.stopped(units=5))  # once may be bad luck
        self.assertTrue(self.stopped(units=6))
        self.assertTrue(self.stopped(units=6))
        self.assertFalse(self.stopped(units=6))
        self.assertIn("2 starts in a row without a new tile", self.text)

    def test_note_that_cannot_be_written(self):
        (self.run_directory / "summary.requeue").mkdir()
        self.assertTrue(self.stopped())
        self.assertIn("not counted", self.text)

    def test_preempted_with_a_grace_time(self):
        for time, again in (("None", False), ("2026-11-22T02:40:10", True)):
            self.summary.unlink(missing_ok=True)
            self.job_record = f"JobId=7 PreemptEligibleTime=2026-11-22T02:40:00 PreemptTime={time}"
            self.assertEqual(self.stopped("signal SIGTERM"), again, time)

    def test_another_job_counts_anew(self):
        (self.run_directory / "summary.requeue").write_text("6 1\n")
        self.stopped(units=0)
        self.assertTrue(self.said("scontrol"))
        self.assertEqual((self.run_directory / "summary.requeue").read_text(), "7 1\n")

    def test_share(self):
        self.summary = self.run_directory / "share-2-of-4.json"
        for option in (("--share", "2/4"), ("--share=2/4", "--set", "run.seed=2")):
            self.summary.unlink(missing_ok=True)
            self.assertTrue(self.stopped(arguments=option), option)
        self.assertTrue((self.run_directory / "share-2-of-4.requeue").exists())

    def test_directory_of_an_override(self):
        other = self.folder / "other"
        other.mkdir()
        self.summary = other / "summary.json"
        for option in (("--set", f"run.directory={other}"), (f"--set=run.directory={other}",),
                       ("--set", "run.seed=2", f"run.directory={other}", "--verify")):
            self.summary.unlink(missing_ok=True)
            self.assertTrue(self.stopped(arguments=option), option)


class Signals(Template):
    """What reaches the launcher, and with which code the job ends."""

    LAUNCHED = ("trap 'echo launcher got USR1; sleep 0.5; exit 85' USR1; "
                "trap 'echo launcher got TERM; exit 1' TERM; "
                "echo ready; for i in {1..200}; do sleep 0.05; done; exit 9")

    def signalled(self, *signals, launched=LAUNCHED, code=85, **variables):
        process = self.start(self.job, LAUNCHED=launched, **variables)
        self.assertEqual(process.stdout.readline(), "ready\n")
        for number in signals:
            process.send_signal(number)
            time.sleep(0.2)
        return self.ends(process, code=code)

    def test_usr1_is_passed_on_and_waited_for(self):
        for launcher in ("srun", "mpirun"):
            text = self.signalled(signal.SIGUSR1, NTK_LAUNCHER=launcher)
            self.assertIn("launcher got USR1", text)

    def test_usr1_twice(self):
        self.signalled(signal.SIGUSR1, signal.SIGUSR1)

    def test_term_is_only_waited_for(self):
        ends = "echo ready; sleep 1; exit 85"  # as the ranks do, which Slurm signals too
        text = self.signalled(signal.SIGTERM, launched=ends)
        self.assertNotIn("got", text)
        self.assertEqual(self.said("scontrol"), [])


if __name__ == "__main__":
    unittest.main()
