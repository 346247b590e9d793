"""Tokens, counted exactly: any tokenizer by name, and many spans of one document at once.

    tokenizer = Tokenizer.load(None)           # Mistral 7B's, out of an installed package
    tokenizer.count("a long text")             -> 3
    ruler = Ruler(tokenizer, document.text)
    ruler.count(["Read this.\n", (1000, 64_000), "\nWhat is it about?"])
        == tokenizer.count("Read this.\n" + document.text[1000:64_000] + "\nWhat is it about?")

`Ruler` encodes a document once, in pieces cut where no token can stand (`safe_cuts`), and keeps the
running sum. A span is then two short ends to encode and one difference. Where a tokenizer has no
known safe cuts, every count encodes in full: `ruler.exact_by` says "full" instead of "pieces".

Processes: `tokenizers` keeps a thread pool, and a fork after the pool has started can hang. Call
`single_threaded()` first thing in the parent and in workers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from tokenizers import Tokenizer as HFTokenizer

from longdata.errors import UserError
from longdata.safe_cuts import CutRule, find_rule
from longdata.sentencepiece_model import read_model, to_tokenizer

DEFAULT_NAME = "mistral-7b-v0.1"
LARGEST_FILE = 256 * 2**20  # bytes; the largest published tokenizer.json are about 35 MB
BOS_TOKENS = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>")
EOS_TOKENS = ("</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>", "<|im_end|>")

PIECE = 1_000  # characters between two cuts; the ends of a span are about half of it
BATCH = 256  # pieces encoded in one call; bounds the memory that the encodings take
CHECK_EVERY = 100_000  # characters per check that pieces and whole agree

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_ALLOWED = "a folder with tokenizer.json or tokenizer.model, one of these files, or a Hub id"


def single_threaded() -> None:
    """Keep `tokenizers` from starting threads in this process and in those it starts.

    Must run before the first batch is encoded. Work is divided between processes here, and a
    process forked while the pool's threads hold a lock waits for that lock for ever.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokenizer:
    """A tokenizer that counts without special tokens.

    `fingerprint` is the SHA-256 of the file it was read from (tokenizer.json or the .model).
    `tokens_added_per_row` is how many tokens (BOS, EOS) its own rules put around one text when a
    model is fed; `count` and `encode` leave them out, so a budget that is a model's window is
    `window - tokens_added_per_row` of counted tokens.
    """

    name: str
    fingerprint: str
    vocab_size: int
    bos_id: int | None
    bos_token: str | None
    eos_id: int | None
    eos_token: str | None
    tokens_added_per_row: int
    hf: HFTokenizer = field(repr=False)

    @classmethod
    def load(cls, name: str | Path | None = None) -> Tokenizer:
        """The tokenizer `name` means; None is the default, which needs no network.

        Raises UserError when there is none of that name or its file is damaged.
        """
        if name is None:
            return _from_file(_default_file(), DEFAULT_NAME)
        path = Path(name)
        if path.is_dir():
            for file in ("tokenizer.json", "tokenizer.model"):
                if (path / file).is_file():
                    return _from_file(path / file, str(name))
            raise _refusal(f"{name}, a folder without tokenizer.json and tokenizer.model")
        if path.is_file():
            return _from_file(path, str(name))
        if path.suffix in (".json", ".model") or not _HUB_ID.fullmatch(str(name)):
            raise _refusal(f"{name}, which is no file or folder here")
        return _from_file(_from_hub(str(name)), str(name))

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without special tokens around it."""
        return list(self.hf.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text."""
        encoded = self.hf.encode_batch_fast(list(texts), add_special_tokens=False)
        return [list(encoding.ids) for encoding in encoded]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens written out."""
        return self.hf.decode(list(ids), skip_special_tokens=False)

    def count(self, text: str) -> int:
        """len(encode(text))."""
        return self.count_many([text])[0]

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """`count` of each text."""
        encoded = self.hf.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding) for encoding in encoded]

    @cached_property
    def cut_rule(self) -> CutRule | str:
        """Where texts may be cut for this tokenizer, or the reason why nowhere."""
        return find_rule(self.hf)


class Ruler:
    """Counts spans of one document as they stand in a row: exact, and fast where it can be.

    `exact_by` is "pieces" or "full"; `why_full` is the reason for "full" and else "".
    `total` is the number of tokens of the whole document.
    """

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        self.tokenizer = tokenizer
        self.text = text
        self._cuts: list[int] = []
        self._skip = 0
        rule = tokenizer.cut_rule
        self.why_full = rule if isinstance(rule, str) else ""
        if not isinstance(rule, str):
            self._cuts = list(rule.positions(text, PIECE))
            self._skip = rule.skip
        self._measure()
        if not self._agrees_with_whole():
            self.why_full = "the tokens of this document are not those of its pieces"
            self._cuts = []
            self._measure()
        self.exact_by = "full" if self.why_full else "pieces"

    def _measure(self) -> None:
        counts = list(self._piece_counts())
        self.total = sum(counts)
        self._before = list(accumulate(counts[:-1]))  # tokens of text[:cut], for each cut

    def _piece_counts(self) -> Iterator[int]:
        starts = [0, *(cut + self._skip for cut in self._cuts)]
        ends = [*self._cuts, len(self.text)]
        for first in range(0, len(starts), BATCH):
            bounds = zip(starts[first : first + BATCH], ends[first : first + BATCH], strict=True)
            yield from self.tokenizer.count_many([self.text[a:b] for a, b in bounds])

    def _agrees_with_whole(self) -> bool:
        """Spot check: three pieces together, encoded as one, every CHECK_EVERY characters."""
        every = max(3, CHECK_EVERY // PIECE)
        for first in range(0, len(self._cuts) - 3, every):
            whole = self.text[self._cuts[first] + self._skip : self._cuts[first + 3]]
            if self.tokenizer.count(whole) != self._before[first + 3] - self._before[first]:
                return False
        return True

    def count(self, parts: Sequence[str | tuple[int, int]]) -> int:
        """Tokens of the parts joined; (start, end) stands for text[start:end].

        Equal to `tokenizer.count` of the joined text, always. Raises ValueError for a slice
        outside the document.
        """
        inside = 0
        ends: list[str] = []  # strings between safe cuts, whole in themselves
        open_end: list[str] = []
        for part in parts:
            if isinstance(part, str):
                open_end.append(part)
                continue
            start, end = part
            if not 0 <= start <= end <= len(self.text):
                raise ValueError(f"({start}, {end}) is no slice of {len(self.text)} characters")
            # A cut is safe while the characters before, at and after it are in the slice.
            first = bisect_left(self._cuts, start + 1)
            last = bisect_right(self._cuts, end - 2) - 1
            if last <= first:
                open_end.append(self.text[start:end])
                continue
            ends.append("".join([*open_end, self.text[start : self._cuts[first]]]))
            inside += self._before[last] - self._before[first]
            open_end = [self.text[self._cuts[last] + self._skip : end]]
        ends.append("".join(open_end))
        return inside + sum(self.tokenizer.count_many(ends))

    def tokens_before(self, offset: int) -> int:
        """About how many tokens text[:offset] has: exact at cuts, in proportion between them."""
        at = bisect_right(self._cuts, offset)
        low = self._cuts[at - 1] if at else 0
        high = self._cuts[at] if at < len(self._cuts) else len(self.text)
        below = self._before[at - 1] if at else 0
        above = self._before[at] if at < len(self._before) else self.total
        return below + (above - below) * (offset - low) // max(1, high - low)

    def longest_end(
        self, start: int, ends: Sequence[int], budget: int, prefix: str, suffix: str
    ) -> int | None:
        """The index of the last of `ends` whose row fits: prefix + text[start:end] + suffix.

        `ends` are sorted. The row of the returned end has `budget` tokens or fewer, and the row of
        the next end has more; None when not even the first end at or after `start` fits.
        """
        lowest = bisect_left(ends, start)

        def fits(index: int) -> bool:
            return self.count([prefix, (start, ends[index]), suffix]) <= budget

        room = budget - self.count([prefix, suffix])
        goal = self.tokens_before(start) + room
        guess = bisect_right(ends, goal, lo=lowest, key=self.tokens_before) - 1
        last = _last_true(fits, max(guess, lowest), lowest, len(ends))
        return last if last >= lowest else None


def _last_true(holds: Callable[[int], bool], guess: int, low: int, high: int) -> int:
    """The last index in [low, high) where `holds` is true and is not at the next; low - 1 if none.

    Asks near `guess` first, then at doubling distances, then halves what is left.
    """
    if low >= high:
        return low - 1
    step = 1
    if holds(guess):
        yes, no = guess, guess + 1
        while no < high and holds(no):
            yes, no, step = no, no + 2 * step, 2 * step
        no = min(no, high)
    else:
        yes, no = guess - 1, guess
        while yes >= low and not holds(yes):
            yes, no, step = yes - 2 * step, yes, 2 * step
        yes = max(yes, low - 1)
    while no - yes > 1:
        middle = (yes + no) // 2
        if holds(middle):
            yes = middle
        else:
            no = middle
    return yes


def _refusal(given: str) -> UserError:
    return UserError(
        f"got --tokenizer {given}; allowed: {_ALLOWED}; "
        "fix: check the name, or leave it out for the default"
    )


def _default_file() -> Path:
    spec = importlib.util.find_spec("mistral_common")  # finds the package without importing it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / "data" / "tokenizer.model.v1"
        if file.is_file():
            return file
    raise UserError(
        "got no --tokenizer, and the package that holds the default one is missing; allowed: "
        f"{_ALLOWED}; fix: pip install 'mistral-common>=1.8'"
    )


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download  # slow to import
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    for file in ("tokenizer.json", "tokenizer.model"):
        try:
            return Path(hf_hub_download(name, file))
        except EntryNotFoundError as why:
            # Raised for a missing file, and by its subclass when there is no network.
            if "LocalEntryNotFound" in type(why).__name__:
                raise _refusal(f"{name}, which is not here, and the Hub cannot be reached") from why
        except (HfHubHTTPError, HFValidationError, OSError) as why:
            line = str(why).strip().splitlines()[0] if str(why).strip() else type(why).__name__
            raise _refusal(f"{name}, which the Hub does not give ({line})") from why
    raise _refusal(f"{name}, which has neither tokenizer.json nor tokenizer.model on the Hub")


def _from_file(path: Path, name: str) -> Tokenizer:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise _refusal(f"{name}, a file of {path.stat().st_size:,} bytes")
        data = path.read_bytes()
    except OSError as why:
        raise _refusal(f"{name}, which cannot be read ({why.strerror})") from why
    fingerprint = hashlib.sha256(data).hexdigest()
    if data.lstrip()[:1] == b"{":
        hf = _parse_json(data, name)
        bos, eos = _special_tokens(hf, path.parent)
    else:
        model = read_model(data, name)
        hf = to_tokenizer(model, name)
        bos, eos = model.control(*BOS_TOKENS), model.control(*EOS_TOKENS)
    hf.no_truncation()  # a tokenizer.json may carry a maximum length: counts would stop there
    hf.no_padding()
    return Tokenizer(
        name=name,
        fingerprint=fingerprint,
        vocab_size=hf.get_vocab_size(with_added_tokens=True),
        bos_id=bos[0] if bos else None,
        bos_token=bos[1] if bos else None,
        eos_id=eos[0] if eos else None,
        eos_token=eos[1] if eos else None,
        tokens_added_per_row=hf.num_special_tokens_to_add(False),
        hf=hf,
    )


def _parse_json(data: bytes, name: str) -> HFTokenizer:
    try:
        return HFTokenizer.from_str(data.decode("utf-8"))
    except BaseException as why:  # the library raises bare Exception, and panics for odd input
        if not isinstance(why, Exception) and type(why).__name__ != "PanicException":
            raise
        line = (str(why).strip().splitlines() or [type(why).__name__])[0][:200]
        raise _refusal(f"{name}, which is no tokenizer.json ({line})") from why


def _special_tokens(
    hf: HFTokenizer, folder: Path
) -> tuple[tuple[int, str] | None, tuple[int, str] | None]:
    """BOS and EOS as (id, text): from tokenizer_config.json, else by their usual names."""
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        config = {}

    special = {token.content for token in hf.get_added_tokens_decoder().values() if token.special}

    def find(key: str, usual: tuple[str, ...]) -> tuple[int, str] | None:
        if isinstance(config, dict) and key in config:
            value = config[key]
            text = value.get("content") if isinstance(value, dict) else value
            candidates = [text] if isinstance(text, str) else []
        else:
            candidates = [text for text in usual if text in special]
        for text in candidates:
            token = hf.token_to_id(text)
            if token is not None:
                return token, text
        return None

    return find("bos_token", BOS_TOKENS), find("eos_token", EOS_TOKENS)
