"""Passages in a script, made of the names, dates, units and amounts of the Unicode CLDR as babel carries it."""

import datetime
import functools
import unicodedata
from collections.abc import Callable

import numpy as np

from coact.corpus.passages.draws import draw_length, fill, pick, pick_skewed

# Languages by context: those that babel covers well.
LANGUAGES = {
    "arabic": ("ar", "fa", "ur"),
    "hebrew": ("he",),
    "cyrillic": ("ru", "uk", "bg", "sr"),
    "greek": ("el",),
    "chinese": ("zh_Hans", "zh_Hant"),
    "korean": ("ko",),
}
# How the Unicode names of the letters of each language's script begin.
SCRIPTS = {
    **dict.fromkeys(("ar", "fa", "ur"), "ARABIC"),
    "he": "HEBREW",
    **dict.fromkeys(("ru", "uk", "bg", "sr"), "CYRILLIC"),
    "el": "GREEK",
    **dict.fromkeys(("zh_Hans", "zh_Hant"), "CJK"),
    "ko": "HANGUL",
}
DIGITS = {"ar": "٠١٢٣٤٥٦٧٨٩", "fa": "۰۱۲۳۴۵۶۷۸۹"}
LIST_COMMAS = {"zh_Hans": "\u3001", "zh_Hant": "\u3001", "ar": "\u060c ", "fa": "\u060c ", "ur": "\u060c "}
FIRST_DAY, DAYS = datetime.date(1900, 1, 1).toordinal(), 50_000
FEWEST_NAMES = 30  # kinds with fewer names would repeat themselves


def make_generator(languages: tuple[str, ...]) -> Callable[[np.random.Generator], str]:
    """A generator of passages, each in one of `languages` (babel's names of locales)."""

    def make_passage(rng: np.random.Generator) -> str:
        language = pick(rng, languages)
        style = pick(rng, (_make_prose, _make_prose, _make_list, _make_diary, _make_table, _make_amounts))
        text = style(rng, language, draw_length(rng))
        if language in DIGITS and rng.random() < 0.7:
            text = text.translate(str.maketrans("0123456789", DIGITS[language]))
        return text

    return make_passage


def is_in_script(text: str, language: str) -> bool:
    """Whether `text` has letters and all of them are of the script of `language`."""
    letters = [character for character in text if character.isalpha()]
    return bool(letters) and all(unicodedata.name(letter, "").startswith(SCRIPTS[language]) for letter in letters)


@functools.cache
def get_names(language: str) -> tuple[tuple[str, ...], ...]:
    """Names in `language`, by kind: territories, languages, scripts, currencies, cities, time zones, units.

    Only names whose letters are all of the language's script; the order within a kind is drawn once, by a fixed seed.
    """
    from babel import Locale

    locale = Locale.parse(language)
    zones = [zone.get("long", {}) for zone in locale.meta_zones.values()]
    kinds = [
        locale.territories.values(),
        locale.languages.values(),
        [*locale.scripts.values(), *locale.variants.values()],
        locale.currencies.values(),
        [zone["city"] for zone in locale.time_zones.values() if "city" in zone],
        [name for zone in zones for name in zone.values()],
        [names["long"] for names in locale.unit_display_names.values() if "long" in names],
    ]
    rng = np.random.default_rng(0)
    pools = []
    for names in kinds:
        names = sorted({name for name in names if isinstance(name, str) and is_in_script(name, language)})
        if len(names) >= FEWEST_NAMES:
            pools.append(tuple(names[index] for index in rng.permutation(len(names))))
    return tuple(pools)


@functools.cache
def get_units(language: str) -> tuple[str, ...]:
    """CLDR units that `language` has patterns for, written in its own script."""
    from babel import Locale
    from babel.units import format_unit

    units = sorted(Locale.parse(language).unit_display_names)
    return tuple(unit for unit in units if is_in_script(format_unit(5, unit, "long", locale=language), language))


def _make_prose(rng: np.random.Generator, language: str, length: int) -> str:
    """Paragraphs of sentences: lists in the language's own way, some opened by a date or a place."""
    from babel.lists import format_list

    stop, comma, colon = ("\u3002", "\uff0c", "\uff1a") if language.startswith("zh") else (". ", ", ", ": ")

    def make_sentence() -> str:
        pool = pick(rng, get_names(language))
        names = [pick_skewed(rng, pool) for _ in range(rng.integers(2, 7))]
        style = pick(rng, ("standard", "standard", "or")) if language != "ur" else "standard"
        words = format_list(names, style, language)
        opening = rng.random()
        if opening < 0.2:
            words = f"{_make_date(rng, language)}{comma}{words}"
        elif opening < 0.4:
            words = f"{pick_skewed(rng, get_names(language)[0])}{colon}{words}"
        return words

    def make_paragraph() -> str:
        return fill(make_sentence, stop, min(length, int(rng.integers(150, 600)))) + stop.strip()

    return fill(make_paragraph, "\n\n", length)


def _make_list(rng: np.random.Generator, language: str, length: int) -> str:
    """Names of one kind, in lines or between separators."""
    pool = pick(rng, get_names(language))
    comma = LIST_COMMAS.get(language, ", ")
    return fill(lambda: pick_skewed(rng, pool), pick(rng, ("\n", "\n- ", comma, comma, " · ", "; ")), length)


def _make_diary(rng: np.random.Generator, language: str, length: int) -> str:
    """Lines of a date, written out, and names."""
    pool = pick(rng, get_names(language))

    def make_line() -> str:
        names = ", ".join(pick_skewed(rng, pool) for _ in range(rng.integers(1, 4)))
        return f"{_make_date(rng, language)}: {names}"

    return fill(make_line, "\n", length)


def _make_table(rng: np.random.Generator, language: str, length: int) -> str:
    """Rows of names of two or three kinds."""
    pools = get_names(language)
    columns = [pick(rng, pools) for _ in range(rng.integers(2, 4))]
    separator = pick(rng, (" | ", "\t", " — ", ", "))
    return fill(lambda: separator.join(pick_skewed(rng, column) for column in columns), "\n", length)


def _make_amounts(rng: np.random.Generator, language: str, length: int) -> str:
    """Small amounts: measures, spans of time, and what they are of."""
    from babel.dates import format_timedelta
    from babel.units import format_unit

    def make_amount() -> str:
        number = int(np.exp(rng.uniform(0, 4.5)))
        if rng.random() < 0.3:
            span = datetime.timedelta(**{"hours": number} if rng.random() < 0.5 else {"days": number * 10})
            amount = format_timedelta(span, add_direction=True, threshold=1.5, locale=language)
        else:
            amount = format_unit(number, pick_skewed(rng, get_units(language)), "long", locale=language)
        return f"{pick_skewed(rng, pick(rng, get_names(language)))}: {amount}"

    return fill(make_amount, pick(rng, ("\n", "; ", ". ")), length)


def _make_date(rng: np.random.Generator, language: str) -> str:
    from babel.dates import format_date

    date = datetime.date.fromordinal(FIRST_DAY + int(rng.integers(DAYS)))
    return format_date(date, pick(rng, ("full", "long")), language)
