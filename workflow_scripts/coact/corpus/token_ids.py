"""Token ids of a data set as text, and how many of them its tokenizer gives back.

In: rows of token ids and the tokenizer that made them. Out: the documents in them. Every later stage reads documents as
text, since duplicates, contexts and other models' tokenizers need it. The model whose tokenizer it is tokenizes that
text again, and it is counted how many ids come out as they were.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import TYPE_CHECKING, Any

from coact.corpus.tokenizer import UNKNOWN_CHARACTER, encode_texts
from coact.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WINDOW = 256  # tokens that are compared at once
# Tokens after which a share that is too low is not waited on: the rest of a data set would not mend it, and ids that do
# not come back are slow to compare.
ENOUGH_TOKENS = 100_000


class Decoder:
    """Rows of token ids to documents.

    Attributes:
        tokens: ids decoded so far; special tokens are left out.
        same: those of them that come back when the text is tokenized again.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", model: str, least_same: float, place: str) -> None:
        """
        Args:
            tokenizer: the one that made the ids.
            model: name of the model that it is of, for messages.
            least_same: share of the tokens that has to come back.
            place: what messages call the column.
        """
        self.tokens = self.same = 0
        self._tokenizer, self._model, self._least_same, self._place = tokenizer, model, least_same, place
        self._size = max(tokenizer.get_vocab().values()) + 1
        self._borders = {tokenizer.bos_token_id, tokenizer.eos_token_id}
        # An unknown token stands for text, which is lost: it counts, and does not come back.
        unknown = {tokenizer.unk_token_id} - {tokenizer.pad_token_id}
        self._dropped = set(tokenizer.all_special_ids) - unknown

    @property
    def share(self) -> float | None:
        """Share of the tokens that come back; None before there are any."""
        return self.same / self.tokens if self.tokens else None

    def read(self, ids: Any, row: int) -> Iterator[str]:
        """The texts between the BOS and EOS tokens of a row, without special tokens.

        Half a character, where a row begins or ends within one, is left out; its tokens do not come back.

        Args:
            ids: a row of the column, expected to be a list of integers.
            row: its number, for messages.
        Raises:
            ConfigError: these are no token ids, or none of this tokenizer; or see `check`.
        """
        self._check_ids(ids, row)
        for border, run in groupby(ids, self._borders.__contains__):
            kept = [] if border else [token for token in run if token not in self._dropped]
            if kept:
                text = self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                text = text.strip(UNKNOWN_CHARACTER)
                (again,) = encode_texts(self._tokenizer, [text])
                self.tokens += len(kept)
                self.same += count_same(kept, again)
                yield text
        if self.tokens >= ENOUGH_TOKENS:
            self.check()

    def check(self) -> None:
        """Refuse ids of which too few come back.

        Raises:
            ConfigError: names the column, the share found and the share expected.
        """
        if self.tokens and self.same < self._least_same * self.tokens:
            raise ConfigError(
                f"{self._place}: {self.same:,} of the first {self.tokens:,} tokens ({self.share:.4g}) come back when"
                f" their text is tokenized for model '{self._model}' again, expected a share of at least"
                f" {self._least_same:g} (least_same); another tokenizer may have made them (tokens_of)"
            )

    def _check_ids(self, ids: Any, row: int) -> None:
        kinds = sorted({type(token).__name__ for token in ids} - {"int"}) if isinstance(ids, list) else []
        if kinds or not isinstance(ids, list):
            found = f"lists of {', '.join(kinds)}" if kinds else type(ids).__name__
            raise ConfigError(f"{self._place} holds {found} in row {row:,}; expected lists of token ids (integers)")
        if min(ids, default=0) < 0:
            raise ConfigError(f"{self._place} holds {min(ids)} in row {row:,}; expected token ids, 0 or more")
        if max(ids, default=0) >= self._size:
            raise ConfigError(
                f"{self._place} holds id {max(ids):,} in row {row:,}, but the tokenizer of model '{self._model}' has"
                f" {self._size:,} tokens, expected ids up to {self._size - 1:,}; another may have made them (tokens_of)"
            )


def count_same(ids: Sequence[int], again: Sequence[int]) -> int:
    """Tokens in the runs that both sequences have in common, in one order.

    Found by `difflib`, window by window: its time grows with the square of what it compares. Past a gap of more than a
    window the two may not meet again, so that too few are counted rather than too many.
    """
    if ids == again:
        return len(ids)
    same = left = right = 0
    while left < len(ids) and right < len(again):
        windows = ids[left : left + WINDOW], again[right : right + WINDOW]
        *runs, end = SequenceMatcher(None, *windows, autojunk=False).get_matching_blocks()
        last = runs[-1] if runs else end
        same += sum(run.size for run in runs)
        left, right = left + last.a + last.size, right + last.b + last.size
    return same
