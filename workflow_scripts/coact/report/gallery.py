"""The gallery: cards of features that were chosen by rule."""

from typing import Any

from coact.comparison.wording import count, defined, percent, plural
from coact.report.cards import card_block, plain_facts
from coact.report.markup import escape, feature_address
from coact.report.results import Results

EMPTY = "No features are shown: the study has none that are active often enough."


def gallery_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown of the sentence and the cards."""
    blocks = [_card(entry, results.meaning.gallery["column"]) for entry in results.meaning.gallery["features"]]
    return {"_gallery.md": "\n".join([f"{escape(gallery_sentence(results))}\n", *blocks])}


def _card(entry: dict[str, Any], column: str) -> str:
    quantile = entry["quantile"]
    why = f"for {entry['reason']}"
    if defined(quantile):
        why = f"by frequency: of the features to choose from {percent(quantile, 2)} are active less often"
    feature = entry["feature"]
    title = f"Feature {feature} of {column}"
    facts = [("chosen", why), *plain_facts(entry["card"])]
    return card_block(title, f"feature-{feature}", feature_address(column, feature), entry["card"], facts)


def gallery_sentence(results: Results) -> str:
    """How many features are shown, of how many, and how they were chosen."""
    gallery = results.meaning.gallery
    shown = gallery["features"]
    if not shown:
        return EMPTY
    drawn = sum(defined(entry["quantile"]) for entry in shown)
    names = [column.name for column in results.columns]
    text = f"{plural(len(shown), 'feature')} of {gallery['column']}"
    if gallery["column"] in names:
        counts = results.meaning.features[names.index(gallery["column"])]["count"]
        text += f", which has {count(int((counts > 0).sum()))} that are active on held-out tokens"
    if drawn == len(shown):
        return f"{text}, drawn by frequency alone."
    if not drawn:
        return f"{text}, all chosen for what they detect."
    return f"{text}: {len(shown) - drawn} chosen for what they detect and {drawn} drawn by frequency alone."
