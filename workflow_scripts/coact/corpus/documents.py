"""The unit of text that sources give and that every later stage refers to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """A piece of text with where it comes from.

    Attributes:
        text: the text itself.
        source: name of the source in the configuration.
        label: what kind of text it is; the context of a probe, else the name of the source.
        origin: where in the source it was found, for messages and tables; never an absolute path.
    """

    text: str
    source: str
    label: str
    origin: str
