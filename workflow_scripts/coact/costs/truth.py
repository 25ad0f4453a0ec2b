"""The jobs on synthetic activations with known directions."""

from collections.abc import Iterator

from coact.costs import disk, memory, models
from coact.costs.dictionaries import Dictionary
from coact.costs.jobs import Job, Measure
from coact.costs.reference import SECONDS
from coact.study import Study, dictionary_size

TORCH = "coact.sae.train"


def truth_jobs(study: Study) -> Iterator[Job]:
    """What is planted, and SAEs that are trained on it; none where the configuration has no ground truth."""
    section = study.config["ground_truth"]
    if not section["enabled"]:
        return
    width, planted = section["dimension"], section["train_tokens"]
    seconds = SECONDS["plant_directions"].of(entries=planted * section["l0"])
    # Directions and their products with one another; activations are made in chunks.
    peak = memory.TORCH + 4 * section["features"] * (section["features"] + width)
    held = disk.activation_bytes(planted, width, "float32")
    yield Job("SAEs", "plant_directions", tokens=planted, disk=held, memory=peak, seconds=seconds)
    for sae in study.saes_of("trained"):
        settings = study.sae_settings(sae)
        d_sae = dictionary_size(width, settings["expansion"])
        one = Dictionary(
            "", sae, settings | {"family": sae.partition("-")[0]}, width, d_sae, settings.get("k", section["l0"])
        )
        batch = settings["batch_tokens"]
        flops = models.sae_step_flops(width, d_sae, one.l0, batch, one.dead_share)
        scored = memory.read_features(section["heldout_tokens"], one.l0, section["features"], d_sae)
        yield Job(
            "SAEs", "recover_directions", sae=sae, gpu=True, tokens=settings["tokens"], imports=TORCH, key=one.key,
            memory=max(memory.train_sae(width, d_sae, batch), scored),
            work=((Measure("train SAE", one.recipe, width, d_sae, one.l0, flops), settings["tokens"]),),
            seconds=SECONDS["recover_directions"].of(entries=section["heldout_tokens"] * one.l0),
        )  # fmt: skip
