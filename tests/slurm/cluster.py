"""A Slurm of one node on this machine, for as long as a test runs: munged, slurmctld and slurmd from
the system's packages, on free ports, with all their files in a temporary directory. It has more CPUs
than the machine, so that jobs of several ranks fit. Needs root."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

CPUS, GPUS = 8, 2  # what Slurm believes
# What tests ask of Open MPI, and jobs under Slurm find out for themselves.
NETWORK = ("OMPI_MCA_pml", "OMPI_MCA_btl", "OMPI_MCA_mtl")

CONFIGURATION = """
ClusterName=ntktest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its old credential is out of date: 2 minutes by default, 5 s at least.
AuthInfo=socket={home}/munge/socket,cred_expire=5
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=65536 Gres=gpu:{gpus}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 GraceTime=120
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=2
"""


class NoSlurm(Exception):
    """Why no Slurm can run here."""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def end_with_parent():
    """In a new process: SIGTERM when the one that started it is gone, however it ended."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


class Cluster:
    def __init__(self):
        """Starts everything. Raises NoSlurm where that is not possible; a daemon that does not come
        up is an error."""
        if os.geteuid() != 0:
            raise NoSlurm("only root can start one")
        for program in ("munged", "slurmctld", "slurmd", "sbatch"):
            if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
                raise NoSlurm(f"{program} is not installed")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ntk-slurm-"))
        self.daemons = []
        own = {name: value for name, value in os.environ.items()
               if not name.startswith("SLURM") and name not in NETWORK}
        self.environment = {**own,
                            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
                            "SLURM_CONF": str(self.home / "slurm.conf")}
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self):
        munge = self.home / "munge"
        munge.mkdir(mode=0o755)
        key = munge / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.daemon("munged", "--foreground", "--force", f"--socket={munge}/socket",
                    f"--key-file={key}", f"--pid-file={munge}/pid", f"--log-file={munge}/log",
                    f"--seed-file={munge}/seed", "--num-threads=2")
        self.wait_until((munge / "socket").exists)
        controller_port, node_port = free_ports(2)
        host = socket.gethostname().split(".")[0]
        (self.home / "slurm.conf").write_text(CONFIGURATION.format(
            home=self.home, host=host, controller_port=controller_port, node_port=node_port,
            cpus=CPUS, gpus=GPUS))
        devices = [self.home / f"gpu{number}" for number in range(GPUS)]
        for device in devices:
            device.touch()
        (self.home / "gres.conf").write_text(
            "\n".join(f"Name=gpu File={device}" for device in devices) + "\n")
        for name in ("state", "spool"):
            (self.home / name).mkdir()
        self.daemon("slurmctld", "-D")
        self.daemon("slurmd", "-D")
        self.wait_until(lambda: "idle" in self.say("sinfo", "-h", "-o", "%T", check=False))

    def daemon(self, *command):
        with open(self.home / f"{command[0]}.said", "w") as said:
            self.daemons.append(subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=end_with_parent))

    def wait_until(self, ready, seconds=120):
        end = time.monotonic() + seconds
        while not ready():
            ended = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            if ended or time.monotonic() > end:
                said = "".join(path.read_text(errors="replace")[-600:]
                               for path in sorted(self.home.glob("*.said")))
                what = f"{ended[0]} ended" if ended else "it does not come up"
                raise RuntimeError(f"{what}: {' '.join(said.split())}")
            time.sleep(0.1)

    def say(self, *command, check=True, **options):
        """What a command of Slurm prints."""
        result = subprocess.run(list(map(str, command)), env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        if check and result.returncode != 0:
            raise AssertionError(f"{command} ended with {result.returncode}: {result.stdout}")
        return result.stdout.strip()

    def processes(self):
        """Ids of the living processes that were started with our configuration: ranks, launchers,
        Slurm's own helpers."""
        mark = f"SLURM_CONF={self.home}/slurm.conf".encode()
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in entry.read_bytes().split(b"\0"):
                    found.append(int(entry.parent.name))
            except OSError:
                continue  # ended meanwhile
        return found

    def stop(self):
        """Ends what was started here, by process id, and removes its files."""
        if len(self.daemons) == 3:
            try:
                self.say("scancel", "--quiet", "--user=root", check=False, timeout=30)
            except subprocess.TimeoutExpired:
                pass  # their processes are ended below
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self.processes():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.home, ignore_errors=True)
