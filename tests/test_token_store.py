"""Tokens on disk: the tokenizer's own, whole or not at all, never of another tokenizer."""

from __future__ import annotations

import errno
import gc
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HF
from tokenizers import models, normalizers, pre_tokenizers, trainers

from longdata import encoding, token_shard
from longdata.document_keys import keys_of
from longdata.encoding import Encoder
from longdata.errors import SourceError, UserError
from longdata.token_shard import DocumentText, TokenSettings, write_shard
from longdata.token_store import TokenStore, seal
from longdata.tokenizers import Tokenizer
from longdata.walking import Skip

WORDS = ["the", "river", "naïve", "12,5", "(lamp)", "мир", "漢字", "  ", "\n\n", "don't", "\0", "▁"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=90).map(" ".join)


@cache
def mistral() -> Tokenizer:
    return Tokenizer.load(None)


@cache
def mistral_settings() -> TokenSettings:
    return TokenSettings.of(mistral(), bos=True, eos=True)


def small_tokenizer(
    folder: Path, *, special: Sequence[str] = ("<s>", "</s>"), whole_texts: bool = False
) -> Tokenizer:
    """Byte-level BPE of few entries; `whole_texts` treats a text as one word: no safe cuts."""
    hf = HF(models.BPE())
    hf.normalizer = normalizers.NFC()
    hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not whole_texts)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    hf.train_from_iterator(["the river and the lamp " * 40], trainer)
    folder.mkdir(parents=True, exist_ok=True)
    hf.save(str(folder / "tokenizer.json"))
    return Tokenizer.load(folder / "tokenizer.json")


def texts(count: int, seed: int = 0) -> list[DocumentText]:
    draw = random.Random(seed)
    return [
        DocumentText(
            key=f"file-{seed}.jsonl:{number}",
            source=draw.choice(["arxiv", "web"]),
            text=" ".join(draw.choices(WORDS[:7], k=draw.randrange(1, 300))),
            meta=json.dumps({"number": number}),
        )
        for number in range(count)
    ]


def expected(document: DocumentText) -> list[int]:
    s = mistral_settings()
    assert s.bos_id is not None and s.eos_id is not None
    return [s.bos_id, *mistral().encode(document.text), s.eos_id]


def written(folder: Path, shards: dict[str, Sequence[DocumentText | Skip]]) -> TokenStore:
    for name, documents in shards.items():
        write_shard(folder, name, mistral_settings(), Encoder(mistral()), documents)
    return seal(folder, list(shards), mistral_settings())


@settings(max_examples=40)
@given(st.lists(TEXTS, max_size=6))
def test_pieces_give_the_ids_of_the_whole(batch: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("PIECE", 20), ("LONG", 120), ("CHECK_FROM", 60), ("CHECK_EVERY", 50)):
            patch.setattr(encoding, name, value)
        encoder = Encoder(mistral())
        whole = [mistral().encode(text) for text in batch]
        found = [ids for ids in encoder.many(batch) if not isinstance(ids, SourceError)]
        assert [ids.tolist() for ids in found] == whole
        for text, ids in zip(batch, whole, strict=True):
            assert np.concatenate(list(encoder.stretches(text))).tolist() == ids


def test_a_long_text_is_encoded_in_short_pieces_a_part_at_a_time() -> None:
    asked: list[Sequence[str]] = []

    def encode(pieces: Sequence[str]) -> list[list[int]]:
        asked.append(pieces)
        return mistral().encode_batch(pieces)

    text = "the river ran by the lamp " * 50_000
    parts = list(Encoder(mistral(), encode).stretches(text))
    assert len(parts) == 3
    assert max(len(piece) for pieces in asked for piece in pieces) < 2 * 2_100
    assert max(sum(map(len, pieces)) for pieces in asked) <= encoding.LONG
    assert sum(len(ids) for ids in parts) == 50_000 * 6 + 1


def test_where_the_samples_differ_a_text_is_encoded_whole() -> None:
    def odd(pieces: Sequence[str]) -> list[list[int]]:
        return [[len(piece)] for piece in pieces]  # the ids of two pieces are not those of both

    text = "the river ran by " * 5_000
    (ids,) = Encoder(mistral(), odd).many([text])
    assert not isinstance(ids, SourceError) and ids.tolist() == [len(text)]


