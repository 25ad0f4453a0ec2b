"""Parquet tables with the study's stamp in their metadata.

pandas and PyArrow are imported when a table is read or written: many a job deals in tensors alone.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coact.artefacts.files import atomic
from coact.errors import ArtefactError, first_line
from coact.provenance import canonical_json

if TYPE_CHECKING:
    import pandas as pd

STAMP_KEY = b"coact"


def write_table(table: "pd.DataFrame", path: str | Path, stamp: dict[str, Any]) -> None:
    """Write `table` (without its index) as zstd-compressed Parquet, with `stamp` as metadata."""
    write_tables([table], path, stamp)


def write_tables(tables: Iterable["pd.DataFrame"], path: str | Path, stamp: dict[str, Any]) -> None:
    """Write tables of the same columns, one after another, as one table; in memory there is one at a time.

    Raises:
        ValueError: there is no table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    with atomic(path) as part:
        try:
            for table in tables:
                arrow = pa.Table.from_pandas(table, preserve_index=False)
                if writer is None:
                    schema = arrow.schema.with_metadata({STAMP_KEY: canonical_json(stamp).encode()})
                    writer = pq.ParquetWriter(part, schema, compression="zstd")
                writer.write_table(arrow.cast(schema))
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise ValueError(f"{path}: no table to write")


def read_table(path: str | Path, columns: list[str] | None = None) -> "pd.DataFrame":
    """The Parquet table `path`, or some of its columns.

    Raises:
        ArtefactError: the file is missing, not whole, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read(columns=columns).to_pandas()
    except FileNotFoundError:
        raise ArtefactError(f"{path}: no such file; expected a Parquet table of the study") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ArtefactError(f"{path}: not a whole Parquet table ({first_line(error)})") from None
