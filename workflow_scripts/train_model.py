"""Adapter of rule train_model."""

from pathlib import Path

from coact.artefacts import write_table
from coact.corpus.tokenizer import load_tokenizer
from coact.corpus.tokens import open_tokens
from coact.jobs import job, limit_threads
from coact.models.bridge import check_hook, make_bridge
from coact.models.folder import new_gpt2, save_model
from coact.models.train import train_model
from coact.study import hook_key, hook_of

SHAPE = ("layers", "d_model", "heads", "d_mlp", "activation", "seed")
THREADS = 2  # of the rule, and with one core too: the order of sums depends on them, and so does the model

with job(snakemake) as stamp:
    limit_threads(THREADS)
    name, settings = snakemake.wildcards.model, dict(snakemake.params.settings)
    tokenizer = load_tokenizer(Path(snakemake.input.tokenizer).parent)
    contexts = open_tokens(snakemake.input.tokens).tokens
    shape = {key: settings[key] for key in SHAPE}
    shape |= {"vocabulary": len(tokenizer), "context_length": contexts.shape[1], "tokenizer": tokenizer}
    # The hook is checked on a model of the same shape before the long work begins.
    hook, key = hook_of(snakemake.config, name), hook_key(snakemake.config, name)
    check_hook(make_bridge(new_gpt2(**shape), tokenizer, name), hook, name, key)
    model = new_gpt2(**shape)
    training = {key: value for key, value in settings.items() if key not in SHAPE[:-1] and key != "kind"}
    write_table(train_model(model, contexts, **training), snakemake.output.history, stamp)
    save_model(model, tokenizer, Path(snakemake.output.model[0]).parent)
