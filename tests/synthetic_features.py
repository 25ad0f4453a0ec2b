"""A small token stream and the sparse features of a dictionary on it, for tests of interpretation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coact.artefacts import write_tensors
from coact.corpus.tokens import TokenStream

LENGTH = 8


@dataclass(frozen=True)
class Text:
    """A stream and dense (tokens, D) activations on it; special positions are the first of each context."""

    stream: TokenStream
    dense: np.ndarray


def make_text(
    seed: int, contexts: int = 12, features: int = 5, vocabulary: int = 6, density: float = 0.3, levels: int = 7
) -> Text:
    """Random text whose activations take few values, so that there are ties; the last feature is dead."""
    rng = np.random.default_rng(seed)
    shape = contexts, LENGTH
    tokens = rng.integers(1, vocabulary, shape, dtype=np.int32)
    documents = np.repeat(np.arange(contexts, dtype=np.int32) // 2, LENGTH).reshape(shape)
    labels = (documents % 3).astype(np.int16)
    tokens[:, 0], documents[:, 0], labels[:, 0] = 0, -1, -1
    size = contexts * LENGTH, features
    dense = np.where(rng.random(size) < density, rng.integers(1, levels, size) / 4, 0).astype(np.float32)
    dense[:, -1] = 0
    return Text(TokenStream(tokens, documents, labels, ["prose", "code", "dna"]), dense)


def kept_of(text: Text) -> np.ndarray:
    """(tokens,) bool: not special."""
    return text.stream.documents.ravel() >= 0


def write_shards(text: Text, folder: Path, sizes: list[int]) -> list[Path]:
    """Feature shards of so many contexts each; special positions are encoded, but not kept."""
    paths, start = [], 0
    folder.mkdir(parents=True, exist_ok=True)
    for number, contexts in enumerate(sizes):
        part = slice(start, start + contexts * LENGTH)
        start = part.stop
        rows, columns = np.nonzero(text.dense[part])
        arrays = {
            "indptr": np.concatenate([[0], np.cumsum((text.dense[part] > 0).sum(1))]).astype(np.int64),
            "indices": columns.astype(np.int32),
            "values": text.dense[part][rows, columns],
            "kept": kept_of(text)[part],
            "documents": text.stream.documents.ravel()[part].copy(),
        }
        paths.append(folder / f"heldout-{number:05d}.safetensors")
        write_tensors(arrays, paths[-1], {}, {"n_features": str(text.dense.shape[1])})
    return paths