def test_a_tokenizer_without_safe_cuts_encodes_whole(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(tmp_path, whole_texts=True)
    assert isinstance(tokenizer.cut_rule, str)
    text = "the river and the lamp " * 300
    (ids,) = Encoder(tokenizer).many([text])
    assert not isinstance(ids, SourceError) and ids.tolist() == tokenizer.encode(text)


def test_one_bad_text_does_not_take_the_others_with_it() -> None:
    found = Encoder(mistral()).many(["a river", "half \ud800", "a lamp"])
    assert isinstance(found[1], SourceError) and found[1].reason == "damaged"
    assert [ids.tolist() for ids in found if not isinstance(ids, SourceError)] == [
        mistral().encode("a river"),
        mistral().encode("a lamp"),
    ]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    first, second = texts(40, 1), texts(30, 2)
    written(tmp_path, {"b": second, "a": first, "c": []})
    store = TokenStore.open(tmp_path, mistral_settings())
    documents = first + second
    assert store.lengths.tolist() == [len(expected(document)) for document in documents]
    for number, document in enumerate(documents):
        assert store.tokens(number).tolist() == expected(document)
    assert np.array_equal(store.keys, keys_of(document.key for document in documents))
    assert [store.source_names[at] for at in store.source] == [d.source for d in documents]
    some = [69, 3, 40, 3]
    assert store.names(some) == [documents[at].key for at in some]
    assert store.names(some, "meta") == [documents[at].meta for at in some]
    assert store.tokens(0).dtype == np.uint16
    assert not store.tokens(0).flags.writeable


def test_a_long_document_is_written_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "LONG", 3000)
    monkeypatch.setattr(token_shard, "LONG", 3000)
    long = DocumentText(key="long", source="book", text="the naïve river ran by " * 2000)
    store = written(tmp_path, {"a": [*texts(5), long, *texts(5, 1)]})
    assert store.tokens(5).tolist() == expected(long)
    assert store.tokens(6).tolist() == expected(texts(5, 1)[0])


def test_what_cannot_be_used_is_counted_and_leaves_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "LONG", 3000)
    monkeypatch.setattr(token_shard, "LONG", 3000)
    fine = texts(2)
    bad: list[DocumentText | Skip] = [
        DocumentText(key="empty", source="web", text=""),
        DocumentText(key="white", source="web", text=" \n "),
        DocumentText(key="half", source="web", text="half \ud800"),
        DocumentText(key="late", source="web", text="the river " * 2000 + "\ud800"),
        Skip("a.jsonl:90", "no JSON", "a bracket is missing"),
    ]
    store = written(tmp_path, {"a": [fine[0], *bad, fine[1]]})
    assert store.skipped == {"empty": 2, "damaged": 2, "no JSON": 1}
    assert [store.tokens(at).tolist() for at in (0, 1)] == [expected(one) for one in fine]
    assert len(store.lengths) == 2
    lines = (tmp_path / "a" / "skipped.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == [
        *("empty", "white", "half", "late", "a.jsonl:90")
    ]


def test_the_same_documents_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("x", "y"):
        written(tmp_path / name, {"a": texts(60)})
    for file in ("store.json", "a/tokens.bin", "a/documents.arrow", "a/shard.json"):
        assert (tmp_path / "x" / file).read_bytes() == (tmp_path / "y" / file).read_bytes()


def test_a_shard_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    facts = write_shard(tmp_path, "a", mistral_settings(), Encoder(mistral()), texts(9))

    def never() -> Iterator[DocumentText]:
        raise AssertionError("documents were read again")
        yield

    assert write_shard(tmp_path, "a", mistral_settings(), Encoder(mistral()), never()) == facts


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[DocumentText]:
        yield from texts(3)
        raise RuntimeError("the source broke off")

    with pytest.raises(RuntimeError):
        write_shard(tmp_path, "a", mistral_settings(), Encoder(mistral()), failing())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"no shard of tokens .* run the same command again"):
        seal(tmp_path, ["a"], mistral_settings())


def test_a_killed_writer_leaves_nothing_that_reads_as_complete(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from longdata.encoding import Encoder\n"
        "from longdata.token_shard import DocumentText, TokenSettings, write_shard\n"
        "from longdata.tokenizers import Tokenizer\n"
        "def documents():\n"
        "    yield DocumentText(key='a', source='web', text='the river ' * 90_000)\n"
        "    yield DocumentText(key='b', source='web', text='the river ' * 90_000)\n"
        f"    os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "t = Tokenizer.load(None)\n"
        "s = TokenSettings.of(t, bos=True, eos=True)\n"
        "write_shard(Path(sys.argv[1]), 'x', s, Encoder(t), documents())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name[:6] for path in tmp_path.iterdir()] == [".part-"]
    with pytest.raises(UserError, match="no complete token store"):
        TokenStore.open(tmp_path)
    store = written(tmp_path, {"x": texts(3)})
    assert len(store.lengths) == 3


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(token_shard, "sync_tree", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_shard(tmp_path, "a", mistral_settings(), Encoder(mistral()), texts(3))
    assert list(tmp_path.iterdir()) == []


def test_a_shard_cut_short_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {"a": texts(5)})
    tokens = tmp_path / "a" / "tokens.bin"
    tokens.write_bytes(tokens.read_bytes()[:-2])
    with pytest.raises(UserError, match="a, which is no shard of tokens"):
        TokenStore.open(tmp_path)


def test_a_shard_of_another_store_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "x", {"a": texts(5)})
    written(tmp_path / "y", {"a": texts(6)})
    (tmp_path / "x" / "a").rename(tmp_path / "old")
    (tmp_path / "y" / "a").rename(tmp_path / "x" / "a")
    with pytest.raises(UserError, match=r"another shard than store\.json says"):
        TokenStore.open(tmp_path / "x")


