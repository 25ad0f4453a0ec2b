"""Interchange with SAELens: folders by hand against plain formulas, the real package both ways, a study with an import.

The real package runs in an environment of its own, `.venv-sae-lens`, which `make test` makes.
"""

import copy
import json
import logging
import shutil

import pytest
import safetensors.torch
import torch
import yaml

from coact.artefacts import read_table
from coact.comparison.columns import columns_of, comparable
from coact.config import complete
from coact.errors import ArtefactError, ConfigError
from coact.sae import imports
from coact.sae.architectures import ARCHITECTURES
from coact.sae.disk import load_sae, save_sae
from coact.study import check
from conftest import ROOT, run_command, snakemake
from test_config import BASE
from test_environment import pins
from test_sae_disk import random_sae

PYTHON = ROOT / ".venv-sae-lens/bin/python"
HOOK = "blocks.0.mlp.hook_post"
GENERATOR = torch.Generator().manual_seed(3)
X = torch.randn(200, 6, generator=GENERATOR)
EXACT = {"rtol": 1e-5, "atol": 1e-5}


def read_sae(folder, width, **settings):
    """The SAE in a folder of SAELens."""
    plain = {"format": "sae_lens", "path": str(folder), "input_scale": None, "fold_decoder_norms": False}
    return imports.read_sae(plain | settings, width)


def random_tensors(*names, d_in=6, d_sae=10):
    """Random weights; decoder rows have norms from about 0.5 to 2."""
    shapes = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    names = ["W_enc", "W_dec", "b_dec", *names]
    tensors = {name: 0.5 * torch.randn(shapes.get(name, (d_sae,)), generator=GENERATOR) for name in names}
    tensors["W_dec"] *= torch.linspace(0.5, 2, d_sae)[:, None]
    return tensors


def write_folder(folder, tensors, **config):
    """A folder as SAELens 6 writes it."""
    d_in, d_sae = tensors["W_enc"].shape
    config = {
        "architecture": "standard",
        "d_in": d_in,
        "d_sae": d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.0", "model_name": "toy", "hook_name": HOOK},
    } | config
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(config))
    safetensors.torch.save_file(tensors, folder / "sae_weights.safetensors")
    return folder


def standard(tensors, x):
    """Features and reconstruction of a ReLU SAE, by the plain formula."""
    features = ((x - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]).relu()
    return features, features @ tensors["W_dec"] + tensors["b_dec"]


def assert_gives(sae, x, features, reconstruction):
    """An SAE's dense and sparse features, and its reconstruction, are these."""
    torch.testing.assert_close(sae.encode(x), features, **EXACT)
    torch.testing.assert_close(sae(x), reconstruction, **EXACT)
    found, sparse = sae.reconstruct(x)
    torch.testing.assert_close(found, reconstruction, **EXACT)
    assert len(sparse.values) == int((features > 0).sum())
    rows = torch.repeat_interleave(sparse.indptr.diff())
    torch.testing.assert_close(sparse.values, features[rows, sparse.indices.long()], **EXACT)


# --- folders by hand


def test_standard_features_are_the_plain_formula_with_rows_of_any_norm(tmp_path):
    tensors = random_tensors("b_enc")
    sae, origin = read_sae(write_folder(tmp_path, tensors), 6)
    assert_gives(sae, X, *standard(tensors, X))
    assert origin["imported"]["architecture"] == "standard"
    assert origin["imported"]["metadata"]["model_name"] == "toy"


def test_the_decoder_bias_stays_out_of_the_input_where_the_folder_says_so(tmp_path):
    tensors = random_tensors("b_enc")
    sae, _ = read_sae(write_folder(tmp_path, tensors, apply_b_dec_to_input=False), 6)
    features = (X @ tensors["W_enc"] + tensors["b_enc"]).relu()
    assert_gives(sae, X, features, features @ tensors["W_dec"] + tensors["b_dec"])


def test_jumprelu_thresholds_of_both_signs(tmp_path):
    tensors = random_tensors("b_enc", "threshold")
    assert (tensors["threshold"] < 0).any()
    sae, _ = read_sae(write_folder(tmp_path, tensors, architecture="jumprelu"), 6)
    before = (X - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]
    features = before.relu() * (before > tensors["threshold"])
    assert_gives(sae, X, features, features @ tensors["W_dec"] + tensors["b_dec"])


