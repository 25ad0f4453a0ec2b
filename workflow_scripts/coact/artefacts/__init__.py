"""Reading and writing the study's files.

Every file is written under a temporary name beside its place and renamed when it is whole, so a file that is
there is complete. Tensors are safetensors with a digest of their bytes, tables are Parquet, summaries are JSON;
each carries the stamp of `coact.provenance`. Nothing is pickled.
"""

from coact.artefacts.disk import check_folders, explain
from coact.artefacts.files import atomic, atomic_folder, is_unfinished, read_json, remove_parts, write_json
from coact.artefacts.tables import read_table, write_table, write_tables
from coact.artefacts.tensors import TensorFile, TensorWriter, open_tensors, write_tensors

__all__ = [
    "TensorFile",
    "TensorWriter",
    "atomic",
    "atomic_folder",
    "check_folders",
    "explain",
    "is_unfinished",
    "open_tensors",
    "read_json",
    "read_table",
    "remove_parts",
    "write_json",
    "write_table",
    "write_tables",
    "write_tensors",
]
