"""SAEs made elsewhere, in other formats than SAELens': Neel Nanda's, sparsify's, tensors of any names; a trial of each.

sparsify itself runs in `.venv-sae-lens`, which `make test` makes.
"""

import copy
import json
import pickle
from collections import OrderedDict

import pytest
import safetensors.torch
import torch
import yaml

from coact.config import complete
from coact.errors import ArtefactError, ConfigError, StudyError
from coact.imported import describe, files_of
from coact.sae import imports
from coact.sae.architectures.relu import ReLU
from coact.study import check
from conftest import ROOT, run_command, snakemake
from test_config import BASE
from test_sae_lens import PYTHON, X, assert_gives, outputs, random_tensors, standard

COMMON = {"input_scale": None, "fold_decoder_norms": False, "tensors": None}


def read(width=6, key="saes.theirs", **settings):
    return imports.read_sae(COMMON | settings, width, key)


def read_nanda(path, **settings):
    return read(format="nanda", path=str(path), **settings)


def read_tensors(path, names, architecture="relu", **tensors):
    about = {"architecture": architecture, "names": names, "pre_bias": True} | tensors
    return read(format="tensors", path=str(path), tensors=about)


# --- Neel Nanda's .pt


def write_nanda(folder, tensors, **config):
    """A .pt file and its configuration, as that repository writes them."""
    folder.mkdir(exist_ok=True)
    torch.save(OrderedDict(tensors), folder / "25.pt")
    plain = {"act_size": 6, "dict_size": 10, "l1_coeff": 3e-4, "model_name": "gelu-1l", "site": "post", "layer": 0}
    (folder / "25_cfg.json").write_text(json.dumps(plain | config))
    return folder / "25.pt"


def test_a_pt_file_is_the_plain_formula(tmp_path):
    tensors = random_tensors("b_enc")
    path = write_nanda(tmp_path, tensors)
    sae, origin = read_nanda(path)
    assert_gives(sae, X, *standard(tensors, X))
    assert origin["imported"] == {
        "format": "nanda",
        "architecture": "standard",
        "metadata": {"model_name": "gelu-1l", "hook_name": "blocks.0.mlp.hook_post"},
    }
    assert [file.name for file in files_of({"path": str(path)})] == ["25.pt", "25_cfg.json"]


def test_older_configurations_name_sizes_otherwise_and_no_place(tmp_path):
    tensors = random_tensors("b_enc", d_sae=12)
    path = write_nanda(tmp_path, tensors)
    (tmp_path / "25_cfg.json").write_text(json.dumps({"d_mlp": 6, "dict_mult": 2, "enc_dtype": "fp32"}))
    sae, origin = read_nanda(path)
    assert_gives(sae, X, *standard(tensors, X))
    assert "hook_name" not in origin["imported"]["metadata"]


