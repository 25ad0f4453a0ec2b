"""Adapter of rule measure_effects: logit lens, patching and steering in one job, since each loads the model."""

from pathlib import Path

from coact.artefacts import write_json, write_table
from coact.corpus.tokens import open_tokens
from coact.features.batches import count_active, read_shards
from coact.interpretation.effects import measure_effects
from coact.interpretation.firings import collect_firings, largest_activations, typical_activations
from coact.interpretation.labels import choose_features, features_of_labels, fit_classifier, usual_label
from coact.interpretation.lens import logit_lens
from coact.interpretation.readout import make_readout
from coact.interpretation.steering import measure_steering, neutral_prompts, summarize_steering
from coact.jobs import job
from coact.models.bridge import load_bridge
from coact.sae.disk import load_sae

with job(snakemake) as stamp:
    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    model = load_bridge(Path(inputs.model[0]).parent), params.hook
    sae, train, heldout = load_sae(Path(inputs.sae[0]).parent), open_tokens(inputs.train), open_tokens(inputs.heldout)
    seed, asked, effects, steering = params.seed, dict(params.lens), dict(params.effects), dict(params.steering)
    best = features_of_labels(read_shards(inputs.train_features), train)
    fired = count_active(inputs.train_features)[0] > 0
    features = choose_features(best, fired, effects.pop("further_features"), seed)
    known = collect_firings(read_shards(inputs.train_features), features)
    scaled = slice(asked.pop("scale_contexts"))
    readout = make_readout(*model, heldout.tokens[scaled], heldout.documents[scaled])
    lens, lens_summary = logit_lens(readout, sae.W_dec, seed=seed, **asked)
    firings = collect_firings(read_shards(inputs.heldout_features), features)
    tops = {feature: lens["top_tokens"][feature] for feature in features}
    fixed = readout, sae.W_dec, firings, typical_activations(known), heldout, tops
    shared = {"top": asked["top"], "batch_contexts": params.batch_contexts, "seed": seed}
    patched, patched_summary = measure_effects(*model, *fixed, **shared, **effects)
    usual = usual_label(train)
    pairs = [(feature, label) for label, feature in best.items() if label != usual]
    prompts = neutral_prompts(heldout, steering.pop("samples"), steering.pop("prompt_tokens"), [usual], seed)
    judge = fit_classifier(train, readout.vocabulary)
    what = readout, sae, pairs, largest_activations(known), judge, prompts
    steered = measure_steering(*model, *what, seed=seed, **steering)
    steered_summary = summarize_steering(steered, judge, heldout, steering["tokens"])
    for name, table in (("lens", lens), ("effects", patched), ("steering", steered)):
        write_table(table, output[name], stamp)
    summary = {"lens": lens_summary, "effects": patched_summary, "steering": steered_summary}
    write_json({"provenance": stamp, **dict(snakemake.wildcards), **summary}, output.summary)
