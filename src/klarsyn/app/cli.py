"""The command `klarsyn`: names and one-line helps here, each command in a file of its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from klarsyn.errors import KlarsynError

# name: (module under klarsyn.app.commands, one-line help); the module defines `command`.
COMMANDS: dict[str, tuple[str, str]] = {
    "appraise": ("appraise", "Write the page that answers four questions about a base."),
    "evidence": ("evidence", "Look into an evidence base, test it, select from it, export it."),
    "pool": ("pool", "Pool the trials of a table into one estimate."),
    "regress": ("regress", "Regress the trials' effects on their features."),
    "subsets": ("subsets", "Pool every subset of the trials."),
    "network": ("network", "Compare many treatments from direct and indirect evidence."),
    "multilevel": ("multilevel", "Pool effects that depend on each other."),
    "dose": ("dose", "Fit a dose-response curve to several studies' dose groups."),
    "blinding": ("blinding", "Indices of blinding from what people guessed."),
    "unblinding": ("unblinding", "What belief could have done to an effect."),
    "missing": ("missing", "What unseen outcomes and refusals could do."),
    "noninferiority": ("noninferiority", "A difference of proportions against a margin."),
    "inclusion": ("inclusion", "What each set of included trials concludes."),
    "simulate": ("simulate", "Exposure of each analyte after a dose, as bands over patients."),
    "respond": ("respond", "What follows from a regimen: occupancy, score, side effects."),
    "nca": ("nca", "Non-compartmental analysis of a concentration table."),
    "relapse": ("relapse", "Rebuild printed survival curves: how long it lasts."),
    "hazards": ("hazards", "Hazard ratios from what papers print, and pooled."),
    "harms": ("harms", "Say what the evidence on rare harms can and cannot exclude."),
    "riskofbias": ("riskofbias", "Risk of bias of each trial from signalling answers (RoB 2)."),
    "adjusted": ("adjusted", "Pool with what is believed about bias, three beliefs at once."),
    "grade": ("grade", "Suggest the certainty of each outcome, with reasons."),
    "decide": ("decide", "Benefit against harm: weigh options, and what knowing is worth."),
    "grid": ("grid", "Fit every combination of choices and name the one that matters."),
    "rare": ("rare", "Pool rare events without corrections, methods side by side."),
    "smallstudy": ("smallstudy", "Test small-study effects and model selection."),
    "bayes": ("bayes", "Posterior of a random-effects model, without sampling."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"klarsyn.app.commands.{COMMANDS[cmd_name][0]}")
        return module.command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, with the nearest names when there is no such command."""
        from klarsyn.errors import unknown_name

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(str(unknown_name("command", args[0], COMMANDS)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="klarsyn", prog_name="klarsyn")
def cli() -> None:
    """Does it work, for how long, how safely, and how sure can we be?

    Research synthesis and simulation. Not medical advice.
    """


def _explained(missing: click.MissingParameter) -> click.MissingParameter:
    """Return click's complaint with what the option is for, as its help says."""
    if not isinstance(missing.param, click.Option) or not missing.param.help:
        return missing
    return click.MissingParameter(
        message=f"It gives: {missing.param.help}",
        ctx=missing.ctx,
        param=missing.param,
        param_hint=missing.param_hint,
        param_type=missing.param_type,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; an error a user can mend is one sentence and exit code 2."""
    try:
        cli.main(args=None if argv is None else list(argv), standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.MissingParameter as bad:
        _explained(bad).show()
        sys.exit(2)
    except click.ClickException as bad:
        bad.show()
        sys.exit(2)
    except KlarsynError as bad:
        click.echo(f"klarsyn: {bad}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
