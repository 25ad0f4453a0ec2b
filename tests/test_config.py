"""The configuration: defaults, refusals, and what a study amounts to."""

import copy

import pytest
import yaml

from coact.config import complete, load_schema
from coact.errors import ConfigError
from coact.study import check, dictionary_size, prefix_sizes
from conftest import ROOT

BASE = {
    "corpus": {
        "sources": [{"name": "docs", "kind": "installed", "packages": ["numpy"], "share": 1}],
        "train_tokens": 2_000_000,
    },
    "models": {"main": {"kind": "trained"}, "control": {"kind": "untrained", "like": "main"}},
    "activations": {},
    "saes": {
        "topk": {"kind": "trained", "architecture": "topk", "expansion": [1, 2.5], "seeds": [0, 1]},
        "neurons": {"kind": "neurons", "models": ["main"]},
    },
    "graph": {},
}
MATRYOSHKA = {"kind": "trained", "architecture": "matryoshka"}


def study(**changes):
    """The checked study of BASE with values set by dotted path, for example {"graph.k": 5}."""
    config = copy.deepcopy(BASE)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node = config
        for parent in parents:
            node = node[int(parent)] if isinstance(node, list) else node[parent]
        node[last] = value
    return check(complete(config))


def test_defaults_are_filled_in_everywhere():
    config = study().config
    assert config["graph"]["k"] == 4
    assert config["corpus"]["sources"][0]["content"] == "docstrings"
    assert config["models"]["main"]["d_mlp"] == 512
    assert config["saes"]["topk"]["k"] == 16
    assert config["nulls"]["sweeps"] > 0


def test_a_family_stands_for_every_factor_and_seed():
    names = ["topk-x1-s0", "topk-x1-s1", "topk-x2.5-s0", "topk-x2.5-s1"]
    assert study().columns() == [
        *(("main", name) for name in names),
        ("main", "neurons"),
        *(("control", name) for name in names),
    ]
    settings = study().sae_settings("topk-x2.5-s1")
    assert (settings["expansion"], settings["seed"]) == (2.5, 1)


def test_an_entry_set_to_null_is_left_out():
    assert study(**{"saes.neurons": None}).columns()[4] == ("control", "topk-x1-s0")


def test_controls_share_the_tokenizer_of_their_model():
    assert study().tokenizers() == ["corpus"]


