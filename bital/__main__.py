"""`python -m bital ...` is the command `bital ...`."""

from bital.cli import main

if __name__ == "__main__":
    main()
