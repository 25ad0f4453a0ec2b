"""Errors that are meant for the user: one line, naming the key, file or value."""


class StudyError(Exception):
    """A study cannot go on for a reason its user can mend.

    The message is one line that says which key, file or value, what was found, and what was expected.
    """


class ConfigError(StudyError):
    """The configuration is wrong or asks for something that is not there."""


class ArtefactError(StudyError):
    """A file of the study is missing, truncated, altered or of another kind."""


class UnwritableError(ArtefactError):
    """A file cannot be written: the disk is full, or the folder is not for writing."""


def first_line(error: Exception) -> str:
    """What an error of a library says, on one line; its kind where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
