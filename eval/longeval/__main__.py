"""`python -m longeval`: the same as the command."""

from longeval.cli import main

if __name__ == "__main__":
    main()