def test_shards_cover_the_stream_and_end_with_the_graph():
    found = study(**{"activations.train_tokens": 100_000, "activations.shard_tokens": 32_768, "graph.batches": 5})
    assert found.shard_tokens("train") == [32_768, 32_768, 32_768, 1_664]
    assert sum(found.shard_tokens("train")) == 100_000 // 128 * 128
    assert found.encoded_tokens("train") == [32_768, 32_768, 16_384]
    assert sum(found.encoded_tokens("heldout")) == 131_072


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("grahp", {}, "unknown key 'grahp'; did you mean graph?"),
        ("graph.kk", 3, "graph: unknown key 'kk'"),
        ("models.main.layer", 1, "models.main: unknown key 'layer'; did you mean layers?"),
        ("graph.k", "four", "graph.k: found 'four', expected integer"),
        ("graph.k", 1, "graph.k: 1 is less than the minimum of 2"),
        ("graph.k", 513, "graph.k: found 513, but 'topk-x1-s0' on model 'main' has only 512 features"),
        ("sensitivity", {"k": [3, 513]}, "sensitivity.k: found 513, but 'topk-x1-s0' on model 'main' has only 512"),
        ("sensitivity", {"k": [1]}, "sensitivity.k[0]: 1 is less than the minimum of 2"),
        ("sensitivity", {"include_bos": []}, "sensitivity.include_bos"),
        ("nulls", {"replicates": 0}, "nulls.replicates: 0 is less than the minimum of 1"),
        ("saes.topk.k", 600, "saes.topk.k: found 600, but 'topk-x1-s0' on model 'main' has only 512 features"),
        ("saes.topk.l1", 2.0, "saes.topk: key 'l1' is not one of architecture 'topk' (gated, relu have it)"),
        ("saes.topk.bandwidth", 2.0, "saes.topk: key 'bandwidth' is not one of architecture 'topk' (jumprelu has it)"),
        ("saes.topk.aux_shar", 0, "saes.topk: unknown key 'aux_shar'; did you mean aux_share?"),
        ("saes.topk.colour", 0, "saes.topk: unknown key 'colour'; known keys: kind, architecture, models"),
        ("saes.topk.k", "many", "saes.topk.k: found 'many', expected integer"),
        ("saes.topk.architecture", "magic", "saes.topk.architecture: 'magic' is not one of ["),
        ("saes.m", MATRYOSHKA | {"prefixes": [0.5, 0.25, 1]}, "saes.m.prefixes: found [0.5, 0.25, 1], expected shares"),
        ("saes.m", MATRYOSHKA | {"prefixes": [0.25, 0.5]}, "found [0.25, 0.5], expected shares that ascend to 1"),
        (
            "saes.m",
            MATRYOSHKA | {"prefixes": [0.0001, 1]},
            "saes.m.prefixes: found 0.0001, which of 2048 features are 0, expected at least one more than the 0 before",
        ),
        (
            "saes.m",
            MATRYOSHKA | {"prefixes": [0.5, 0.5001, 1]},
            "saes.m.prefixes: found 0.5001, which of 2048 features are 1024, expected at least one more than the 1024",
        ),
        (
            "saes.topk.resample_steps",
            [20_000, 100],
            "saes.topk.resample_steps has 100, but resample_window is 12,500 steps",
        ),
        (
            "saes.topk",
            {"kind": "trained", "architecture": "topk", "decoder": "random", "resample_steps": [20_000]},
            "saes.topk.resample_steps: found [20000], expected [] where decoder is random",
        ),
        ("saes.topk.decoder", "frozen", "saes.topk.decoder: 'frozen' is not one of"),
        ("models.control.weights", "permuted", "models.control.weights: 'permuted' is not one of"),
        ("models.main.kind", "hubb", "models.main.kind: 'hubb' is not one of"),
        ("models.main.heads", 5, "models.main.heads: found 5, expected a divisor of d_model = 128"),
        ("models.control.like", "nobody", "models.control.like: found 'nobody', expected one of: main"),
        ("models.local", {"kind": "local", "path": "nowhere"}, "models.local.path: 'nowhere' is not a folder"),
        ("saes.topk.models", ["mian"], "saes.topk.models: 'mian' is not a model; models are: main, control"),
        ("activations.hook", "blocks.1.mlp.hook_post", "model 'main' has blocks 0 to 0"),
        ("activations.train_tokens", 3_000_000, "found 3,000,000, but corpus.train_tokens holds 2,000,000"),
        ("activations.shard_tokens", 100_000, "expected a multiple of the 16,384 tokens of a batch"),
        ("activations.evaluated_tokens", 100, "expected at least one context of 128 tokens"),
        ("interpretation", {"steering": {"tokens": 124}}, "do not fit in corpus.context_length 128"),
        (
            "graph.batches",
            65,
            "graph.batches: found 65, but activations.train_tokens holds 64 batches of 16,384 tokens",
        ),
        ("corpus.sources", [], "corpus.sources: [] should be non-empty"),
        ("corpus.sources.0.share", -1, "corpus.sources[0].share: -1 is less than the minimum of 0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(path, value, message):
    with pytest.raises(ConfigError) as caught:
        study(**{path: value})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_known_keys_are_those_of_the_chosen_architecture():
    with pytest.raises(ConfigError, match=r"known keys: .*aux_share") as caught:
        study(**{"saes.topk.colour": 0})
    assert "l1" not in str(caught.value)


def test_only_what_is_wrong_itself_is_told():
    # A branch of the schema with an error in it explains none of its keys: that must not make `aux_share` unknown.
    with pytest.raises(ConfigError) as caught:
        study(**{"saes.topk.k": "many", "saes.topk.aux_share": 1.0})
    assert str(caught.value) == "saes.topk.k: found 'many', expected integer"
    with pytest.raises(ConfigError) as caught:
        study(**{"saes.topk": {"kind": "trained", "k": 4, "l1": 1.0}})
    assert str(caught.value) == "saes.topk: key 'architecture' is missing"


@pytest.mark.parametrize("name", load_schema()["$defs"]["sae_trained"]["properties"]["architecture"]["enum"])
def test_a_family_has_the_settings_of_its_architecture_alone(name):
    settings = study(**{"saes.one": {"kind": "trained", "architecture": name}}).config["saes"]["one"]
    properties = load_schema()["$defs"]
    own, common = properties[f"architecture_{name}"]["properties"], properties["sae_trained"]["properties"]
    assert settings.keys() == own.keys() | common.keys()


def test_a_model_folder_needs_config_weights_and_tokenizer(tmp_path):
    local = {"kind": "local", "path": str(tmp_path)}
    for name, missing in (("config.json", "config.json"), ("model.safetensors", "safetensors"), (None, "tokenizer")):
        with pytest.raises(ConfigError, match=missing):
            study(**{"models.local": local})
        if name:
            (tmp_path / name).write_text("{}")


@pytest.mark.parametrize("path", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_pass_the_schema(path):
    from snakemake.utils import update_config

    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(config, yaml.safe_load(path.read_text()))
    completed = complete(config)
    on_hub = any(settings.get("repository") for settings in completed["saes"].values())  # see test_presets.py
    if not on_hub and all("path" not in model for model in completed["models"].values()):
        assert check(completed).columns()


def test_a_model_may_have_a_hook_of_its_own_and_an_untrained_one_has_that_of_its_model():
    found = study(**{"models.deep": {"kind": "trained", "layers": 3, "hook": "blocks.2.hook_resid_pre"}})
    assert found.hook_of("main") == found.hook_of("control") == "blocks.0.mlp.hook_post"
    assert (found.hook_of("deep"), found.features_of("deep", "neurons")) == ("blocks.2.hook_resid_pre", 128)
    found = study(**{"models.main.hook": "blocks.0.mlp.hook_pre"})
    assert found.hook_of("control") == "blocks.0.mlp.hook_pre"
    found = study(**{"models.control.hook": "blocks.0.hook_mlp_out"})
    assert (found.hook_of("main"), found.hook_of("control")) == ("blocks.0.mlp.hook_post", "blocks.0.hook_mlp_out")
    with pytest.raises(
        ConfigError, match=r"models\.main\.hook: found 'blocks\.1\.mlp\.hook_post', but model 'main' has bl"
    ):
        study(**{"models.main.hook": "blocks.1.mlp.hook_post"})


def test_the_default_configuration_is_a_study():
    assert len(check(complete(yaml.safe_load((ROOT / "config.yaml").read_text()))).columns()) >= 5


def test_dictionary_size_rounds_to_the_nearest():
    assert [dictionary_size(512, factor) for factor in (4, 0.5, 0.0001)] == [2048, 256, 1]


def test_prefixes_are_whole_numbers_of_features():
    assert prefix_sizes(40, [0.0625, 0.125, 0.25, 0.5, 1.0]) == (3, 5, 10, 20, 40)
    assert prefix_sizes(1, [1.0]) == (1,)
