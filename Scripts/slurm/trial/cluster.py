"""A real Slurm cluster on one machine: munged, slurmctld, and a slurmd with a host name of its own for each node."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

CONFIGURATION = """\
ClusterName=trial
SlurmctldHost=localhost
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool.%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.%n.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=10
MessageTimeout=20
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobRequeue=1
{nodes}
PartitionName=all Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""

# A node is a namespace of its own for the host name, by which claims and notes of failures tell nodes apart, for
# processes, whose numbers mean nothing on another node, and for mounts: /mnt is its own disk. A slurmd that has died is
# started again, as systemd would.
NODE = 'hostname "$0"; mount --bind "$2" /mnt; while :; do /usr/sbin/slurmd -D -N "$0"; sleep "$1"; done'


class Cluster:
    """The cluster, in a directory of its own; all its processes end with it."""

    def __init__(self, place, names=("node1", "node2"), cpus=2, port=17100):
        self.place = pathlib.Path(place)
        self.names = list(names)
        self.cpus = cpus
        self.daemons = {}
        self.place.mkdir(parents=True)
        ports = {name: port + 1 + i for i, name in enumerate(names)}
        nodes = "\n".join(
            f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[name]} CPUs={cpus} Sockets=1"
            f" CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=4000"
            for name in names
        )
        (self.place / "state").mkdir()
        (self.place / "slurm.conf").write_text(
            CONFIGURATION.format(place=place, port=port, nodes=nodes, names=",".join(names))
        )
        self.environment = os.environ | {"SLURM_CONF": str(self.place / "slurm.conf"), "TMPDIR": "/mnt"}

    def start(self, groups=None):
        """Starts all daemons. `groups`: by the names of nodes, control groups for them."""
        key = self.place / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.place.chmod(0o755)
        self._start(
            "munged", "/usr/sbin/munged", "--foreground", f"--key-file={key}", f"--socket={self.place}/munge.socket",
            f"--pid-file={self.place}/munged.pid", f"--seed-file={self.place}/munged.seed", "--force",
            f"--log-file={self.place}/munged.log",
        )  # fmt: skip
        self._await(lambda: (self.place / "munge.socket").exists(), "munged")
        self._start("slurmctld", "/usr/sbin/slurmctld", "-D", "-c")
        for name in self.names:
            self.start_node(name, (groups or {}).get(name))
        self._await(lambda: self.states() == {name: "idle" for name in self.names}, "the nodes")

    def start_node(self, name, group=None, pause=75):
        """Starts a node. `group`: a control group that all its processes are to be in; `pause`: seconds after which a
        slurmd that was killed comes again, longer than Slurm waits for it."""
        enter = [] if group is None else ["sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(group.path)]
        disk = self.place / f"disk.{name}"
        disk.mkdir(exist_ok=True)
        self._start(
            name, *enter, "unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", NODE, name,
            str(pause), str(disk),
        )  # fmt: skip

    def kill_slurmd(self, name):
        """SIGKILL to a slurmd alone: what it has started goes on, while Slurm believes the node dead."""
        for process in descendants(self.daemons[name].pid):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{process}/comm").read_text().strip() == "slurmd":
                    os.kill(process, signal.SIGKILL)

    def cut_power(self, name):
        """SIGKILL to all that a node does."""
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def stop(self):
        for name in self.names:
            if name in self.daemons:
                self.cut_power(name)
        for daemon in self.daemons.values():
            daemon.terminate()
            daemon.wait()

    def call(self, *words, **options):
        options = {"capture_output": True, "text": True, "env": self.environment} | options
        result = subprocess.run([str(word) for word in words], **options)
        if result.returncode:
            raise RuntimeError(f"{words}: {result.stderr or result.returncode}")
        return result.stdout

    def states(self):
        try:
            lines = self.call("sinfo", "-h", "-N", "-o", "%N %T").splitlines()
        except RuntimeError:
            return {}
        return {name: state.rstrip("*") for name, state in (line.split() for line in lines)}

    def jobs(self):
        """Job (with its task) to its state, node and reason, of what is not over."""
        lines = self.call("squeue", "-h", "-r", "-o", "%i|%T|%N|%r|%j").splitlines()
        return {line.split("|")[0]: tuple(line.split("|")[1:]) for line in lines}

    def _start(self, name, *words):
        with open(self.place / f"{name}.out", "ab") as log:
            self.daemons[name] = subprocess.Popen(
                words, stdout=log, stderr=subprocess.STDOUT, env=self.environment, start_new_session=True
            )

    def _await(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not start: look into the logs in {self.place}")
            time.sleep(0.3)


class SlowGroup:
    """A control group whose processes together get a fraction of one processor."""

    def __init__(self, name, processors):
        period = 100_000
        quota = int(period * processors)
        root = pathlib.Path("/sys/fs/cgroup")
        if (root / "cgroup.controllers").exists():
            self.path = root / name
            self.path.mkdir(exist_ok=True)
            (self.path / "cpu.max").write_text(f"{quota} {period}")
        else:
            self.path = root / "cpu" / name
            self.path.mkdir(exist_ok=True)
            (self.path / "cpu.cfs_period_us").write_text(str(period))
            (self.path / "cpu.cfs_quota_us").write_text(str(quota))

    def remove(self):
        # Those that were killed take a moment to go.
        for _ in range(20):
            with contextlib.suppress(OSError):
                return self.path.rmdir()
            time.sleep(0.2)


def job_number(text):
    """Of what sbatch has printed."""
    return re.search(r"\d+", text).group()


def descendants(process):
    """The numbers of all processes that a process, or one of those, has started."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, rest = [], [process]
    while rest:
        for child in children.get(rest.pop(), []):
            found.append(child)
            rest.append(child)
    return found
