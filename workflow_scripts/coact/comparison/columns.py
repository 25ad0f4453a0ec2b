"""A column of the study: one dictionary of features on one model."""

from dataclasses import dataclass

from coact.provenance import canonical_json
from coact.study import Study


@dataclass(frozen=True)
class Column:
    """One dictionary on one model.

    Attributes:
        model, sae: names.
        control: neurons as features, or a dictionary on an untrained model.
        expansion: expansion factor; None for a dictionary that has none.
        recipe: settings without expansion factor and seed, as text; columns of one model and recipe that differ in
            nothing else can be compared across seeds or widths. Empty where nothing is known.
    """

    model: str
    sae: str
    control: bool = False
    expansion: float | None = None
    recipe: str = ""

    @property
    def name(self) -> str:
        """The column's name in tables and texts: <model>/<sae>."""
        return f"{self.model}/{self.sae}"


def columns_of(study: Study) -> list[Column]:
    """The columns of a study, in the order of its configuration."""
    return [_column(study, model, sae) for model, sae in study.columns()]


def _column(study: Study, model: str, sae: str) -> Column:
    settings = study.sae_settings(sae)
    expansion = settings.pop("expansion", None)
    settings.pop("seed", None)
    control = study.config["models"][model]["kind"] == "untrained" or settings["kind"] == "neurons"
    return Column(model, sae, control, expansion, canonical_json(settings))
