"""``python -m cxmodel`` is the command line."""

from cxmodel.cli import main

if __name__ == "__main__":
    main()
