"""A Slurm of several nodes on this machine, for tests: its own daemons, files and ports, and GPUs in name only."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

NEEDED = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "munged")
CLIENTS = ("sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo", "sacct")
# Slurm wants a character device for a GPU, which these are: no job opens them.
GPU_FILES = ("/dev/zero", "/dev/full")
DEADLINE = 60.0  # seconds to wait for a daemon or a state

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
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
MinJobAge=600
KillWait=2
SlurmdTimeout=10
ReturnToService=2
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 DefMemPerCPU=256 State=UP
"""


def missing() -> str:
    """Why no Slurm can be started here; empty where one can."""
    absent = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if absent:
        return f"no {', '.join(absent)}: Debian's slurm-wlm and munge are needed"
    return ""


def _path() -> str:
    """The path with the folders that daemons lie in."""
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


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
        gpus = [f"NodeName={name} Name=gpu File={file} Flags=nvidia_gpu_env" for name in self.names for file in GPU_FILES]
        (folder / "gres.conf").write_text("\n".join(gpus) + "\n")
        for name in CLIENTS:
            # The environment of a job does not always keep SLURM_CONF; its path is kept.
            wrapper = folder / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which(name)} "$@"\n')
            wrapper.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a shell that works on this cluster."""
        return os.environ | {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SLURM_CONF": str(self.folder / "slurm.conf"),
        }

    def start(self) -> None:
        """Start the daemons, and wait until all nodes are there."""
        munge = self.folder / "munge"
        key = munge / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        files = {"key-file": key, "socket": munge / "socket", "pid-file": munge / "pid", "seed-file": munge / "seed"}
        self._spawn(
            "munged", "--foreground", "--force", f"--log-file={munge / 'log'}", *(f"--{k}={v}" for k, v in files.items())
        )
        _wait(lambda: (munge / "socket").exists(), "munged")
        self._spawn("slurmctld", "-D")
        for name in self.names:
            self.start_node(name)
        _wait(lambda: all(state.startswith("idle") for state in self.states().values()), "nodes")

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self._spawn("slurmd", "-D", "-N", name, key=name)

    def kill_node(self, name: str) -> None:
        """Kill a node: its daemon, and all that runs on it."""
        self._processes.pop(name).kill()
        # What a machine that loses its power takes with it.
        for pid in _descendants_of_steps(self.folder / name):
            subprocess.run(["kill", "-9", str(pid)], check=False, stderr=subprocess.DEVNULL)
        self.command("scontrol", "update", f"nodename={name}", "state=down", "reason=killed")

    def _spawn(self, *command: str, key: str = "") -> None:
        with open(self.folder / "daemons.log", "a", encoding="utf-8") as log:
            self._processes[key or command[0]] = subprocess.Popen(
                [shutil.which(command[0], path=_path()), *command[1:]],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def command(self, *command: str) -> str:
        """Output of a command of Slurm."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout

    def states(self) -> dict[str, str]:
        """State of every node that the controller knows."""
        lines = self.command(str(self.folder / "bin" / "sinfo"), "-h", "-N", "-o", "%N %T").split("\n")
        found = dict(line.split() for line in lines if line)
        return {name: found.get(name, "unknown") for name in self.names}

    def stop(self) -> None:
        """Cancel all jobs and end the daemons."""
        self.command(str(self.folder / "bin" / "scancel"), "--user", self.environment.get("USER", "root"))
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            process.wait(DEADLINE)


def _wait(done, what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not done():
        assert time.monotonic() < end, f"Slurm did not start: {what}"
        time.sleep(0.1)
