"""longqa.llm.replies: what a model wrote becomes the form, or one of four reasons."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from longqa.llm import replies
from longqa.llm.forms import Attempted, Compared, Item, Judged, Looked, Written
from longqa.llm.records import CallFailed, Reply, Usage
from longqa.llm.replies import read, schema_of

FORMS: list[type[BaseModel]] = [Written, Looked, Attempted, Compared, Judged]
ANSWER = '{"known": true, "answer": "Paris"}'
DRAFT = '{"known": false, "answer": "a draft"}'
ITEM = '{"question": "Who came?", "answer": "Kemp", "quotes": ["Kemp came."]}'
OTHER = '{"question": "Who left?", "answer": "Hall", "quotes": []}'


def reply(text: str, finish_reason: str = "stop", refusal: str | None = None) -> Reply:
    return Reply(
        text=text,
        finish_reason=finish_reason,
        refusal=refusal,
        usage=Usage(),
        usage_is_estimated=True,
        seconds=0.0,
    )


def failure(text: str, form: type[BaseModel] = Attempted, **fields: Any) -> str:
    with pytest.raises(CallFailed) as failed:
        read(reply(text, **fields), form)
    return failed.value.reason


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        f"Here it is:\n```json\n{ANSWER}\n```\nI hope that helps!",
        f"```\n{ANSWER}```",
        f"<think>{DRAFT} no, wait</think>{ANSWER}",
        f"<THINK>\n{DRAFT}\n</THINK>\n\n{ANSWER}",
        f"<thinking>one <think>{DRAFT}</think> two {DRAFT}</thinking>{ANSWER}",
        f"<reasoning>{DRAFT}</reasoning>{ANSWER}",
        f"Let me see. {DRAFT} is wrong.</think>\n{ANSWER}",
        f"{DRAFT}</think>{ANSWER}",
        f"<think>I must not write <think> twice. {DRAFT}</think>{ANSWER}",
        f"[THINK]{DRAFT}[/THINK]{ANSWER}",
        f"◁think▷{DRAFT}◁/think▷{ANSWER}",
        f"{ANSWER}\n<think>Was that right? {DRAFT}</think>",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{ANSWER}<|return|>",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant"
        f"<|channel|>final <|constrain|>json<|message|>{ANSWER}",
        f"analysisWe think {DRAFT}assistantfinal{ANSWER}",
        f"First {DRAFT} but better:\n{ANSWER}",
        f"The set {{a, b}} and [3], [the text] and [1-3]: {ANSWER}",
        f'{{"response": {ANSWER}}}',
        '{"known": "yes", "answer": "Paris"}',
        '{"Known": 1, " ANSWER ": "Paris", "confidence": 0.9}',
        "{'known': True, 'answer': 'Paris',}",
        '{"known": true, "answer": "Paris"',
        '{"known": true "answer": "Paris"}\n```',
        "{known: true, answer: 'Paris'}",
    ],
)
def test_the_answer_is_found_and_no_draft_is_taken_for_it(text: str) -> None:
    if text.endswith('"Paris"'):  # nothing says that the string was to end there
        assert failure(text) == "cut short"
    else:
        assert read(reply(text), Attempted) == Attempted(known=True, answer="Paris")


def test_tags_inside_a_string_are_text() -> None:
    text = json.dumps({"known": True, "answer": "It writes <think> and </think> and ```."})
    found = "It writes <think> and </think> and ```."
    assert read(reply(text), Attempted).answer == found
    assert read(reply(f"```json\n{text}\n```"), Attempted).answer == found
    assert (
        read(
            reply(f"<think>a draft</think> {json.dumps({'known': 1, 'answer': '```'})}"), Attempted
        ).answer
        == "```"
    )


@pytest.mark.parametrize(
    "text",
    [
        f'{{"items": [{ITEM}, {OTHER}]}}',
        f"[{ITEM}, {OTHER}]",
        f"{ITEM}\n{OTHER}\n",
        f"```json\n{ITEM}\n```\nand\n```json\n{OTHER}\n```",
        f'{{"questions": [{ITEM}, {OTHER}]}}',
        f'{{"items": []}} is empty, so: {{"items": [{ITEM}, {OTHER}]}}',
        f"[] is empty, so: {ITEM} {OTHER}",
        f'{{"items": [{ITEM}, {OTHER}]',  # closing brackets alone are missing
        f'{{"items": [{ITEM}, {OTHER},]}}',
    ],
)
def test_items_are_read_however_they_are_wrapped(text: str) -> None:
    items = [Item(**json.loads(ITEM)), Item(**json.loads(OTHER))]
    assert read(reply(text), Written) == Written(items=items)


def test_a_single_item_and_none_at_all_are_lists_too() -> None:
    assert len(read(reply(ITEM), Written).items) == 1
    assert read(reply("[]"), Written) == read(reply('{"items": null}'), Written)


def test_a_bare_object_is_no_list_where_the_form_has_more_fields() -> None:
    assert failure('["Kemp came."]', Looked) == "not the JSON asked for"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty answer"),
        (" \n\t", "empty answer"),
        ("```json\n```", "empty answer"),
        ("<think>only thoughts</think>", "empty answer"),
        (f"<think>never ends {ANSWER}", "cut short"),
        (f"<|channel|>analysis<|message|>{ANSWER}", "cut short"),
        (ANSWER[:-3], "cut short"),
        ('{"known": true, "answer": "see {x} for the', "cut short"),
        ('{"known": true, "answer": "see [3]', "cut short"),
        (f'{{"items": [{ITEM}, {OTHER[:30]}', "cut short"),
        (f'{{"items": [{ITEM},', "cut short"),
        (f"{ITEM}\n{OTHER[:30]}", "cut short"),
        ("Paris", "not the JSON asked for"),
        (f"Hm, {ANSWER}</think>Paris", "not the JSON asked for"),
        (f"<think>a <think> b {ANSWER}</think>Paris", "not the JSON asked for"),
        (f"analysis{ANSWER}assistantfinalParis", "not the JSON asked for"),
        ('{"city": "Paris"}', "not the JSON asked for"),
        ('{"known": "perhaps", "answer": "Paris"}', "not the JSON asked for"),
        ('{"known": 2, "answer": "Paris"}', "not the JSON asked for"),
        ('{"known": true, "answer": ["Paris"]}', "not the JSON asked for"),
        ('{"known": true, "answer": true}', "not the JSON asked for"),
        ('{"known": true, "answer": {"city": "Paris"}}', "not the JSON asked for"),
        ("null", "not the JSON asked for"),
        ("I’m sorry, but I can’t assist with that.", "refused"),
    ],
)
def test_what_is_no_answer_has_one_of_four_reasons(text: str, reason: str) -> None:
    form = Written if "question" in text else Attempted
    assert failure(text, form) == reason


def test_the_length_limit_is_cut_short_even_where_it_could_be_mended() -> None:
    for text in (ANSWER, ANSWER[:-4], "", "I’m sorry, but I can’t"):
        assert failure(text, finish_reason="length") == "cut short"


def test_the_server_says_that_it_refused() -> None:
    assert failure(ANSWER, refusal="I can't do this.") == "refused"
    assert failure("", finish_reason="content_filter") == "refused"


def test_valid_json_is_no_refusal_whatever_its_words_are() -> None:
    text = json.dumps({"known": True, "answer": "I'm sorry, but I can't help with that."})
    assert read(reply(text), Attempted).known


def test_numbers_and_truths_in_words_are_taken_where_they_are_certain() -> None:
    text = '{"correct": "5", "supported": 4.0, "clear": " 3 ", "quotes": ["1", 2]}'
    assert read(reply(text), Judged) == Judged(correct=5, supported=4, clear=3, quotes=[1, 2])
    assert read(reply('{"known": "False", "answer": null}'), Attempted).answer == ""
    assert read(reply('{"known": "true", "answer": 1872}'), Attempted).answer == "1872"
    assert read(reply('{"same": "No"}'), Compared) == Compared(same=False)


@pytest.mark.parametrize("score", ["0", "6", "4.5", "true", '"four"', '"4/5"', "null", "[4]"])
def test_a_score_that_is_none_is_refused(score: str) -> None:
    text = f'{{"correct": {score}, "supported": 4, "clear": 3, "quotes": []}}'
    assert failure(text, Judged) == "not the JSON asked for"


def test_the_detail_names_what_does_not_fit() -> None:
    with pytest.raises(CallFailed, match=r"items\.1\.quotes: Field required"):
        read(reply(f'{{"items": [{ITEM}, {{"question": "a", "answer": "b"}}]}}'), Written)


def test_half_characters_and_nul_cannot_come_through() -> None:
    text = json.dumps({"known": True, "answer": "a"})[:-2] + '\ud800\0b \\ud83d\\ude00"}'
    answer = read(reply(text), Attempted).answer
    assert answer == "a�b 😀"
    answer = read(reply('{"known": true, "answer": "a\\ud800\\u0000b"}'), Attempted).answer
    assert answer.encode() == "a�b".encode()


HOSTILE = {
    "brackets": "[" * 100_000,
    "braces": "{" * 100_000,
    "objects": '{"a":' * 100_000,
    "keys": '{"' * 50_000,
    "closed": ('{"' * 90_000) + "}",
    "pairs": '["x" ' * 36_000 + "]",
    "quotes": '"' * 100_000,
    "quotes in a string": '{"known": true, "answer": "' + '"' * 150_000 + "}",
    "parentheses": '{"known": ' + "(" * 100_000 + "}",
    "backslashes": '{"known": "' + "\\" * 100_000 + "}",
    "nul": '{"known": "' + "\0" * 100_000,
    "surrogates": "\ud800" * 100_000,
    "thinking": "<think>" * 100_000,
    "no thoughts": "<think></think>" * 50_000,
    "channels": "<|channel|>final" * 50_000,
    "fences": "```" * 100_000,
    "spaces": "{ " * 100_000 + " " * 500_000,
    "digits": '{"answer": "", "known": ' + "9" * 100_000 + "}",
    "sorry": "I'm sorry, " * 50_000,
    "too long": "x" * (replies.MAX_CHARACTERS + 1),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_replies_fail_fast(text: str) -> None:
    started = time.process_time()
    assert failure(text) in {"cut short", "empty answer", "not the JSON asked for"}
    assert time.process_time() - started < 5.0  # a hundredth of it, as a rule


@given(st.text(alphabet=st.sampled_from('{}[]":,\\ \nab1<think>/`'), max_size=80))
def test_any_text_is_a_form_or_a_reason(text: str) -> None:
    for form in FORMS:
        try:
            assert isinstance(read(reply(text), form), form)
        except CallFailed as failed:
            assert failed.reason in {
                "refused", "cut short", "empty answer", "not the JSON asked for",
            }  # fmt: skip


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
_ITEMS = st.builds(Item, question=_TEXTS, answer=_TEXTS, quotes=st.lists(_TEXTS, max_size=3))


@given(st.builds(Written, items=st.lists(_ITEMS, max_size=3)), st.booleans())
def test_what_a_form_writes_is_read_back(form: Written, fenced: bool) -> None:
    text = form.model_dump_json()
    text = f"<think>{text[:9]}</think>\n```json\n{text}\n```" if fenced else text
    assert read(reply(text), Written) == form


@given(st.builds(Written, items=st.lists(_ITEMS, min_size=1, max_size=2)), st.data())
def test_no_cut_answer_is_read_with_half_a_string(form: Written, data: st.DataObject) -> None:
    whole = form.model_dump_json()
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    try:
        found = read(reply(cut), Written)
    except CallFailed:
        return
    assert found.items == form.items[: len(found.items)]


@pytest.mark.parametrize("form", FORMS)
def test_schemas_have_only_what_every_strict_server_knows(form: type[BaseModel]) -> None:
    known = {"type", "$ref", "$defs", "enum", "const", "items", "anyOf", "properties", "required"}
    nodes: list[dict[str, Any]] = [schema_of(form)]
    while nodes:
        node = nodes.pop()
        assert set(node) <= known | {"additionalProperties"}
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
        nodes += [*node.get("properties", {}).values(), *node.get("$defs", {}).values()]
        nodes += [*node.get("anyOf", []), *([node["items"]] if "items" in node else [])]


def test_scores_are_listed_one_by_one() -> None:
    scores = {"type": "integer", "enum": [1, 2, 3, 4, 5]}
    assert schema_of(Judged)["properties"]["correct"] == scores
    schema_of(Judged).clear()  # a caller’s copy is its own
    assert schema_of(Judged)["properties"]["clear"] == scores
