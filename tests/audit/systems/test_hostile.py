"""Answers that are broken, hostile or of nobody: a clear fault with its file and line, or harmless
text; never a traceback.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.audits import judged
from helpers.paths import DATA
from selfhost.audit import machines
from selfhost.audit.machines import Fleet, load_machines
from selfhost.audit.rows import Audit

FLEET = DATA / "fleet"
JSON_SAMPLES = sorted(FLEET.glob("*/*.json"))


def loaded(content: bytes) -> Fleet:
    """The fleet that the content of a file gives."""
    return load_machines("-", stdin=content)


def message(content: bytes) -> str:
    """The one problem of it."""
    fleet = loaded(content)
    assert not fleet.machines
    (problem,) = (*fleet.problems, *fleet.down)
    return str(problem)


def nodes(*items: str) -> bytes:
    """What `kubectl get nodes -o json` prints of these items."""
    text = ",\n".join(items)
    return f'{{"apiVersion": "v1", "items": [\n{text}\n], "kind": "List"}}\n'.encode()


NODE = '{"kind": "Node", "metadata": {"name": "n"}, "status": {"capacity": {"memory": "1Gi"}}}'


def test_an_answer_that_nobody_can_read_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Deeper than Python's own stack; without end."""
    deep = NODE[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert "is nested too deeply" in message(nodes(NODE, deep))
    monkeypatch.setattr(machines, "MAX_TEXT_BYTES", 10_000)
    assert "is larger than 10,000 bytes" in message(nodes(*[NODE] * 200))


def test_an_empty_answer_is_a_fault() -> None:
    """Nothing judged must not be green."""
    empty = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
    for text in (nodes(), empty):
        assert "holds no machine" in message(text)


def place_of_fault(answer: object) -> str | None:
    """Where the first problem of an answer lies."""
    return loaded(json.dumps(answer).encode()).problems[0].key


def test_a_broken_item_of_an_answer_is_a_fault_with_its_place() -> None:
    """A machine that went missing must not leave a green audit of the others."""
    node = {"kind": "Node", "status": {"capacity": {"memory": "1Gi"}}}
    record = {"schema": "selfhost.machine/1"}
    broken_items: list[object] = ["oops", 7, None, [], {}]
    for broken in broken_items:
        assert place_of_fault({"items": [broken, node]}) == "items[0]"
        assert place_of_fault({"items": [node, broken, node]}) == "items[1]"
        assert place_of_fault([broken, record]) == "[0]"
        assert place_of_fault([record, broken, record]) == "[1]"
    pods = nodes(NODE, '{"kind": "Pod", "metadata": {"name": "p"}}')
    assert not loaded(pods).problems, "other kinds of Kubernetes are no broken nodes"


def test_a_machine_that_is_down_is_not_judged_and_a_drained_one_is() -> None:
    """One rule for all systems: what is down or does not answer is a fault with its name."""
    for ready in ("False", "Unknown"):
        fleet = loaded(json.dumps(node_that_is(ready)).encode())
        (problem,) = audited(fleet, "judge").problems
        assert problem.message.startswith("n is not judged: ")
        left_out = audited(fleet, "skip")
        (problem,) = left_out.problems
        assert problem.message == "there is no machine to judge"
        assert '"n" (' in left_out.notes[0]
    pressure = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}
    # what a line of jq makes of Slurm's nodes
    drained = {
        "schema": "selfhost.machine/1",
        "name": "n",
        "labels": {"slurm.state": "IDLE,DRAIN"},
    }
    cordoned = node_that_is("True") | {"spec": {"unschedulable": True}}
    tainted = node_that_is("True") | {"spec": {"taints": [pressure]}}
    works = {"cordoned": cordoned, "memory-pressure": tainted, "drain": drained}
    for state, answer in works.items():
        fleet = loaded(json.dumps(answer).encode())
        assert not fleet.problems, answer
        (machine,) = fleet.machines
        assert state in ",".join(machine.labels.values()).lower(), answer
        for wanted in ("judge", "skip"):
            made = audited(fleet, wanted)
            assert made.machines == (1 if wanted == "judge" else 0), answer
            told = [note for note in made.notes if "no new work" in note]
            assert any(f"({state})" in note for note in told)


def node_that_is(ready: str) -> dict[str, object]:
    """A node of Kubernetes whose condition `Ready` is this."""
    condition = {"type": "Ready", "status": ready}
    return {
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {"conditions": [condition]},
    }


