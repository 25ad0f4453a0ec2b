"""Data sets of token ids: decoded, checked against their tokenizer, and tokenized again to the same ids."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from coact.config import complete
from coact.corpus.sources import check_sources
from coact.corpus.token_ids import Decoder, count_same
from coact.corpus.tokenizer import encode_texts, load_tokenizer, train_tokenizer
from coact.corpus.tokens import open_tokens
from coact.errors import ConfigError
from coact.models.folder import new_gpt2, save_model
from coact.study import check
from hub import in_process, run, running_hub

ASK_IDS = """
import json, sys
from pathlib import Path
from coact.corpus.sources.huggingface import open_decoder, stream_documents
from coact.errors import StudyError
from coact.hub.repositories import pin
defaults = {"path": "owner/ids", "config": None, "split": "train", "revision": "main", "column": None,
            "tokens_column": "tokens", "tokens_of": "theirs", "least_same": 0.99, "max_documents": None}
answers, key = {}, "corpus.sources: ids"
for name, spec in json.loads(sys.argv[2]).items():
    spec = defaults | spec
    try:
        decoder = open_decoder(spec, Path(sys.argv[1]), key) if spec["tokens_of"] else None
        commit = pin("dataset", spec["path"], spec["revision"], key)
        found = list(stream_documents(spec, commit, 10**9, key, decoder))
        answers[name] = {"found": found, "share": decoder.share}
    except StudyError as error:
        answers[name] = {"error": str(error), "kind": type(error).__name__}
print(json.dumps(answers))
"""
BOS, EOS, PAD = 0, 1, 2
ROW = 64  # tokens


def make_texts(number, seed):
    """Texts of made-up words, some of them in Hebrew."""
    draws = np.random.default_rng(seed)
    latin = ["".join(draws.choice(list("aeioklmnprst"), draws.integers(2, 9))) for _ in range(300)]
    hebrew = ["".join(draws.choice(list("אבגדהלמנרשת"), draws.integers(2, 6))) for _ in range(30)]
    return [
        f"Text {place}: " + " ".join(draws.choice([*latin, *hebrew], draws.integers(20, 120))) + "."
        for place in range(number)
    ]


TEXTS = make_texts(700, 0)
TOKENIZER = train_tokenizer(TEXTS, 600)
OTHER = train_tokenizer(make_texts(700, 1), 600)


def pack(tokenizer, texts, length=ROW):
    """Rows of `length` ids: texts on end, EOS after each, cut anywhere, BOS before each row."""
    stream = [token for ids in encode_texts(tokenizer, texts) for token in [*ids, EOS]]
    return [[BOS, *stream[start : start + length - 1]] for start in range(0, len(stream), length - 1)]


def divide(rows):
    """The ids between BOS and EOS, the obvious way."""
    parts = [[]]
    for token in (token for row in rows for token in [*row, EOS]):
        if token in (BOS, EOS):
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def decode(part):
    """The text of ids, without half characters where a row is cut."""
    return TOKENIZER.decode(part).strip("\N{REPLACEMENT CHARACTER}")


def decoder(tokenizer=TOKENIZER, least_same=0.99):
    return Decoder(tokenizer, "theirs", least_same, "corpus.sources: ids.tokens_column: 'tokens' of 'owner/ids'")


@pytest.fixture(scope="module")
def hub():
    with running_hub() as found:
        yield found


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model with the tokenizer of the ids."""
    folder = tmp_path_factory.mktemp("model") / "theirs"
    shape = {"layers": 1, "d_model": 16, "heads": 2, "d_mlp": 32, "activation": "relu", "context_length": 64}
    made = new_gpt2(vocabulary=len(TOKENIZER), seed=0, tokenizer=TOKENIZER, **shape)
    save_model(made, TOKENIZER, folder)
    return folder


@pytest.fixture(scope="module")
def ids(tmp_path_factory):
    """A data set's files: packed ids, and columns with every fault."""
    rows = pack(TOKENIZER, TEXTS)
    table = pd.DataFrame({"tokens": rows, "text": "words", "number": 7})
    table["floats"] = [[1.0, 2.5]] * len(rows)
    table["empty"] = [[]] * len(rows)
    table["special"] = [[BOS, EOS, PAD]] * len(rows)
    table["large"] = [[BOS, 5, len(TOKENIZER), 6]] * len(rows)
    table["negative"] = [[BOS, 5, -100]] * len(rows)
    table["nested"] = [[[5, 6], [7]]] * len(rows)
    table["now_and_then"] = [None if number % 3 else row for number, row in enumerate(rows)]
    wrong = pack(OTHER, make_texts(700, 1))
    table["others"] = [wrong[number % len(wrong)] for number in range(len(rows))]
    folder = tmp_path_factory.mktemp("ids") / "data"
    folder.mkdir()
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    return folder.parent


