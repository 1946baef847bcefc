"""`python -m crosspoint3d` is the command `crosspoint3d`."""

from crosspoint3d.cli import main

if __name__ == "__main__":
    main()
