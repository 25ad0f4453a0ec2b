"""Trees of features: features of the narrowest dictionary, their descendants in the next width, and those of these."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from coact.comparison.columns import Column
from coact.comparison.splitting import SEED
from coact.comparison.wording import defined, listed, plural
from coact.figures.layout import shorten
from coact.figures.style import INK, MUTED, SMALL_POINTS, TEXT_POINTS, Look

MOST_ROOTS, MOST_BRANCHES, MOST_WIDTHS = 4, 4, 3
BETWEEN = 0.7  # leaves of room between two trees
START, TEXT = 0.26, 0.05  # of the way between two widths: where branches leave a number, and where it begins
THIN, THICK = 0.6, 4.2


@dataclass(frozen=True)
class Lineages:
    """Some features of a dictionary and their descendants.

    Attributes:
        names: the dictionaries, from the narrowest.
        roots: features of the first one, with the words beside each.
        steps: for each dictionary but the first, descendants, the most similar first.
        by_context: whether the roots are the best features of contexts.
    """

    names: list[str]
    roots: dict[int, str]
    steps: list[pd.DataFrame]
    by_context: bool

    @classmethod
    def of(
        cls,
        columns: Sequence[Column],
        descendants: pd.DataFrame,
        table: pd.DataFrame,
        contexts: pd.DataFrame | None,
        named: Sequence[str],
    ) -> "Lineages":
        """Those of contexts, or, where there are none, of the features with most descendants."""
        names = _path(columns, table)
        steps = [
            descendants[(descendants["a"] == a) & (descendants["b"] == b) & descendants["descends"]]
            .sort_values(["cosine", "feature"], ascending=[False, True], kind="stable")
            for a, b in pairwise(names)
        ]  # fmt: skip
        roots = _of_contexts(names, contexts, named)
        return cls(names, roots or _most_split(steps), steps, bool(roots))

    def children(self, step: int, feature: int) -> pd.DataFrame:
        """Descendants of a feature of dictionary number `step` in the next one."""
        return self.steps[step][self.steps[step]["parent"] == feature]

    def leaves(self) -> float:
        """Height of all trees, in rows."""
        return sum(self._leaves(0, root) + BETWEEN for root in self.roots)

    def _leaves(self, step: int, feature: int) -> int:
        if step == len(self.steps):
            return 1
        found = self.children(step, feature)["feature"]
        more = int(len(found) > MOST_BRANCHES)
        return max(1, more + sum(self._leaves(step + 1, child) for child in found[:MOST_BRANCHES]))

    def branches(self) -> pd.DataFrame:
        """a, b, differ, parent, feature, cosine and share of all branches, also those that have no room."""
        parts, wanted = [], set(self.roots)
        for table in self.steps:
            mine = table[table["parent"].isin(wanted)]
            parts.append(mine[["a", "b", "differ", "parent", "feature", "cosine", "share"]].assign(panel="lineage"))
            wanted = set(mine["feature"])
        return pd.concat(parts) if parts else pd.DataFrame()

    def sentence(self) -> str:
        """What is drawn."""
        if not self.roots:
            return "no feature has a descendant."
        what = "the best features of contexts" if self.by_context else "the features with most descendants"
        none = sum(not len(self.children(0, root)) for root in self.roots)
        empty = f" {plural(none, 'of them has', 'of them have')} no descendant." if none else ""
        return (
            f"{what} in {self.names[0]} (n = {len(self.roots)}) and their descendants in {listed(self.names[1:])}, with"
            f" the share of the parent's tokens on which each is active; the width of a branch is the cosine.{empty}"
        )


def _path(columns: Sequence[Column], table: pd.DataFrame) -> list[str]:
    """Dictionaries one after another in width, as many as there are and find room, controls last; seeds kept if can."""
    control = {column.name: column.control for column in columns}
    following: dict[str, str] = {}
    for row in table[table["differ"] != SEED].itertuples():  # that differ in width alone come first
        following.setdefault(row.narrow_name, row.wide_name)
    paths = []
    for name in following:
        if name not in following.values():
            path = [name]
            while path[-1] in following and len(path) < MOST_WIDTHS:
                path.append(following[path[-1]])
            paths.append(path)
    return max(paths, key=lambda path: (not control[path[0]], len(path)))


def _of_contexts(names: Sequence[str], contexts: pd.DataFrame | None, named: Sequence[str]) -> dict[int, str]:
    if contexts is None:
        return {}
    mine = contexts[(contexts["model"] + "/" + contexts["sae"] == names[0]) & (contexts["feature"] >= 0)]
    features = mine.drop_duplicates("context").set_index("context")["feature"]
    found: dict[int, str] = {}
    for name in [name for name in named if name in features.index][:MOST_ROOTS]:
        feature = int(features[name])
        found[feature] = f"{found[feature]}, {name}" if feature in found else name
    return found


def _most_split(steps: Sequence[pd.DataFrame]) -> dict[int, str]:
    number = steps[0].groupby("parent").size().sort_values(ascending=False, kind="stable")
    return {int(feature): "" for feature in number.index[:MOST_ROOTS]}


def branch_width(cosine: float, least_cosine: float) -> float:
    """Points, from `THIN` at the limit to `THICK` at 1."""
    return THIN + (THICK - THIN) * max(cosine - least_cosine, 0) / max(1 - least_cosine, 1e-9)


def draw_lineages(panel: Axes, lineages: Lineages, found: dict[str, Look], least_cosine: float) -> None:
    """Draw the trees from left to right, a column per dictionary."""
    panel.set_axis_off()
    panel.set_xlim(-0.46, len(lineages.names) - 1 + 0.24)
    panel.set_ylim(max(lineages.leaves(), 1.0) + 0.6, -1.6)
    for step, name in enumerate(lineages.names):
        text = shorten(name.partition("/")[2], 84, TEXT_POINTS, "bold")
        panel.text(step, -1.1, text, fontweight="bold", ha="center", va="center", parse_math=False)
        panel.plot(step, -0.45, "s", color=found[name].color, markersize=5.5, markeredgewidth=0)
    if not lineages.roots:
        panel.text(
            0.5 * len(lineages.steps), 0.2, "no feature has a descendant", color=MUTED, ha="center", style="italic"
        )
    else:
        text = "number: feature      %: of the parent's tokens, held out"
        panel.text(0.5 * len(lineages.steps), lineages.leaves() + 0.2, text, color=MUTED, ha="center", va="center")
    top = 0.0
    for root, label in lineages.roots.items():
        top, y = _Tree(panel, lineages, found, least_cosine).draw(0, root, top)
        text = shorten(label, 62, TEXT_POINTS)
        panel.text(-0.06, y, text, ha="right", va="center", fontsize=TEXT_POINTS, parse_math=False)
        top += BETWEEN


@dataclass(frozen=True)
class _Tree:
    panel: Axes
    lineages: Lineages
    found: dict[str, Look]
    least_cosine: float

    def draw(self, step: int, feature: int, top: float, same: bool = False) -> tuple[float, float]:
        """Draw a feature and what descends from it below `top`; where it ends, and the height of the feature."""
        children = self.lineages.children(step, feature) if step < len(self.lineages.steps) else None
        heights, end = [], top
        for row in () if children is None else children[:MOST_BRANCHES].itertuples():
            end, y = self.draw(step + 1, row.feature, end, same=row.feature == feature)
            heights.append((y, row))
        y = float(np.mean([height for height, _ in heights])) if heights else top + 0.5
        if children is not None and len(children) > MOST_BRANCHES:
            text = f"and {len(children) - MOST_BRANCHES:,} more"
            self.panel.text(step + 1, end + 0.5, text, fontsize=SMALL_POINTS, color=MUTED, style="italic", va="center")
            end += 1
        for height, row in heights:
            self._branch(step, y, height, row)
        if children is not None and not len(children):
            self.panel.text(step + START + 0.06, y, "no descendant", fontsize=SMALL_POINTS, color=MUTED, style="italic",
                            va="center")  # fmt: skip
        color = self.found[self.lineages.names[step]].color
        self.panel.plot(step, y, "o", color=color, markersize=4.4, markeredgewidth=1.0, zorder=4,
                        markerfacecolor="white" if same else color)  # fmt: skip
        self.panel.text(step + TEXT, y, f"{feature}", fontsize=SMALL_POINTS, color=INK, va="center", zorder=5)
        return max(end, top + 1), y

    def _branch(self, step: int, y: float, height: float, row: Any) -> None:
        start, end = step + START, step + 1 - 0.03
        middle = (start + end) / 2 - 0.1
        points = [(start, y), (middle, y), (middle - 0.05, height), (middle + 0.12, height), (end, height)]
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
        width = branch_width(row.cosine, self.least_cosine)
        self.panel.add_patch(PathPatch(Path(points, codes), facecolor="none", edgecolor="#B8C0C8", linewidth=width,
                                       capstyle="butt", zorder=1))  # fmt: skip
        share = f"{100 * row.share:.0f}%" if defined(row.share) else "\N{EN DASH}"
        self.panel.text(end - 0.06, height, share, fontsize=SMALL_POINTS, color=INK, ha="right", va="center", zorder=3,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.7})  # fmt: skip
