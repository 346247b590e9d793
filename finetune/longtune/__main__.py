"""`python -m longtune` is the command `longtune`."""

from longtune.cli import main

if __name__ == "__main__":
    main()
