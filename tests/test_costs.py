"""What a study takes, by arithmetic: against numbers that can be checked by hand, real models and files of a study."""

import copy

import pytest

from coact.artefacts import read_table
from coact.config import complete, read_config
from coact.corpus.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from coact.costs import STAGES, disk, edges, jobs_of, memory, memory_of, models
from coact.costs.dictionaries import dictionaries_of, unknown_columns, unknown_models
from coact.models.folder import new_gpt2
from coact.sae.memory import training_memory
from coact.study import check
from conftest import ROOT

SHAPE = {"layers": 2, "d_model": 8, "d_mlp": 32, "heads": 2, "vocabulary": 300}


@pytest.fixture(scope="module")
def tiny():
    return study_of("presets/tiny.yaml")


def study_of(*overlays, **sections):
    """The default study with overlays, and with keys of some sections replaced."""
    config = read_config([ROOT / "config.yaml", *(ROOT / overlay for overlay in overlays)])
    for section, values in sections.items():
        config[section] = {**config[section], **values}
    return check(complete(config))


def bytes_of(folder, pattern):
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())


# --- by hand


def test_parameters_are_those_of_the_model_that_is_made(tmp_path):
    save_tokenizer(train_tokenizer([], 0), tmp_path / "tokenizer")
    shape = SHAPE | {"context_length": 16, "activation": "relu", "seed": 0}
    made = new_gpt2(**shape, tokenizer=load_tokenizer(tmp_path / "tokenizer"))
    assert models.trained_parameters(SHAPE, 16) == sum(weights.numel() for weights in made.parameters())
    assert models.trained_parameters(SHAPE, 16) < models.parameters(SHAPE)  # an upper bound


def test_a_forward_pass_takes_two_operations_per_weight_and_attention():
    block = 2 * (4 * 8 * 8 + 3 * 8 * 32) + 4 * 16 * 8
    assert models.forward_flops(SHAPE, 16, 2, logits=False) == 2 * block
    assert models.forward_flops(SHAPE, 16, 1, logits=True) == block + 2 * 8 * 300
    assert models.training_flops(SHAPE, 16) == 3 * (2 * block + 2 * 8 * 300)


@pytest.mark.parametrize(("hook", "blocks"), [("blocks.0.mlp.hook_post", 1), ("blocks.3.hook_resid_pre", 4), ("x", 6)])
def test_a_forward_pass_ends_in_the_block_of_its_hook(hook, blocks):
    assert models.blocks_to(hook, 6) == blocks


def test_a_step_of_an_sae_is_mostly_its_encoder():
    step = 2 * 4 * 8 + 8 * 4 * 2 + 12 * 2 * 4 * 8 / 16
    assert models.sae_step_flops(4, 8, 2, 16) == step
    assert models.sae_step_flops(4, 8, 2, 16, dead_share=0.5) == step + 12 * 4 * 8 / 2


def test_bytes_are_those_of_the_docs():
    assert disk.activation_bytes(1000, 512, "float16") == 1000 * (2 * 512 + 10)
    assert disk.activation_bytes(1000, 512, "float32") == 1000 * (4 * 512 + 10)
    assert disk.feature_bytes(1000, 16) == 1000 * (13 + 8 * 16)
    assert disk.sae_bytes(512, 1024) == 4 * (2 * 512 * 1024 + 512 + 1024)
    assert disk.set_bytes(1000, 4) == 28_000
    assert disk.token_bytes(1000) == 10_000


def test_activations_of_the_default_study():
    captured = [job for job in jobs_of(study_of()) if job.rule == "capture_activations"]
    # Two models, 458,752 and 131,072 tokens of 512 dimensions in float16, in shards of 229,376.
    assert sum(job.number for job in captured) == 2 * (2 + 1)
    assert sum(job.number * job.tokens for job in captured) == 2 * (458_752 + 131_072)
    assert sum(job.number * job.disk for job in captured) == 2 * (458_752 + 131_072) * (2 * 512 + 10)


def test_few_tokens_give_every_pair_at_most_once_and_many_give_all_pairs():
    assert edges.most_edges(1, 100_000, 4) <= 6
    assert edges.most_edges(10**12, 50, 4) == 50 * 49 // 2
    # Two features: the pair is an edge as soon as it is drawn.
    assert edges.most_edges(1000, 2, 2) == 1


def test_edges_are_those_of_independent_features():
    # Counted by benchmarks/benchmark_scale.py in 1,048,576 tokens of features drawn from this law: 3,626,535.
    assert edges.most_edges(1 << 20, 16_384, 4) == pytest.approx(3_626_535, rel=0.02)


def test_training_memory_is_a_process_and_twice_its_tensors():
    assert memory.train_sae(512, 1024, 2048) == 10**9 + 2 * training_memory(512, 1024, 2048)


# --- studies


def test_every_stage_has_jobs(tiny):
    assert list(dict.fromkeys(job.stage for job in jobs_of(tiny))) == list(STAGES)


