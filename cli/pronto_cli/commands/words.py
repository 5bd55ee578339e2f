"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from pronto_cli.completion import complete_address, complete_key, complete_namespace, complete_project

KeyArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="[[project.]namespace.]name[__context]; with -p or -n, the name alone.",
        autocompletion=complete_key,
    ),
]
PrefixArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PREFIX",
        help="Only keys that begin with this text; with -p or -n, names that do.",
        autocompletion=complete_key,
    ),
]
AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="user.cursor", autocompletion=complete_address)]
OptionalAddressArgument = Annotated[
    str | None, typer.Argument(metavar="ADDRESS", help="user.cursor", autocompletion=complete_address)
]
ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project",
        "-p",
        metavar="PROJECT",
        help="Project of the key; default: default.",
        autocompletion=complete_project,
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAMESPACE",
        help="Namespace of the key; default: default.",
        autocompletion=complete_namespace,
    ),
]
OwnProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project",
        "-p",
        metavar="PROJECT",
        help="Only the namespaces of this project.",
        autocompletion=complete_project,
    ),
]
LiteralOption = Annotated[bool, typer.Option("--literal", help="Take keys as they are, not by the convention.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the addresses concerned, and change nothing.")]
UnneededYesOption = Annotated[bool, typer.Option("--yes", help="Accepted: nobody is asked, as nothing is lost.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask; needed where there is no terminal.")]
