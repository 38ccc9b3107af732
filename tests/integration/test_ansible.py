"""The Ansible role, run by ansible-core: on this host, and over ssh to several loopback addresses."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import EXAMPLES
from helpers.programs import need
from selfhost.audit.machines import load_machines

PLAYBOOK = EXAMPLES / "ansible" / "gather.yml"
LABELS = {"site": "berlin", "rack": "a 1; touch broken"}
HOSTS = 6
# a module needs the system's Python, not one that a version manager puts before it
SHARED = "ansible_python_interpreter=/usr/bin/python3\n"


def play(inventory: str, folder: Path, program: str, **variables: Any) -> dict[str, Any]:
    """Run the playbook; the records that it wrote, by their file's name."""
    (folder / "inventory").write_text(inventory, encoding="utf-8")
    records = folder / "records"
    variables |= {
        "selfhost_machine_command": program,
        "selfhost_machine_records": str(records),
        "selfhost_machine_labels": LABELS,
    }
    words = [
        "ansible-playbook",
        "-i",
        "inventory",
        "-f",
        "6",
        str(PLAYBOOK),
        "-e",
        json.dumps(variables),
    ]
    environment = {**os.environ, "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (folder / "broken").exists()
    fleet = load_machines(str(records))
    assert fleet.problems == ()
    return {machine.name: machine for machine in fleet.machines}


@pytest.mark.parametrize("mode", ["push", "facts"])
def test_local_hosts(mode: str, tmp_path: Path, selfhost_program: str) -> None:
    """Each mode writes one record for each host, with the host's name and the labels as given."""
    need("ansible-playbook")
    names = ["edge-01", "edge-02"]
    inventory = "".join(f"{name} ansible_connection=local\n" for name in names)
    machines = play(
        f"{inventory}[all:vars]\n{SHARED}",
        tmp_path,
        selfhost_program,
        selfhost_machine_mode=mode,
        # one for each of the hosts, which are one machine here
        selfhost_machine_facts_folder=str(tmp_path / "facts-{{ inventory_hostname }}"),
    )
    assert sorted(machines) == names
    for machine in machines.values():
        assert dict(machine.labels) == LABELS
        assert machine.memory_total_bytes is not None


@pytest.fixture
def ssh_inventory(tmp_path: Path) -> Iterator[str]:
    """Hosts at addresses of their own, all of them this machine's sshd."""
    need("sshd", "ssh", "ssh-keygen")
    if os.geteuid() != 0:
        pytest.skip("sshd needs root to let an account in")
    for key in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)], check=True
        )
    addresses = [f"127.0.9.{number}" for number in range(1, HOSTS + 1)]
    Path("/run/sshd").mkdir(exist_ok=True)
    config = tmp_path / "sshd_config"
    config.write_text(
        "\n".join(
            [
                "Port 22922",
                *(f"ListenAddress {address}" for address in addresses),
                f"HostKey {tmp_path}/host",
                f"AuthorizedKeysFile {tmp_path}/user.pub",
                f"PidFile {tmp_path}/pid",
                "PasswordAuthentication no",
                "PermitRootLogin prohibit-password",
                "StrictModes no",
                "UsePAM no",
            ]
        )
        + "\n",
        encoding="utf-8",
    )
    which = subprocess.run(["which", "sshd"], capture_output=True, text=True, check=True)
    server = subprocess.Popen(
        [which.stdout.strip(), "-D", "-f", str(config), "-E", str(tmp_path / "log")]
    )
    time.sleep(0.5)
    if server.poll() is not None:
        pytest.skip(f"sshd does not start here: {(tmp_path / 'log').read_text('utf-8')}")
    hosts = "".join(
        f"edge-{number:02} ansible_host={address}\n" for number, address in enumerate(addresses, 1)
    )
    unknown = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    yield (
        f"{hosts}[all:vars]\n{SHARED}ansible_port=22922\nansible_user=root\n"
        f"ansible_ssh_private_key_file={tmp_path}/user\nansible_ssh_common_args={unknown}\n"
    )
    server.terminate()
    server.wait()


def test_over_ssh(ssh_inventory: str, tmp_path: Path, selfhost_program: str) -> None:
    """Over real connections each host's record comes back, and the policy is judged on all."""
    need("ansible-playbook")
    machines = play(ssh_inventory, tmp_path, selfhost_program)
    assert sorted(machines) == [f"edge-{number:02}" for number in range(1, HOSTS + 1)]
    policy = tmp_path / "audit.toml"
    policy.write_text('schema = 1\n[[model]]\nname = "gpt2"\n', encoding="utf-8")
    words = [selfhost_program, "audit", str(policy), "--machines", str(tmp_path / "records")]
    done = subprocess.run([*words, "--format", "json"], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["machines"] == HOSTS
