"""A transformers model that answers prompts in this process.

    model = LocalModel(loaded.model, tokenizer, ctx=8192, facts=loaded.facts(), template="raw")
    for reply in model.replies(prompts):
        reply.text, reply.ids          greedy: the likeliest token, until the model ends

Each prompt is read once, in stretches, and its answer decoded from the cache of keys and values.
What several prompts begin with is read once for all of them (prefix_plan.py). Prompts of different
lengths in a batch are padded on the left, with the mask and the positions that make padding
invisible; the numbers are those of one prompt alone, up to the rounding of the kernels. Where that
is not so (rope that changes with the longest row, windows or states in place of attention to
everything), prompts go one at a time and nothing is shared.
"""

from __future__ import annotations

import copy
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from longdata.errors import UserError
from longeval.ask import TOO_LONG, Prompt, Reply, digest
from longeval.prefix_plan import Batch, Ids, common, plan
from longeval.templates import CHAT, check, wrap

if TYPE_CHECKING:
    from torch import Tensor

BATCH_TOKENS = 32_768
BATCH_SIZE = 16
STRETCH = 8_192  # tokens read at once: bounds the memory of activations
_OPTIONAL = ("logits_to_keep", "position_ids")  # of a model's forward
_CHANGING_ROPES = frozenset({"dynamic", "longrope"})


