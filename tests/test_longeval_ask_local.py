"""Answers in batches, from caches and shared beginnings are those of each prompt alone."""

from __future__ import annotations

import random
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)

from longdata.errors import UserError
from longeval.ask import Prompt, Reply
from longeval.ask_local import LocalModel, why_alone

torch.set_num_threads(1)
WORDS = 120
SMALL = {
    "vocab_size": WORDS + 3,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.6,  # else all answers are nearly the same
    "bos_token_id": 0,
    "eos_token_id": 1,
}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    vocab = {"<s>": 0, "</s>": 1, "<unk>": 2} | {f"w{n}": n + 3 for n in range(WORDS)}
    inner = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.fixture(scope="module")
def llama() -> Any:
    torch.manual_seed(3)
    return LlamaForCausalLM(LlamaConfig(**SMALL)).eval()


def words(count: int, seed: int) -> str:
    rng = random.Random(seed)
    return " ".join(f"w{rng.randrange(WORDS)}" for _ in range(count))


def prompts() -> list[Prompt]:
    """Several to one text, needles at several depths, and others of all lengths."""
    book, filler = words(300, 1), [f"w{n % 7}" for n in range(200)]
    texts = [f"{book} {words(n, 50 + n)}" for n in (3, 9, 20)]
    texts += [" ".join([*filler[:at], "w99", *filler[at:]]) for at in (0, 80, 140, 180)]
    texts += [words(n, n) for n in (1, 2, 40, 45, 130, 131, 260)]
    return [Prompt(id=str(n), text=text, max_new_tokens=4 + n) for n, text in enumerate(texts)]


def alone(model: Any, tokenizer: Any, prompt: Prompt) -> list[int]:
    """What `generate` of transformers gives, one prompt at a time."""
    ids = tokenizer(prompt.text, return_tensors="pt").input_ids
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),  # else BOS, which is 0, is taken for padding
        max_new_tokens=prompt.max_new_tokens,
        do_sample=False,
        pad_token_id=0,
    )
    return [one for one in out[0, ids.shape[1] :].tolist() if one != 1]


def replies(model: LocalModel, asked: list[Prompt]) -> dict[str, Reply]:
    found = {reply.id: reply for reply in model.replies(asked)}
    assert len(found) == len(asked)
    return found


def local(model: Any, tokenizer: Any, **options: Any) -> LocalModel:
    options = {"ctx": 4096, "facts": {"fingerprint": "a"}, **options}
    return LocalModel(model, tokenizer, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 1},
        {"batch_tokens": 700},
        {"stretch": 17},
        {"stretch": 5, "batch_size": 3},
    ],
    ids=str,
)
def test_answers_are_those_of_generate(llama: Any, tokenizer: Any, options: Any) -> None:
    asked = prompts()
    found = replies(local(llama, tokenizer, **options), asked)
    for prompt in asked:
        assert list(found[prompt.id].ids or ()) == alone(llama, tokenizer, prompt)
        assert found[prompt.id].prompt_tokens == len(prompt.text.split()) + 1
    assert len({reply.text for reply in found.values()}) > 10