class Harmful:
    """Unpickled by pickle itself, it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("whole", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, whole):
    path, trace = write_nanda(tmp_path, random_tensors("b_enc")), tmp_path / "trace"
    harmful = Harmful(trace)
    if whole:
        path.write_bytes(pickle.dumps(harmful, protocol=2))
    else:
        torch.save({**random_tensors("b_enc"), "more": harmful}, path)
    with pytest.raises(
        ArtefactError, match=r"25\.pt: cannot be read as tensors alone, so it is not read at all"
    ) as caught:
        read_nanda(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (b"no archive", "cannot be read as tensors alone"),
        (b"", "cannot be read as tensors alone"),
        ([1, 2], "found something else than tensors by name, expected W_enc, W_dec, b_enc, b_dec"),
        ({"W_enc": torch.zeros(6, 10)}, "no tensor 'W_dec' for W_dec; it has W_enc"),
    ],
)
def test_files_that_hold_something_else_are_refused(tmp_path, found, message):
    path = write_nanda(tmp_path, random_tensors("b_enc"))
    if isinstance(found, bytes):
        path.write_bytes(found)
    else:
        torch.save(found, path)
    with pytest.raises(ArtefactError, match=message):
        read_nanda(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dict_size": 11}, r"25\.pt: W_enc: found shape \(6, 10\), expected \(6, 11\)"),
        ({"act_size": None, "d_mlp": None}, "d_in: found None, expected a whole number above 0"),
        ({"act_size": 7}, "d_in: found 7, but activations have 6 dimensions"),
    ],
)
def test_sizes_that_do_not_fit_are_named(tmp_path, changes, message):
    with pytest.raises((ArtefactError, ConfigError), match=message):
        read_nanda(write_nanda(tmp_path, random_tensors("b_enc"), **changes))


def test_a_missing_part_is_named(tmp_path):
    with pytest.raises(
        ConfigError, match=r"saes\.theirs\.path: there is no file '.*26\.pt'; expected 26\.pt with 26_cfg"
    ):
        read_nanda(tmp_path / "26.pt")
    path = write_nanda(tmp_path, random_tensors("b_enc"))
    for text, message in (("{", "cannot be read"), ("[]", "found list, expected a mapping")):
        (tmp_path / "25_cfg.json").write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_nanda(path)


# --- sparsify


def write_sparsify(folder, tensors, **config):
    """A folder by hand; tests of the real package are below."""
    folder.mkdir(parents=True)
    named = {"encoder.weight": tensors["W_enc"].T.contiguous(), "encoder.bias": tensors["b_enc"]}
    safetensors.torch.save_file(
        named | {name: tensors[name] for name in ("W_dec", "b_dec")}, folder / "sae.safetensors"
    )
    plain = {"activation": "topk", "expansion_factor": 32, "num_latents": 10, "k": 3, "d_in": 6, "transcode": False}
    (folder / "cfg.json").write_text(json.dumps(plain | config))
    return folder


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("layers.3.mlp", "blocks.3.hook_mlp_out"),
        ("layers.11", "blocks.11.hook_resid_post"),
        ("h.0.attn", "blocks.0.hook_attn_out"),
        ("gpt_neox.layers.2.attention", "blocks.2.hook_attn_out"),
        ("model.layers.5.mlp.act", "blocks.5.mlp.hook_post"),
        ("embed_tokens", None),
        ("layers.1.mlp.experts.0", None),
    ],
)
def test_the_folders_name_says_the_hook_point_where_it_is_known(tmp_path, name, hook):
    settings = {"format": "sparsify", "path": str(write_sparsify(tmp_path / name, random_tensors("b_enc")))}
    assert describe(settings, "saes.theirs")["metadata"].get("hook_name") == hook


def test_sparsify_keeps_the_largest_that_are_positive(tmp_path):
    tensors = random_tensors("b_enc")
    tensors["b_enc"] -= 2  # so that fewer than k are active on some tokens
    sae, _ = read(format="sparsify", path=str(write_sparsify(tmp_path / "layers.0", tensors)))
    before = ((X - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]).relu()
    kept = before.topk(3)
    features = torch.zeros_like(before).scatter(1, kept.indices, kept.values)
    assert ((features > 0).sum(1) < 3).any()
    assert_gives(sae, X, features, features @ tensors["W_dec"] + tensors["b_dec"])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """SAEs of sparsify, and what they give."""
    if not PYTHON.exists():
        pytest.skip("no .venv-sae-lens (make .venv-sae-lens/installed): sparsify itself is not tested")
    folder = tmp_path_factory.mktemp("sparsify")
    safetensors.torch.save_file({"x": X}, folder / "x.safetensors")
    done = run_command(folder, str(PYTHON), str(ROOT / "tests/sae_lens/exchange_sparsify.py"), ".", "x.safetensors")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


@pytest.mark.parametrize("case", ["plain", "expansion", "half"])
def test_saes_of_sparsify_give_here_what_they_give_there(made, case):
    (folder,) = (made / case).iterdir()
    features, reconstruction = outputs(made / f"{case}.out")
    assert (features > 0).any()
    sae, origin = read(format="sparsify", path=str(folder))
    assert_gives(sae, X, features, reconstruction)
    assert origin["imported"]["metadata"]["hook_name"].startswith("blocks.")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("transcoder", "transcode: found True, expected False"),
        ("skip", "skip_connection: found True, expected False"),
        ("groupmax", "activation: found 'groupmax', expected 'topk'"),
    ],
)
def test_what_sparsify_has_beyond_saes_is_refused_by_name(made, case, message):
    (folder,) = (made / f"refused_{case}").iterdir()
    with pytest.raises(ConfigError, match=message):
        read(format="sparsify", path=str(folder))


# --- tensors of any names


def write_tensors(path, tensors):
    safetensors.torch.save_file(tensors, path)
    return path


def test_tensors_are_found_by_the_names_given_and_transposed_where_told(tmp_path):
    tensors = random_tensors("b_enc")
    file = {"enc.w": tensors["W_enc"].T.contiguous(), "dec.w": tensors["W_dec"], "enc.b": tensors["b_enc"], "z": X}
    path = write_tensors(tmp_path / "a.safetensors", file | {"dec.b": tensors["b_dec"]})
    names = {"W_enc": "enc.w.T", "W_dec": "dec.w", "b_enc": "enc.b", "b_dec": "dec.b"}
    assert_gives(read_tensors(path, names)[0], X, *standard(tensors, X))
    without = tensors | {"b_enc": torch.zeros(10), "b_dec": torch.zeros(6)}
    found, _ = read_tensors(path, {name: names[name] for name in ("W_enc", "W_dec")})
    assert_gives(found, X, *standard(without, X))
    plain = (X @ tensors["W_enc"] + tensors["b_enc"]).relu()
    found, _ = read_tensors(path, names, pre_bias=False)
    assert_gives(found, X, plain, plain @ tensors["W_dec"] + tensors["b_dec"])


@pytest.mark.parametrize("architecture", ["jumprelu", "gated", "topk"])
def test_tensors_of_every_architecture(tmp_path, architecture):
    more = {"jumprelu": ("b_enc", "threshold"), "gated": ("b_gate", "b_mag", "r_mag"), "topk": ("b_enc",)}[architecture]
    tensors = random_tensors(*more)
    path = write_tensors(tmp_path / "a.safetensors", tensors)
    sae, _ = read_tensors(path, {name: name for name in tensors}, architecture, k=3)
    assert type(sae).__name__.lower() == architecture
    assert (sae.encode(X) > 0).any()


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (
            {"W_dec": "nowhere"},
            ConfigError,
            r"tensors\.names\.W_dec: found 'nowhere', expected a matrix; .* has W_dec, W_enc",
        ),
        ({"W_dec": "b_enc"}, ConfigError, r"found 'b_enc', expected a matrix"),
        ({"W_enc": "nowhere"}, ArtefactError, r"no tensor 'nowhere' for W_enc; it has W_dec, W_enc"),
        ({"W_enc": "W_enc.T"}, ArtefactError, r"W_enc: found shape \(10, 6\), expected \(6, 10\)"),
        ({"threshold": "b_enc"}, ArtefactError, r"found tensors .*threshold, expected W_dec, W_enc, b_dec, b_enc for"),
    ],
)
def test_names_that_do_not_fit_are_told(tmp_path, names, error, message):
    tensors = random_tensors("b_enc")
    path = write_tensors(tmp_path / "a.safetensors", tensors)
    with pytest.raises(error, match=message):
        read_tensors(path, {name: name for name in tensors} | names)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    for data in (b"", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00[]"):
        (tmp_path / "a.safetensors").write_bytes(data)
        with pytest.raises(ConfigError, match=r"'.*a\.safetensors' is no safetensors file"):
            read_tensors(tmp_path / "a.safetensors", {"W_enc": "a", "W_dec": "b"})
    with pytest.raises(ConfigError, match="is no safetensors file"):
        read_tensors(tmp_path / "nowhere.safetensors", {"W_enc": "a", "W_dec": "b"})


# --- a trial on activations


def identity(scale=1.0):
    """A ReLU SAE of positive and negative parts: it reconstructs any input times `scale`."""
    sae = ReLU(6, 12)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([torch.eye(6), -torch.eye(6)], dim=1))
        sae.W_dec.copy_(torch.cat([torch.eye(6), -torch.eye(6)]))
        sae.b_enc.fill_(-0.3 / scale)
    return sae.requires_grad_(False)


def test_an_sae_that_reconstructs_passes_and_another_is_refused():
    assert imports.check_reconstruction(identity(), X, 0.9, "saes.theirs", "x") < 0.5
    noise = ReLU(6, 12)
    noise.initialize(torch.zeros(6), 0)
    with torch.no_grad():
        noise.W_dec.neg_()
    noise.requires_grad_(False)
    where = "activations of model 'm' at 'h'"
    with pytest.raises(StudyError) as caught:
        imports.check_reconstruction(noise, X, 0.9, "saes.theirs", where)
    assert str(caught.value).startswith("saes.theirs: leaves ")
    assert f"of the variance of {where} unexplained, expected at most 0.9 (saes.theirs.most_fvu)" in str(caught.value)
    assert imports.check_reconstruction(noise, X, None, "saes.theirs", "x") > 0.9


def test_a_scale_that_would_do_is_named():
    """Activations a sixty-fourth as large as those that it was made for."""
    with pytest.raises(
        StudyError, match=r"with inputs times (32|64|128|256) it would be 0\.\d+: see saes.theirs.input_sc"
    ):
        imports.check_reconstruction(identity(), X / 64, 0.9, "saes.theirs", "x")


# --- the configuration


def study(**settings):
    config = copy.deepcopy(BASE)
    config["saes"]["theirs"] = {"kind": "import", "models": ["main"], **settings}
    return check(complete(config))


def test_formats_are_columns_and_wrong_options_are_refused(tmp_path):
    tensors = random_tensors("b_enc", d_in=512, d_sae=768)
    path = write_tensors(tmp_path / "a.safetensors", tensors)
    about = {"architecture": "topk", "names": {name: name for name in tensors}, "k": 8}
    found = study(path=str(path), format="tensors", tensors=about)
    assert found.features_of("main", "theirs") == 768
    assert found.sae_settings("theirs")["architecture"] == "topk"
    nanda = write_nanda(tmp_path / "n", tensors, act_size=512, dict_size=768)
    assert study(path=str(nanda), format="nanda").features_of("main", "theirs") == 768
    elsewhere = write_nanda(tmp_path / "e", tensors, act_size=512, dict_size=768, site="resid_pre", layer=2)
    sparse = write_sparsify(tmp_path / "layers.0.mlp.act", tensors, d_in=512, num_latents=768)
    assert study(path=str(sparse), format="sparsify").features_of("main", "theirs") == 768
    named = {"path": str(path), "format": "tensors"}
    short = {"architecture": "topk", "names": {"W_dec": "W_dec"}}
    for settings, message in (
        (named, "saes.theirs.tensors: is missing; expected architecture and names"),
        ({"path": str(nanda), "format": "nanda", "tensors": about}, "saes.theirs.tensors: found, expected none with"),
        ({"path": str(path), "format": "pickle"}, "saes.theirs.format: 'pickle' is not one of"),
        (named | {"tensors": about | {"k": 0}}, "saes.theirs.tensors.k: 0 is less than"),
        (named | {"tensors": short}, "saes.theirs.tensors.names: key 'W_enc' is missing"),
        ({"path": str(elsewhere), "format": "nanda"}, "at 'blocks.2.hook_resid_pre', but activations.hook is"),
    ):
        with pytest.raises(ConfigError) as caught:
            study(**settings)
        assert message in str(caught.value)
    with pytest.raises(ConfigError, match="k: found None, expected a whole number above 0"):
        study(path=str(path), format="tensors", tensors={name: about[name] for name in ("architecture", "names")})


# --- a study


def test_every_format_goes_through_the_import_and_a_wrong_one_ends_before_any_graph(tiny_copy):
    trained = safetensors.torch.load_file(tiny_copy / "results/saes/main/topk-x1-s0/sae_weights.safetensors")
    d_sae, d_in = trained["W_dec"].shape
    k = json.loads((tiny_copy / "results/saes/main/topk-x1-s0/cfg.json").read_text())["k"]
    write_sparsify(tiny_copy / "layers.0.mlp.act", trained, d_in=d_in, num_latents=d_sae, k=k)
    safetensors.torch.save_file(trained, tiny_copy / "theirs.safetensors")
    wrong = trained | {"W_enc": trained["W_enc"] * 64}
    write_nanda(tiny_copy / "wrong", wrong, act_size=d_in, dict_size=d_sae)
    entry = {"kind": "import", "models": ["main"]}
    about = {"architecture": "topk", "k": k, "names": {name: name for name in trained}}
    overlay = {
        "sparse": {**entry, "format": "sparsify", "path": "layers.0.mlp.act"},
        "named": {**entry, "format": "tensors", "path": "theirs.safetensors", "tensors": about},
        "wrong": {**entry, "format": "nanda", "path": "wrong/25.pt"},
    }
    (tiny_copy / "import.yaml").write_text(yaml.safe_dump({"saes": overlay}))
    folders = {name: f"results/saes/main/{name}" for name in overlay}
    targets = [f"{folders[name]}/sae_weights.safetensors" for name in ("sparse", "named")]
    done = snakemake(tiny_copy, "--", *targets, overlays=("import.yaml",))
    assert done.returncode == 0, done.stdout[-4000:]
    for target in targets:
        found = safetensors.torch.load_file(tiny_copy / target)
        assert all(torch.equal(found[name], trained[name]) for name in trained)
    done = snakemake(tiny_copy, "--", "results/graphs/main/wrong/edges.parquet", overlays=("import.yaml",))
    assert done.returncode != 0
    assert "saes.wrong: leaves " in done.stdout
    assert "expected at most 0.9 (saes.wrong.most_fvu)" in done.stdout
    assert not (tiny_copy / folders["wrong"] / "cfg.json").exists()
    assert not (tiny_copy / "results/features/main/wrong").exists()
