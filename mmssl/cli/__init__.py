"""Options that the tools share, and how a tool ends."""