def test_there_are_as_many_jobs_as_the_workflow_has():
    numbers = {}
    for job in jobs_of(study_of()):
        numbers[job.rule] = numbers.get(job.rule, 0) + job.number
    # As `snakemake -n` counts them for the default study.
    expected = {"capture_activations": 6, "train_sae": 4, "encode_features": 10, "count_pairs": 5, "sample_null": 15}
    expected |= {"evaluate_sae": 5, "measure_emergence": 2, "probe_contexts": 2, "train_model": 1, "export_features": 5}
    assert expected.items() <= numbers.items()


@pytest.mark.parametrize(
    ("section", "values", "rule", "what"),
    [
        ("activations", {"train_tokens": 900_000}, "capture_activations", "disk"),
        ("corpus", {"train_tokens": 3_000_000}, "collect_corpus", "memory"),
        ("activations", {"shard_tokens": 458_752}, "capture_activations", "tokens"),
        ("graph", {"batches": 24}, "build_graph", "memory"),
        ("graph", {"k": 8}, "sample_null", "memory"),
        ("activations", {"forward_contexts": 512}, "evaluate_sae", "memory"),
    ],
)
def test_more_takes_more(section, values, rule, what):
    before, after = (
        max(getattr(job, what) * (job.number if what == "disk" else 1) for job in jobs_of(study) if job.rule == rule)
        for study in (study_of(), study_of(**{section: values}))
    )
    assert after > before


def test_wider_dictionaries_take_more_of_everything():
    def wide(factor):
        config = copy.deepcopy(study_of().config)
        config["saes"]["topk"]["expansion"] = [factor]
        return {job.rule: job for job in jobs_of(check(config)) if job.sae == f"topk-x{factor}-s0"}

    narrow, wider = wide(4), wide(64)
    for rule in ("train_sae", "encode_features", "evaluate_sae"):
        assert wider[rule].memory > narrow[rule].memory
        assert wider[rule].flops > 10 * narrow[rule].flops
    assert wider["train_sae"].disk > 10 * narrow["train_sae"].disk
    assert wider["build_graph"].memory > narrow["build_graph"].memory


def test_the_default_study_fits_in_four_gigabytes():
    assert max(job.memory for job in jobs_of(study_of())) < 4 * 10**9


def test_active_features_are_k_or_half_the_neurons():
    found = {each.sae: each.l0 for each in dictionaries_of(study_of())}
    assert found["topk-x1-s0"] == 16
    assert found["neurons"] == 256


def test_families_that_train_alike_are_measured_once():
    steps = {job.sae: job.work[0][0] for job in jobs_of(study_of()) if job.rule == "train_sae"}
    assert steps["topk-x2-s0"] == steps["topk_reseeded-x2-s1"] == steps["topk_control-x2-s0"] != steps["topk-x1-s0"]


def test_a_model_that_is_not_fetched_is_not_guessed():
    models_there = {"main": study_of().config["models"]["main"], "far": {"kind": "hub", "name": "owner/name"}}
    study = study_of(models=models_there | {"untrained": {"kind": "untrained", "like": "far"}})
    if study.shape("far"):
        pytest.skip("owner/name is in the cache of the Hub")
    assert unknown_models(study) == ["untrained", "far"]
    assert ("untrained", "topk_control-x2-s0") in unknown_columns(study)
    assert not [job for job in jobs_of(study) if job.rule == "capture_activations" and job.model != "main"]
    assert memory_of(study)("train_sae", "untrained", "topk_control-x2-s0") is None


def test_memory_of_a_rule_is_that_of_its_largest_job():
    study = study_of()
    sizes = [job.memory for job in jobs_of(study) if job.rule == "encode_features" and job.sae == "neurons"]
    assert memory_of(study)("encode_features", "main", "neurons") == max(sizes) > min(sizes)


# --- files of a study


def test_sizes_are_those_of_real_files(tiny, tiny_study):
    results = tiny_study / "results"
    predicted = {}
    for job in jobs_of(tiny):
        predicted[job.rule] = predicted.get(job.rule, 0) + job.number * job.disk
    # Each file has a header of a kilobyte or two.
    assert bytes_of(results, "activations/main/*.safetensors") == pytest.approx(
        predicted["capture_activations"], rel=0.02
    )
    assert bytes_of(results, "tokens/corpus/*.safetensors") == pytest.approx(predicted["tokenize_corpus"], rel=0.02)
    assert bytes_of(results, "models/main/model.safetensors") == pytest.approx(predicted["train_model"], rel=0.04)
    topk = [job for job in jobs_of(tiny) if job.sae == "topk-x1-s0"]
    features = sum(job.number * job.disk for job in topk if job.rule == "encode_features")
    assert bytes_of(results, "features/main/topk-x1-s0/*.safetensors") == pytest.approx(features, rel=0.02)
    (weights,) = (job.disk for job in topk if job.rule == "train_sae")
    assert bytes_of(results, "saes/main/topk-x1-s0/sae_weights.safetensors") <= weights + 2000


def test_a_graph_has_no_more_edges_and_bytes_than_said(tiny, tiny_study):
    for each in dictionaries_of(tiny):
        folder = tiny_study / "results" / "graphs" / each.model / each.sae
        tokens = sum(tiny.encoded_tokens("train"))
        found = len(read_table(folder / "edges.parquet"))
        assert 0 < found <= edges.most_edges(tokens, each.d_sae, tiny.config["graph"]["k"])
