"""Teach a Hugging Face causal LM to use a longer context (arXiv 2309.12307).

    import longtune
    model = AutoModelForCausalLM.from_pretrained(name, attn_implementation="s2_attn")
    longtune.set_group_size(model, 2048)  # optional: a quarter of the context by default

Importing registers the name `s2_attn` with transformers and loads nothing heavy.
"""

from longtune.groups import set_group_size
from longtune.registration import register

__all__ = ["set_group_size"]

register()
