"""Questions written by a language model behind an OpenAI-compatible server, and checked."""