# --- rows of ids


def test_bos_and_eos_divide_a_row_and_other_special_tokens_are_left_out():
    one, two = encode_texts(TOKENIZER, ["Text one.", " text two"])
    reader = decoder()
    assert list(reader.read([BOS, *one, EOS, PAD, *two[:2], PAD, *two[2:], PAD, PAD], 1)) == ["Text one.", " text two"]
    assert list(reader.read([BOS, EOS, PAD], 2)) == list(reader.read([], 3)) == []
    assert (reader.tokens, reader.same, reader.share) == (len(one) + len(two), len(one) + len(two), 1.0)
    assert decoder().share is None


def test_tokens_that_come_back_are_those_of_common_runs():
    assert count_same([1, 2, 3], [1, 2, 3]) == 3
    assert count_same([1, 2, 3, 4], [9, 2, 3, 8, 4]) == 3
    assert count_same([1, 2], []) == 0
    assert count_same([1, 2], [3, 4]) == 0
    long = list(range(5000))
    changed = [
        part for token in long for part in ([] if token % 400 == 0 else [token, -1] if token % 90 == 0 else [token])
    ]
    assert count_same(long, changed) == 5000 - 13
    assert count_same(changed, long) == 5000 - 13


def test_half_a_character_is_left_out_and_does_not_come_back():
    (letter,) = encode_texts(train_tokenizer([], 300), ["aש"])
    reader = decoder(train_tokenizer([], 300))
    assert list(reader.read(letter[:2], 1)) == ["a"]
    assert (reader.tokens, reader.same) == (2, 1)
    with pytest.raises(ConfigError, match=r"'owner/ids': 1 of the first 2 tokens \(0\.5\) come back .* at least 0\.99"):
        reader.check()


def test_an_unknown_token_counts_as_lost_and_padding_does_not():
    unknown = {"tokenizer_object": TOKENIZER.backend_tokenizer, "eos_token": "<|eos|>", "unk_token": "<|pad|>"}
    for more, found in (({}, (2, 1)), ({"pad_token": "<|pad|>"}, (1, 1))):
        reader = decoder(PreTrainedTokenizerFast(**unknown, **more))
        (word,) = encode_texts(TOKENIZER, ["T"])
        assert list(reader.read([*word, PAD], 1)) == ["T"]
        assert (reader.tokens, reader.same) == found


def test_a_share_that_is_too_low_is_not_waited_on(monkeypatch):
    monkeypatch.setattr("coact.corpus.token_ids.ENOUGH_TOKENS", 1000)
    reader = decoder()
    rows = iter(pack(OTHER, make_texts(700, 1)))
    with pytest.raises(ConfigError, match="another tokenizer may have made them"):
        [text for number, row in enumerate(rows) for text in reader.read(row, number)]
    assert 1000 <= reader.tokens < 1000 + ROW
    assert next(rows)


def test_rows_of_a_pretrained_tokenizer_come_back(shared_data):
    tokenizer = load_tokenizer(shared_data / "stories260K")
    stories = [part.strip() for part in (shared_data / "tinystories.txt").read_text().split("<|endoftext|>")][:200]
    stream = [token for part in encode_texts(tokenizer, stories) for token in [tokenizer.bos_token_id, *part]]
    reader = decoder(tokenizer)
    found = [text for start in range(0, len(stream), 256) for text in reader.read(stream[start : start + 256], 1)]
    assert set(stories[1:]) & set(found)
    assert reader.tokens == len(stream) - len(stories)
    assert 0.995 < reader.share < 1  # rows begin within words, which this tokenizer begins with a blank


# --- data sets of ids

