"""Put prompts to a model, each once: what was answered before a run was stopped is not asked again.

    backend = LocalModel(…) or Server(…)
    asked = ask(backend, [Prompt(id="a1", text="What is …", max_new_tokens=50), …], Path("out"))
    asked.replies["a1"].text     -> " The first topic was …"
    asked.refused                -> {"longer than the context": 3}      counted, never cut

A backend puts its template around a prompt, counts its tokens and gives replies in any order, as
they are there. Each goes into OUT/answers.jsonl at once, under a hash of everything it depends on
(model, template, decoding, prompt), and with a checksum: a line that a crash tore, or that was
changed, is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from longdata.atomic import disk_errors
from longdata.errors import UserError

FILE = "answers.jsonl"
TOO_LONG = "longer than the context"
_END_OF_THOUGHT = "</think>"  # of Qwen, DeepSeek and others

Tell = Callable[[int, int], None]  # how many of how many are there


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a user says; the backend puts its template around it."""

    id: str
    text: str
    max_new_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said. `ids`: its tokens, where they are known; `is_cut`: it had not ended.

    `refused`: the reason why the prompt was not put to the model; then there is no text.
    """

    id: str
    text: str = ""
    ids: tuple[int, ...] | None = None
    prompt_tokens: int | None = None
    is_cut: bool = False
    refused: str = ""


class Backend(Protocol):
    """A model that answers, wherever it runs."""

    @property
    def key(self) -> str:
        """A hash of everything but the prompt that its answers depend on."""

    @property
    def model(self) -> Mapping[str, Any]:
        """What the result says of the model: its name, fingerprint, rope, …."""

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What the result says of how it was asked: template, decoding, context, …."""

    def count(self, text: str, max_new_tokens: int) -> int:
        """Tokens of a prompt with its template, and of the longest answer."""

    def show(self, text: str) -> str:
        """A prompt exactly as the model gets it."""

    def answer_ids(self, text: str) -> list[int] | None:
        """The tokens of an answer by itself, where replies have tokens."""

    def replies(self, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        """A reply to each prompt, in any order. UserError: no further one can be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The replies by the prompts' ids; refused ones are only in `refused`, by reason."""

    replies: Mapping[str, Reply]
    refused: Mapping[str, int]
    from_file: int


def ask(
    backend: Backend, prompts: Sequence[Prompt], folder: Path, *, tell: Tell | None = None
) -> Asked:
    """Every prompt's reply; an id stands for one prompt, however often it is there.

    UserError: none was answered, or all answers are empty.
    """
    prompts = list({prompt.id: prompt for prompt in prompts}.values())
    keys = {prompt.id: _key(backend, prompt) for prompt in prompts}
    refused: Counter[str] = Counter()
    with AnswerFile(folder) as answers:
        missing = {keys[p.id]: p for p in prompts if keys[p.id] not in answers.replies}
        from_file = sum(keys[p.id] in answers.replies for p in prompts)
        done = len(prompts) - len(missing)
        if tell is not None:
            tell(done, len(prompts))
        for reply in backend.replies(list(missing.values())) if missing else ():
            if reply.refused:
                refused[reply.refused] += sum(key == keys[reply.id] for key in keys.values())
            else:
                answers.add(keys[reply.id], reply)
            done += 1
            if tell is not None:
                tell(done, len(prompts))
        found = answers.replies
    replies = {id: replace(found[key], id=id) for id, key in keys.items() if key in found}
    if not replies:
        raise _nothing(prompts, refused)
    if all(_is_thought(reply) for reply in replies.values()):
        raise UserError(
            f"got {len(replies)} answers that all end while the model still thinks; allowed: some "
            "that it gives; fix: --no-thinking, or more --max-new-tokens"
        )
    if not any(reply.text.strip() for reply in replies.values()):
        raise UserError(
            f"got only empty answers ({len(replies)} of {len(replies)}); allowed: a model that "
            "says something; fix: another --template, more --max-new-tokens for a model that "
            "thinks first, or look at what its server logs"
        )
    return Asked(replies=replies, refused=dict(refused), from_file=from_file)


class AnswerFile:
    """The answers of a folder: read when opened, a line longer with each answer, one writer."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.replies: dict[str, Reply] = {}
        self.damaged = 0

    def __enter__(self) -> Self:
        import fcntl

        with disk_errors(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise UserError(
                f"got {self.path.parent}, into which another run is writing; allowed: one at a "
                "time; fix: wait for it, or choose another --out"
            ) from None
        content = self.path.read_bytes()
        for line in content.split(b"\n"):
            if line.strip():
                self._take(line)
        if content and not content.endswith(b"\n"):
            self._write(b"\n")  # what was torn stays a line of its own
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def add(self, key: str, reply: Reply) -> None:
        """Keep an answer; it is on the disk when this returns."""
        fields = {
            "key": key,
            "text": reply.text,
            "ids": None if reply.ids is None else list(reply.ids),
            "prompt_tokens": reply.prompt_tokens,
            "is_cut": reply.is_cut,
        }
        content = json.dumps(fields).encode()
        self._write(_checksum(content) + b" " + content + b"\n")
        self.replies[key] = replace(reply, id="")

    def _take(self, line: bytes) -> None:
        checksum, _, content = line.partition(b" ")
        if checksum != _checksum(content):
            self.damaged += 1
            return
        fields = json.loads(content)
        ids = fields["ids"]
        self.replies[fields["key"]] = Reply(
            id="",
            text=fields["text"],
            ids=None if ids is None else tuple(ids),
            prompt_tokens=fields["prompt_tokens"],
            is_cut=fields["is_cut"],
        )

    def _write(self, line: bytes) -> None:
        with disk_errors(self.path.parent):
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)


def spoken(text: str) -> str:
    """What a model says: without the thoughts that it writes down first."""
    return text.rpartition(_END_OF_THOUGHT)[2]


def digest(*parts: str) -> str:
    """A hash of several strings, for keys."""
    joined = "\0".join(f"{len(part)} {part}" for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _is_thought(reply: Reply) -> bool:
    """Whether an answer begins with thoughts and was cut in them."""
    begins = reply.text.lstrip().startswith("<think>")
    return begins and reply.is_cut and _END_OF_THOUGHT not in reply.text


def _key(backend: Backend, prompt: Prompt) -> str:
    return digest(backend.key, str(prompt.max_new_tokens), prompt.text)


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest()[:16].encode()


def _nothing(prompts: Sequence[Prompt], refused: Mapping[str, int]) -> UserError:
    why = ", ".join(f"{count} {reason}" for reason, count in refused.items()) or "there is none"
    return UserError(
        f"got {len(prompts)} prompts, of which none could be asked ({why}); allowed: at least one "
        "that fits the model; fix: shorter prompts, a model with a longer context, or "
        "--beyond-ctx"
    )
