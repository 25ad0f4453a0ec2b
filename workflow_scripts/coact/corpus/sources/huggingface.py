"""Data sets of the Hugging Face Hub, of text or of token ids.

Text, or what the ids are decoded to, is streamed once, by rule fetch_dataset, as much of it as the study may need, and
kept beside the commit that it is of. The source itself reads what is kept, so that it gives the same documents whatever
becomes of the repository.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coact.artefacts import read_json
from coact.corpus.documents import Document
from coact.corpus.token_ids import Decoder
from coact.corpus.tokenizer import load_tokenizer
from coact.errors import ArtefactError, ConfigError, StudyError, first_line
from coact.progress import Progress

FOLDER = Path("results/hub/datasets")
COLUMNS = ("row", "text")
ROWS_AT_ONCE = 1024
MOST_NAMES = 12  # in a message


def check(spec: dict[str, Any]) -> None:
    """Refuse columns that exclude each other, and token ids that are not said to be of a model, or the reverse.

    Raises:
        ConfigError: names the source and the key.
    """
    place = f"corpus.sources: {spec['name']}"
    if spec["column"] and spec["tokens_column"]:
        raise ConfigError(
            f"{place}: found column '{spec['column']}' and tokens_column '{spec['tokens_column']}', expected one"
        )
    for key, other in (("tokens_column", "tokens_of"), ("tokens_of", "tokens_column")):
        if spec[key] and not spec[other]:
            raise ConfigError(f"{place}.{other}: found none, expected one beside {key} '{spec[key]}'")


def get_labels(spec: dict[str, Any]) -> list[str]:
    """The one label of the source: its name."""
    return [spec["name"]]


def describe(spec: dict[str, Any]) -> dict[str, Any]:
    """The repository, the commit that its documents are of, and where they were token ids, of what model."""
    pin = read_json(FOLDER / f"{spec['name']}.json")
    names = ("path", "config", "split", "revision", "commit", "tokens_of", "same_share")
    return {name: pin[name] for name in names}


def why_left_out(spec: dict[str, Any]) -> str | None:
    """Why an optional source has no documents; None where it has."""
    return read_json(FOLDER / f"{spec['name']}.json")["failed"]


def read_documents(spec: dict[str, Any], seed: int) -> Iterator[Document]:
    """Yield the documents that were fetched, in their order in the data set.

    Raises:
        ArtefactError: they were not fetched, or their file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = FOLDER / f"{spec['name']}.parquet"
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(COLUMNS)):
                for row, text in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
                    yield Document(text, spec["name"], spec["name"], f"{spec['path']}/{spec['split']}:{row}")
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtefactError(f"{path}: cannot be read ({first_line(error)})") from None


def get_column(spec: dict[str, Any]) -> str:
    """The column that is read."""
    return spec["tokens_column"] or spec["column"] or "text"


def open_decoder(spec: dict[str, Any], folder: Path, key: str) -> Decoder:
    """What reads the token ids of a source.

    Args:
        spec: of the source, with defaults.
        folder: of the model whose tokenizer made the ids.
        key: what messages call the source.
    Raises:
        ConfigError: the folder has no tokenizer.
    """
    place = f"{key}.tokens_column: '{spec['tokens_column']}' of '{spec['path']}'"
    return Decoder(load_tokenizer(folder), spec["tokens_of"], spec["least_same"], place)


def stream_documents(
    spec: dict[str, Any], commit: str, most_bytes: int, key: str, decoder: Decoder | None = None
) -> Iterator[tuple[int, str]]:
    """Row numbers and texts from the first row on, until there are `most_bytes` of UTF-8 or `max_documents`.

    Null entries and empty texts are passed over. Only the rows at hand are held in memory. No code of the repository is
    run.

    Args:
        spec: of the source, with defaults.
        commit: of the repository.
        key: what messages call the source.
        decoder: of the token ids, where the column holds such; a row may then give several documents.
    Raises:
        ConfigError: there is no such configuration, split or column, the column does not hold text, or the token ids
            are not of the decoder's tokenizer.
        StudyError: the Hub cannot be reached, or gives what cannot be read.
    """
    progress, size, kept = Progress(most_bytes, f"Fetch {spec['path']}", "bytes"), 0, 0
    for number, text in _texts(spec, commit, key, decoder):
        yield number, text
        length = len(text.encode("utf-8", "replace"))
        size, kept = size + length, kept + 1
        progress.update(length)
        if size >= most_bytes or kept == spec["max_documents"]:
            break
    progress.close()
    if decoder:
        decoder.check()
    if not kept:
        what = "tokens" if decoder else "text"
        raise ConfigError(
            f"{key}: '{spec['path']}', split '{spec['split']}', has no {what} in column '{get_column(spec)}'"
        )


def _texts(spec: dict[str, Any], commit: str, key: str, decoder: Decoder | None) -> Iterator[tuple[int, str]]:
    """Row numbers and texts that are not empty."""
    column, name = get_column(spec), "tokens_column" if decoder else "column"
    for number, record in enumerate(_records(spec, commit, key), start=1):
        if column not in record:
            names = ", ".join(list(record)[:MOST_NAMES])
            raise ConfigError(f"{key}.{name}: found '{column}', which '{spec['path']}' does not have; it has {names}")
        value = record[column]
        if value is None:
            continue
        if decoder is None and not isinstance(value, str):
            hint = " (token ids are given as tokens_column)" if isinstance(value, list) else ""
            raise ConfigError(
                f"{key}.column: '{column}' of '{spec['path']}' holds {type(value).__name__}; expected text{hint}"
            )
        texts = decoder.read(value, number) if decoder else [value]
        yield from ((number, text) for text in texts if text)


def _records(spec: dict[str, Any], commit: str, key: str) -> Iterator[dict[str, Any]]:
    """The rows of a data set, as they come; errors of the libraries as one line each."""
    import datasets
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    path = spec["path"]
    try:
        yield from datasets.load_dataset(path, spec["config"], split=spec["split"], revision=commit, streaming=True)
    except (datasets.exceptions.DatasetNotFoundError, FileNotFoundError, RuntimeError) as error:
        raise ConfigError(
            f"{key}.path: '{path}' cannot be read as a data set ({first_line(error).rstrip('.')})"
        ) from None
    except ValueError as error:  # unknown configurations and splits; the message names those there are
        raise ConfigError(f"{key}: '{path}': {first_line(error).rstrip('.')}") from None
    except (HfHubHTTPError, HTTPError, OSError) as error:
        raise StudyError(
            f"{key}.path: '{path}': the Hub does not give it ({first_line(error).rstrip('.')}); run the same again"
        ) from None
