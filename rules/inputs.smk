# What rules are given, stage by stage: paths and settings that follow from the configuration. No rules here.

from dataclasses import astuple

from coact.comparison.columns import columns_of
from coact.corpus.collect import bytes_to_fetch
from coact.corpus.sources import used_sources
from coact.corpus.sources.files import find_files
from coact.figures import FAMILIES, FIGURES
from coact.hub.saes import fetched_settings
from coact.imported import files_of
from coact.models import MODEL_FILES
from coact.study import MODEL_PINS, NULLS, SAE_PINS, TESTED_NULLS

# --- corpus


def get_tokenizer_source(wildcards):
    """Files of the tokenizer that is taken over."""
    return get_tokenizer_files(wildcards.tokenizer)


def get_tokenizer_files(model):
    """Files of the tokenizer that comes with a model, or what a model from the Hub is pinned to."""
    settings = CONFIG["models"][model]
    if settings["kind"] == "hub":
        return [f"{MODEL_PINS}/{model}.json"]
    return sorted(str(path) for path in Path(settings["path"]).glob("*") if path.suffix in {".json", ".model", ".txt"})


def get_tokenizer_settings(wildcards):
    """Settings of the model whose tokenizer is taken over."""
    return CONFIG["models"][wildcards.tokenizer]


HUB_SOURCES = [spec["name"] for spec in used_sources(CONFIG["corpus"]["sources"]) if spec["kind"] == "huggingface"]


def get_hub_source(wildcards):
    """Settings of a source that is a data set of the Hub."""
    return next(spec for spec in CONFIG["corpus"]["sources"] if spec["name"] == wildcards.source)


def get_hub_tokenizer(wildcards):
    """Files of the tokenizer that made the token ids of such a source; none where it holds text."""
    model = get_hub_source(wildcards)["tokens_of"]
    return get_tokenizer_files(model) if model else []


def get_hub_model(wildcards):
    """Settings of the model that this tokenizer is of; none where the source holds text."""
    model = get_hub_source(wildcards)["tokens_of"]
    return get_settings_of(model) if model else None


def get_hub_bytes(wildcards):
    """Bytes of text that such a source may have to give."""
    corpus = CONFIG["corpus"]
    tokens = {split: corpus[f"{split}_tokens"] for split in ("train", "heldout")}
    return bytes_to_fetch(corpus["sources"], wildcards.source, corpus["heldout_share"], tokens)


def get_hub_documents(wildcards):
    """What was fetched for the sources that are data sets of the Hub."""
    return [f"results/hub/datasets/{name}.{ending}" for name in HUB_SOURCES for ending in ("parquet", "json")]


def get_source_files(wildcards):
    """Files that the sources of kind `files` read."""
    globs = [source["glob"] for source in CONFIG["corpus"]["sources"] if source["kind"] == "files"]
    return sorted({str(path) for pattern in globs for path in find_files(pattern)})


# --- models


def get_model_settings(wildcards):
    """Settings of a model that make it what it is."""
    return get_settings_of(wildcards.model)


def get_settings_of(model):
    """All settings of a model but the place that its activations are captured at."""
    return {key: value for key, value in CONFIG["models"][model].items() if key != "hook"}


def get_hook(wildcards):
    """The hook point that a model's activations are captured at."""
    return STUDY.hook_of(wildcards.model)


def get_model_kind(wildcards):
    """Kind of a model."""
    return CONFIG["models"][wildcards.model]["kind"]


def get_model_source(wildcards):
    """Files of a local model folder, or what a model from the Hub is pinned to."""
    if get_model_kind(wildcards) == "hub":
        return [f"{MODEL_PINS}/{wildcards.model}.json"]
    return sorted(str(path) for path in Path(CONFIG["models"][wildcards.model]["path"]).iterdir() if path.is_file())


def get_model(wildcards):
    """The files of a model's folder."""
    return [f"results/models/{wildcards.model}/{name}" for name in MODEL_FILES]


def get_like_settings(wildcards):
    """Settings of the model whose architecture an untrained one takes."""
    return get_settings_of(CONFIG["models"][wildcards.model]["like"])


def get_like_files(wildcards):
    """What an untrained model is made from: the other model's files, or those that tell its architecture, if any."""
    settings, like = CONFIG["models"][wildcards.model], get_like_settings(wildcards)
    if settings["weights"] == "shuffled":
        return [f"results/models/{settings['like']}/{name}" for name in MODEL_FILES]
    if like["kind"] == "hub":
        return [f"results/models/{settings['like']}/config.json"]
    return [str(Path(like["path"]) / "config.json")] if like["kind"] == "local" else []


