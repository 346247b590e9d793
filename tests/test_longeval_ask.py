"""Nothing is asked twice, whatever happens to the run or its file; what is refused is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_backend import Scripted

from longdata.errors import UserError
from longeval.ask import FILE, AnswerFile, Prompt, Reply, ask, digest, spoken

PROMPTS = [Prompt(id=f"p{n}", text=f"number {n}", max_new_tokens=5) for n in range(10)]


def echo(text: str) -> str:
    return f"said {text}"


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Scripted(echo, dies_after=4)
    with pytest.raises(KeyboardInterrupt):
        ask(first, PROMPTS, tmp_path)
    second = Scripted(echo)
    asked = ask(second, PROMPTS, tmp_path)
    assert (first.asked, second.asked, asked.from_file) == (4, 6, 4)
    assert {id: reply.text for id, reply in asked.replies.items()} == {
        f"p{n}": f"said number {n}" for n in range(10)
    }
    third = Scripted(echo)
    assert ask(third, PROMPTS, tmp_path).replies == asked.replies and third.asked == 0


@settings(max_examples=25)
@given(data=st.data())
def test_a_torn_or_changed_line_is_asked_again_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("out")
    whole = ask(Scripted(echo), PROMPTS, folder).replies
    path = folder / FILE
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, len(content) - 1)) :]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 6))
    path.write_bytes(content)
    lost = 10 - len(_lines_that_hold(bytes(content)))
    again = Scripted(echo)
    assert ask(again, PROMPTS, folder).replies == whole
    assert again.asked == lost
    assert ask(Scripted(echo, dies_after=0), PROMPTS, folder).replies == whole


def _lines_that_hold(content: bytes) -> list[bytes]:
    import hashlib

    lines = [line.partition(b" ") for line in content.split(b"\n")]
    return [
        rest for head, _, rest in lines if head == hashlib.sha256(rest).hexdigest()[:16].encode()
    ]


def test_another_model_template_limit_or_prompt_is_another_question(tmp_path: Path) -> None:
    ask(Scripted(echo), PROMPTS[:1], tmp_path)
    other_model = Scripted(echo, name="other")
    ask(other_model, PROMPTS[:1], tmp_path)
    longer = Scripted(echo)
    ask(longer, [Prompt(id="p0", text="number 0", max_new_tokens=6)], tmp_path)
    assert (other_model.asked, longer.asked) == (1, 1)


def test_the_same_question_is_put_once(tmp_path: Path) -> None:
    backend = Scripted(echo)
    twice = [Prompt(id=name, text="tea?", max_new_tokens=5) for name in ("a", "b")]
    replies = ask(backend, twice, tmp_path).replies
    assert backend.asked == 1 and {reply.id for reply in replies.values()} == {"a", "b"}


def test_what_is_too_long_is_counted_and_not_answered(tmp_path: Path) -> None:
    long = Prompt(id="long", text="tea " * 100, max_new_tokens=5)
    told: list[tuple[int, int]] = []
    asked = ask(
        Scripted(echo, ctx=50), [*PROMPTS, long], tmp_path, tell=lambda *at: told.append(at)
    )
    assert asked.refused == {"longer than the context": 1} and "long" not in asked.replies
    assert told[0] == (0, 11) and told[-1] == (11, 11)
    with pytest.raises(UserError, match="none could be asked \\(1 longer than the context\\)"):
        ask(Scripted(echo, ctx=50), [long], tmp_path)


def test_a_model_that_says_nothing_gives_no_number(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only empty answers"):
        ask(Scripted(lambda text: "  \n"), PROMPTS, tmp_path)
    with pytest.raises(UserError, match="there is none"):
        ask(Scripted(echo), [], tmp_path)


def test_thoughts_are_no_answers(tmp_path: Path) -> None:
    assert spoken("<think>\nThe first? Tea.\n</think>\n\nCake") == "\n\nCake"
    assert spoken("Cake") == "Cake"

    class Thinks(Scripted):
        def replies(self, prompts: Sequence[Prompt]) -> Iterator[Reply]:
            for reply in super().replies(prompts):
                yield replace(reply, is_cut=True)

    with pytest.raises(UserError, match="10 answers that all end while the model still thinks"):
        ask(Thinks(lambda text: "<think> Well,"), PROMPTS, tmp_path)
    some = Thinks(lambda text: "Tea" if text == "number 3" else "<think> Well,", name="some")
    assert len(ask(some, PROMPTS, tmp_path).replies) == 10


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    with AnswerFile(tmp_path), pytest.raises(UserError, match="another run is writing"):
        ask(Scripted(echo), PROMPTS, tmp_path)


def test_every_text_comes_back_as_it_was(tmp_path: Path) -> None:
    texts = ["a\nb", "\ud800 half", "\0", "“ä” 𝄞", "x" * 100_000]
    for number, text in enumerate(texts):
        reply = Reply(id="x", text=text, ids=(1, 2), prompt_tokens=7, is_cut=True)
        with AnswerFile(tmp_path) as answers:
            answers.add(f"k{number}", reply)
    with AnswerFile(tmp_path) as answers:
        assert [answers.replies[f"k{n}"].text for n in range(len(texts))] == texts
        assert answers.replies["k0"] == Reply(
            id="", text="a\nb", ids=(1, 2), prompt_tokens=7, is_cut=True
        )


def test_a_disk_that_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        ask(Scripted(echo), PROMPTS, tmp_path / "file" / "out")


def test_keys_do_not_run_into_each_other() -> None:
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
