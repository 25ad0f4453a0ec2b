"""Sparsity against reconstruction of the SAEs: table and sentences of that part of the report."""

from coact.comparison.frontier import (
    equal_l0_sentence,
    frontier_table,
    mean_points,
    pareto_sentence,
    seed_sentence,
    shrinkage_sentence,
)
from coact.comparison.wording import defined, number, percent
from coact.report.markup import pipe_table
from coact.report.results import Results

NUMBERS = {
    "fvu": ("FVU", number),
    "cosine": ("cosine", number),
    "norm_ratio": ("norm ratio", number),
    "reconstruction_bias": ("bias", number),
    "kl_divergence": ("KL", number),
    "loss_recovered_mean": ("recovered, mean", number),
    "encoder_decoder_cosine": ("encoder and decoder, cosine", number),
    "dead_share": ("dead", percent),
}


def frontier_texts(results: Results) -> dict[str, str]:
    """Key -> plain text of the sentences."""
    table = frontier_table(results.columns, results.evaluations)
    points = mean_points(table)
    return {
        "equal_l0_sentence": equal_l0_sentence(points),
        "pareto_sentence": pareto_sentence(table),
        "seed_fvu_sentence": seed_sentence(points),
        "shrinkage_sentence": shrinkage_sentence(table),
    }


def frontier_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown of the table, by series and L0."""
    table = frontier_table(results.columns, results.evaluations)
    place = table["series"].map({name: place for place, name in enumerate(table["series"].unique())})
    rows = []
    for row in table.assign(place=place).sort_values(["place", "l0"]).to_dict("records"):
        spread = f"{row['l0_q05']:.0f} / {row['l0_q50']:.0f} / {row['l0_q95']:.0f}" if defined(row["l0_q50"]) else ""
        cells = [f"{row['model']}/{row['sae']}", row["series"], row["sparsity"], "yes" if row["frontier"] else ""]
        rows.append([*cells, number(row["l0"]), spread, *(form(row[key]) for key, (_, form) in NUMBERS.items())])
    header = ["dictionary", "series", "sparsity", "on the frontier", "L0", "L0, 5% / median / 95%"]
    header += [title for title, _ in NUMBERS.values()]
    caption = (
        "Sparsity and reconstruction of the dictionaries, held out. Norm ratio: length of the reconstruction over that"
        " of the input; bias: relative reconstruction bias, 1 is none; KL: divergence of the spliced from the clean"
        " predictions, nats per token"
    )
    return {"_frontier.md": pipe_table(header, rows, caption, "tbl-frontier", 4)}