def get_tokenizer(wildcards):
    """The tokenizer files of a model."""
    return f"results/tokenizers/{STUDY.tokenizer_of(wildcards.model)}/tokenizer.json"


def get_train_tokens(wildcards):
    """The training stream in a model's tokens."""
    return f"results/tokens/{STUDY.tokenizer_of(wildcards.model)}/train.safetensors"


def get_heldout_tokens(wildcards):
    """The held-out stream in a model's tokens."""
    return f"results/tokens/{STUDY.tokenizer_of(wildcards.model)}/heldout.safetensors"


def get_graph_tokens(wildcards):
    """The stream, in a model's tokens, whose first batches the graph is built from."""
    return f"results/tokens/{STUDY.tokenizer_of(wildcards.model)}/{STUDY.graph_split}.safetensors"


# --- activations and features


def get_shards(stage, model, split, sizes):
    """Paths of the shards of a stream."""
    return [f"results/{stage}/{model}/{split}-{number:05d}.safetensors" for number in range(len(sizes))]


def get_encoded(stage, name, split):
    """Paths of the shards of a stream whose features are encoded; `stage` is features or activations."""
    return get_shards(stage, name, split, STUDY.encoded_tokens(split))


def get_features_of_all(split):
    """Feature shards of a stream of all columns; equally many of each."""
    return [path for model, sae in STUDY.columns() for path in get_encoded("features", f"{model}/{sae}", split)]


def get_split_tokens(wildcards):
    """The stream that a shard is cut from."""
    return f"results/tokens/{STUDY.tokenizer_of(wildcards.model)}/{wildcards.split}.safetensors"


def get_shard_start(wildcards):
    """First token of a shard in its stream."""
    return int(wildcards.shard) * CONFIG["activations"]["shard_tokens"]


def get_shard_size(wildcards):
    """Tokens in an activation shard."""
    return STUDY.shard_tokens(wildcards.split)[int(wildcards.shard)]


def get_encoded_size(wildcards):
    """Tokens of an activation shard that are encoded."""
    return STUDY.encoded_tokens(wildcards.split)[int(wildcards.shard)]


def get_train_activations(wildcards):
    """Activation shards that SAEs are trained on."""
    return get_shards("activations", wildcards.model, "train", STUDY.shard_tokens("train"))


def get_heldout_activations(wildcards):
    """Activation shards that SAEs are evaluated on."""
    return get_shards("activations", wildcards.model, "heldout", STUDY.shard_tokens("heldout"))


def get_graph_features(wildcards):
    """Feature shards that the graph is built from."""
    return get_encoded("features", f"{wildcards.model}/{wildcards.sae}", STUDY.graph_split)


def get_counted_features(wildcards):
    """The feature shard that pairs are counted in."""
    return f"results/features/{wildcards.model}/{wildcards.sae}/{STUDY.graph_split}-{wildcards.shard}.safetensors"


def get_first_batch(wildcards):
    """Number of the first batch of a shard."""
    return get_shard_start(wildcards) // STUDY.batch_tokens


def get_counts(wildcards):
    """What was counted in each shard of the graph's stream."""
    shards = range(len(STUDY.encoded_tokens(STUDY.graph_split)))
    return [f"results/graphs/{wildcards.model}/{wildcards.sae}/counts/{shard:05d}.safetensors" for shard in shards]


def get_frequency_features(wildcards):
    """Feature shards, not used for the graph, that frequencies are counted on."""
    return get_encoded("features", f"{wildcards.model}/{wildcards.sae}", STUDY.frequency_split)


def get_heldout_features(wildcards):
    """Feature shards of held-out tokens."""
    return get_encoded("features", f"{wildcards.model}/{wildcards.sae}", "heldout")


def get_described_activations(wildcards):
    """Activation shards that the held-out features are of."""
    return get_encoded("activations", wildcards.model, "heldout")


def get_described_tokens(split):
    """Tokens of a stream whose features are encoded."""
    return sum(STUDY.encoded_tokens(split))


def get_train_features(wildcards):
    """Feature shards of training tokens."""
    return get_encoded("features", f"{wildcards.model}/{wildcards.sae}", "train")


def get_probed_activations(wildcards):
    """Activation shards of the training tokens whose features are encoded."""
    return get_encoded("activations", wildcards.model, "train")


