"""Text of the corpus, spelled so that it can be shown: it is data of unknown origin, and nothing in it may act.

What is spelled here is plain text still; whoever puts it into a page escapes it there.
"""

import codecs
from collections.abc import Sequence

# Blanks as signs that can be seen; a token is set apart from its neighbours in the direction of its script.
SIGNS = {"\n": "\N{RETURN SYMBOL}", "\t": "\N{RIGHTWARDS ARROW TO BAR}"}
BLANK_SIGNS = str.maketrans(SIGNS | {" ": "\N{OPEN BOX}"})
LINE_SIGNS = str.maketrans(SIGNS)
ISOLATE, END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
TOKEN_CHARACTERS = 12
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def show_token(text: str) -> str:
    """A token as plain text in quotes, at most `TOKEN_CHARACTERS` of it, on one line.

    Blanks and what has no sign of its own, such as characters that turn the direction of writing, are made visible.
    """
    shown = _show_unprintable(text[:TOKEN_CHARACTERS].translate(BLANK_SIGNS))
    rest = ELLIPSIS if len(text) > TOKEN_CHARACTERS else ""
    return f"{ISOLATE}\N{LEFT DOUBLE QUOTATION MARK}{shown}{rest}\N{RIGHT DOUBLE QUOTATION MARK}{END_ISOLATE}"


def show_piece(text: str, most: int) -> str:
    """A token within running text, at most `most` characters of it: blanks stay, the ends of lines become signs."""
    shown = _show_unprintable(text[:most].translate(LINE_SIGNS))
    return shown + (ELLIPSIS if len(text) > most else "")


def _show_unprintable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def spell_together(pieces: Sequence[bytes]) -> list[str]:
    """The text of tokens that follow one another, from the bytes of each.

    A character whose bytes several tokens hold belongs to the last of them, and the others before it are empty; bytes
    that are no character are U+FFFD.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = [decoder.decode(piece) for piece in pieces]
    if texts:
        texts[-1] += decoder.decode(b"", final=True)
    return texts


def spell_alone(piece: bytes, token: int) -> str:
    """One token; by its bytes, such as \\xd8, where they are no whole characters, by its number where it has none."""
    return piece.decode("utf-8", "backslashreplace") if piece else f"<{token}>"