def test_documents_that_come_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="got 5 documents more than once"):
        written(tmp_path, {"a": texts(5), "b": texts(5)})
    assert not (tmp_path / "store.json").exists()


def test_another_tokenizer_is_refused_in_one_line(tmp_path: Path) -> None:
    written(tmp_path / "store", {"a": texts(3)})
    other = TokenSettings.of(small_tokenizer(tmp_path / "other"), bos=True, eos=True)
    without = TokenSettings.of(mistral(), bos=True, eos=False)
    for asked, said in ((other, "allowed here: tokenizer .*tokenizer.json"), (without, "no EOS")):
        for refused in (TokenStore.open, lambda folder, asked: seal(folder, ["a"], asked)):
            with pytest.raises(UserError, match=said) as error:
                refused(tmp_path / "store", asked)
            assert "\n" not in str(error.value) and "mistral-7b-v0.1" in str(error.value)
    with pytest.raises(UserError, match="no EOS"):
        write_shard(tmp_path / "store", "a", without, Encoder(mistral()), [])
    renamed = TokenSettings(
        **{name: getattr(mistral_settings(), name) for name in TokenSettings.__slots__}
        | {"tokenizer": "the same, elsewhere"}
    )
    assert len(TokenStore.open(tmp_path / "store", renamed).lengths) == 3


def test_a_tokenizer_without_eos_is_refused(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(tmp_path, special=["<s>"])
    with pytest.raises(UserError, match=r"which has no EOS token; .* fix: --no-eos"):
        TokenSettings.of(tokenizer, bos=True, eos=True)
    assert TokenSettings.of(tokenizer, bos=True, eos=False).eos_id is None


def test_the_largest_id_decides_the_width(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(tmp_path)
    assert TokenSettings.of(tokenizer, bos=False, eos=False).dtype == "uint16"
    spec = json.loads(tokenizer.hf.to_str())
    # Few entries, and one with an id that 16 bits do not hold.
    token = {**spec["added_tokens"][0], "id": 1 << 16, "content": "<far>"}
    vocab = {**spec["model"]["vocab"], "<far>": 1 << 16}
    spec["model"]["vocab"], spec["added_tokens"] = vocab, [*spec["added_tokens"], token]
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec), "utf-8")
    wide = Tokenizer.load(tmp_path)
    assert wide.vocab_size < 1 << 16
    assert TokenSettings.of(wide, bos=False, eos=False).dtype == "uint32"


def test_an_id_that_is_too_large_is_never_written(tmp_path: Path) -> None:
    encoder = Encoder(mistral(), lambda texts: [[1 << 16] for _ in texts])
    with pytest.raises(ValueError, match="larger than the vocabulary's"):
        write_shard(tmp_path, "a", mistral_settings(), encoder, texts(1))


@pytest.mark.soak
def test_a_document_of_100_mb_takes_little_memory(tmp_path: Path) -> None:
    code = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from longdata.encoding import Encoder\n"
        "from longdata.token_shard import DocumentText, TokenSettings, write_shard\n"
        "from longdata.tokenizers import Tokenizer, single_threaded\n"
        "single_threaded()\n"
        "t = Tokenizer.load(None)\n"
        "s = TokenSettings.of(t, bos=True, eos=True)\n"
        "text = 'the river ran by the old lamp; ' * 3_300_000\n"
        "d = [DocumentText(key='a', source='web', text=text)]\n"
        "write_shard(Path(sys.argv[1]), 'x', s, Encoder(t), d)\n"
        "said = Path('/proc/self/status').read_text()\n"  # ru_maxrss would begin with pytest's
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', said)[1]) // 1024)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 600  # MiB, 100 of which are the text


def test_what_was_looked_at_can_be_let_go_of(tmp_path: Path) -> None:
    documents = texts(20)
    store = written(tmp_path, {"a": documents[:10], "b": documents[10:]})

    def mapped() -> int:
        maps = Path("/proc/self/maps")
        return maps.read_text().count(str(tmp_path)) if maps.exists() else 0

    kept = store.tokens(3)
    assert store.names([15]) == [documents[15].key]
    before = mapped()
    store.release()
    assert kept.tolist() == expected(documents[3])  # who has it has it
    del kept
    gc.collect()
    assert mapped() < before or before == 0
    assert store.tokens(15).tolist() == expected(documents[15])
    assert store.lengths_of([15, 3]).tolist() == store.lengths[[15, 3]].tolist()
