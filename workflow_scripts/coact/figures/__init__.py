"""Figures of the study.

Comes in: tables (nodes, null nodes, sensitivity, histories, densities) and summaries of every column; never a model.
Goes out: per figure a Drawing (figure, data table, caption), written by `save_drawing` as SVG, PNG, CSV and JSON.

    absorption, chains, contexts, degree, degree_frequency, effects, emergence, explanations, frequency, frontier,
    maps, nulls, purity, rare_features, rarefaction, sensitivity, splitting, steering, training, universality
                                                            the figures, each by a function of its name
    save                                                    Drawing, save_drawing, make_figure

Import what is needed from these modules. The package itself loads no library: Snakemake reads `FAMILIES` from it.
"""

# Names of the figures by family. A family is made from tables of the same kinds, in one job, by the rule plot_<family>.
FAMILIES = {
    "graphs": (
        "degree_distribution",
        "log_degree_distribution",
        "frequency_distribution",
        "degree_frequency",
        "null_comparison",
        "saturation",
        "sensitivity",
        "rarefied_degree",
        "universality",
    ),
    "dictionaries": ("sae_loss_sparsity", "frontier", "feature_density", "emergence"),
    "meaning": (
        "contexts",
        "context_heatmap",
        "purity",
        "feature_map",
        "rare_features",
        "splitting",
        "absorption",
    ),
    "behaviour": ("explanations", "chains", "effects", "steering"),
}
FIGURES = tuple(figure for figures in FAMILIES.values() for figure in figures)
