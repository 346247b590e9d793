from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from longeval_small import VOCAB, model_folder, random_tokens, token_set, tokenizer_file

from longdata.errors import UserError
from longeval.models import LoadedModel, load_model
from longeval.preflight import check
from longeval.protocols import PROTOCOLS
from longeval.token_data import Decoder, TokenData, open_data

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(model_folder(tmp_path_factory.mktemp("m") / "small")), device="cpu")


@pytest.fixture(scope="module")
def decoder(model: LoadedModel) -> Decoder:
    assert model.tokenizer_name is not None
    return Decoder(model.tokenizer_name)


def data_of(tmp_path: Path, lengths: list[int], **changes: Any) -> TokenData:
    folder = token_set(tmp_path / "set", lengths, **changes)
    return open_data(str(folder), vocab_size=VOCAB, tokenizer=None, folder=tmp_path)


def checked(
    model: LoadedModel,
    data: TokenData,
    decoder: Decoder | None,
    *,
    protocol: str = "strided",
    ctx: int = 64,
    **changes: Any,
) -> tuple[str, ...]:
    settings: dict[str, Any] = {"stride": 16, "bos": False, "across_documents": False}
    return check(
        model,
        data,
        decoder,
        protocols=[PROTOCOLS[protocol]],
        contexts=[ctx],
        **{**settings, **changes},
    )


def test_a_missing_bos_is_said_with_the_fix(
    model: LoadedModel, decoder: Decoder, tmp_path: Path
) -> None:
    (line,) = checked(model, data_of(tmp_path, [300, 200]), decoder)
    assert "no BOS" in line and "fix: --bos" in line
    assert checked(model, data_of(tmp_path, [300, 200]), decoder, bos=True) == ()


def test_bos_is_never_put_twice(model: LoadedModel, decoder: Decoder, tmp_path: Path) -> None:
    tokens = random_tokens(500)
    tokens[[0, 300]] = 1
    data = data_of(tmp_path, [300, 200], tokens=tokens, bos=True)
    assert checked(model, data, decoder) == ()
    for protocol, bos in (("strided", True), ("yarn", False)):
        with pytest.raises(UserError, match="one BOS"):
            checked(model, data, decoder, protocol=protocol, bos=bos)
    tokens[301] = 1
    doubled = data_of(tmp_path, [300, 200], tokens=tokens, bos=True)
    assert any("twice in a row" in line for line in checked(model, doubled, decoder))


def test_a_context_beyond_the_rope_is_said_with_the_fix(
    model: LoadedModel, decoder: Decoder, tmp_path: Path
) -> None:
    found = checked(model, data_of(tmp_path, [2000]), decoder, ctx=1024, bos=True)
    assert any("more than the 512" in line and "--rope linear" in line for line in found)


@pytest.mark.parametrize(
    ("protocol", "changes", "said"),
    [
        ("strided", {"ctx": 1}, "got --ctx 1"),
        ("strided", {"ctx": 64, "stride": 65}, "fix: --stride 64"),
        ("strided", {"ctx": 64, "stride": 64, "bos": True}, "1 to 63"),
        ("longlora", {"stride": 0}, "got --stride 0"),
        ("longlora", {"ctx": 490, "across_documents": True}, "at least 507"),
        ("strided", {"ctx": 301}, "longer than any document"),
        ("document", {"ctx": 301, "across_documents": True}, "longer than any document"),
        ("disjoint", {"ctx": 501, "across_documents": True}, "500 tokens of set"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    model: LoadedModel,
    decoder: Decoder,
    tmp_path: Path,
    protocol: str,
    changes: dict[str, Any],
    said: str,
) -> None:
    with pytest.raises(UserError) as caught:
        checked(model, data_of(tmp_path, [300, 200]), decoder, protocol=protocol, **changes)
    assert said in str(caught.value) and "fix:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_windows_may_hold_several_documents_when_that_is_asked_for(
    model: LoadedModel, decoder: Decoder, tmp_path: Path
) -> None:
    data = data_of(tmp_path, [300, 200])
    assert checked(model, data, decoder, protocol="longlora", ctx=400, across_documents=True)


def test_tokens_of_another_tokenizer_are_refused(
    model: LoadedModel, tmp_path: Path, shared_data: Path
) -> None:
    tokenizers = shared_data / "models" / "tokenizers" / "gpt_neox_olmo"
    other = Decoder(str(tokenizers / "allenai_gpt-neox-olmo-dolma-v1_5.json"))
    own = Decoder(str(shared_data / "models" / "hf" / "books-2.8M"))
    text = "It was the best of times, it was the worst of times, it was the age of wisdom. " * 99
    for tokenizer, is_own in ((own, True), (other, False)):
        ids = np.array(tokenizer.tokenizer.encode(text))
        folder = token_set(tmp_path / f"{is_own}", [1500], tokens=ids[ids < 2048][:1500])
        data = open_data(str(folder), vocab_size=2048, tokenizer=None, folder=tmp_path)
        if is_own:
            checked(model, data, own)
        else:
            with pytest.raises(UserError, match="not those of this model's tokenizer"):
                checked(model, data, own)


def test_without_a_tokenizer_it_is_said_what_is_not_known(
    model: LoadedModel, tmp_path: Path
) -> None:
    found = checked(model, data_of(tmp_path, [300]), None)
    assert any("no tokenizer here" in line for line in found)


def test_sixteen_bits_do_not_hold_a_large_vocabulary(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = Decoder(str(model.tokenizer_name))
    monkeypatch.setitem(large.__dict__, "vocab_size", 128_256)
    with pytest.raises(UserError, match="16 bits"):
        checked(model, data_of(tmp_path, [300]), large)


def test_half_precision_is_warned_of(tmp_path: Path, decoder: Decoder) -> None:
    folder = model_folder(tmp_path / "half")
    half = load_model(str(folder), dtype="float16", device="cpu")
    found = checked(half, data_of(tmp_path, [300]), decoder, bos=True)
    assert any("--dtype bfloat16" in line for line in found)


def test_learned_positions_end(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCAB, n_embd=16, n_layer=1, n_head=2, n_positions=128, bos_token_id=1
    )
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    tokenizer_file(tmp_path / "gpt2")
    loaded = load_model(str(tmp_path / "gpt2"), device="cpu")
    assert loaded.max_ctx == 128
    with pytest.raises(UserError, match="128 positions"):
        checked(loaded, data_of(tmp_path, [300]), Decoder(str(tmp_path / "gpt2")), ctx=129)


def test_tokens_need_no_copy_to_be_checked(
    model: LoadedModel, decoder: Decoder, tmp_path: Path
) -> None:
    data = data_of(tmp_path, [300])
    assert isinstance(data.tokens, np.memmap)
    checked(model, data, decoder, bos=True)
