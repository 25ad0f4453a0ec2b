"""The jobs of a study from text to features, in the order of the data, with what each takes."""

from collections import Counter
from collections.abc import Iterator, Sequence

from coact.costs import disk, memory, models
from coact.costs.dictionaries import Dictionary, forward_memory, unknown_models, weights_of
from coact.costs.jobs import Job, Measure
from coact.costs.reference import SECONDS
from coact.study import CORPUS_TOKENIZER, SPLITS, Study

BRIDGE, TORCH = "coact.models.bridge", "coact.sae.train"
MOST_CORPUS = "corpus.train_tokens"


def forward(study: Study, model: str) -> Measure:
    """A forward pass to the hook point."""
    shape, length = study.shape(model), study.config["corpus"]["context_length"]
    blocks = models.blocks_to(study.hook_of(model), shape["layers"])
    return Measure("forward", _speed_of(study, model), flops=models.forward_flops(shape, length, blocks, logits=False))


def predict(study: Study, model: str) -> Measure:
    """A forward pass to the logits."""
    shape, length = study.shape(model), study.config["corpus"]["context_length"]
    return Measure(
        "predict", _speed_of(study, model), flops=models.forward_flops(shape, length, shape["layers"], logits=True)
    )


def _speed_of(study: Study, model: str) -> str:
    """The model that another one runs as fast as: an untrained one has the architecture of the one it is like."""
    return study.config["models"][model].get("like") or model


def encode(one: Dictionary) -> Measure:
    """Encoding with an SAE."""
    return Measure("encode", one.recipe, one.d_in, one.d_sae, one.l0, flops=2 * one.d_in * one.d_sae)


def corpus_jobs(study: Study) -> Iterator[Job]:
    """Documents, tokenizers and token streams."""
    corpus = study.config["corpus"]
    tokens = sum(corpus[f"{split}_tokens"] for split in SPLITS)
    common = {"stage": "corpus", "memory": memory.corpus(tokens), "key": MOST_CORPUS}
    yield Job(
        rule="collect_corpus",
        tokens=tokens,
        disk=disk.TEXT_BYTES * tokens,
        seconds=SECONDS["collect_corpus"].of(tokens=tokens),
        **common,
    )
    for name in study.tokenizers():
        rule = "train_tokenizer" if name == CORPUS_TOKENIZER else "import_tokenizer"
        trained = rule == "train_tokenizer"
        peak = memory.corpus(tokens) if trained else memory.LIGHT
        seconds = SECONDS[rule].of(tokens=tokens) if trained else SECONDS[rule].of()
        yield Job("corpus", rule, model=name, threads=2, memory=peak, seconds=seconds, key=MOST_CORPUS)
        yield Job(
            rule="tokenize_corpus",
            model=name,
            threads=2,
            tokens=tokens,
            disk=disk.token_bytes(tokens),
            seconds=SECONDS["tokenize_corpus"].of(tokens=tokens),
            **common,
        )


def model_jobs(study: Study) -> Iterator[Job]:
    """Model folders."""
    length, unknown = study.config["corpus"]["context_length"], unknown_models(study)
    for name, settings in study.config["models"].items():
        if name in unknown:
            continue
        shape, weights = study.shape(name), weights_of(study, name)
        key = f"models.{name}" + (".d_model" if settings["kind"] == "trained" else "")
        common = {"stage": "models", "model": name, "disk": 4 * weights, "key": key}
        if settings["kind"] == "trained":
            contexts = settings["batch_contexts"]
            step = Measure("train model", name, flops=models.training_flops(shape, length))
            yield Job(
                rule="train_model",
                threads=2,
                gpu=True,
                tokens=settings["tokens"],
                memory=memory.train_model(weights, shape, length, contexts),
                imports=BRIDGE,
                work=((step, settings["tokens"]),),
                **common,
            )
        else:
            rule = "initialize_model" if settings["kind"] == "untrained" else "import_model"
            yield Job(rule=rule, memory=memory.load_model(weights), seconds=SECONDS[rule].of(), **common)


