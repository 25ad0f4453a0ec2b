"""The dictionaries of a study with their sizes."""

from dataclasses import dataclass
from typing import Any

from coact.costs import memory
from coact.costs.models import is_complete, parameters, trained_parameters
from coact.provenance import canonical_json
from coact.study import Study, dictionary_size

PENALIZED_L0 = 30.0  # active features where a penalty decides on them
# Share of features that are dead in training, where an auxiliary loss is to revive them. It is not known before: means
# over trainings are 0 (untrained model) to 0.16 in the default study, and 0.52 in one of 8 times the width.
DEAD_SHARE = 0.25
RECIPE = (
    "kind", "architecture", "batch_tokens", "dtype", "decoder", "decoder_norm", "gradient_clip", "prefixes", "aux_share"
)  # fmt: skip


@dataclass(frozen=True)
class Dictionary:
    """A column of the study with its sizes.

    Attributes:
        settings: see `Study.sae_settings`.
        d_in, d_sae: dimensions and features.
        l0: active features of a token: k where the architecture has one; half the dimensions for neurons, as of
            pre-activations around 0; else `PENALIZED_L0`.
    """

    model: str
    sae: str
    settings: dict[str, Any]
    d_in: int
    d_sae: int
    l0: float

    @property
    def family(self) -> str:
        """Name of its family."""
        return self.settings["family"]

    @property
    def dead_share(self) -> float:
        """Share of features that an auxiliary loss is taken to be at work on."""
        return DEAD_SHARE if self.settings.get("aux_share") else 0.0

    @property
    def recipe(self) -> str:
        """What of the settings its speed depends on, beside its sizes: alike for families that train alike."""
        return canonical_json({name: self.settings[name] for name in RECIPE if name in self.settings})

    @property
    def key(self) -> str:
        """The key of the configuration that its width comes from."""
        return f"saes.{self.family}" + (".expansion" if self.settings["kind"] == "trained" else "")


def dictionaries_of(study: Study) -> list[Dictionary]:
    """The dictionaries whose sizes are known, in the order of the configuration."""
    return [found for model, sae in study.columns() if (found := _dictionary(study, model, sae))]


def _dictionary(study: Study, model: str, sae: str) -> Dictionary | None:
    family = sae if sae in study.config["saes"] else sae.partition("-")[0]
    settings = study.sae_settings(sae) | {"family": family}
    d_in = study.width_of(model) or settings.get("d_in")
    if d_in is None:
        return None
    if settings["kind"] == "neurons":
        return Dictionary(model, sae, settings, d_in, d_in, d_in / 2)
    if settings["kind"] == "import":
        l0 = study.described(family).get("k") or PENALIZED_L0
        return Dictionary(model, sae, settings, d_in, settings["d_sae"], l0)
    d_sae = dictionary_size(d_in, settings["expansion"])
    return Dictionary(model, sae, settings, d_in, d_sae, min(settings.get("k", PENALIZED_L0), d_sae))


def unknown_columns(study: Study) -> list[tuple[str, str]]:
    """Columns (model, SAE) whose sizes are not known before the model is there."""
    known = {(found.model, found.sae) for found in dictionaries_of(study)}
    return [column for column in study.columns() if column not in known]


def unknown_models(study: Study) -> list[str]:
    """Models whose shape is not known before they are fetched."""
    return [name for name in study.config["models"] if not is_complete(study.shape(name))]


def weights_of(study: Study, model: str) -> int:
    """Parameters of a model whose shape is known; at most, where it is not trained here."""
    settings = study.config["models"][model]
    if settings["kind"] == "untrained":
        return weights_of(study, settings["like"])
    if settings["kind"] == "trained":
        return trained_parameters(study.shape(model), study.config["corpus"]["context_length"])
    return parameters(study.shape(model))


def forward_memory(study: Study, model: str) -> int:
    """Bytes for a model and predictions of it that are compared, beside a process; 0 for one of unknown shape."""
    if model in unknown_models(study):
        return 0
    contexts, length = study.config["activations"]["forward_contexts"], study.config["corpus"]["context_length"]
    size = weights_of(study, model), study.shape(model), length, contexts
    return memory.run_model(*size, logits=memory.LOGITS_AT_ONCE) - memory.TORCH
