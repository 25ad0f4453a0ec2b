"""URLs and email addresses, their words taken from the names of the Unicode CLDR in English."""

import functools
import unicodedata

import numpy as np

from coact.corpus.passages.draws import draw_length, fill, pick, pick_skewed

DOMAINS = ("com", "com", "com", "org", "net", "io", "edu", "gov", "co.uk", "de", "fr", "info", "ai", "dev")
PARTS = ("blog", "docs", "wiki", "news", "api", "v1", "v2", "users", "images", "static", "search", "posts", "products")
ENDINGS = ("", "", "", "/", ".html", ".html", ".php", ".jpg", ".png", ".pdf", ".css", ".js", ".json")
KEYS = ("q", "id", "page", "lang", "ref", "utm_source", "sort", "limit", "token", "v")


@functools.cache
def get_words() -> tuple[str, ...]:
    """Words of 3 to 12 letters a-z, from English names of territories, languages, currencies, cities and units."""
    from babel import Locale

    locale = Locale.parse("en")
    names = [
        *locale.territories.values(),
        *locale.languages.values(),
        *locale.currencies.values(),
        *locale.scripts.values(),
        *(zone.get("city", zone_id.split("/")[-1]) for zone_id, zone in locale.time_zones.items()),
        *(names.get("long", "") for names in locale.unit_display_names.values()),
    ]
    plain = unicodedata.normalize("NFKD", " ".join(names).lower()).encode("ascii", "ignore").decode()
    letters = "".join(character if character.isalpha() else " " for character in plain)
    words = sorted({word for word in letters.split() if 3 <= len(word) <= 12})
    return tuple(words[index] for index in np.random.default_rng(0).permutation(len(words)))


def make_words(rng: np.random.Generator, length: int) -> str:
    """Words with spaces between them, at least `length` characters."""
    return fill(lambda: pick_skewed(rng, get_words()), " ", length)


def make_urls(rng: np.random.Generator) -> str:
    """URLs with paths, queries and fragments, one a line or between separators."""
    separator = pick(rng, ("\n", "\n", " ", ", ", "\n- "))
    hosts = [_make_host(rng) for _ in range(rng.integers(1, 8))]
    return fill(lambda: _make_url(rng, pick_skewed(rng, hosts)), separator, draw_length(rng))


def make_emails(rng: np.random.Generator) -> str:
    """Email addresses, one a line or between separators; in some passages all of a few domains."""
    separator = pick(rng, ("\n", "\n", ", ", "; ", " ", ",\n"))
    prefix, suffix = pick(rng, (("", ""), ("", ""), ("<", ">"), ("mailto:", "")))
    hosts = [_make_domain(rng) for _ in range(rng.integers(1, 12))]
    joint = pick(rng, (".", ".", "_", "", "-"))

    def make() -> str:
        first, last = pick_skewed(rng, get_words()), pick_skewed(rng, get_words())
        form = rng.random()
        if form < 0.5:
            user = f"{first}{joint}{last}"
        elif form < 0.7:
            user = f"{first[0]}{last}"
        elif form < 0.85:
            user = f"{first}{rng.integers(1, 2030)}"
        else:
            user = first
        return f"{prefix}{user}@{pick_skewed(rng, hosts)}{suffix}"

    return fill(make, separator, draw_length(rng))


def _make_domain(rng: np.random.Generator) -> str:
    words = [pick_skewed(rng, get_words()) for _ in range(rng.integers(1, 3))]
    return f"{pick(rng, ('', '-')).join(words)}.{pick(rng, DOMAINS)}"


def _make_host(rng: np.random.Generator) -> str:
    scheme = pick(rng, ("https://", "https://", "https://", "http://"))
    return scheme + pick(rng, ("", "www.", "www.", "api.", "cdn.", "en.")) + _make_domain(rng)


def _make_url(rng: np.random.Generator, host: str) -> str:
    parts = []
    for _ in range(rng.integers(1, 5)):
        form = rng.random()
        if form < 0.35:
            parts.append(pick(rng, PARTS))
        elif form < 0.85:
            parts.append("-".join(pick_skewed(rng, get_words()) for _ in range(rng.integers(1, 4))))
        else:
            parts.append(str(rng.integers(1, 100_000)))
    url = f"{host}/{'/'.join(parts)}{pick(rng, ENDINGS)}"
    if rng.random() < 0.3:
        pairs = [f"{pick(rng, KEYS)}={_make_value(rng)}" for _ in range(rng.integers(1, 4))]
        url += "?" + "&".join(pairs)
    return url + (f"#{pick_skewed(rng, get_words())}" if rng.random() < 0.1 else "")


def _make_value(rng: np.random.Generator) -> str:
    form = rng.random()
    if form < 0.5:
        return pick_skewed(rng, get_words())
    return str(rng.integers(1, 10_000)) if form < 0.8 else rng.bytes(8).hex()
