"""Generators of passages, by context.

Each takes a numpy Generator and returns a passage of about 100 to 800 characters, nearly all of which belong to the
context. Formats, lengths and separators vary from passage to passage, so that a feature that fires on all of them
stands for the context and not for one layout.
"""

from collections.abc import Callable

import numpy as np

from coact.corpus.passages import codes, scripts, values, web

GENERATORS: dict[str, Callable[[np.random.Generator], str]] = {
    **{name: scripts.make_generator(languages) for name, languages in scripts.LANGUAGES.items()},
    "dna": codes.make_dna,
    "base64": codes.make_base64,
    "hexadecimal": codes.make_hexadecimal,
    "uuids": codes.make_uuids,
    "numbers": values.make_numbers,
    "dates": values.make_dates,
    "urls": web.make_urls,
    "emails": web.make_emails,
}