def test_chains_that_are_walked_are_exact_too(
    llama: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longeval.prefix_plan.LEAST_WALKED", 10)
    read = tokens_read(llama, monkeypatch)
    asked = prompts()[3:7]
    found = replies(local(llama, tokenizer), asked)
    assert 2 * 202 < sum(n for n in read if n > 1) < 3 * 202  # of 4
    monkeypatch.undo()
    for prompt in asked:
        assert list(found[prompt.id].ids or ()) == alone(llama, tokenizer, prompt)


def tokens_read(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tokens of each pass, of all rows."""
    read: list[int] = []
    forward = type(model).forward

    @wraps(forward)
    def counting(self: Any, input_ids: Any, **rest: Any) -> Any:
        read.append(input_ids.numel())
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(type(model), "forward", counting)
    return read


def test_a_text_is_read_once_for_all_questions_to_it(
    llama: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tokens_read(llama, monkeypatch)
    asked = [Prompt(id=p.id, text=p.text, max_new_tokens=1) for p in prompts()[:3]]
    replies(local(llama, tokenizer), asked)
    assert sum(read) <= 301 + 3 * 20


def test_an_answer_ends_with_the_model_or_with_the_limit(llama: Any, tokenizer: Any) -> None:
    found = replies(local(llama, tokenizer), [Prompt(id="a", text="w5 w6", max_new_tokens=6)])
    assert found["a"].is_cut and len(found["a"].ids or ()) == 6
    ends = found["a"].ids[2]  # as if this token ended answers
    before, after = llama.generation_config.eos_token_id, [1, ends]
    llama.generation_config.eos_token_id = after
    try:
        cut = replies(local(llama, tokenizer), [Prompt(id="a", text="w5 w6", max_new_tokens=6)])
    finally:
        llama.generation_config.eos_token_id = before
    first = (found["a"].ids or ()).index(ends)
    assert cut["a"].ids == (found["a"].ids or ())[:first] and not cut["a"].is_cut


def test_what_is_longer_than_the_context_is_refused_and_never_cut(
    llama: Any, tokenizer: Any
) -> None:
    model = local(llama, tokenizer, ctx=50)
    fits, not_quite = (
        Prompt(id=name, text=words(count, 0), max_new_tokens=9)
        for name, count in (("fits", 40), ("not quite", 41))
    )
    found = replies(model, [fits, not_quite])
    assert found["not quite"] == Reply(
        id="not quite", prompt_tokens=42, refused="longer than the context"
    )
    assert found["fits"].text and model.count(fits.text, 9) == 50


def test_templates_are_put_around_and_shown(llama: Any, tokenizer: Any) -> None:
    text = "w1 w2"
    assert local(llama, tokenizer).show(text) == "<s> w1 w2"
    vicuna = local(llama, tokenizer, template="vicuna")
    assert vicuna.count(text, 0) > 25 and vicuna.key != local(llama, tokenizer).key
    with pytest.raises(UserError, match="--template chat for a model without a chat template"):
        local(llama, tokenizer, template="chat")
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %} w3 {{ m['content'] }} w4{% endfor %}"
        "{% if add_generation_prompt %} w5{% endif %}"
    )
    tokenizer.chat_template += "{% if enable_thinking is false %} w6{% endif %}"
    try:
        brief = local(llama, tokenizer, template="chat", thinking=False)
        assert brief.show(text) == "<s> w3 w1 w2 w4 w5 w6"
        chat = local(llama, tokenizer, template="chat")
        assert chat.key != brief.key
        assert chat.show(text) == "<s> w3 w1 w2 w4 w5"  # one <s>, and the answer's beginning
    finally:
        tokenizer.chat_template = None
    with pytest.raises(UserError, match="--template mine; allowed: chat, raw, vicuna, alpaca"):
        local(llama, tokenizer, template="mine")


def test_a_tokenizer_that_ends_every_text_does_not_end_the_prompt(
    llama: Any, tokenizer: Any
) -> None:
    class Ending:
        eos_token_id = 1
        chat_template = None

        def __call__(self, text: str, **options: Any) -> Any:
            found = tokenizer(text, **options)
            found["input_ids"] = [*found["input_ids"], 1]
            return found

        decode = tokenizer.decode

    asked = [Prompt(id="a", text="w5 w6", max_new_tokens=6)]
    assert replies(local(llama, Ending()), asked) == replies(local(llama, tokenizer), asked)


@pytest.mark.parametrize("stretch", [8192, 23])
def test_models_that_do_not_see_everything_go_one_at_a_time(tokenizer: Any, stretch: int) -> None:
    torch.manual_seed(5)
    config = MistralConfig(**SMALL, sliding_window=16)
    mistral = MistralForCausalLM(config).eval()
    assert "one prompt at a time" in (why_alone(mistral) or "")
    asked = prompts()
    found = replies(local(mistral, tokenizer, stretch=stretch), asked)
    for prompt in asked:
        assert list(found[prompt.id].ids or ()) == alone(mistral, tokenizer, prompt)


def test_models_without_rope_are_asked_too(tokenizer: Any) -> None:
    torch.manual_seed(7)
    size = {"vocab_size": WORDS + 3, "bos_token_id": 0, "eos_token_id": 1}
    gpt2 = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, **size)).eval()
    bloom = BloomForCausalLM(BloomConfig(hidden_size=32, n_layer=2, n_head=4, **size)).eval()
    assert why_alone(gpt2) is None and "positions" in (why_alone(bloom) or "")
    asked = prompts()[-8:]
    for model in (gpt2, bloom):
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.4)
        found = replies(local(model, tokenizer, stretch=40), asked)
        for prompt in asked:
            assert list(found[prompt.id].ids or ()) == alone(model, tokenizer, prompt)


def test_an_adapter_is_asked_as_its_base_would_be(tokenizer: Any) -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(8)
    base = LlamaForCausalLM(LlamaConfig(**SMALL)).eval()
    config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(base, config).eval()
    assert why_alone(adapted) is None
    asked = prompts()[:8]
    found = replies(local(adapted, tokenizer), asked)
    for prompt in asked:
        assert list(found[prompt.id].ids or ()) == alone(adapted, tokenizer, prompt)


def test_a_rope_that_changes_with_the_length_goes_one_at_a_time(tokenizer: Any) -> None:
    torch.manual_seed(6)
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}
    config = LlamaConfig(**{**SMALL, "max_position_embeddings": 64}, rope_parameters=rope)
    model = LlamaForCausalLM(config).eval()
    assert "rope" in (why_alone(model) or "")
    asked = [prompt for prompt in prompts() if len(prompt.text.split()) > 100]
    found = replies(local(model, tokenizer, stretch=50), asked)
    for prompt in asked:
        assert list(found[prompt.id].ids or ()) == alone(model, tokenizer, prompt)


def test_a_batch_that_does_not_fit_is_halved(
    llama: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = type(llama).forward

    @wraps(forward)
    def small_memory(self: Any, input_ids: Any, **rest: Any) -> Any:
        if input_ids.numel() > 250:
            raise torch.OutOfMemoryError("too much")
        return forward(self, input_ids=input_ids, **rest)

    asked = [prompt for prompt in prompts() if len(prompt.text.split()) < 262]
    expected = replies(local(llama, tokenizer), asked)
    monkeypatch.setattr(type(llama), "forward", small_memory)
    found = {r.id: r for r in local(llama, tokenizer).replies([p for p in asked if p.id != "13"])}
    assert found == {id: reply for id, reply in expected.items() if id != "13"}
    with pytest.raises(UserError, match="a prompt of 261 tokens, for which there is not enough"):
        replies(local(llama, tokenizer), asked)


def test_numbers_that_are_none_are_refused(llama: Any, tokenizer: Any) -> None:
    weight = llama.lm_head.weight
    before = weight[5, 5].item()
    with torch.no_grad():
        weight[5, 5] = float("inf")
    try:
        with pytest.raises(UserError, match="not finite"):
            replies(local(llama, tokenizer), prompts()[:1])
    finally:
        with torch.no_grad():
            weight[5, 5] = before


def test_a_trained_model_answers_as_with_generate(shared_data: Path) -> None:
    from longeval.backends import Choice, backend_of

    folder = shared_data / "models/hf/books-2.8M"
    backend = backend_of(Choice(model=str(folder)))
    assert backend.protocol["template"] == "raw" and backend.model["name"] == "books-2.8M"
    assert len(backend.model["fingerprint"]) == 32
    asked = [
        Prompt(id=str(n), text=f"“Mr. Utterson,” said {who}, “I", max_new_tokens=8)
        for n, who in enumerate(("he", "the old lawyer", "Poole, who had been waiting there"))
    ]
    assert isinstance(backend, LocalModel)
    found = replies(backend, asked)
    for prompt in asked:
        ids = torch.tensor([backend._encode(prompt.text).tolist()])
        out = backend._model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
        assert list(found[prompt.id].ids or ()) == out[0, ids.shape[1] :].tolist()
