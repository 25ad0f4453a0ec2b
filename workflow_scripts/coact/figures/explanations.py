"""How well rules of tokens and contexts explain features: held-out correlations, beside controls."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from coact.comparison.columns import Column
from coact.comparison.wording import count, defined, dictionaries, number, plural, spread
from coact.figures.layout import header, legend, observed_handle, panels, percent_ticks
from coact.figures.save import Drawing, words
from coact.figures.style import INK, MUTED, looks, style

Tables = Sequence[pd.DataFrame]
FEATURES, NEURONS, DIRECTIONS, SHUFFLED = "features", "neurons", "random directions", "shuffled rule"
LINES = {
    NEURONS: {"color": MUTED, "linewidth": 1.0},
    DIRECTIONS: {"color": INK, "linewidth": 0.9, "linestyle": (0, (3, 1.5))},
    SHUFFLED: {"color": INK, "linewidth": 0.9, "linestyle": (0, (1, 1))},
}
POINTS = np.linspace(0, 1, 101)  # shares at which the figure's data has its quantiles
LEVELS = {"label": "label", "token": "token", "bigram": "bigram", "none": "no one level"}


def explanations(columns: Sequence[Column], features: Tables, directions: Tables) -> Drawing:
    """Cumulative distributions of held-out correlations; a panel per column.

    Args:
        columns, features, directions: the columns and, in the same order, explanations.parquet and directions.parquet.
    """
    tables = [_series(columns, features, directions, place) for place in range(len(columns))]
    data = pd.concat([_quantiles(*entry) for entry in zip(columns, tables, strict=True)], ignore_index=True)
    with style():
        found = looks(columns)
        figure, axes = panels(columns, header_lines=5)
        for column, panel, series, table in zip(columns, axes, tables, features, strict=True):
            for name, values in series.items():
                line = LINES.get(name, {"color": found[column.name].color, "linewidth": 1.8, "zorder": 4})
                _draw(panel, values, line)
            header(panel, column, _lines(table), found[column.name])
            percent_ticks(panel)
        lowest = data["correlation"].min()
        axes[0].set_xlim(min(-0.2, lowest) if defined(lowest) else -0.2, 1)
        axes[0].set_ylim(0, 1)
        figure.supxlabel("Held-out correlation of predicted with true activations (Pearson's r)")
        figure.supylabel("Share with at most that correlation")
        _legend(figure, [found[column.name] for column in columns])
    return Drawing(figure, data, _caption(columns, features, directions))


def _series(columns: Sequence[Column], features: Tables, directions: Tables, place: int) -> dict[str, np.ndarray]:
    """Correlations of a column's features, of its model's neurons and of the controls, ascending, NaN left out."""
    column = columns[place]
    series = {FEATURES: features[place]["correlation"]}
    for other, table in zip(columns, features, strict=True):
        if other.model == column.model and _is_neurons(other) and other != column:
            series[NEURONS] = table["correlation"]
    series[DIRECTIONS] = directions[place]["correlation"]
    series[SHUFFLED] = features[place]["correlation_shuffled"]
    return {name: np.sort(values.dropna().to_numpy()) for name, values in series.items()}


def _is_neurons(column: Column) -> bool:
    return column.expansion is None


def _quantiles(column: Column, series: dict[str, np.ndarray]) -> pd.DataFrame:
    """model, sae, series, n, share, correlation."""
    parts = [
        pd.DataFrame({"share": POINTS, "correlation": np.quantile(values, POINTS) if len(values) else np.nan}).assign(
            series=name, n=len(values)
        )
        for name, values in series.items()
    ]
    table = pd.concat(parts, ignore_index=True).assign(model=column.model, sae=column.sae)
    return table[["model", "sae", "series", "n", "share", "correlation"]]


def _draw(panel: Axes, values: np.ndarray, line: dict[str, object]) -> None:
    if len(values):
        shares = np.arange(len(values) + 1) / len(values)
        panel.plot(np.append(values[:1], values), shares, drawstyle="steps-post", **line)


def _lines(table: pd.DataFrame) -> list[str]:
    measured = table["correlation"].dropna()
    carried = table["carried_by"].value_counts()
    most = carried.index[0] if len(carried) else None
    return [
        f"n {count(len(measured))}, {count(len(table) - len(measured))} not measured",
        f"median r {number(measured.median(), 2)}",
        f"carried by {LEVELS[most]}: {count(carried.iloc[0])}" if most else "no correlation above 0",
    ]


def _legend(figure: object, used: Sequence[object]) -> None:
    entries = [(observed_handle(used), "features (a colour per dictionary)")]
    entries += [(Line2D([], [], **line), name) for name, line in LINES.items()]
    legend(figure, entries)


def _median(values: pd.Series) -> float:
    return float(values.median())


def _caption(columns: Sequence[Column], features: Tables, directions: Tables) -> dict[str, str]:
    medians = [_median(table["correlation"]) for table in features]
    tokens = spread((table["tokens"].max() for table in features if len(table)), count)
    flattering = spread((_median(table["sample_correlation"]) for table in features), lambda value: number(value, 2))
    shuffled = spread((_median(table["correlation_shuffled"]) for table in features), lambda value: number(value, 2))
    random = spread((_median(table["correlation"]) for table in directions), lambda value: number(value, 2))
    numbers = (
        f"Medians: features {spread(medians, lambda value: number(value, 2))}, random directions {random}, shuffled"
        f" rule {shuffled}."
    )
    ranks = (table["correlation"].corr(table["active_heldout"], method="spearman") for table in features if len(table))
    frequent = spread(ranks, lambda value: number(value, 2))
    measured = spread((int(table["correlation"].notna().sum()) for table in features), count)
    drawn = spread(map(len, directions), count)
    details = (
        "The rule predicts an activation from the token, the one before it and the label of the text, by mean"
        f" activations on training tokens, and is scored on {tokens} held-out tokens, those without activation too (n ="
        f" {measured} features with a correlation, {drawn} random directions, as often active as the median feature)."
        " The shuffled rule is that of another feature of about the same frequency. Carried by: the coarsest of label,"
        f" token and bigram that alone reaches nine tenths of the correlation. {numbers} On samples of largest"
        f" activations and as many tokens drawn uniformly, as the papers score, the medians of the features are"
        f" {flattering}. Spearman's correlation of r with held-out frequency"
        f" is {frequent}: where it is far from 0, medians of dictionaries whose features are not active equally often"
        " cannot be compared, other than each with its own random directions."
    )
    alt = (
        "Cumulative distributions of held-out correlations for"
        f" {plural(len(columns), 'dictionary', 'dictionaries')}. {numbers}"
    )
    return words(_conclusion(columns, features, directions), details, alt)


def _conclusion(columns: Sequence[Column], features: Tables, directions: Tables) -> str:
    """How trained dictionaries stand against neurons and random directions, for any outcome."""
    rows = [
        (column, _median(table["correlation"]), _median(control["correlation"]))
        for column, table, control in zip(columns, features, directions, strict=True)
    ]
    neurons = {column.model: median for column, median, _ in rows if _is_neurons(column)}
    trained = [row for row in rows if not row[0].control and defined(row[1])]
    if not trained:
        return "No trained dictionary has features whose correlation with a rule is defined."
    above = [column.name for column, median, random in trained if defined(random) and median > random]
    where = dictionaries(len(above), len(trained), above)
    text = f"By the median, rules explain features better than random directions in {where}"
    compared = [row for row in trained if defined(neurons.get(row[0].model))]
    if not compared:
        return f"{text}."
    better = [column.name for column, median, _ in compared if median > neurons[column.model]]
    return f"{text}, and better than neurons in {dictionaries(len(better), len(compared), better)}."
