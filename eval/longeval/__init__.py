"""Measure what a model does with a long context."""