def test_gated_paths(tmp_path):
    tensors = random_tensors("b_gate", "b_mag", "r_mag")
    sae, _ = read_sae(write_folder(tmp_path, tensors, architecture="gated"), 6)
    shared = (X - tensors["b_dec"]) @ tensors["W_enc"]
    magnitude = (shared * tensors["r_mag"].exp() + tensors["b_mag"]).relu()
    features = magnitude * (shared + tensors["b_gate"] > 0)
    assert_gives(sae, X, features, features @ tensors["W_dec"] + tensors["b_dec"])


@pytest.mark.parametrize("k", [3, 10])
def test_topk_that_ranks_by_decoder_norms_becomes_one_with_unit_rows(tmp_path, k):
    tensors = random_tensors("b_enc")
    tensors["W_dec"][4] = 0  # a feature whose activation is always 0
    folder = write_folder(tmp_path, tensors, architecture="topk", k=k, rescale_acts_by_decoder_norm=True)
    sae, _ = read_sae(folder, 6)
    norms = tensors["W_dec"].norm(dim=1)
    before = ((X - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]) * norms
    kept = before.topk(k)
    features = torch.zeros_like(before).scatter(1, kept.indices, kept.values.relu())
    directions = tensors["W_dec"] / norms.clamp_min(1e-9)[:, None]
    assert_gives(sae, X, features, features @ directions + tensors["b_dec"])
    assert sae.settings()["rescale_acts_by_decoder_norm"] is False


@pytest.mark.parametrize("pre_bias", [True, False])
def test_the_scale_of_inputs_is_folded_from_the_file_or_the_configuration(tmp_path, pre_bias):
    tensors = random_tensors("b_enc")
    options = {"normalize_activations": "expected_average_only_in", "apply_b_dec_to_input": pre_bias}
    folder = write_folder(tmp_path, tensors, **options)
    with pytest.raises(ConfigError, match=r"'expected_average_only_in', but the factor is not in activation_scaler"):
        read_sae(folder, 6)
    inputs = X * 2.5 - tensors["b_dec"] if pre_bias else X * 2.5
    features = (inputs @ tensors["W_enc"] + tensors["b_enc"]).relu()
    reconstruction = (features @ tensors["W_dec"] + tensors["b_dec"]) / 2.5
    assert_gives(read_sae(folder, 6, input_scale=2.5)[0], X, features, reconstruction)
    (folder / "activation_scaler.json").write_text('{"scaling_factor": 2.5}')
    assert_gives(read_sae(folder, 6)[0], X, features, reconstruction)
    (folder / "activation_scaler.json").write_text('{"scaling_factor": null}')
    with pytest.raises(ConfigError, match="input_scale"):
        read_sae(folder, 6)


def test_the_scale_that_the_user_gives_goes_before_that_of_the_folder(tmp_path):
    tensors = random_tensors("b_enc")
    folder = write_folder(tmp_path, tensors, normalize_activations="expected_average_only_in")
    (folder / "activation_scaler.json").write_text('{"scaling_factor": 2.5}')
    assert_gives(read_sae(folder, 6, input_scale=1.0)[0], X, *standard(tensors, X))


def test_decoder_norms_are_folded_when_asked(tmp_path):
    tensors = random_tensors("b_enc")
    sae, _ = read_sae(write_folder(tmp_path, tensors), 6, fold_decoder_norms=True)
    features, reconstruction = standard(tensors, X)
    assert_gives(sae, X, features * tensors["W_dec"].norm(dim=1), reconstruction)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(10))
    folder = write_folder(tmp_path, tensors, architecture="topk", k=3)
    with pytest.raises(ConfigError, match=r"fold_decoder_norms: found true for the topk SAE .* change which features"):
        read_sae(folder, 6, fold_decoder_norms=True)
    tensors["W_dec"] *= 3 / tensors["W_dec"].norm(dim=1, keepdim=True)
    before = read_sae(write_folder(tmp_path, tensors, architecture="topk", k=3), 6)[0]
    assert_gives(read_sae(folder, 6, fold_decoder_norms=True)[0], X, before.encode(X) * 3, before(X))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_used_as_they_are(tmp_path, dtype):
    tensors = {name: tensor.to(dtype) for name, tensor in random_tensors("b_enc").items()}
    sae, _ = read_sae(write_folder(tmp_path, tensors, dtype=f"torch.{dtype}".replace("torch.torch", "torch")), 6)
    assert sae.W_enc.dtype == torch.float32
    assert_gives(sae, X, *standard({name: tensor.float() for name, tensor in tensors.items()}, X))


