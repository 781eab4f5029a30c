"""`python -m proofreel`."""

from proofreel.cli import main

if __name__ == "__main__":
    main()
