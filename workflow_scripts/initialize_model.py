"""Adapter of rule initialize_model."""

from pathlib import Path

from coact.corpus.tokenizer import load_tokenizer
from coact.jobs import job
from coact.models.folder import new_gpt2, randomize, save_model, shuffle

with job(snakemake):
    like, settings = snakemake.params.like, snakemake.params.settings
    seed = settings["seed"]
    tokenizer = load_tokenizer(Path(snakemake.input.tokenizer).parent)
    if settings["weights"] == "shuffled":
        model = shuffle(Path(snakemake.input.like[0]).parent, seed)
    elif like["kind"] == "trained":
        shape = {key: like[key] for key in ("layers", "d_model", "heads", "d_mlp", "activation")}
        model = new_gpt2(
            **shape,
            vocabulary=len(tokenizer),
            context_length=snakemake.params.context_length,
            seed=seed,
            tokenizer=tokenizer,
        )
    else:
        model = randomize(Path(snakemake.input.like[0]).parent, seed)
    save_model(model, tokenizer, Path(snakemake.output.model[0]).parent)
