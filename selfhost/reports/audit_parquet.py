"""The rows of an audit as Parquet: the columns are the keys of its JSON Lines.

pyarrow writes it, which the extra `parquet` installs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ..audit.record import Audit
from ..core.errors import SelfhostError
from .audit_json import rows

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# rows that are held at once, and stand in one row group of the file
_GROUP_ROWS = 1 << 16


class MissingLibraryError(SelfhostError):
    """pyarrow is not installed."""


def library() -> Any:
    """pyarrow; `MissingLibraryError` where it is not installed, or is broken."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingLibraryError(
            f"--format parquet needs pyarrow: {error}",
            remedy="pip install 'selfhost-check[parquet]', or use --format jsonl=FILE, which has"
            " the same rows",
        ) from None
    return pyarrow


def render(audit: Audit) -> Iterator[bytes]:
    """The file in pieces: of a large fleet all rows together do not fit in memory. Where nothing
    was judged, it has a row per problem.
    """
    arrow = library()
    sink = _Sink()
    schema = _schema(arrow)
    with arrow.parquet.ParquetWriter(arrow.PythonFile(sink, mode="w"), schema) as writer:
        for group in _in_groups(rows(audit)):
            writer.write_batch(arrow.RecordBatch.from_pylist(group, schema=schema))
            yield sink.taken()
    yield sink.taken()


def _schema(arrow: Any) -> Any:
    text, texts = arrow.string(), arrow.list_(arrow.string())
    problem = arrow.struct([
        ("file", text), ("line", arrow.int64()), ("key", text), ("message", text), ("remedy", text),
    ])  # fmt: skip
    exception = arrow.struct([
        ("use", text), ("model", text), ("rule", text), ("machines", texts), ("reason", text),
        ("owner", text), ("expires", text), ("rows", arrow.int64()), ("concerned", arrow.bool_()),
        ("remedy", text),
    ])  # fmt: skip
    return arrow.schema([
        ("machine", text), ("asked", text), ("label", text), ("model", text), ("runtime", text),
        ("format", text), ("quantization", text), ("route", text),
        ("failed", texts), ("excepted", texts), ("result", text), ("severity", text),
        ("change", text), ("problem", problem), ("exception", exception),
    ])  # fmt: skip


def _in_groups(lines: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while group := list(islice(lines, _GROUP_ROWS)):
        yield group


class _Sink:
    """What the writer writes, until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written_bytes = 0

    def write(self, content: bytes) -> int:
        """As of a file."""
        self._pieces.append(bytes(content))
        self._written_bytes += len(content)
        return len(content)

    def tell(self) -> int:
        """As of a file."""
        return self._written_bytes

    def flush(self) -> None:
        """As of a file."""

    def close(self) -> None:
        """As of a file."""

    def taken(self) -> bytes:
        """All since the last time."""
        content, self._pieces = b"".join(self._pieces), []
        return content
