"""The report: one self-contained HTML page.

Comes in: summaries of every stage, the figures with their captions, and the folder `report/` with the prose.
Goes out: the page, by Quarto where it is found, else by Pandoc. Numbers reach the prose as variables (`variables`)
and included tables (`tables`); `render` puts the page together.
"""

from coact.report.render import render
from coact.report.results import Results
from coact.report.tables import report_tables
from coact.report.variables import report_variables

__all__ = ["Results", "render", "report_tables", "report_variables"]