def audited(fleet: Fleet, out_of_service: str) -> Audit:
    """The audit by a policy that says what becomes of machines which are out of service."""
    policy = f'out_of_service = "{out_of_service}"\n[[model]]\nname = "gpt2"\n'
    return judged(policy, fleet=fleet)


def test_what_is_no_json_says_what_is_read() -> None:
    """Slurm's and an exporter's own texts, what is compressed, and JSON that is no object."""
    for content in (
        b"null",
        b"NodeName=n State=IDLE RealMemory=1\n",
        b"# HELP node_x y\n",
        b"\x1f\x8b\x08",
    ):
        (problem,) = loaded(content).problems
        assert "is not JSON of machines" in problem.message
        assert "`kubectl get nodes -o json`" in str(problem.remedy)


# what must not leave an answer: addresses, serial numbers, accounts, environments
SECRETS = (
    "192.0.2.77", "2001:db8::77", "02:00:00:77:77:77", "SN-77-SERIAL", "somebody77",
    "somebody@example.org", "77777777-aaaa-bbbb-cccc-777777777777", "hunter77secret",
)  # fmt: skip
_PRIVATE_KEYS = (
    "ansible_all_ipv4_addresses", "ansible_default_ipv4", "ansible_product_serial", "ansible_env",
    "ansible_user_id", "ansible_ssh_host_key_rsa_public", "serialnumber", "networking", "identity",
    "ssh", "ip_interfaces", "machine_id", "uuid", "username", "pythonpath", "address", "hostname2",
    "comment", "reason", "owner", "extra", "annotations", "addresses", "systemUUID", "machineID",
    "bootID", "uid", "providerID", "host", "env",
)  # fmt: skip


def _with_secrets(value: object, secrets: Iterator[str]) -> object:
    """The answer with private values beside every key of every object."""
    if isinstance(value, list):
        return [_with_secrets(item, secrets) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _with_secrets(item, secrets) for key, item in value.items()}
    if len(made) <= 2:
        return made
    for key in _PRIVATE_KEYS:
        if key in made:
            continue
        secret = next(secrets)
        # a label of that name says what a machine is for; an environment holds variables
        made[key] = {"TOKEN": secret} if key == "env" else secret
    return made


@pytest.mark.parametrize("path", JSON_SAMPLES, ids=lambda path: path.name)
def test_nothing_private_leaves_an_answer(path: Path) -> None:
    """Values in every place of every sample, and in labels by which classes are made, are in no
    record.
    """
    answer = json.loads(path.read_text(encoding="utf-8"))
    content = json.dumps(_with_secrets(answer, cycle(SECRETS))).encode()
    fleet = loaded(content)
    assert fleet.machines, fleet.problems
    text = json.dumps([machine.to_json() for machine in fleet.machines])
    for secret in SECRETS:
        assert secret not in text
    for word in ("192.0.2.", "127.0.0.1", "GPU-1111", "11111111-2222"):
        assert word not in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


# what no machine has
EXTREMES = [-1, 10**40, "1e999", "9" * 5000, "NaN", 1e300, "\ud800"]


class Mutation:
    """Puts other values in some places of an answer; the places are counted in its order."""

    def __init__(self, data: st.DataObject, places: list[int]) -> None:
        self.data = data
        self.places = places
        self.seen = 0

    def of(self, value: object) -> object:
        """The answer with a few values of another type, or far beyond what a machine has."""
        self.seen += 1
        if self.seen in self.places:
            return self.data.draw(JSON | st.sampled_from(EXTREMES))
        if isinstance(value, dict):
            return {key: self.of(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of(item) for item in value[:6]]
        return value


def _size(value: object) -> int:
    """How many places an answer has; of a list the first six items count."""
    if isinstance(value, dict):
        return 1 + sum(_size(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(_size(item) for item in value[:6])
    return 1


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_answer_ends_in_a_traceback(data: st.DataObject) -> None:
    """Any value anywhere: a machine, or a problem. `load_machines` raises nothing."""
    path = data.draw(st.sampled_from(JSON_SAMPLES))
    answer = json.loads(path.read_text(encoding="utf-8"))
    places = data.draw(st.lists(st.integers(1, _size(answer)), min_size=1, max_size=5))
    changed = Mutation(data, places).of(answer)
    fleet = loaded(json.dumps(changed).encode())
    assert fleet.machines or fleet.problems or fleet.down
