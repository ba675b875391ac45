"""The command line: one function per command, the flags they share, and what they print."""

from eosin.cli.commands import app, main

__all__ = ["app", "main"]
