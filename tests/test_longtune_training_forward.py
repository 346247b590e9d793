"""A wrapped forward: the loss of the model itself, for every architecture that is trained."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from test_longtune_models import MODELS, make

from longdata.errors import UserError
from longtune import set_group_size
from longtune.training_data import UNSCORED
from longtune.training_forward import install

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

LENGTH = 24


def batch(model: Any) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(3, model.config.vocab_size, (2, LENGTH), generator=draw)
    labels = ids.clone()
    labels[:, 0] = UNSCORED
    labels[0, 15:] = UNSCORED
    return {"input_ids": ids, "labels": labels}


def plain_loss(model: Any, input_ids: Any, labels: Any, **kwargs: Any) -> Any:
    logits = model(input_ids=input_ids, use_cache=False, **kwargs).logits[:, :-1].flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=UNSCORED)


def gradients(model: Any, loss: Any) -> list[Any]:
    found = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    return list(found)


def small(name: str) -> Any:
    model = make(name)
    set_group_size(model, 8)
    return model.train()


ALSO: dict[str, dict[str, Any]] = {
    "Gemma3Text": {"final_logit_softcapping": 2.0},
    "Cohere": {"logit_scale": 0.3},
    "Granite": {"logits_scaling": 7.0},
}


@pytest.mark.parametrize("name", MODELS)
def test_the_chunked_loss_is_that_of_the_model(name: str) -> None:
    model = small(name)
    given = batch(model)
    expected = plain_loss(model, **given)
    expected_gradients = gradients(model, expected)
    install(model, loss="chunked")
    loss = model(**given).loss
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(gradients(model, loss), expected_gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ALSO)
def test_logits_that_are_capped_or_scaled_are_so_in_the_loss(name: str) -> None:
    sizes = {**MODELS.get(name, MODELS["Llama"]), **ALSO[name]}
    config = getattr(transformers, f"{name}Config")(**sizes)
    model = transformers.AutoModelForCausalLM.from_config(config).double().train()
    given = batch(model)
    expected = plain_loss(model, **given)
    install(model, loss="chunked")
    torch.testing.assert_close(model(**given).loss, expected, rtol=1e-12, atol=1e-12)


def test_a_model_whose_logits_are_something_else_is_refused() -> None:
    model = small("Llama")
    own = model.forward

    def doubled(*args: Any, **kwargs: Any) -> Any:
        outputs = own(*args, **kwargs)
        outputs.logits = outputs.logits * 2
        return outputs

    model.forward = doubled
    with pytest.raises(UserError, match="loss=plain"):
        install(model, loss="chunked")
    model.config.output_router_logits = True
    with pytest.raises(UserError, match="output_router_logits"):
        install(model, loss="chunked")


def test_ligers_kernel_is_given_shifted_targets_the_head_and_its_cap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel itself needs a GPU; here its definition stands in for it."""

    class Kernel:
        def __init__(self, *, ignore_index: int, reduction: str, softcap: float | None) -> None:
            self.options = {"ignore_index": ignore_index, "reduction": reduction}
            self.softcap = softcap

        def __call__(self, weight: Any, hidden: Any, targets: Any, bias: Any) -> Any:
            logits = torch.nn.functional.linear(hidden, weight, bias)
            if self.softcap is not None:
                logits = (logits / self.softcap).tanh() * self.softcap
            return torch.nn.functional.cross_entropy(logits, targets, **self.options)

    module = ModuleType("liger_kernel.transformers")
    module.LigerFusedLinearCrossEntropyLoss = Kernel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "liger_kernel", ModuleType("liger_kernel"))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", module)
    config = transformers.Gemma3TextConfig(**MODELS["Gemma3Text"], final_logit_softcapping=2.0)
    model = transformers.AutoModelForCausalLM.from_config(config).double().train()
    given = batch(model)
    expected = plain_loss(model, **given)
    install(model, loss="liger")
    torch.testing.assert_close(model(**given).loss, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", ["chunked", "plain"])
def test_the_sum_is_divided_by_the_items_of_all_batches(loss: Any) -> None:
    model = small("Llama")
    install(model, loss=loss)
    given = batch(model)
    alone = model(**given).loss
    own = int((given["labels"] != UNSCORED).sum())
    shared = model(**given, num_items_in_batch=torch.tensor(5 * own)).loss
    torch.testing.assert_close(shared, alone / 5, rtol=1e-6, atol=0)


def test_a_batch_without_a_label_gives_no_loss_and_no_gradient() -> None:
    model = small("Llama")
    install(model, loss="chunked")
    given = batch(model)
    given["labels"][:] = UNSCORED
    loss = model(**given, num_items_in_batch=0).loss
    assert loss.item() == 0
    assert all((gradient == 0).all() for gradient in gradients(model, loss))


def test_without_labels_it_is_the_model_as_it_was() -> None:
    model = small("Llama").eval()
    ids = batch(model)["input_ids"]
    before = model(input_ids=ids).logits
    install(model, loss="chunked")
    torch.testing.assert_close(model(input_ids=ids).logits, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["Llama", "Gemma3Text", "GPTNeoX", "Phi3", "SmolLM3"])
def test_rotation_by_positions_of_its_own_does_not_hide_a_document(name: str) -> None:
    """Two documents that see each other, with the positions of two that do not."""
    model = small(name)
    set_group_size(model, LENGTH)  # full attention
    given = batch(model)
    rotated = torch.cat([torch.arange(10), torch.arange(LENGTH - 10)]).expand(2, -1)
    seen = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril().expand(2, 1, -1, -1)
    reference = make(name, attention="sdpa").train()
    expected = plain_loss(reference, **given, attention_mask=seen, position_ids=rotated)
    if name == "Gemma3Text":  # a mask of one's own is that of all layers there
        expected = None
    install(model, loss="chunked")
    along = torch.arange(LENGTH).expand(2, -1)
    loss = model(**given, position_ids=along, rotary_position_ids=rotated).loss
    if expected is not None:
        torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    hidden = model(**given, position_ids=rotated).loss
    assert abs(loss.item() - hidden.item()) > 1e-8
    again = model(**given, position_ids=along).loss  # the next batch has its own positions
    model(**given, position_ids=along, rotary_position_ids=rotated)
    read = model.eval()(input_ids=given["input_ids"], position_ids=along).logits
    fresh = make(name).eval()(input_ids=given["input_ids"], position_ids=along).logits
    torch.testing.assert_close(read, fresh, rtol=1e-9, atol=1e-9)  # and so has evaluation
    assert abs(loss.item() - again.item()) > 1e-8


def test_positions_of_their_own_need_a_module_that_rotates() -> None:
    config = transformers.GPT2Config(
        vocab_size=61, n_embd=32, n_layer=1, n_head=4, n_positions=64, bos_token_id=1
    )
    model = transformers.GPT2LMHeadModel(config).train()
    install(model, loss="chunked")
    given = batch(model)
    with pytest.raises(UserError, match="positions of their own"):
        model(**given, rotary_position_ids=torch.arange(LENGTH).expand(2, -1))