REFUSED = {
    "text": ({"tokens_column": "text"}, "'text' of 'owner/ids' holds str in row 1; expected lists of token ids"),
    "number": ({"tokens_column": "number"}, "'number' of 'owner/ids' holds int in row 1; expected lists of token ids"),
    "floats": ({"tokens_column": "floats"}, "'floats' of 'owner/ids' holds lists of float in row 1; expected lists of"),
    "nested": ({"tokens_column": "nested"}, "'nested' of 'owner/ids' holds lists of list in row 1; expected lists of"),
    "large": (
        {"tokens_column": "large"},
        f"holds id {len(TOKENIZER)} in row 1, but the tokenizer of model 'theirs' has {len(TOKENIZER)} tokens,"
        f" expected ids up to {len(TOKENIZER) - 1}",
    ),
    "negative": ({"tokens_column": "negative"}, "'negative' of 'owner/ids' holds -100 in row 1; expected token ids, 0"),
    "empty": ({"tokens_column": "empty"}, "'owner/ids', split 'train', has no tokens in column 'empty'"),
    "special": ({"tokens_column": "special"}, "'owner/ids', split 'train', has no tokens in column 'special'"),
    "others": ({"tokens_column": "others"}, "expected a share of at least 0.99 (least_same); another tokenizer may"),
    "missing": (
        {"tokens_column": "input_ids"},
        ".tokens_column: found 'input_ids', which 'owner/ids' does not have; it has tokens, text, number",
    ),
    "ids as text": (
        {"tokens_column": None, "tokens_of": None, "column": "tokens"},
        ".column: 'tokens' of 'owner/ids' holds list; expected text (token ids are given as tokens_column)",
    ),
}
READ = {
    "whole": {},
    "three": {"max_documents": 3},
    "nulls": {"tokens_column": "now_and_then", "max_documents": 4},
    "lenient": {"tokens_column": "others", "least_same": 0.0, "max_documents": 20},
}


@pytest.fixture(scope="module")
def answers(hub, model, ids, tmp_path_factory):
    """What becomes of every data set, asked in one process."""
    hub.add("owner/ids", ids)
    asked = READ | {name: spec for name, (spec, _) in REFUSED.items()}
    home = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path_factory.mktemp("home"))}
    return in_process(ASK_IDS, [str(model), json.dumps(asked)], "", **home)


def test_documents_of_packed_rows_are_read(answers):
    found = answers["whole"]["found"]
    parts = divide(pack(TOKENIZER, TEXTS))
    assert [text for _, text in found] == [text for part in parts if (text := decode(part))]
    assert [number for number, _ in found] == sorted(number for number, _ in found)
    assert 0.99 < answers["whole"]["share"] < 1
    assert answers["three"]["found"] == found[:3]
    assert [number for number, _ in answers["nulls"]["found"]] == [1, 4, 4, 7]
    assert len(answers["lenient"]["found"]) == 20
    assert answers["lenient"]["share"] < 0.9


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_token_ids_of_the_model_is_refused_in_one_line(answers, name):
    assert answers[name]["kind"] == "ConfigError"
    assert answers[name]["error"].startswith("corpus.sources: ids")
    assert REFUSED[name][1] in answers[name]["error"]
    assert "\n" not in answers[name]["error"]


# --- the configuration


def source(**changes):
    ids = {"name": "ids", "kind": "huggingface", "path": "owner/ids", "share": 1}
    return ids | {"tokens_column": "tokens", "tokens_of": "theirs"} | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"column": "text"}, "ids: found column 'text' and tokens_column 'tokens', expected one"),
        ({"tokens_of": None}, "ids.tokens_of: found none, expected one beside tokens_column 'tokens'"),
        ({"tokens_column": None}, "ids.tokens_column: found none, expected one beside tokens_of 'theirs'"),
        ({"tokens_of": "nobody"}, "ids.tokens_of: found 'nobody', expected a model of kind local or hub"),
        ({"tokens_of": "main"}, "ids.tokens_of: found 'main', a model of kind trained, expected a model of kind local"),
        ({"tokens_of": "control"}, "'control', a model of kind untrained, expected .* made the ids: theirs$"),
        ({"least_same": 2}, r"corpus\.sources\[0\]\.least_same: 2 is greater than the maximum of 1"),
        ({"tokens_column": 3}, r"corpus\.sources\[0\]\.tokens_column: found 3, expected string or null"),
    ],
)
def test_keys_that_do_not_fit_are_refused(changes, message):
    models = {"main": {"kind": "trained"}, "theirs": {"kind": "hub", "name": "owner/model"}}
    config = {
        "corpus": {"sources": [source(**changes)], "train_tokens": 2_000_000},
        "models": models | {"control": {"kind": "untrained", "like": "theirs"}},
        "activations": {}, "graph": {}, "saes": {"neurons": {"kind": "neurons"}},
    }  # fmt: skip
    with pytest.raises(ConfigError, match=message) as caught:
        check_sources(check(complete(config)).config["corpus"]["sources"])
    assert "\n" not in str(caught.value)


