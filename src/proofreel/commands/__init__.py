"""What the larger commands do; `cli.py` only reads their arguments."""