def test_double_precision_is_taken_where_it_says_no_more_than_single(tmp_path):
    tensors = {name: tensor.double() for name, tensor in random_tensors("b_enc").items()}
    sae, _ = read_sae(write_folder(tmp_path, tensors, dtype="float64"), 6)
    assert_gives(sae, X, *standard({name: tensor.float() for name, tensor in tensors.items()}, X))
    tensors["b_enc"] += 1e-12
    with pytest.raises(ConfigError, match="dtype: found 'float64' for b_enc, expected one of float32, float16, bfloat"):
        read_sae(write_folder(tmp_path, tensors, dtype="float64"), 6)


def test_folders_of_before_sae_lens_6_are_read(tmp_path):
    tensors = random_tensors("b_enc") | {"scaling_factor": torch.ones(10)}
    folder = write_folder(tmp_path, tensors)
    old = {
        "d_in": 6,
        "d_sae": 10,
        "dtype": "torch.float32",
        "hook_point": HOOK,
        "hook_point_head_index": None,
        "model_name": "gelu-1l",
        "activation_fn_str": "relu",
        "normalize_activations": False,
        "finetuning_scaling_factor": False,
    }
    (folder / "cfg.json").write_text(json.dumps(old))
    sae, origin = read_sae(folder, 6)
    assert_gives(sae, X, *standard(tensors, X))
    assert origin["imported"]["metadata"] == {"hook_name": HOOK, "hook_head_index": None, "model_name": "gelu-1l"}
    old |= {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}}
    (folder / "cfg.json").write_text(json.dumps(old))
    sae, _ = read_sae(folder, 6)
    assert (type(sae).__name__, sae.k) == ("TopK", 2)
    safetensors.torch.save_file(
        tensors | {"scaling_factor": torch.full((10,), 2.0)}, folder / "sae_weights.safetensors"
    )
    with pytest.raises(ArtefactError, match="scaling_factor: found values other than 1"):
        read_sae(folder, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalize_activations": "layer_norm"}, "normalize_activations: found 'layer_norm', expected one of 'none'"),
        ({"normalize_activations": "constant_norm_rescale"}, "found 'constant_norm_rescale'"),
        ({"reshape_activations": "image"}, "reshape_activations: found 'image', expected one of 'none', 'hook_z'"),
        ({"activation_fn": "tanh-relu"}, "activation_fn: found 'tanh-relu', expected one of 'relu', 'topk'"),
        ({"finetuning_scaling_factor": True}, "finetuning_scaling_factor: found True, expected one of False"),
        ({"metadata": {"hook_head_index": 3}}, "hook_head_index: found 3"),
        ({"d_in": 7}, "d_in: found 7, but activations have 6 dimensions"),
        ({"d_in": "6"}, "d_in: found '6', expected a whole number above 0"),
        ({"architecture": "transcoder"}, "architecture: found 'transcoder', expected one of standard, topk, jumprelu"),
        ({"architecture": "batchtopk"}, "found 'batchtopk', .* save_inference_model makes it jumprelu"),
        ({"architecture": "topk"}, "k: found None, expected a whole number above 0"),
        ({"architecture": "topk", "k": 11}, "k is 11, but the SAE has only 10 features"),
    ],
)
def test_what_cannot_be_had_exactly_is_refused_with_key_and_value(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_sae(write_folder(tmp_path, random_tensors("b_enc"), **changes), 6)
    assert "\n" not in str(caught.value)


def test_weights_of_another_architecture_are_refused(tmp_path):
    with pytest.raises(ArtefactError, match=r"found tensors .*, expected W_dec, W_enc, b_dec, b_enc, threshold for"):
        read_sae(write_folder(tmp_path, random_tensors("b_enc"), architecture="jumprelu"), 6)


def test_the_log_says_what_was_read(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "coact"):
        read_sae(write_folder(tmp_path, random_tensors("b_enc")), 6)
    assert f"standard, 6 -> 10, trained on 'toy' at '{HOOK}'; norms of decoder rows from" in caplog.text


# --- the configuration


def study(folder, **settings):
    """The checked study of `BASE` with the SAE in `folder` beside the others."""
    config = copy.deepcopy(BASE)
    config["saes"]["theirs"] = {"kind": "import", "path": str(folder), "models": ["main"], **settings}
    return check(complete(config))


@pytest.fixture
def wide(tmp_path):
    """A folder that fits the study's 512 dimensions."""
    return write_folder(tmp_path / "wide", random_tensors("b_enc", d_in=512, d_sae=768))


def test_an_import_is_a_column_of_the_width_that_its_folder_says(wide):
    found = study(wide)
    assert ("main", "theirs") in found.columns()
    assert ("control", "theirs") not in found.columns()
    assert (found.saes_of("import"), found.features_of("main", "theirs")) == (["theirs"], 768)
    settings = found.sae_settings("theirs")
    assert (settings["architecture"], settings["expansion"]) == ("relu", 1.5)
    columns = columns_of(found)
    place = next(number for number, column in enumerate(columns) if column.sae == "theirs")
    pairs = [pair for pair in comparable(columns) if place in (pair.a, pair.b)]
    assert {pair.differ for pair in pairs} == {"recipe", "neurons"}
    assert all(pair.matchings == ("decoder", "activations") for pair in pairs if pair.differ == "recipe")


def test_an_sae_of_another_hook_is_refused_unless_told(wide):
    write_folder(wide, random_tensors("b_enc", d_in=512), metadata={"hook_name": "blocks.3.hook_resid_pre"})
    with pytest.raises(ConfigError) as caught:
        study(wide)
    assert "at 'blocks.3.hook_resid_pre', but activations.hook is 'blocks.0.mlp.hook_post'" in str(caught.value)
    assert "saes.theirs.hook_check" in str(caught.value)
    assert study(wide, hook_check=False).features_of("main", "theirs") == 10
    write_folder(wide, random_tensors("b_enc", d_in=512), metadata={})
    assert study(wide).features_of("main", "theirs") == 10


def test_folders_that_are_no_sae_are_refused_before_anything_runs(wide, tmp_path):
    with pytest.raises(ConfigError, match=r"saes\.theirs\.path: 'nowhere' is not a folder"):
        study("nowhere")
    narrow = write_folder(tmp_path / "narrow", random_tensors("b_enc"))
    message = "is an SAE of 6 dimensions, but activations of model 'main' have 512"
    with pytest.raises(ConfigError, match=message):
        study(narrow)
    (wide / "cfg.json").write_text("{")
    with pytest.raises(ConfigError, match=r"saes\.theirs\.path: .*cfg\.json: cannot be read"):
        study(wide)
    (wide / "sae_weights.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"has no sae_weights\.safetensors; expected cfg\.json and"):
        study(wide)
    with pytest.raises(ConfigError, match=r"saes\.theirs: unknown key 'paht'; did you mean path\?"):
        study(wide, paht=1)


# --- the real package


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """A folder with `ours`, SAEs of this project as SAELens reads them, and `theirs`, SAEs that SAELens made."""
    if not PYTHON.exists():
        pytest.skip("no .venv-sae-lens (make .venv-sae-lens/installed): SAELens itself is not tested")
    folder = tmp_path_factory.mktemp("exchange")
    (folder / "theirs").mkdir()
    for name in ARCHITECTURES:
        for pre_bias in (True, False):
            sae = random_sae(name, d_sae=24, pre_bias=pre_bias).finish(X, 1.5)
            save_sae(sae, folder / "ours" / f"{name}-{pre_bias}", {"hook_name": HOOK}, {"rule": "test"})
    safetensors.torch.save_file({"x": X}, folder / "x.safetensors")
    script = ROOT / "tests/sae_lens/exchange.py"
    done = run_command(folder, str(PYTHON), str(script), "ours", "theirs", "x.safetensors")
    assert done.returncode == 0, done.stdout[-4000:]
    (folder / "versions.json").write_text(done.stdout.splitlines()[-1])
    return folder


def outputs(path):
    found = safetensors.torch.load_file(path)
    return found["features"], found["reconstruction"]


def test_sae_lens_gives_what_saes_trained_here_give(exchange):
    folders = sorted(path for path in (exchange / "ours").iterdir() if path.is_dir())
    assert len(folders) == 2 * len(ARCHITECTURES)
    for folder in folders:
        features, reconstruction = outputs(f"{folder}.out")
        assert (features > 0).any()
        assert_gives(load_sae(folder), X, features, reconstruction)


def test_saes_of_sae_lens_give_here_what_they_give_there(exchange):
    folders = sorted(path for path in (exchange / "theirs").iterdir() if path.is_dir())
    read = [folder for folder in folders if not folder.name.startswith("refused_")]
    assert len(read) == 20
    for folder in read:
        features, reconstruction = outputs(f"{folder}.out")
        assert (features > 0).any()
        assert_gives(read_sae(folder, 6)[0], X, features, reconstruction)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("layer_norm", "normalize_activations: found 'layer_norm'"),
        ("constant_norm", "normalize_activations: found 'constant_norm_rescale'"),
        ("whitening", "normalize_activations: found 'covariance_whitening'"),
        ("abstopk", "architecture: found 'abstopk'"),
        ("trained_batchtopk", "architecture: found 'batchtopk'.*save_inference_model"),
        ("trained_matryoshka", "architecture: found 'matryoshka_batchtopk'.*save_inference_model"),
    ],
)
def test_what_sae_lens_has_beyond_this_is_refused_by_name(exchange, case, message):
    with pytest.raises(ConfigError, match=message):
        read_sae(exchange / "theirs" / f"refused_{case}", 6)


