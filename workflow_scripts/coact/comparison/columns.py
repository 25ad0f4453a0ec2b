"""A column of the study: one dictionary of features on one model; and which columns are compared by their features."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from coact.provenance import canonical_json
from coact.study import Study

TRAINED, INITIAL = "trained", "initial"


@dataclass(frozen=True)
class Column:
    """One dictionary on one model.

    Attributes:
        model, sae: names.
        control: neurons as features, a dictionary on an untrained model, or one with a random decoder.
        expansion: expansion factor; None for a dictionary that has none.
        recipe: settings without expansion factor, seed and snapshots, as text; columns of one model and recipe that
            differ in nothing else can be compared across seeds or widths. Empty where nothing is known.
        tokenizer: name of the model's tokenizer; models with the same one read the same tokens. Empty where nothing is
            known.
        weights: of the model: trained, or those of an untrained one, initial or shuffled.
        hook: hook point that the activations are of; empty where nothing is known.
    """

    model: str
    sae: str
    control: bool = False
    expansion: float | None = None
    recipe: str = ""
    tokenizer: str = ""
    weights: str = TRAINED
    hook: str = ""

    @property
    def untrained(self) -> bool:
        """Whether the model is an untrained one."""
        return self.weights != TRAINED

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
    for key in ("seed", "snapshot_steps"):  # of which the latter leaves the SAE as it is
        settings.pop(key, None)
    weights = study.config["models"][model].get("weights", TRAINED)
    control = weights != TRAINED or settings["kind"] == "neurons" or settings.get("decoder") == "random"
    return Column(
        model,
        sae,
        control,
        expansion,
        canonical_json(settings),
        study.tokenizer_of(model),
        weights,
        study.hook_of(model),
    )


@dataclass(frozen=True)
class Pair:
    """Two dictionaries to compare.

    Attributes:
        a, b: places among the columns.
        differ: "seed": in the seed only; "width": in the expansion factor; "recipe": in more; "neurons": one of them
            is the neurons of the model; "model": they are on two models, and have one recipe and expansion factor.
        matchings: by what their features are matched, "decoder" and "activations" or the latter alone.
    """

    a: int
    b: int
    differ: str
    matchings: tuple[str, ...]


def comparable(columns: Sequence[Column]) -> list[Pair]:
    """Pairs of dictionaries whose features can be matched, in the order of the columns.

    Activations can be matched where they are over the same tokens: on one model, or on two that share their tokenizer;
    of the latter, dictionaries at one hook point that differ in the model and perhaps in the seed only. Decoder rows
    can be matched where both dictionaries are trained on one model: neurons have none of their own.
    """
    found = []
    for a, b in combinations(range(len(columns)), 2):
        one, other = columns[a], columns[b]
        if one.model == other.model:
            trained = one.expansion is not None and other.expansion is not None
            differ = _difference(one, other) if trained else "neurons"
            found.append(Pair(a, b, differ, ("decoder", "activations") if trained else ("activations",)))
        elif _alike(one, other) and one.hook == other.hook and one.tokenizer and one.tokenizer == other.tokenizer:
            found.append(Pair(a, b, "model", ("activations",)))
    return found


def _alike(one: Column, other: Column) -> bool:
    return (one.recipe, one.expansion) == (other.recipe, other.expansion)


def _difference(one: Column, other: Column) -> str:
    if one.recipe != other.recipe:
        return "recipe"
    return "seed" if _alike(one, other) else "width"
