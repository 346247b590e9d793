"""Books and papers → verified long-context question–answer pairs → a dataset."""

__version__ = "0.1.0"