class LocalModel:
    """A `Backend`. `ctx`: prompt and answer together, above it prompts are refused.

    `facts` say what the model is, its fingerprint among them: answers are kept under them.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        ctx: int,
        facts: Mapping[str, Any],
        template: str = "raw",
        thinking: bool = True,
        batch_tokens: int = BATCH_TOKENS,
        batch_size: int = BATCH_SIZE,
        stretch: int = STRETCH,
    ) -> None:
        if tokenizer is None:
            raise UserError(
                "got a model without a tokenizer; allowed: one saved with its tokenizer; fix: put "
                "tokenizer.json into its folder"
            )
        if check(template) == CHAT and not getattr(tokenizer, "chat_template", None):
            raise UserError(
                "got --template chat for a model without a chat template; allowed: raw, vicuna, "
                "alpaca; fix: choose the one it was trained with"
            )
        self._model, self._tokenizer = model, tokenizer
        self._ctx, self._template, self._thinking = ctx, template, thinking
        self._batch_tokens, self._batch_size = batch_tokens, batch_size
        # Behind the first stretch such a rope would have changed.
        self._stretch = sys.maxsize if changes_with_length(model) else stretch
        self._ends = _ends(model, tokenizer)
        self._alone = why_alone(model)
        self._taken = {name for name in _OPTIONAL if takes(model, name)}
        self._read: Ids = np.zeros(0, np.uint32)  # the tokens that are in the cache
        self._cache = self._new_cache()
        self.model: dict[str, Any] = dict(facts)
        self.protocol = {
            "backend": "transformers",
            "template": template,
            "decoding": "greedy, until the model ends its answer or the limit of new tokens",
            "thinking": thinking if template == CHAT else None,
            "ctx": ctx,
            "batches": self._alone or "padded on the left; common beginnings are read once",
        }
        # Some chat templates tell the date: then yesterday's answers are to other prompts.
        facts_of_key = json.dumps(self.model, sort_keys=True, default=str)
        self.key = digest(facts_of_key, template, self._whole(""))

    def count(self, text: str, max_new_tokens: int) -> int:
        return len(self._encode(text)) + max_new_tokens

    def show(self, text: str) -> str:
        ids = self._encode(text).tolist()
        shown: str = self._tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        return shown

    def answer_ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def replies(self, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        asked, encoded = [], []
        for prompt in prompts:
            ids = self._encode(prompt.text)
            if len(ids) + prompt.max_new_tokens > self._ctx:
                yield Reply(id=prompt.id, prompt_tokens=len(ids), refused=TOO_LONG)
            else:
                asked.append(prompt)
                encoded.append(ids)
        size = 1 if self._alone else self._batch_size
        for batch in plan(
            encoded, batch_tokens=self._batch_tokens, batch_size=size, share=not self._alone
        ):
            yield from self._answer(batch, asked, encoded)

    def _encode(self, text: str) -> Ids:
        tokenizer = self._tokenizer
        if self._template == CHAT:
            ids = tokenizer(self._whole(text), add_special_tokens=False).input_ids
        else:
            ids = tokenizer(self._whole(text)).input_ids
            if len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
                ids = ids[:-1]  # some tokenizers end every text; here the model goes on
        if not ids:
            raise UserError(
                "got an empty prompt for a tokenizer that begins no text; allowed: at least one "
                "token; fix: another --template"
            )
        return np.asarray(ids, np.uint32)

    def _whole(self, text: str) -> str:
        """A prompt in its template, as text."""
        if self._template != CHAT:
            return wrap(self._template, text)
        whole: str = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            add_generation_prompt=True,
            tokenize=False,
            **({} if self._thinking else {"enable_thinking": False}),
        )
        return whole

    def _answer(
        self, batch: Batch, prompts: Sequence[Prompt], encoded: Sequence[Ids]
    ) -> Iterator[Reply]:
        import torch

        rows = [encoded[row] for row in batch.rows]
        limits = [prompts[row].max_new_tokens for row in batch.rows]
        answers = None
        try:
            with torch.inference_mode():
                answers = self._generate(rows, batch.shared, limits)
        except torch.OutOfMemoryError:
            self._forget()  # what the error holds on to is gone only behind this block
        if answers is None:
            yield from self._halved(batch, prompts, encoded)
            return
        for row, ids in zip(batch.rows, answers, strict=True):
            ended = len(ids) > 0 and ids[-1] in self._ends
            said = ids[:-1] if ended else ids
            yield Reply(
                id=prompts[row].id,
                text=self._tokenizer.decode(said, skip_special_tokens=True),
                ids=tuple(said),
                prompt_tokens=len(encoded[row]),
                is_cut=not ended,
            )

    def _halved(
        self, batch: Batch, prompts: Sequence[Prompt], encoded: Sequence[Ids]
    ) -> Iterator[Reply]:
        """The same with half as many at a time, until there is one that does not fit."""
        rows = batch.rows
        if len(rows) == 1:
            raise UserError(
                f"got a prompt of {len(encoded[rows[0]]):,} tokens, for which there is not enough "
                "memory; allowed: what fits the device; fix: shorter prompts, a smaller --dtype, "
                "or a larger device; the answers so far are kept"
            )
        for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            shared = batch.shared if len(part) > 1 else 0
            yield from self._answer(Batch(part, shared), prompts, encoded)

    def _generate(self, rows: Sequence[Ids], shared: int, limits: Sequence[int]) -> list[list[int]]:
        """The new tokens of each row, the one that ends it included."""
        if len(rows) == 1:
            self._keep(common(self._read, rows[0][:-1]))
            new = rows[0][len(self._read) :]
            logits = self._read_on(self._cache, new[None], None, len(self._read))
            self._read = rows[0]
            return self._decode(self._cache, logits, None, [len(rows[0])], limits)
        self._read_shared(rows[0][:shared])
        cache = self._repeated(len(rows)) if shared else self._new_cache()
        rests = [row[shared:] for row in rows]
        width = max(map(len, rests))
        padded = np.zeros((len(rows), width), np.uint32)
        mask = np.ones((len(rows), shared + width), np.int64)
        for row, rest in enumerate(rests):
            padded[row, width - len(rest) :] = rest
            mask[row, shared : shared + width - len(rest)] = 0
        logits = self._read_on(cache, padded, mask, shared)
        return self._decode(cache, logits, mask, [len(row) for row in rows], limits)

    def _read_shared(self, ids: Ids) -> None:
        """Have exactly these tokens in the cache that is kept."""
        self._keep(common(self._read, ids))
        if len(ids) > len(self._read):
            self._read_on(self._cache, ids[None, len(self._read) :], None, len(self._read))
            self._read = ids

    def _read_on(self, cache: Any, new: Ids, mask: Any, start: int) -> Tensor:
        """The logits after the last column of `new`, which `cache` holds afterwards."""
        import torch

        device = self._model.device
        width = new.shape[1]
        ids = torch.from_numpy(new.astype(np.int64)).to(device)
        seen = None if mask is None else torch.from_numpy(mask).to(device)
        for at in range(0, width, self._stretch):
            end = min(width, at + self._stretch)
            if seen is None:
                positions = torch.arange(start + at, start + end, device=device)[None]
            else:
                positions = (seen.cumsum(1) - 1).clamp(min=0)[:, start + at : start + end]
            until = None if seen is None else seen[:, : start + end]
            logits = self._forward(cache, ids[:, at:end], until, positions)
        return logits

    def _forward(self, cache: Any, ids: Tensor, seen: Tensor | None, positions: Tensor) -> Tensor:
        """The logits after the last token of each row, in float32."""
        options: dict[str, Any] = {"logits_to_keep": 1, "position_ids": positions}
        output = self._model(
            input_ids=ids,
            attention_mask=seen,
            past_key_values=cache,
            use_cache=True,
            **{name: value for name, value in options.items() if name in self._taken},
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _decode(
        self,
        cache: Any,
        logits: Tensor,
        mask: Any,
        lengths: Sequence[int],
        limits: Sequence[int],
    ) -> list[list[int]]:
        import torch

        device = logits.device
        answers: list[list[int]] = [[] for _ in lengths]
        seen = None if mask is None else torch.from_numpy(mask).to(device)
        positions = torch.tensor(lengths, device=device)[:, None]
        for step in range(max(limits)):
            if not bool(torch.isfinite(logits).all()):
                raise UserError(
                    "got logits that are not finite; allowed: a dtype that holds this model's "
                    "numbers; fix: --dtype bfloat16 or float32"
                )
            chosen = logits.argmax(-1)
            for row, token in enumerate(chosen.tolist()):
                if step < limits[row] and not (answers[row] and answers[row][-1] in self._ends):
                    answers[row].append(token)
            if all(
                len(ids) == limit or ids[-1] in self._ends
                for ids, limit in zip(answers, limits, strict=True)
            ):
                break
            if seen is not None:
                seen = torch.cat([seen, seen.new_ones(len(answers), 1)], 1)
            logits = self._forward(cache, chosen[:, None], seen, positions + step)
        return answers

    def _keep(self, length: int) -> None:
        """Of the cache that is kept, only the first tokens; the answer to a prompt goes as well."""
        if length == 0 or self._alone:
            self._forget()
            return
        extra = int(self._cache.get_seq_length()) - length
        if extra:
            self._cache.crop(-extra)
        self._read = self._read[:length]

    def _forget(self) -> None:
        self._cache, self._read = self._new_cache(), np.zeros(0, np.uint32)

    def _repeated(self, times: int) -> Any:
        """The kept cache for several rows; the kept one stays as it is."""
        cache = copy.copy(self._cache)
        cache.layers = [copy.copy(layer) for layer in self._cache.layers]
        cache.batch_repeat_interleave(times)
        return cache

    def _new_cache(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)


def why_alone(model: Any) -> str | None:
    """Why prompts of this model may not share a batch or a beginning; None: they may."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    if changes_with_length(model):
        return "one prompt at a time: its rope depends on the length of what is read"
    if not takes(model, "position_ids"):
        return "one prompt at a time: it cannot be told the positions of padded rows"
    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=model.config).layers):
        return "one prompt at a time: not all of its layers attend to everything before"
    return None


def changes_with_length(model: Any) -> bool:
    """Whether the same tokens at the same places are read differently in a longer text."""
    config = model.config.get_text_config(decoder=True)
    parameters = getattr(config, "rope_parameters", None) or {}
    kinds = {_kind(parameters), *(_kind(one) for one in parameters.values())}
    return bool(kinds & _CHANGING_ROPES)


def takes(model: Any, name: str) -> bool:
    """Whether the model's forward has a parameter of this name, under an adapter too."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return name in inspect.signature(inner.forward).parameters


def _kind(parameters: Any) -> str | None:
    said = parameters.get("rope_type") if isinstance(parameters, Mapping) else None
    return str(said) if said else None


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens with which an answer ends, by the model's and the tokenizer's own saying."""
    said = getattr(model.generation_config, "eos_token_id", None)
    ends = said if isinstance(said, list) else [said]
    return frozenset(int(one) for one in [*ends, tokenizer.eos_token_id] if one is not None)
