"""`klarsyn noninferiority`: analysis sets against a margin, declared or from history."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
One row an analysis set; events are good, totals are patients:
  name,new_events,new_total,reference_events,reference_total
  as treated,108,195,70,170
  all randomised,108,200,70,203
  klarsyn noninferiority sets.csv --margin 0.1 --basis "declared by the trial"
\b
Give at least the set as published and all randomised. A margin from history keeps a fraction of
what the reference is proven to add to placebo (lower limit), and adds the synthesis test. History
is a risk difference, an odds ratio or a standardised difference with its 95 % limits, reference
over placebo:
  klarsyn noninferiority sets.csv --preserve 0.5 --history smd=0.91,0.54,1.27 --basis "Lancet 2003"
\b
What if the reference had performed as in other trials? One rate, or a table of its arms there:
  klarsyn noninferiority sets.csv --margin 0.1 --basis declared --history-rate 0.63
  klarsyn noninferiority sets.csv --margin 0.1 --basis declared --elsewhere arms.csv
\b
  trial,events,total
  KetECT,57,91
  Other trial,20,40
"""
KINDS = ("difference", "odds_ratio", "smd")


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--margin", type=float, default=None, help="Largest acceptable loss, e.g. 0.1.")
@click.option("--basis", required=True, help="Where the margin, or its history, comes from.")
@click.option("--preserve", type=float, default=None, help="Fraction of the effect to keep.")
@click.option("--history", default=None, help="difference=, odds_ratio= or smd=value,low,high.")
@click.option(
    "--interval",
    default="miettinen_nurminen",
    show_default=True,
    help="newcombe, miettinen_nurminen, mee, agresti_caffo or wald.",
)
@click.option("--history-rate", type=float, default=None, help="The reference's rate elsewhere.")
@click.option("--elsewhere", type=click.Path(), default=None, help="Its arms in other trials.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str, as_json: bool, **options: Any) -> None:
    """Is the new treatment no worse than the reference by more than a margin?"""
    from dataclasses import asdict

    from klarsyn.app.output import print_json
    from klarsyn.bias.noninferiority import noninferiority

    if (options["margin"] is None) == (options["preserve"] is None):
        raise click.UsageError(
            "Say how much worse is still acceptable: --margin 0.1, or what must be kept of the "
            "reference's effect: --preserve 0.5 with --history."
        )
    if options["preserve"] is not None and options["history"] is None:
        raise click.UsageError("--preserve needs --history: what the reference adds to placebo.")
    sets = _sets(file)
    history = _history(sets, options)
    margin = _margin(options, history)
    how = {"interval_method": options["interval"], "level": options["level"]}
    result = noninferiority(sets, margin, **how)
    assay = _assay(sets, margin, options, how)
    synthesis = _synthesis(sets, history, options["preserve"])
    if as_json:
        print_json(
            result.to_dict()
            | {
                "assay_sensitivity": [a.to_dict() for a in assay],
                "history": None if history is None else asdict(history),
                "synthesis": synthesis,
            }
        )
        return
    click.echo(result.summary())
    if history is not None:
        click.echo(f"  {_proven(margin, history)}")
    for name, found in synthesis.items():
        click.echo(f"  {name}: synthesis test z {found['z']:.2f}, one-sided p {found['p']:.2g}")
    for a in assay:
        z = "" if a.z is None else f" It lies {a.z:.1f} predictive standard deviations from there."
        click.echo(f"  {a.reanchored.counts.name}: {a.summary()}{z}")


def _proven(margin: Any, history: Any) -> str:
    from klarsyn.bias.history import share_given_up

    if history.lower <= 0:
        return "history does not show that the reference works: no margin can be justified by it"
    return (
        f"the reference is proven to add {100 * history.lower:.1f} points to placebo (estimate "
        f"{100 * history.difference.value:.1f}); the margin gives up "
        f"{100 * share_given_up(margin, history):.0f} % of it"
    )


def _sets(file: str) -> list[Any]:
    from klarsyn.bias.noninferiority import Counts
    from klarsyn.errors import InputError
    from klarsyn.tables import Column, read_table

    names = ("new_events", "new_total", "reference_events", "reference_total")
    table = read_table(
        file, [Column(name="name"), *(Column(name=n, kind="count") for n in names)], others=False
    )
    sets = []
    for row, r in zip(table.row_numbers, table.records(), strict=True):
        try:
            sets.append(Counts(**r))
        except InputError as bad:
            raise InputError(f"{file}: row {row}: {bad}") from None
    return sets


def _history(sets: list[Any], options: dict[str, Any]) -> Any:
    """History at the reference rate of the first set; None without --history."""
    from klarsyn.bias.history import (
        history_from_difference,
        history_from_odds_ratio,
        history_from_smd,
    )
    from klarsyn.errors import InputError, unknown_name

    if options["history"] is None:
        return None
    kind, _, text = options["history"].partition("=")
    if kind not in KINDS:
        raise unknown_name("kind of history", kind, KINDS, "--history")
    try:
        value, low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--history: {text!r} is not a value with its limits, e.g. {kind}=0.3,0.2,0.4."
        ) from None
    if kind == "difference":
        return history_from_difference(value, low, high)
    first = sets[0]
    rate = first.reference_events / first.reference_total
    made = history_from_smd if kind == "smd" else history_from_odds_ratio
    return made(value, low, high, rate=rate)


