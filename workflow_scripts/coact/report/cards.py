"""Cards of features as HTML within Markdown. Texts of the corpus are shown, not obeyed."""

from collections.abc import Sequence
from html import escape
from typing import Any

from coact.comparison.wording import NOT_DEFINED, count, defined, number, percent
from coact.interpretation.cards import ENDS
from coact.spelling import show_piece, show_token

SHADES = 5
PIECE_CHARACTERS = 40
TOPS_SHOWN, QUANTILES_SHOWN, TOKENS_SHOWN, LABELS_SHOWN, NEIGHBOURS_SHOWN = 4, 3, 6, 3, 5


def card_block(
    title: str, identifier: str, address: str, card: dict[str, Any], facts: Sequence[tuple[str, str]]
) -> str:
    """A card as a raw block of HTML, which Quarto and Pandoc both pass on as it is.

    Args:
        title: of the card, plain text.
        identifier: what links name it by; letters, digits and hyphens.
        address: what the title leads to.
        card: of `coact.interpretation.cards.Cards`.
        facts: name and plain text of what is said of it, in turn.
    """
    items = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in facts if text)
    parts = [
        f'<section class="card" id="{identifier}">',
        f'<h4><a href="{_text(address)}">{_text(title)}</a></h4>',
        f"<dl>{items}</dl>",
    ]
    if card["dead"]:
        parts.append("<p>It is dead: never active on the held-out tokens.</p>")
    for kind, name, shown in (("top", "Most active", TOPS_SHOWN), ("quantile", "As a rule", QUANTILES_SHOWN)):
        found = [example for example in card["examples"] if example["kind"] == kind]
        chosen = found[:shown] if kind == "top" else found[:: max(1, -(-len(found) // shown))]
        if chosen:
            lines = "".join(f"<li>{_example(example, card['largest'])}</li>" for example in chosen)
            parts.append(f'<p class="kind">{name}</p><ul class="examples">{lines}</ul>')
    parts.append("</section>")
    return "```{=html}\n" + "\n".join(parts) + "\n```\n"


def plain_facts(card: dict[str, Any]) -> list[tuple[str, str]]:
    """What the tables of features and of the graph say."""
    labels = [
        f"{entry['label']} {percent(entry['count'] / card['count'], 2)} (lift {number(entry['lift'], 2)})"
        for entry in card["labels"][:LABELS_SHOWN]
    ]
    near = [
        f"{entry['feature']} (weight {number(entry['weight'], 2)}, {count(entry['count'])} tokens,"
        f" q {number(entry['q'], 1)})"
        for entry in card["neighbours"][:NEIGHBOURS_SHOWN]
    ]
    share = percent(card["frequency"], 2)
    return [
        ("frequency", f"{share} of tokens, largest activation {number(card['largest'], 3)}"),
        ("text", ", ".join(labels)),
        ("tokens", " ".join(show_token(entry["text"]) for entry in card["tokens"][:TOKENS_SHOWN])),
        ("bigrams", " ".join(show_token(entry["text"]) for entry in card["bigrams"][:TOKENS_SHOWN])),
        ("neuron", _neuron(card)),
        ("graph", f"degree {count(card['degree'])}, community {_community(card)}"),
        ("neighbours", ", ".join(near)),
        ("logit lens", _lens(card["lens"])),
        ("rule", _rule(card["explanation"])),
        ("ablated", _ablated(card["effects"])),
    ]


def _lens(lens: dict[str, Any] | None) -> str:
    if not lens:
        return ""
    more, less = (" ".join(show_token(entry["text"]) for entry in lens[end][:TOKENS_SHOWN]) for end in ENDS)
    return f"{more}; less likely {less}; kurtosis {number(lens['kurtosis'], 2)}, p {number(lens['p_kurtosis'], 1)}"


def _rule(found: dict[str, Any] | None) -> str:
    if not found or not defined(found["correlation"]):
        return ""
    other = number(found["correlation_shuffled"], 2)
    return f"predicts it with a correlation of {number(found['correlation'], 2)}; another feature's rule {other}"


def _ablated(effects: dict[str, Any] | None) -> str:
    if not effects or not defined(effects["ablation_kl"]):
        return ""
    random = number(effects["ablation_random_kl"], 2)
    return f"KL divergence {number(effects['ablation_kl'], 2)} where it is active; a random direction {random}"


def _neuron(card: dict[str, Any]) -> str:
    if card["neuron"] is None or card["neuron"] < 0:
        return NOT_DEFINED
    return f"nearest is {card['neuron']}, correlation {number(card['neuron_correlation'], 2)}"


def _community(card: dict[str, Any]) -> str:
    return str(card["community"]) if card["community"] >= 0 else "none"


def _example(example: dict[str, Any], largest: float) -> str:
    """One line: the activation, and the text with its tokens shaded by theirs."""
    spans = [
        _span(piece, value, largest, place == example["place"])
        for place, (piece, value) in enumerate(zip(example["pieces"], example["activations"], strict=True))
    ]
    return f'<span class="value">{number(example["activation"], 3)}</span> <bdi>{"".join(spans)}</bdi>'


def _span(piece: str, value: float, largest: float, peak: bool) -> str:
    shown = _text(show_piece(piece, PIECE_CHARACTERS))
    shade = min(SHADES, 1 + int(SHADES * value / largest)) if value > 0 else 0
    names = [f"a{shade}"] * (shade > 0) + ["peak"] * peak
    if not names or not shown:
        return shown
    return f'<span class="{" ".join(names)}" title="{number(value, 3)}">{shown}</span>'


def _text(text: object) -> str:
    """Text within HTML; a fence of backticks or a shortcode cannot end the block or be obeyed."""
    return escape(str(text)).replace("`", "&#96;").replace("{", "&#123;").replace("\n", " ")
