"""The grammar of the commands: signatures with help texts, which Typer reads. What they do is in the handlers."""
