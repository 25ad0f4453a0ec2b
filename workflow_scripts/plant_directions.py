"""Adapter of rule plant_directions."""

from coact.artefacts import write_tensors
from coact.jobs import job
from coact.sae.truth.planted import plant, write_activations
from coact.sae.truth.settings import TruthSettings

with job(snakemake) as stamp:
    section, output = snakemake.params.truth, snakemake.output
    truth = plant(TruthSettings.of(section))
    write_activations(truth, section["train_tokens"], output.activations, stamp)
    arrays = {name: getattr(truth, name) for name in ("directions", "probability", "parent", "unit")}
    write_tensors(arrays, output.directions, stamp)