def get_interpretation(key, *names):
    """Settings of a part of the interpretation, or some of them, with the seed."""
    settings = CONFIG["interpretation"][key]
    return {"seed": CONFIG["interpretation"]["seed"], **{name: settings[name] for name in names or settings}}


def get_main_settings():
    """How the features that stand for a context together are chosen."""
    settings = CONFIG["interpretation"]["absorption"]
    return {key: settings[key] for key in ("candidates", "least_gain", "most_features")}


def get_shown_settings():
    """How much of a feature is shown."""
    return {key: CONFIG["interpretation"][key] for key in ("examples", "quantiles", "reach", "tokens", "seed")}


def get_replicates(wildcards):
    """Replicates of a null model in one part."""
    return STUDY.null_parts()[int(wildcards.part)]


def get_null_tables(wildcards, nulls, table):
    """A table of every job of null models."""
    folder = f"results/graphs/{wildcards.model}/{wildcards.sae}/nulls"
    return [f"{folder}/{null}-{part}/{table}.parquet" for null in nulls for part in range(len(STUDY.null_parts()))]


def get_null_statistics(wildcards):
    """Statistics of all replicates of all null models."""
    return get_null_tables(wildcards, NULLS, "statistics")


def get_null_nodes(wildcards):
    """Degrees in all replicates of the null models that single features are held against."""
    return get_null_tables(wildcards, TESTED_NULLS, "nodes")


# --- SAEs and columns


def get_sae_settings(wildcards):
    """Settings of an SAE."""
    return STUDY.sae_settings(wildcards.sae)


def get_architecture(wildcards):
    """Architecture of an SAE; "identity" for the neurons."""
    return STUDY.sae_settings(wildcards.sae).get("architecture", "identity")


def get_watched_columns():
    """Columns (model, SAE) whose training is looked at in snapshots."""
    return [(model, sae) for model, sae in STUDY.columns() if STUDY.sae_settings(sae).get("snapshot_steps")]


def get_emergence(wildcards):
    """When the features of the watched SAEs emerge."""
    return [f"results/saes/{model}/{sae}/emergence.json" for model, sae in get_watched_columns()]


def get_pictures(ending):
    """Files of all figures of the report."""
    recovery = [f"results/ground_truth/recovery.{ending}"] if RECOVERED else []
    return [f"results/figures/{figure}.{ending}" for figure in FIGURES] + recovery


def get_sae_source(wildcards):
    """The files that an SAE is imported from, or what one from the Hub is pinned to."""
    if wildcards.sae in STUDY.hub_saes():
        return [f"{SAE_PINS}/{wildcards.sae}.json"]
    return [str(path) for path in files_of(STUDY.sae_settings(wildcards.sae))]


def get_fetched_settings(wildcards):
    """Settings of an SAE from the Hub that say where it lies."""
    return fetched_settings(CONFIG["saes"][wildcards.sae])


def get_sae(wildcards):
    """The files of an SAE's folder."""
    folder = f"results/saes/{wildcards.model}/{wildcards.sae}"
    return [f"{folder}/cfg.json", f"{folder}/sae_weights.safetensors"]


def get_columns(pattern):
    """A path for every column of the study; the pattern names {model} and {sae}."""
    return [pattern.format(model=model, sae=sae) for model, sae in STUDY.columns()]


def get_marks(wildcards):
    """The contexts of a model's tokens."""
    return f"results/contexts/{STUDY.tokenizer_of(wildcards.model)}/marks.safetensors"


def get_models_contexts(file):
    """A file on the contexts of the tokens of every model."""
    return [f"results/contexts/{STUDY.tokenizer_of(model)}/{file}" for model in CONFIG["models"]]


def get_columns_tokenizers():
    """The tokenizer of every column."""
    return [f"results/tokenizers/{STUDY.tokenizer_of(model)}/tokenizer.json" for model, _ in STUDY.columns()]


def get_models(pattern):
    """A path for every model of the study; the pattern names {model}."""
    return [pattern.format(model=model) for model in CONFIG["models"]]


def get_column_records():
    """The fields of every column of the study, as plain values."""
    return [astuple(column) for column in columns_of(STUDY)]


# --- report


def get_prose(wildcards):
    """The files of report/."""
    return get_files_of("report")


def get_page(wildcards):
    """The files of report/explorer/."""
    return get_files_of("report/explorer")


def get_files_of(folder):
    """The files in a folder of the study's sources."""
    return sorted(os.path.relpath(path) for path in (Path(workflow.basedir) / folder).iterdir() if path.is_file())
