"""Figures of the study.

Comes in: tables (nodes, null nodes, histories, densities) and summaries of every column; never a model.
Goes out: per figure a Drawing (figure, data table, caption), written by `save_drawing` as SVG, PNG, CSV and JSON.
"""

from coact.figures.degree import degree_distribution, log_degree_distribution
from coact.figures.degree_frequency import degree_frequency
from coact.figures.frequency import feature_density, frequency_distribution
from coact.figures.save import Drawing, save_drawing
from coact.figures.training import sae_loss_sparsity

__all__ = [
    "Drawing",
    "degree_distribution",
    "degree_frequency",
    "feature_density",
    "frequency_distribution",
    "log_degree_distribution",
    "sae_loss_sparsity",
    "save_drawing",
]
