"""Counts are exact: `Ruler` against encoding the joined text, for every kind of tokenizer."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as HF

from longdata import tokenizers as module
from longdata.errors import SourceError, UserError
from longdata.tokenizers import Ruler, Tokenizer

SHARED = Path(__file__).parents[2] / "shared" / "data"
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# What texts are made of here: words, and all that makes cutting between them hard.
FRAGMENTS = [
    *("a", "b", "the", "them", "foo", "bar", "foo bar", "naïve", "Straße", "мир", "שלום", "한국"),
    *(" ", " ", " ", "  ", "   ", "\n", "\n\n", " \n", "\t", "\u00a0", "\r\n", "\u3000", "\u200b"),
    *(".", ",", "'s", "'", "'ll", "’", '"', "“", "(", ")", "—", "-", "…", "?!", "[", "]", "»"),
    *("1", "12", "345", "1,000", "½", "Ⅷ", "²"),
    *("<s>", "</s>", "<unk>", "<x>", "[PAD]", "<0x0A>", "▁", "▁▁", "a▁b", "Ġ"),
    *("e\u0301", "\u0301", "漢字", "かな", "。", "🙂", "👩‍👩‍👧", "\0", "\ufeff", "ﬁ", "Å", "각"),
]
PIECES = st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(["", " "])).map("".join)
TEXTS = st.lists(PIECES, max_size=60).map("".join)
CHARACTERS = st.text(st.characters(codec="utf-8"), max_size=6)


@cache
def corpus() -> list[str]:
    draw = random.Random(7)
    words = ["the", "them", "foo", "bar", "naïve", "a", "b", "12", "345", "мир", "'s", "漢字"]
    return [" ".join(draw.choices(words, k=30)) + ".\n" for _ in range(60)]


def trained(
    pre_tokenizer: pre_tokenizers.PreTokenizer | None,
    normalizer: normalizers.Normalizer | None = None,
    **bpe: bool,
) -> HF:
    hf = HF(models.BPE(unk_token="<unk>", **bpe))  # type: ignore[arg-type]
    if normalizer is not None:
        hf.normalizer = normalizer
    if pre_tokenizer is not None:
        hf.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=[*pre_tokenizers.ByteLevel.alphabet(), "▁"],
        show_progress=False,
    )
    hf.train_from_iterator(corpus(), trainer)
    return hf


def byte_level(**options: bool) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **options})


def split(regex: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(regex), "isolated"), byte_level(use_regex=False)]
    )


def llama_2(prepend: bool = True) -> HF:
    """BPE on the whole text, its merges learned inside words."""
    hf = trained(pre_tokenizers.Metaspace(prepend_scheme="always", split=True), fuse_unk=True)
    spec = json.loads(hf.to_str())
    steps = [{"type": "Prepend", "prepend": "▁"}] if prepend else []
    steps.append({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})  # type: ignore[dict-item]
    spec["normalizer"] = {"type": "Sequence", "normalizers": steps}
    spec["pre_tokenizer"] = None
    return HF.from_str(json.dumps(spec))


def metaspace(scheme: str, split: bool) -> HF:
    return trained(pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split))  # type: ignore[arg-type]


def with_added(hf: HF, *added: AddedToken) -> HF:
    hf.add_tokens(list(added))
    return hf


KINDS: dict[str, Callable[[], HF]] = {
    "gpt-2": lambda: trained(byte_level()),
    "gpt-2 with a space before": lambda: trained(byte_level(add_prefix_space=True)),
    "llama-3": lambda: trained(split(LLAMA_3)),
    "llama-3 that ignores merges": lambda: trained(split(LLAMA_3), ignore_merges=True),
    "qwen": lambda: trained(split(LLAMA_3.replace("{1,3}", "")), normalizers.NFC()),
    "o200k": lambda: trained(split(O200K)),
    "starcoder": lambda: trained(
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()])
    ),
    "llama-2": llama_2,
    "gemma": lambda: llama_2(prepend=False),
    "metaspace always": lambda: metaspace("always", True),
    "metaspace first": lambda: metaspace("first", True),
    "metaspace never": lambda: metaspace("never", True),
    "metaspace always, whole text": lambda: metaspace("always", False),
    "metaspace first, whole text": lambda: metaspace("first", False),
    "llama-2 with added tokens": lambda: with_added(
        llama_2(),
        AddedToken("<x>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("[PAD]", rstrip=True, normalized=True),
        AddedToken("  ", normalized=False),
    ),
    "gpt-2 with added tokens": lambda: with_added(
        trained(byte_level(), normalizers.NFC()),
        AddedToken("<x>", lstrip=True, normalized=True),
        AddedToken("foo bar", normalized=True),
        AddedToken("   ", normalized=True),
        AddedToken("мир", single_word=True, rstrip=True),
    ),
    "metaspace with added words": lambda: with_added(
        metaspace("always", True), AddedToken("foo", normalized=True), AddedToken("the bar")
    ),
}


@cache
def tokenizer(kind: str) -> Tokenizer:
    if kind == "default":
        return Tokenizer.load(None)
    hf = KINDS[kind]()
    return Tokenizer(
        name=kind,
        fingerprint="",
        vocab_size=hf.get_vocab_size(),
        bos_id=None,
        bos_token=None,
        eos_id=None,
        eos_token=None,
        tokens_added_per_row=0,
        hf=hf,
    )


@contextmanager
def cuts_everywhere() -> Iterator[None]:
    """Remember every cut and check every document, so that short texts exercise the sums."""
    with (
        mock.patch.object(module, "EVERY", 1),
        mock.patch.object(module, "BLOCK", 40),
        mock.patch.object(module, "LONGEST_KNOWN", 6),
        mock.patch.object(module, "MOST_KNOWN", 8),
    ):
        yield


def rendered(text: str, parts: list[str | tuple[int, int]]) -> str:
    return "".join(part if isinstance(part, str) else text[part[0] : part[1]] for part in parts)


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, list[str | tuple[int, int]]]:
    """A document and the parts of a row over it."""
    text = draw(TEXTS)
    literal = st.one_of(st.sampled_from(FRAGMENTS), TEXTS, CHARACTERS)
    offset = st.integers(0, len(text))
    part = st.one_of(literal, st.tuples(offset, offset).map(lambda pair: (min(pair), max(pair))))
    return text, draw(st.lists(part, max_size=5))


@pytest.mark.parametrize("kind", ["default", *KINDS])
def test_a_ruler_counts_what_the_tokenizer_counts(kind: str) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @example(("the bar foo them", ["a ", (0, 16)]))
    @example(("the bar foo them the bar", [(3, 15), (4, 24)]))
    @example(("the bar foo them", [(0, 8), "</s>"]))
    @example(("the (foo them " * 8, [(0, 100)]))
    @given(rows())
    def check(row: tuple[str, list[str | tuple[int, int]]]) -> None:
        text, parts = row
        with cuts_everywhere():
            ruler = Ruler(tokenizer(kind), text)
            assert ruler.total == tokenizer(kind).count(text)
            assert ruler.count(parts) == tokenizer(kind).count(rendered(text, parts))
            assert ruler.exact_by == "pieces"

    check()


@pytest.mark.parametrize("kind", ["default", *KINDS])
def test_every_tokenizer_here_is_cut_at_the_spaces_of_prose(kind: str) -> None:
    rule = tokenizer(kind).cut_rule
    assert not isinstance(rule, str), rule
    # "whole text" learned entries over spaces, whose letters are then no place to cut
    assert len(rule.split("the 1st naïve them b 12 the мир")) >= (2 if "whole" in kind else 4)


@pytest.mark.parametrize("kind", ["default", "gpt-2", "llama-2 with added tokens"])
def test_a_long_document_is_counted_by_its_remembered_cuts(kind: str) -> None:
    draw = random.Random(3)
    text = "".join(draw.choices([*FRAGMENTS, " ", *" " * len(FRAGMENTS)], k=15_000))
    with mock.patch.object(module, "BLOCK", 1_500):
        ruler = Ruler(tokenizer(kind), text)
    assert ruler.total == tokenizer(kind).count(text)
    for _ in range(20):
        start, end = sorted(draw.choices(range(len(text)), k=2))
        parts: list[str | tuple[int, int]] = ["Read:\n", (start, end), " foo", (end // 2, end)]
        assert ruler.count(parts) == tokenizer(kind).count(rendered(text, parts))


def real_tokenizers() -> list[str]:
    return [
        "models/tokenizers/gpt_neox_olmo/allenai_gpt-neox-olmo-dolma-v1_5.json",
        "models/hf/books-2.8M",
        "models/hf/stories260K",
        "models/hf/babyllama-1M",
        "models/stories260K/tok512.model",
    ]


@pytest.mark.parametrize("path", real_tokenizers())
def test_a_ruler_counts_a_real_book_with_real_tokenizers(path: str) -> None:
    books = SHARED / "books" / "clean"
    if not (SHARED / path).exists() or not books.is_dir():
        pytest.skip("no shared data")
    text = next(iter(sorted(books.glob("*.txt")))).read_text("utf-8")[:60_000]
    named = Tokenizer.load(SHARED / path)
    ruler = Ruler(named, text)
    assert ruler.exact_by == ("full" if path.endswith(".model") else "pieces")
    assert ruler.total == named.count(text)
    draw = random.Random(5)
    for _ in range(10):
        start, end = sorted(draw.choices(range(len(text)), k=2))
        parts: list[str | tuple[int, int]] = ["<s> Read\n", (start, end), "[…]", (0, start), "</s>"]
        assert ruler.count(parts) == named.count(rendered(text, parts))


UNSAFE: dict[str, tuple[Callable[[], HF], str]] = {
    "a normaliser that is not known": (
        lambda: trained(byte_level(), normalizers.Lowercase()),
        "Lowercase",
    ),
    "a regular expression that is not known": (lambda: trained(split(r"\w+ \w+|\s+")), "Split"),
    "no white space among the alternatives": (lambda: trained(split(r" ?\p{L}+")), "Split"),
    "a pre-tokenizer that is not known": (
        lambda: trained(pre_tokenizers.Punctuation()),
        "Punctuation",
    ),
    "bytes of the whole text": (lambda: trained(byte_level(use_regex=False)), "words apart"),
    "another model": (
        lambda: HF(models.WordPiece({"[UNK]": 0, "the": 1}, unk_token="[UNK]")),
        "WordPiece",
    ),
    "merges dropped at random": (lambda: trained(byte_level(), dropout=0.1), "random"),  # type: ignore[arg-type]
    "a space as an added token": (
        lambda: with_added(trained(byte_level()), AddedToken(" ", normalized=False)),
        "single space",
    ),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_a_tokenizer_not_known_to_be_safe_encodes_in_full_and_says_why(case: str) -> None:
    make, reason = UNSAFE[case]
    hf = make()
    with mock.patch.dict(KINDS, {case: lambda: hf}):
        unsafe = tokenizer(case)
    ruler = Ruler(unsafe, "the foo bar them")
    assert ruler.exact_by == "full"
    assert reason in ruler.why_full
    if "random" not in case:
        assert ruler.count(["a ", (2, 9), " b"]) == unsafe.count("a " + "e foo b" + " b")


def test_characters_before_a_space_inside_an_entry_are_no_place_to_cut() -> None:
    spec = json.loads(llama_2().to_str())
    spec["model"]["vocab"]["foo▁bar"] = len(spec["model"]["vocab"])
    spec["model"]["merges"].append(["foo", "▁bar"])
    spec["model"]["vocab"].setdefault("▁bar", len(spec["model"]["vocab"]))
    spec["model"]["vocab"].setdefault("foo", len(spec["model"]["vocab"]))
    hf = HF.from_str(json.dumps(spec))
    with mock.patch.dict(KINDS, {"joined": lambda: hf}):
        joined = tokenizer("joined")
    rule = joined.cut_rule
    assert not isinstance(rule, str)
    assert rule.split("foo bar them foo") == ["foo bar", "them", "foo"]
    assert rule.split("b a b") == ["b", "a", "b"]


def test_a_document_whose_pieces_disagree_is_counted_in_full() -> None:
    text = "the foo bar them " * 2_000
    right = tokenizer("gpt-2")
    wrong = Tokenizer(**{**vars_of(right), "name": "wrong"})
    wrong.known["foo"] = 7  # a piece's count that the whole text contradicts
    ruler = Ruler(wrong, text)
    assert ruler.exact_by == "full"
    assert "pieces" in ruler.why_full
    assert ruler.total == right.count(text)
    assert ruler.count([(4, 7_000), " foo bar"]) == right.count(text[4:7_000] + " foo bar")


def vars_of(named: Tokenizer) -> dict[str, object]:
    return {name: getattr(named, name) for name in Tokenizer.__dataclass_fields__}


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(TEXTS.filter(lambda text: len(text) > 20), st.data())
def test_longest_end_returns_a_row_that_fits_and_whose_next_does_not(
    text: str, data: st.DataObject
) -> None:
    named = tokenizer("default")
    start = data.draw(st.integers(0, len(text)))
    ends = sorted(data.draw(st.sets(st.integers(0, len(text)), min_size=1)))
    budget = data.draw(st.integers(0, 2 * len(text)))
    with cuts_everywhere():
        ruler = Ruler(named, text)
        index = ruler.longest_end(start, ends, budget, "Read:\n", "\nWhy?")

    def tokens(end: int) -> int:
        return named.count("Read:\n" + text[start:end] + "\nWhy?")

    if index is None:
        usable = [end for end in ends if end >= start]
        assert not usable or tokens(usable[0]) > budget
    else:
        assert ends[index] >= start
        assert tokens(ends[index]) <= budget
        assert index == len(ends) - 1 or tokens(ends[index + 1]) > budget


def test_the_search_finds_the_last_true_from_any_guess_and_asks_only_inside() -> None:
    for low, high in [(0, 0), (0, 1), (3, 12), (0, 40)]:
        for last in range(low - 1, high):
            for guess in range(low, high):

                def holds(index: int, low: int = low, high: int = high, last: int = last) -> bool:
                    assert low <= index < high
                    return index <= last

                assert module._last_true(holds, guess, low, high) == last


def test_longest_end_asks_for_few_counts() -> None:
    text = " ".join(corpus()) * 20
    ruler = Ruler(tokenizer("default"), text)
    with mock.patch.object(ruler, "count", wraps=ruler.count) as count:
        assert ruler.longest_end(500, range(0, len(text), 7), 8_000, "a", "b") is not None
    assert count.call_count < 20


def test_tokens_before_is_close_everywhere_and_exact_at_both_ends() -> None:
    text = " ".join(corpus()) * 5
    named = tokenizer("default")
    ruler = Ruler(named, text)
    assert ruler.tokens_before(0) == 0
    assert ruler.tokens_before(len(text)) == ruler.total
    for offset in range(0, len(text), 997):
        assert abs(ruler.tokens_before(offset) - named.count(text[:offset])) < 60


@pytest.mark.parametrize("part", [(-1, 3), (3, 2), (0, 10)])
def test_a_slice_outside_the_document_is_refused(part: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no slice of 9"):
        Ruler(tokenizer("default"), "the foo b").count([part])


def test_half_a_character_is_a_damaged_source() -> None:
    with pytest.raises(SourceError) as caught:
        Ruler(tokenizer("default"), "abc \ud83d def")
    assert (caught.value.reason, "character at 4" in caught.value.detail) == ("damaged", True)


def test_a_stretch_too_long_to_encode_is_refused_before_it_takes_the_memory() -> None:
    with mock.patch.object(module, "LARGEST_PIECE", 3_000):
        Ruler(tokenizer("default"), "word " * 5_000)
        with pytest.raises(SourceError, match="too long to count"):
            Ruler(tokenizer("default"), "word " * 50 + "漢" * 1_001)
        with pytest.raises(SourceError, match="too long to count"):
            Ruler(tokenizer("gpt-2"), "x" * 3_001)


def test_the_default_is_mistrals_and_needs_no_network() -> None:
    named = Tokenizer.load()
    assert named.fingerprint == "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055"
    assert (named.vocab_size, named.tokens_added_per_row) == (32_000, 1)
    assert (named.bos_id, named.bos_token, named.eos_id, named.eos_token) == (1, "<s>", 2, "</s>")
    assert named.encode("Hello world") == [22557, 1526]
    assert named.decode([22557, 1526]) == "Hello world"
    assert named.encode_batch(["", "Hello world"]) == [[], [22557, 1526]]
    assert named.count_many(["", "Hello world"]) == [0, 2]


def test_loading_the_default_imports_neither_mistral_common_nor_torch() -> None:
    code = (
        "import sys; from longdata.tokenizers import Tokenizer; Tokenizer.load(); "
        "print([m for m in ('mistral_common', 'torch', 'transformers', 'huggingface_hub') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_tokenizer_json_is_read_without_its_truncation_and_padding(tmp_path: Path) -> None:
    hf = trained(byte_level())
    hf.enable_truncation(3)
    hf.enable_padding(length=9)
    hf.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": {"content": "<s>"}, "eos_token": None})
    )
    named = Tokenizer.load(tmp_path)
    assert named.count("a b a b a b") == 6
    assert named.count("a") == 1
    assert (named.bos_token, named.eos_token) == ("<s>", None)
    assert Tokenizer.load(tmp_path / "tokenizer.json").fingerprint == named.fingerprint


def test_bos_and_eos_are_found_by_their_usual_names_without_a_config(tmp_path: Path) -> None:
    trained(byte_level()).save(str(tmp_path / "tokenizer.json"))
    named = Tokenizer.load(str(tmp_path))
    assert (named.bos_id, named.bos_token, named.eos_id, named.eos_token) == (1, "<s>", 2, "</s>")


@pytest.mark.parametrize("content", [b"", b"{}", b"{", b'{"version": "1.0"}', b"\xff{}", b"\0" * 9])
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model"])
def test_a_damaged_file_is_a_user_error_in_one_line(
    tmp_path: Path, content: bytes, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        Tokenizer.load(tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    assert "allowed:" in line and "fix:" in line


@pytest.mark.parametrize("name", ["no/such/folder/here", "missing.json", "a b", "../x", "\0"])
def test_a_name_that_is_nothing_is_a_user_error(name: str) -> None:
    with pytest.raises(UserError, match="allowed: a folder with tokenizer"):
        Tokenizer.load(name)


def test_a_folder_without_a_tokenizer_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a folder without"):
        Tokenizer.load(tmp_path)


def test_a_hub_id_that_cannot_be_reached_is_a_user_error(tmp_path: Path) -> None:
    code = (
        "from longdata.errors import UserError\n"
        "from longdata.tokenizers import Tokenizer\n"
        "try:\n    Tokenizer.load('nobody/nothing')\nexcept UserError as why:\n    print(why)"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=offline
    )
    assert done.stdout.startswith("got --tokenizer nobody/nothing, which is not here")
    assert "Traceback" not in done.stderr
