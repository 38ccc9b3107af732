"""Answers that are broken, hostile or of nobody: a clear fault with its file and line, or harmless
text; never a traceback.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.audits import judged
from helpers.paths import DATA
from selfhost.audit import machines
from selfhost.audit.machines import Fleet, load_machines
from selfhost.audit.rows import Audit

FLEET = DATA / "fleet"
SAMPLES = sorted(path for path in FLEET.glob("*/*"))


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


def test_a_broken_item_of_an_answer_is_a_fault_with_its_place() -> None:
    """A machine that went missing must not leave a green audit of the others."""
    kind = {"kind": "Node", "status": {"capacity": {"memory": "1Gi"}}}
    own, others = {"schema": "selfhost.machine/1"}, list[Any](("oops", 7, None, [], {}))
    for key, item in (("items", kind), ("", own)):
        for broken in others:
            for items, place in (([broken, item], 0), ([item, broken, item], 1)):
                answer: Any = {key: items} if key else items
                problem = loaded(json.dumps(answer).encode()).problems[0]
                assert problem.key == f"{key}[{place}]", (items, str(problem))
    pods = nodes(NODE, '{"kind": "Pod", "metadata": {"name": "p"}}')
    assert not loaded(pods).problems, "other kinds of Kubernetes are no broken nodes"


def test_a_machine_that_is_down_is_not_judged_and_a_drained_one_is() -> None:
    """One rule for all systems: what is down or does not answer is a fault with its name."""
    kubernetes: dict[str, Any] = {
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {},
    }
    no, unknown, ready = (
        {**kubernetes, "status": {"conditions": [{"type": "Ready", "status": status}]}}
        for status in ("False", "Unknown", "True")
    )
    for answer in (no, unknown):
        fleet = loaded(json.dumps(answer).encode())
        (problem,) = audited(fleet, "judge").problems
        assert problem.message.startswith("n is not judged: ")
        left_out = audited(fleet, "skip")
        assert [each.message for each in left_out.problems] == [
            "there is no machine to judge"
        ]
        assert '"n" (' in left_out.notes[0]
    pressure = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}
    # what a line of jq makes of Slurm's nodes
    node = {
        "schema": "selfhost.machine/1",
        "name": "n",
        "labels": {"slurm.state": "IDLE,DRAIN"},
    }
    works: list[tuple[Any, str]] = [
        ({**ready, "spec": {"unschedulable": True}}, "cordoned"),
        ({**ready, "spec": {"taints": [pressure]}}, "memory-pressure"),
        (node, "drain"),
    ]
    for answer, state in works:
        fleet = loaded(json.dumps(answer).encode())
        assert not fleet.problems, answer
        (machine,) = fleet.machines
        assert state in ",".join(machine.labels.values()).lower(), answer
        for wanted in ("judge", "skip"):
            made = audited(fleet, wanted)
            assert made.machines == (wanted == "judge"), answer
            assert any(
                "no new work" in note and f"({state})" in note for note in made.notes
            )


def audited(fleet: Fleet, wanted: str) -> Audit:
    return judged(
        f'out_of_service = "{wanted}"\n[[model]]\nname = "gpt2"\n', fleet=fleet
    )


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


def _with_secrets(value: Any, seen: list[int]) -> Any:
    """The answer with private values beside every key of every object."""
    if isinstance(value, list):
        return [_with_secrets(item, seen) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _with_secrets(item, seen) for key, item in value.items()}
    for key in _PRIVATE_KEYS:
        if key not in made and len(made) > 2:
            seen[0] += 1
            secret = SECRETS[seen[0] % len(SECRETS)]
            # a label of that name says what a machine is for; an environment holds variables
            made[key] = {"TOKEN": secret} if key == "env" else secret
    return made


@pytest.mark.parametrize(
    "path",
    [path for path in SAMPLES if path.suffix == ".json"],
    ids=lambda path: path.name,
)
def test_nothing_private_leaves_an_answer(path: Path) -> None:
    """Values in every place of every sample, and in labels by which classes are made, are in no
    record.
    """
    answer = json.loads(path.read_text(encoding="utf-8"))
    content = json.dumps(_with_secrets(answer, [0])).encode()
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


def _mutated(value: Any, draw: Any, chance: list[int]) -> Any:
    """The answer with a few values of another type, or far beyond what a machine has."""
    chance[0] += 1
    if chance[0] in chance[1:]:
        return draw(
            JSON
            | st.sampled_from([-1, 10**40, "1e999", "9" * 5000, "NaN", 1e300, "\ud800"])
        )
    if isinstance(value, dict):
        return {key: _mutated(item, draw, chance) for key, item in value.items()}
    if isinstance(value, list):
        return [_mutated(item, draw, chance) for item in value[:6]]
    return value


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_size, value[:6]))
    return 1


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_answer_ends_in_a_traceback(data: st.DataObject) -> None:
    """Any value anywhere: a machine, or a problem. `load_machines` raises nothing."""
    path = data.draw(
        st.sampled_from([path for path in SAMPLES if path.suffix == ".json"])
    )
    answer = json.loads(path.read_text(encoding="utf-8"))
    places = data.draw(st.lists(st.integers(1, _size(answer)), min_size=1, max_size=5))
    changed = _mutated(answer, data.draw, [0, *places])
    fleet = loaded(json.dumps(changed).encode())
    assert fleet.machines or fleet.problems or fleet.down
