"""One reader per format, in a dict anyone can see: `READERS[".epub"]`."""
