"""Documents in, tokens counted: what the other three packages read from."""