def _margin(options: dict[str, Any], history: Any) -> Any:
    from klarsyn.bias.history import margin_from_history
    from klarsyn.bias.noninferiority import fixed_margin

    if options["preserve"] is None:
        return fixed_margin(options["margin"], options["basis"])
    return margin_from_history(history, options["preserve"], basis=options["basis"])


def _synthesis(sets: list[Any], history: Any, fraction: float | None) -> dict[str, Any]:
    from klarsyn.bias.history import wald_difference
    from klarsyn.bias.noninferiority import synthesis_test

    if history is None or fraction is None:
        return {}
    found = {s.name: synthesis_test(wald_difference(s), history.difference, fraction) for s in sets}
    return {name: {"z": z, "p": p} for name, (z, p) in found.items()}


def _assay(sets: list[Any], margin: Any, options: dict[str, Any], how: dict[str, Any]) -> list[Any]:
    import math

    from klarsyn.bias.noninferiority import assay_sensitivity

    rate, spread = options["history_rate"], None
    if options["elsewhere"] is not None:
        if rate is not None:
            raise click.UsageError("Give --history-rate or --elsewhere, not both.")
        rate, spread = _rates(options["elsewhere"])
    if rate is None:
        return []
    if math.isnan(rate):
        raise click.UsageError("--elsewhere: there is no arm.")
    return [assay_sensitivity(s, margin, history_rate=rate, history=spread, **how) for s in sets]


def _rates(file: str) -> tuple[float, Any]:
    """The pooled rate of the reference elsewhere, and its mean log odds with τ² from two arms."""
    import math

    from klarsyn.bias.history import ReferenceArm, reference_rates
    from klarsyn.errors import InputError
    from klarsyn.tables import Column, read_table

    table = read_table(
        file,
        [
            Column(name="trial"),
            Column(name="events", kind="count"),
            Column(name="total", kind="count"),
        ],
        others=False,
    )
    arms = []
    for row, r in zip(table.row_numbers, table.records(), strict=True):
        if not 0 < r["total"] >= r["events"]:
            raise InputError(
                f"{file}: row {row}: {r['trial']}: {r['events']} events in {r['total']} patients."
            )
        arms.append(ReferenceArm(**r))
    spread = reference_rates(arms)
    if spread is None:
        return arms[0].events / arms[0].total, None
    return 1 / (1 + math.exp(-spread[0].value)), spread
