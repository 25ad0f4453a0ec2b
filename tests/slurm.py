"""A Slurm of several nodes on this machine, for tests: its own daemons, files and ports, and GPUs in name only."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from conftest import SEARCH_PATH

NEEDED = ("slurmctld", "slurmd", "slurmstepd", "sbatch", "srun", "squeue", "scontrol", "scancel", "munged")
CLIENTS = ("sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo", "sacct")
FOLDERS = ("/usr/sbin", "/sbin", "/usr/lib/slurm", "/usr/libexec/slurm")  # beside the path, of daemons
# Slurm wants a character device for a GPU, which these are: no job opens them.
GPU_FILES = ("/dev/zero", "/dev/full")
DEADLINE = 60.0  # seconds to wait for a daemon or a state

# No cgroups, which a container may not give: memory is sampled every second, and a job above its own is killed.
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmdParameters=config_overrides
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/prolog
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
MinJobAge=3600
KillWait=2
ReturnToService=2
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP
"""
# What every task sees of GPUs, by the number of its job.
PROLOG = """\
#!/bin/sh
echo "$SLURM_JOB_ID ${{CUDA_VISIBLE_DEVICES:-none}}" >> {folder}/visible
"""
FIELDS = ("jobarrayid", "comment", "state", "tres-per-job", "nodelist")


def missing() -> str:
    """Why no Slurm can be started here; empty where one can."""
    absent = [name for name in NEEDED if _find(name) is None]
    return f"no {', '.join(absent)} on the path (Debian: slurm-wlm, munge)" if absent else ""


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *FOLDERS]))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_until(done: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it is not, after so long.
    """
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not so after {seconds:g} s")
        time.sleep(0.1)


class Cluster:
    """Nodes n0, n1, ... of a Slurm without accounting, each with cores, memory (MB) and two GPUs.

    Nothing outside `folder` is written; whatever Slurm this machine has beside is left alone.
    """

    def __init__(self, folder: Path, nodes: int = 2, cores: int = 4, memory: int = 64_000) -> None:
        self.folder, self.names = folder, [f"n{number}" for number in range(nodes)]
        self._processes: dict[str, subprocess.Popen] = {}
        for part in ("munge", "state", "bin", *self.names):
            (folder / part).mkdir(parents=True)
        (folder / "munge").chmod(0o700)
        host, user = socket.gethostname().split(".")[0], subprocess.check_output(["id", "-un"], text=True).strip()
        lines = [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={_free_port()} CPUs={cores}"
            f" RealMemory={memory} Gres=gpu:{len(GPU_FILES)} State=UNKNOWN"
            for name in self.names
        ]
        text = CONF.format(host=host, user=user, port=_free_port(), folder=folder, nodes="\n".join(lines))
        (folder / "slurm.conf").write_text(text)
        gpus = [
            f"NodeName={name} Name=gpu File={file} Flags=nvidia_gpu_env" for name in self.names for file in GPU_FILES
        ]
        (folder / "gres.conf").write_text("\n".join(gpus) + "\n")
        (folder / "visible").touch()
        self._write_script("prolog", PROLOG.format(folder=folder))
        for name in filter(shutil.which, CLIENTS):
            # A job's environment does not always keep SLURM_CONF; it keeps the path.
            command = f'SLURM_CONF={folder}/slurm.conf exec {shutil.which(name)} "$@"'
            self._write_script(f"bin/{name}", f"#!/bin/sh\n{command}\n")

    def _write_script(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a shell that works on this cluster."""
        path = f"{self.folder / 'bin'}{os.pathsep}{SEARCH_PATH}"
        return os.environ | {"PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    # --- daemons

    def start(self) -> None:
        """Start the daemons, and wait until all nodes are there."""
        munge = self.folder / "munge"
        (munge / "key").write_bytes(secrets.token_bytes(1024))
        (munge / "key").chmod(0o400)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        self._spawn("munged", "--foreground", "--force", *(f"--{key}={munge / name}" for key, name in files.items()))
        wait_until((munge / "socket").exists, "munged is there")
        self._spawn("slurmctld", "-D")
        for name in self.names:
            self.start_node(name)
        wait_until(lambda: all(self.state(name) == "idle" for name in self.names), "all nodes are idle")

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self._spawn("slurmd", "-D", "-N", name, key=name)

    def kill_node(self, name: str) -> None:
        """What a loss of power does to a node: its daemon and its jobs are gone, and the controller finds it down."""
        jobs = self.run("squeue", "-h", "-w", name, "-o", "%i").split()
        self._processes.pop(name).kill()
        self._signal(jobs, signal.SIGKILL)
        self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=killed")

    def freeze(self, job: str) -> None:
        """Stop the processes of a job, so that it goes on for ever."""
        self._signal([job], signal.SIGSTOP)

    def _signal(self, jobs: list[str], number: signal.Signals) -> None:
        """Send a signal to all processes of jobs; where it kills, to those of Slurm that see to them, too."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._belongs(process, jobs, number == signal.SIGKILL):
                    os.kill(int(process.name), number)

    def _belongs(self, process: Path, jobs: list[str], keepers: bool) -> bool:
        variables = (process / "environ").read_bytes().split(b"\0")
        if not any(str(self.folder).encode() in variable for variable in variables):
            return False
        title = (process / "cmdline").read_bytes().decode(errors="replace")
        if title.startswith("slurmstepd: "):
            return keepers and any(f"[{job}." in title for job in jobs)
        return any(f"SLURM_JOB_ID={job}".encode() in variables for job in jobs)

    def stop(self) -> None:
        """Cancel all jobs and end the daemons."""
        self.run("scancel", *self.run("squeue", "-h", "-o", "%i").split())
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self.run("squeue", "-h", "-o", "%i"), "no job is left")
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            process.wait(DEADLINE)

    def _spawn(self, *command: str, key: str = "") -> None:
        with open(self.folder / "daemons.log", "a", encoding="utf-8") as log:
            self._processes[key or command[0]] = subprocess.Popen(
                [_find(command[0]), *command[1:]],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    # --- what users ask

    def run(self, name: str, *arguments: str) -> str:
        """Output of a command of Slurm."""
        command = [str(self.folder / "bin" / name), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False).stdout

    def state(self, name: str) -> str:
        """State of a node."""
        return self.run("sinfo", "-h", "-n", name, "-o", "%T").strip()

    def jobs(self) -> list[dict[str, str]]:
        """All jobs so far: number, comment (rule and wildcards), state, GPUs that they asked for, nodes."""
        wide = ",".join(f"{field}:300" for field in FIELDS)
        lines = self.run("squeue", "-h", "--states=all", "-O", wide).splitlines()
        return [
            dict(zip(FIELDS, (line[at : at + 300].strip() for at in range(0, 1500, 300)), strict=True))
            for line in lines
        ]

    def visible(self) -> dict[str, set[str]]:
        """What tasks saw in CUDA_VISIBLE_DEVICES, by the number of their job."""
        found: dict[str, set[str]] = {}
        for line in (self.folder / "visible").read_text().splitlines():
            job, devices = line.split()
            found.setdefault(job, set()).add(devices)
        return found
