"""What SAEs find of known directions: that part of the report, where directions were planted."""

from typing import Any

from coact.comparison.wording import count, defined, number, percent
from coact.report.markup import escape, pipe_table
from coact.report.results import Results

FIGURE = "recovery"
SCORES = {
    "found_share": ("found", percent),
    "mmcs": ("max cosine, mean", number),
    "f1": ("F1 of firing", number),
    "fvu": ("FVU", number),
    "l0": ("L0", number),
    "dead_share": ("dead", percent),
}
BESIDE = ("found_share", "mmcs", "f1", "fvu")  # scores that a random dictionary stands beside
NOTHING = (
    "No directions were planted in this study, so it does not say how many true features the dictionaries would find"
    " where the truth is known."
)


def ground_truth_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown of the paragraph, the figure and the table; one sentence where nothing was planted."""
    table = results.recovery
    if table.empty:
        return {"_ground_truth.md": f"{escape(NOTHING)}\n"}
    first = table.iloc[0]
    text = (
        f"The same recipes were trained on activations that are sums of {count(first['truths'])} known directions,"
        f" {number(first['l0_true'], 3)} on a token, and noise, {percent(first['noise_share'])} of the variance. What"
        " holds there need not hold for activations of a language model, whose features, if that is what they are made"
        " of, nobody knows."
    )
    words = {key: escape(value) for key, value in results.captions[FIGURE].items()}
    figure = (
        f"![**{words['conclusion']}** {words['details']}](figures/{FIGURE}.svg)"
        f'{{#fig-recovery fig-alt="{words["alt"]}"}}'
    )
    header = ["SAE", "architecture", *(title for title, _ in SCORES.values())]
    rows = [[row["sae"], row["architecture"], *_cells(row)] for row in table.to_dict("records")]
    caption = (
        "What SAEs find of known directions, on held-out tokens; in brackets a random dictionary with as many features"
        " and about as many active ones per token"
    )
    return {"_ground_truth.md": f"{escape(text)}\n\n{figure}\n\n{pipe_table(header, rows, caption, 'tbl-recovery', 2)}"}


def _cells(row: dict[str, Any]) -> list[str]:
    def show(value: float, key: str) -> str:
        return SCORES[key][1](value) if defined(value) else ""

    return [
        show(row[key], key) + (f" ({show(row[f'{key}_random'], key)})" if key in BESIDE and defined(row[key]) else "")
        for key in SCORES
    ]
