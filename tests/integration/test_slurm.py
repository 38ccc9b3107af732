"""The Slurm scripts, run by Slurm itself: a controller and several node daemons on this host."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from helpers.paths import EXAMPLES
from helpers.programs import need
from selfhost.audit.machines import load_machines

SLURM = EXAMPLES / "slurm"
NODES = 4
# how often the health check runs, and how long a test waits for what it does
INTERVAL_SECONDS = 10
PATIENCE_SECONDS = 180


def configuration(folder: Path, host: str) -> str:
    return f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmctldPort=26817
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
HealthCheckProgram={folder}/health
HealthCheckInterval={INTERVAL_SECONDS}
HealthCheckNodeState=ANY
NodeName=n[1-{NODES}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[27001-{27000 + NODES}] CPUs=1 RealMemory=1000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A running cluster; its folder, with a short path, for a socket's path may not be long."""
    need("munged", "slurmctld", "slurmd", "srun", "sinfo", "scontrol")
    if os.geteuid() != 0:
        pytest.skip("slurmd needs root")
    folder = Path(mkdtemp(prefix="selfhost-", dir="/tmp"))
    for name in ("state", "spool", "log"):
        (folder / name).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    health = folder / "health"
    health.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    health.chmod(0o755)
    (folder / "slurm.conf").write_text(
        configuration(folder, socket.gethostname().split(".")[0]), encoding="utf-8"
    )
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    files = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}  # fmt: skip
    munge = [f"--{option}={folder}/munge.{end}" for option, end in files.items()]
    daemons = [subprocess.Popen(["munged", "--force", "--foreground", *munge])]
    wait_for((folder / "munge.sock").exists)
    daemons += [subprocess.Popen(["slurmctld", "-D"])]
    daemons += [
        subprocess.Popen(["slurmd", "-D", "-N", f"n{number}"]) for number in range(1, NODES + 1)
    ]
    try:
        wait_for(lambda: states() == ["idle"] * NODES)
        yield folder
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(folder)


def sinfo(form: str) -> list[str]:
    words = ["sinfo", "--noheader", "--Node", f"--format={form}"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()


def states() -> list[str]:
    return sinfo("%T")


def each_node_had_its_turn(ran: Path) -> bool:
    return ran.exists() and len(set(ran.read_text("utf-8").split())) == NODES


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, sinfo("%N %T %E")
        time.sleep(0.5)


def test_a_record_of_each_node(cluster: Path, selfhost_program: str) -> None:
    """`srun` runs selfhost on each node; every record has its node's name."""
    done = subprocess.run(
        ["sh", str(SLURM / "gather.sh"), str(NODES), "records"],
        cwd=cluster,
        env={**os.environ, "SELFHOST": selfhost_program},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    fleet = load_machines(str(cluster / "records"))
    assert fleet.problems == ()
    assert sorted(machine.name for machine in fleet.machines) == ["n1", "n2", "n3", "n4"]


def test_the_health_check_drains_as_the_site_decides(cluster: Path, selfhost_program: str) -> None:
    """A broken policy drains the nodes with its one line as the reason where the site says so, and no node where it does not. A node that somebody drained keeps their reason."""
    subprocess.run(
        ["scontrol", "update", "NodeName=n4", "State=DRAIN", "Reason=maintenance"], check=True
    )
    policy, line = cluster / "audit.toml", cluster / "line"
    policy.write_text('schema = 1\n[[model]]\nname = "deepseek-r1"\n', encoding="utf-8")
    site = cluster / "site.conf"

    def decide(drain: str) -> None:
        site.write_text(
            f"SELFHOST={selfhost_program}\nSELFHOST_POLICY={policy}\nSELFHOST_LOG={line}\nSELFHOST_DRAIN={drain}\n",
            encoding="utf-8",
        )

    decide("no")
    (cluster / "health").write_text(
        f"#!/bin/sh\nexport SELFHOST_CONFIG={site} SLURM_CONF={cluster}/slurm.conf\n"
        f"{SLURM}/selfhost-healthcheck\ncode=$?\n"
        # which node's daemon ran it
        f"echo $PPID >> {cluster}/ran\nexit $code\n",
        encoding="utf-8",
    )
    wait_for(lambda: each_node_had_its_turn(cluster / "ran"))
    assert states() == ["idle"] * 3 + ["drained"]
    assert len(line.read_text("utf-8").splitlines()) == 1
    decide("yes")
    wait_for(lambda: states() == ["drained"] * NODES)
    *first, last = sinfo("%E")
    assert all("deepseek-r1" in reason and "|" not in reason for reason in first)
    assert last == "maintenance"
