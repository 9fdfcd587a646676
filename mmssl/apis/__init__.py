"""The interface for programs and notebooks."""