# --- in a study


def overlay(workspace, sources, **models):
    """A study of models from elsewhere, beside the tiny study's own."""
    saes = dict.fromkeys(yaml.safe_load((workspace / "config.yaml").read_text())["saes"])
    saes["neurons"] = {"models": list(models)}
    config = {"corpus": {"sources": sources}, "models": models, "saes": saes}
    (workspace / "hub.yaml").write_text(yaml.safe_dump(config))


def same_tokens(workspace, split):
    """Tokens of a stream that are the ids served, and all of them; the documents are known by their texts."""
    served = {decode(part): part for part in divide(pack(TOKENIZER, TEXTS))}
    stream = open_tokens(workspace / f"results/tokens/theirs/{split}.safetensors")
    table = pd.read_parquet(workspace / f"results/corpus/{split}.parquet")
    same = total = 0
    for row, text in zip(table["document"], table["text"], strict=True):
        found = stream.tokens[stream.documents == row].tolist()
        same += count_same(served[text][: len(found)], found)
        total += len(found)
    return same, total


def test_ids_are_tokenized_to_themselves_and_to_the_tokens_of_other_models(hub, model, ids, workspace):
    commit = hub.add("owner/ids", ids)
    hub.add("owner/model", model)
    overlay(workspace, [source()], theirs={"kind": "hub", "name": "owner/model"})
    manifests = [f"results/{name}/manifest.json" for name in ("corpus", "hub", "tokens/theirs", "tokens/corpus")]
    done = run(workspace, hub, "--", *manifests)
    assert done.returncode == 0, done.stdout[-4000:]
    record = json.loads((workspace / "results/hub/datasets/ids.json").read_text())
    assert (record["column"], record["tokens_of"], record["commit"]) == ("tokens", "theirs", commit)
    described = json.loads((workspace / "results/corpus/manifest.json").read_text())["sources"]["ids"]
    assert described["same_share"] == record["same_share"]
    assert 0.99 < record["same_share"] < 1
    for split in ("train", "heldout"):
        same, total = same_tokens(workspace, split)
        assert same / total == pytest.approx(record["same_share"], abs=0.003)
        stream = open_tokens(workspace / f"results/tokens/corpus/{split}.safetensors")
        assert total > 1000
        assert len(np.unique(stream.documents)) > 10
    assert "Nothing to be done" in run(workspace, hub, "-n", "--", *manifests).stdout


def test_ids_of_a_local_model_that_its_tokenizer_did_not_make_end_the_study(hub, model, ids, workspace):
    hub.add("owner/ids", ids)
    overlay(workspace, [source(tokens_column="others")], theirs={"kind": "local", "path": str(model)})
    done = run(workspace, hub, "--", "results/corpus/manifest.json")
    assert done.returncode != 0
    assert "error: corpus.sources: ids.tokens_column: 'others' of 'owner/ids': " in done.stdout
    assert not (workspace / "results/hub/datasets/ids.json").exists()

    probes = {"name": "probes", "kind": "probes", "share": 1, "contexts": ["dna"]}
    optional = source(tokens_column="others", optional=True)
    overlay(workspace, [optional, probes], theirs={"kind": "local", "path": str(model)})
    done = run(workspace, hub, "--", "results/corpus/manifest.json")
    assert done.returncode == 0, done.stdout[-4000:]
    left_out = json.loads((workspace / "results/corpus/manifest.json").read_text())["left_out"]
    assert "'others' of 'owner/ids': " in left_out["ids"]


def test_a_model_of_the_hub_whose_tokenizer_is_too_large_is_refused(hub, model, workspace, tmp_path):
    small = Path(shutil.copytree(model, tmp_path / "small"))
    config = json.loads((small / "config.json").read_text())
    weights = load_file(small / "model.safetensors")
    weights["transformer.wte.weight"] = weights["transformer.wte.weight"][:500].clone()
    save_file(weights, small / "model.safetensors", {"format": "pt"})
    (small / "config.json").write_text(json.dumps(config | {"vocab_size": 500}))
    hub.add("owner/small", small)
    overlay(workspace, [source()], theirs={"kind": "hub", "name": "owner/small"})
    done = run(workspace, hub, "--", "results/models/theirs/model.safetensors")
    assert done.returncode != 0
    assert f"the tokenizer has {len(TOKENIZER)} tokens, but the model embeds only 500" in done.stdout
