"""Options that the tools share, and their exit codes and error messages."""
