"""Commands as Holdfast has them: with the shared options, examples, and loaded when used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from shared.client.cli.invocation import shared_options

_SHARED_HINT: Final = (
    "The options of holdfast itself, such as -o json, may stand here too: see holdfast --help."
)


class Command(click.Command):
    """A command that takes the shared options too and shows examples at its end."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params.extend(shared_options(hidden=True))
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the command's own options, and that the shared ones exist."""
        super().format_options(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(_SHARED_HINT)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples."""
        super().format_epilog(ctx, formatter)
        write_examples(formatter, self.examples)


class Group(click.Group):
    """Commands around one noun."""

    command_class = Command
    group_class = type  # a group within a group is one of these too

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params.extend(shared_options(hidden=True))


class Lazy(NamedTuple):
    """Where a command lives, and what help says of it without loading it."""

    target: str  # module:attribute
    summary: str


class LazyGroup(click.Group):
    """The root: its commands are imported when they are used, and listed by what they are for."""

    def __init__(
        self,
        *arguments: Any,
        sections: Mapping[str, Mapping[str, Lazy]],
        examples: Sequence[str] = (),
        closing: Sequence[tuple[str, str]] = (),
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.params.extend(shared_options(hidden=False))
        self.sections = sections
        self.examples = tuple(examples)
        self.closing = tuple(closing)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Returns the names in the order of help."""
        return [name for commands in self.sections.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports the command."""
        for commands in self.sections.values():
            if cmd_name in commands:
                module, _, attribute = commands[cmd_name].target.partition(":")
                command = getattr(import_module(module), attribute)
                assert isinstance(command, click.Command)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the commands by what they are for."""
        width = max(len(name) for commands in self.sections.values() for name in commands)
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), lazy.summary) for name, lazy in commands.items()]
                )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the exit codes and the examples."""
        with formatter.section("Exit codes"):
            formatter.write_dl(list(self.closing))
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Writes commands worth trying, one a line, never wrapped."""
    if not examples:
        return
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{'':{formatter.current_indent}}{example}\n")
