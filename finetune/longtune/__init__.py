"""Teach a Hugging Face causal LM to use a longer context (arXiv 2309.12307)."""
