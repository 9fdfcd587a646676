"""Reading and writing checkpoints, and matching their names and tables."""
