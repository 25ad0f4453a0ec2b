"""The one style sheet of all figures, and the one colour of each condition.

Hues are from Okabe & Ito (2008) and the "muted" scheme of Tol (2021), chosen to be told apart with colour-vision
deficiency. Colours never carry a meaning alone: panels are titled, and lines differ in marker and dash as well.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import seaborn as sns

from coact.comparison.columns import Column

HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
CONTROL_HUES = ("#8A8A8A", "#B39B7A", "#5F7180", "#B9AEC4")
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.5), (1, 1), (5, 1, 1, 1))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")

FONT = "DejaVu Sans"
INK = "#222222"
MUTED = "#5A5A5A"
GRID = "#E6E6E6"
NOT_LIVE = "#D9D9D9"
TEXT_POINTS = 7.5
SMALL_POINTS = 7.0
PAGE_WIDTH = 7.2  # inches: two columns of a journal page

RULES = {
    "font.family": "sans-serif",
    # DejaVu Sans comes with matplotlib, so layout is the same everywhere; Verdana has its metrics where a reader of
    # the SVG lacks it.
    "font.sans-serif": [FONT, "Bitstream Vera Sans", "Verdana", "sans-serif"],
    "font.size": TEXT_POINTS,
    "axes.titlesize": TEXT_POINTS,
    "axes.labelsize": TEXT_POINTS,
    "xtick.labelsize": SMALL_POINTS,
    "ytick.labelsize": SMALL_POINTS,
    "legend.fontsize": TEXT_POINTS,
    "figure.labelsize": TEXT_POINTS,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "xtick.bottom": True,
    "ytick.left": True,
    "lines.linewidth": 1.1,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "coact",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


@dataclass(frozen=True)
class Look:
    """How one condition is drawn, in every figure."""

    color: str
    dashes: tuple[float, ...]
    marker: str


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw and save figures in the style sheet, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        sns.set_theme(style="ticks", rc=RULES)
        yield


def looks(columns: Sequence[Column]) -> dict[str, Look]:
    """Name of each column -> its look.

    Keyed by the sorted names, so that the order in which columns are drawn does not matter. Controls are muted.
    """
    found = {}
    for control, hues in ((False, HUES), (True, CONTROL_HUES)):
        names = sorted({column.name for column in columns if column.control == control}, key=_natural)
        for place, name in enumerate(names):
            turn = place // len(hues)
            found[name] = Look(
                hues[place % len(hues)],
                DASHES[(turn + (1 if control else 0)) % len(DASHES)],
                MARKERS[(place + turn) % len(MARKERS)],
            )
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorting key that puts x4 before x16."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