def test_an_import_survives_the_way_there_and_back(exchange, tmp_path):
    sae, origin = read_sae(exchange / "theirs/topk_rescaled_scaled", 6)
    save_sae(sae, tmp_path, origin, {})
    features, reconstruction = outputs(exchange / "theirs/topk_rescaled_scaled.out")
    assert_gives(load_sae(tmp_path), X, features, reconstruction)
    assert_gives(read_sae(tmp_path, 6)[0], X, features, reconstruction)


def test_the_environment_of_sae_lens_is_as_pinned_and_has_the_torch_of_the_study(exchange):
    versions = json.loads((exchange / "versions.json").read_text())
    assert versions.pop("torch") == pins(ROOT / "envs/study.lock")["torch"]
    assert versions == pins(ROOT / "envs/sae-lens.in")


# --- a study


def test_an_imported_sae_goes_through_the_study_like_one_trained_here(tiny_copy):
    trained = tiny_copy / "results/saes/main/topk-x1-s0"
    shutil.copytree(trained, tiny_copy / "theirs", ignore=shutil.ignore_patterns("*.parquet", "evaluation.json"))
    overlay = {"saes": {"theirs": {"kind": "import", "path": "theirs", "models": ["main"]}}}
    (tiny_copy / "import.yaml").write_text(yaml.safe_dump(overlay))
    done = snakemake(tiny_copy, overlays=("import.yaml",))
    assert done.returncode == 0, done.stdout[-4000:]
    page = (tiny_copy / "results/report/report.html").read_text(encoding="utf-8")
    assert "main/theirs" in page
    assert "main/theirs" in json.loads((tiny_copy / "results/metrics.json").read_text())
    found, expected = (tiny_copy / "results/saes/main" / name for name in ("theirs", "topk-x1-s0"))
    weights = [safetensors.torch.load_file(folder / "sae_weights.safetensors") for folder in (found, expected)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    assert list(read_table(found / "history.parquet").columns) == list(read_table(expected / "history.parquet").columns)
    assert len(read_table(found / "history.parquet")) == 0
    figures = [json.loads((folder / "evaluation.json").read_text()) for folder in (found, expected)]
    assert figures[0]["architecture"] == figures[1]["architecture"] == "topk"
    assert figures[0]["fvu"] == figures[1]["fvu"]
    graphs = [
        read_table(tiny_copy / f"results/graphs/main/{name}/edges.parquet") for name in (found.name, "topk-x1-s0")
    ]
    assert len(graphs[0]) > 0
    assert graphs[0].equals(graphs[1])