def activation_jobs(study: Study) -> Iterator[Job]:
    """Activation shards, and the evaluation of models."""
    settings, length = study.config["activations"], study.config["corpus"]["context_length"]
    train = study.config["corpus"]["train_tokens"]
    for name in study.config["models"]:
        if name in unknown_models(study):
            continue
        shape, weights, width = study.shape(name), weights_of(study, name), study.width_of(name)
        size = weights, shape, length, settings["forward_contexts"]
        for tokens, number in _shards(study.shard_tokens(split) for split in SPLITS):
            yield Job(
                "activations",
                "capture_activations",
                model=name,
                number=number,
                gpu=True,
                tokens=tokens,
                disk=disk.activation_bytes(tokens, width, settings["dtype"]) if width else 0,
                memory=memory.run_model(*size),
                imports=BRIDGE,
                work=((forward(study, name), tokens),),
                key="activations.forward_contexts",
                disk_key="activations.train_tokens",
            )
        tokens = study.evaluated_tokens()
        yield Job(
            "activations",
            "evaluate_model",
            model=name,
            gpu=True,
            tokens=tokens,
            memory=max(memory.run_model(*size, logits=3), memory.BRIDGE + memory.baselines(train)),
            imports=BRIDGE,
            # The mean activation; then the predictions of the model as it is, and with the hook point ablated twice.
            work=((forward(study, name), tokens), (predict(study, name), 3 * tokens)),
            seconds=SECONDS["evaluate_model"].of(tokens=train),
            key=MOST_CORPUS,
        )


def sae_jobs(study: Study, dictionaries: Sequence[Dictionary]) -> Iterator[Job]:
    """SAEs and their evaluation."""
    unknown = unknown_models(study)
    for one in dictionaries:
        yield _make_sae(one)
        if one.settings.get("snapshot_steps"):
            seconds = SECONDS["measure_emergence"].of(features=one.d_sae)
            yield Job("SAEs", "measure_emergence", one.model, one.sae, memory=memory.LIGHT, seconds=seconds)
        heldout, evaluated = study.captured_tokens("heldout"), study.evaluated_tokens()
        passes, peak = (), memory.encode(one.d_in, one.d_sae, memory.CHUNK_ROWS, one.l0)
        if one.model not in unknown:
            # Each pass once as the model is and once with the reconstruction in it.
            passes = ((predict(study, one.model), 2 * evaluated),)
            peak += forward_memory(study, one.model)
        yield Job(
            "SAEs",
            "evaluate_sae",
            one.model,
            one.sae,
            gpu=True,
            tokens=heldout,
            memory=peak,
            imports=BRIDGE,
            work=((encode(one), heldout + evaluated), *passes),
            key="activations.forward_contexts",
        )


def _make_sae(one: Dictionary) -> Job:
    common = {"stage": "SAEs", "model": one.model, "sae": one.sae, "key": one.key}
    weights, settings = disk.sae_bytes(one.d_in, one.d_sae), one.settings
    if settings["kind"] == "import":
        peak, seconds = memory.import_sae(one.d_in, one.d_sae), SECONDS["import_sae"].of()
        return Job(rule="import_sae", disk=weights, memory=peak, seconds=seconds, **common)
    if settings["kind"] == "neurons":
        peak, seconds = memory.TORCH + 2 * weights, SECONDS["make_neuron_dictionary"].of()
        return Job(rule="make_neuron_dictionary", disk=weights, memory=peak, seconds=seconds, **common)
    batch, tokens = settings["batch_tokens"], settings["tokens"]
    flops = models.sae_step_flops(one.d_in, one.d_sae, one.l0, batch, one.dead_share)
    step = Measure("train SAE", one.recipe, one.d_in, one.d_sae, one.l0, flops)
    taken = sum(at < tokens // batch for at in settings["snapshot_steps"]) + 1 if settings["snapshot_steps"] else 0
    return Job(
        rule="train_sae",
        gpu=True,
        tokens=tokens,
        disk=weights + disk.snapshot_bytes(one.d_in, one.d_sae, taken),
        passing=disk.checkpoint_bytes(one.d_in, one.d_sae),
        memory=memory.train_sae(one.d_in, one.d_sae, batch),
        imports=TORCH,
        work=((step, tokens),),
        **common,
    )


def feature_jobs(study: Study, dictionaries: Sequence[Dictionary]) -> Iterator[Job]:
    """Sparse features."""
    for one in dictionaries:
        for tokens, number in _shards(study.encoded_tokens(split) for split in SPLITS):
            yield Job(
                "features",
                "encode_features",
                one.model,
                one.sae,
                number,
                gpu=True,
                tokens=tokens,
                disk=disk.feature_bytes(tokens, one.l0),
                memory=memory.encode(one.d_in, one.d_sae, tokens, one.l0),
                imports=TORCH,
                work=((encode(one), tokens),),
                key="activations.shard_tokens",
                disk_key="graph.batches",
            )


def _shards(streams: Iterator[list[int]]) -> list[tuple[int, int]]:
    """(tokens, number) of the shards of all streams, the larger first."""
    return sorted(Counter(tokens for sizes in streams for tokens in sizes).items(), reverse=True)
