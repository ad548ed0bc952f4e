"""The `llmcore` command: argv -> recipe -> run, no logic of its own."""

from llmcore.cli.app import main

__all__ = ["main"]
