"""Machines as read from exporters of Prometheus: node_exporter, and dcgm-exporter for GPUs.

What goes in: the answer to an instant query. The series of one `instance` describe one machine;
GPUs are assigned to a machine by their address or by dcgm-exporter's label `Hostname`. Framebuffer
memory of dcgm-exporter is MiB (its etc/default-counters.csv).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from ..core import units
from ..core.files import value_at
from ..core.records import Record
from ..machine.record import FactValues
from .answers import (
    MAX_NAME,
    Answer,
    labels,
    machine_name,
    plain,
    systems_table,
    whole_number,
)
from .drafts import SOME_HOME, CardDraft, MachineDraft, Volume, broken, card_of
from .record_text import Entry

_DCGM = "install dcgm-exporter, and query DCGM_FI_DEV_FB_FREE, _USED and _RESERVED too"
_CARD = "DCGM_FI_DEV_FB_"
_FREE = f"{_CARD}FREE"
_USED = f"{_CARD}USED"
_METRIC = re.compile(r"(?:node_|DCGM_)\w+", re.ASCII)
# the port after an address
_PORT = r"(?<=.):\d+\Z"
# the sizes of a card's memory in the names of metrics
_SIZES = ("FREE", "USED", "TOTAL", "RESERVED")
# the label of a metric that names the host
_NAMING_LABELS = {"node_uname_info": "nodename", _FREE: "Hostname", _USED: "Hostname"}


class Sample(Record):
    """A sample of an answer: the labels of its series, its Unix time, and its value."""

    series: Answer
    second: object
    value: object

    def label(self, key: str, length: int = 60) -> str | None:
        """Return the text of a label of the series, cut to a length; None where the series has
        none.
        """
        return plain(self.series.get(key), length)


# the samples of one instance, by metric
Samples = defaultdict[str, list[Sample]]


def read_prometheus(document: Answer, _file: str) -> list[Entry] | None:
    """Return the machines in the answer to an instant query of the HTTP API; None for any other
    document.
    """
    if "data" not in document or document.get("status") != "success":
        return None
    rows = value_at(document, "data", "result")
    if not isinstance(rows, list):
        return []
    entries = []
    instances: dict[str, Samples] = {}
    for number, row in enumerate(rows):
        series = value_at(row, "metric")
        if not isinstance(series, Mapping):
            entries.append(broken("prometheus", f"data.result[{number}]"))
            continue
        instance = plain(series.get("instance"), MAX_NAME)
        # computed series of a query have no name and are ignored
        metric = str(series.get("__name__"))
        if instance is None or not _METRIC.fullmatch(metric):
            continue
        stated = value_at(row, "value")
        if isinstance(stated, list) and len(stated) == 2:
            second, value = stated
            sample = Sample(series=series, second=second, value=value)
            samples = instances.setdefault(instance, defaultdict(list))
            samples[metric].append(sample)
    for machine in _machines(instances):
        entries.append(Entry(value=machine.record()))
    return entries


def _machines(instances: Mapping[str, Samples]) -> list[_MeasuredMachine]:
    """The machines of these instances.

    An instance without a metric of memory, such as dcgm-exporter, adds its samples to the machine
    that shares a name with it. Where no machine does, the instance is a machine of its own.
    """
    machines = []
    others = []
    by_name = {}
    for instance, samples in instances.items():
        machine = _MeasuredMachine(instance, samples)
        if machine.sample_of_memory is None:
            others.append(machine)
            continue
        machines.append(machine)
        for name in machine.names:
            by_name[name] = machine
    for other in others:
        # a label identifies the machine better than the address
        for name in reversed(other.names):
            if name in by_name:
                for metric, measured in other.samples.items():
                    by_name[name].samples[metric] += measured
                break
        else:
            machines.append(other)
    return machines


class _MeasuredMachine:
    """The samples that exporters measured of one machine, by metric. `names` are the machine's
    address without the port, and the names that labels give it.
    """

    def __init__(self, instance: str, samples: Samples) -> None:
        self.samples = samples
        self.names = [re.sub(_PORT, "", instance)]
        for metric, label in _NAMING_LABELS.items():
            for sample in self._of(metric)[:1]:
                name = sample.label(label, MAX_NAME)
                if name is not None:
                    self.names.append(name)

    @property
    def sample_of_memory(self) -> Sample | None:
        """The first sample of the first metric of memory; None where none was measured."""
        for metric, samples in self.samples.items():
            if "_memory_" in metric:
                return samples[0]
        return None

    def record(self) -> FactValues:
        """Return the record of the machine."""
        machine = MachineDraft("prometheus")
        machine.read_rows(self._stated_facts())
        source = (
            "node_filesystem_avail_bytes of {mount}: the home folder is taken to be "
        )
        machine.put_home(self._volumes(), SOME_HOME, source + SOME_HOME)
        cards = self._cards()
        if cards:
            machine.put_accelerators(cards, f"{_CARD}…, per GPU", _DCGM)
            source = f"{_FREE}, MiB, when queried"
            machine.sources["accelerators.memory_free_bytes"] = source
        kept_labels = {}
        sample = self.sample_of_memory
        if sample is not None:
            moment = _moment(sample.second)
            machine.put("read_at", moment, "the time of Prometheus' sample")
            kept_labels = _kept_labels(sample.series)
        for row in machine.table.rows:
            metric = row.path.partition("/")[0]
            metric = metric.replace("node_cpu_cores", "node_cpu_info")
            remedy = f"query {metric} too"
            machine.lacks(row.fact, f"{metric} is not in the answer", remedy)
        return machine.record(machine_name(*self.names), kept_labels)

    def _stated_facts(self) -> dict[str, object]:
        """The values that the rows of the system's table look for, by metric. A metric that only
        informs (`…_info`) gives its labels.
        """
        stated: dict[str, object] = {}
        for metric, samples in self.samples.items():
            last = samples[-1]
            if metric.endswith("_info"):
                stated[metric] = last.series
            else:
                stated[metric] = last.value
        # each CPU and each core has its own series
        cpus = self._count("node_cpu_seconds_total", "cpu")
        if cpus is None:
            cpus = self._count("node_cpu_info", "cpu")
        stated["node_cpu_seconds_total"] = cpus
        stated["node_cpu_cores"] = self._count("node_cpu_info", "package", "core")
        return stated

    def _of(self, metric: str) -> list[Sample]:
        """The samples of a metric; [] where none was measured."""
        return self.samples.get(metric, [])

    def _count(self, metric: str, *keys: str) -> int | None:
        """The number of different values of these labels among the samples of a metric, such as the
        number of CPUs; None where there are none.
        """
        found = set()
        for sample in self._of(metric):
            values = tuple([sample.label(key) for key in keys])
            if None not in values:
                found.add(values)
        return len(found) or None

    def _volumes(self) -> Iterator[Volume]:
        """Yield the mounted file systems whose free bytes are known."""
        sizes = {}
        for sample in self._of("node_filesystem_size_bytes"):
            sizes[sample.label("mountpoint", 1000)] = sample.value
        for sample in self._of("node_filesystem_avail_bytes"):
            mount = sample.label("mountpoint", 1000)
            kind = sample.series.get("fstype")
            yield Volume(
                mount=mount,
                free_bytes=sample.value,
                total_bytes=sizes.get(mount),
                filesystem=kind,
            )

    def _cards(self) -> list[CardDraft]:
        """The cards of the machine. Each instance of a divided card is a card, and the divided card
        is left out.
        """
        measured: dict[tuple[str, str], _MeasuredCard] = {}
        for size in _SIZES:
            for sample in self._of(f"{_CARD}{size}"):
                number = sample.label("UUID", 80) or sample.label("gpu", 20)
                size_bytes = whole_number(sample.value, units.MIB)
                if number is None or size_bytes is None:
                    continue
                part = sample.label("GPU_I_ID", 20) or ""
                card = _MeasuredCard(sample=sample, bytes_of={})
                # the samples of all sizes of a card describe one card
                card = measured.setdefault((number, part), card)
                card.bytes_of[size] = size_bytes
        divided = {number for number, part in measured if part}
        cards = []
        for (number, part), card in measured.items():
            if part or number not in divided:
                cards.append(card.fact(part))
        return cards


def _moment(second: object) -> str | None:
    """The time of a sample, as records have it."""
    whole_second = whole_number(second, least=1, most=1 << 36)
    if whole_second is None:
        return None
    moment = datetime.fromtimestamp(whole_second, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _kept_labels(series: Answer) -> dict[str, str]:
    """The labels by which people make classes of machines."""
    kept = {}
    for key in systems_table().class_labels:
        kept[key] = series.get(key)
    return labels("prometheus", kept)


class _MeasuredCard(Record):
    """A card, or an instance of a divided card. `bytes_of` has its sizes by the last word of their
    metrics.
    """

    sample: Sample
    bytes_of: dict[str, int]

    def fact(self, part: str) -> CardDraft:
        """Return the accelerator for a record. `part` is the instance of a divided card, else
        empty.
        """
        name = self.sample.label("modelName", 120) or "NVIDIA GPU"
        profile = self.sample.label("GPU_I_PROFILE", 40) or part
        if profile:
            name = f"{name}-MIG-{profile}"
        sizes = self.bytes_of
        total = sizes.get("TOTAL")
        if total is None and "FREE" in sizes and "USED" in sizes:
            # the total is the sum of the free, used and reserved bytes
            total = sum(sizes.values())
        return card_of(
            name,
            total or None,
            sizes.get("FREE"),
            self.sample.series.get("DCGM_FI_DRIVER_VERSION"),
            is_part=bool(profile),
        )
