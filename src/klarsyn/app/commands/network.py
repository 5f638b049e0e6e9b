"""`klarsyn network`: a table of arms or contrasts becomes a network meta-analysis."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
One row an arm (events with n or time; mean, sd and n; or estimate and se):
  study,treatment,events,n
  Murrough 2013,ketamine,28,47
  Murrough 2013,midazolam,7,25
\b
or one row a comparison, effect of treat1 against treat2 (log scale for ratios); a study of three
arms gives all three:
  study,treat1,treat2,effect,se
  Murrough 2013,ketamine,midazolam,1.33,0.54
\b
  klarsyn network arms.csv --measure OR --reference midazolam --better higher
  klarsyn network arms.csv --measure OR --splits --contributions --json
  klarsyn network arms.csv --measure OR --mantel-haenszel
\b
or means, with additive parts of a treatment joined by +:
  study,treatment,mean,sd,n
  Trial A,drug,-12,9,40
  Trial A,placebo,-8,9,42
  Trial B,drug+therapy,-15,10,30
  Trial B,drug,-12,9,31
\b
  klarsyn network means.csv --measure MD --components --inactive placebo
\b
or an evidence base, its arms' treatments at one time:
  klarsyn network ketamine_depression --measure OR --outcome response --days 11..45 --target 28 \\
    --clock first_dose --merge saline+placebo_nasal+placebo_oral=inert --largest-piece
"""

ABOVE = ("n", "sd", "se", "time")
ARM_COLUMNS = ("events", "n", "time", "mean", "sd", "estimate", "se")


def read_base(
    base: str,
    measure: str,
    outcome: str | None,
    clock: str,
    days: str,
    target: float | None,
    merge: tuple[str, ...],
) -> Any:
    """The network of a base's arms at one time."""
    from klarsyn.errors import InputError
    from klarsyn.evidence.base import open_base
    from klarsyn.synthesis.network_base import NetworkQuestion, network_from_base

    first, _, last = days.partition("..")
    try:
        earliest, latest = float(first), float(last)
    except ValueError:
        raise InputError(
            f"--days {days or '(not given)'}: a base needs a span, e.g. 11..45."
        ) from None
    if not outcome:
        raise InputError("A base needs --outcome, e.g. response.")
    question = NetworkQuestion(
        measure=measure,
        outcomes=tuple(o.strip() for o in outcome.split(",")),
        clock=clock,
        target=(earliest + latest) / 2 if target is None else target,
        earliest=earliest,
        latest=latest,
        merge=_merged(merge),
    )
    return network_from_base(open_base(base), question)


def _is_base(name: str) -> bool:
    from klarsyn.evidence.base import known_bases

    return name in known_bases()


def _merged(merge: tuple[str, ...]) -> dict[str, str]:
    from klarsyn.errors import InputError

    out = {}
    for text in merge:
        names, sign, label = text.partition("=")
        if not (names and sign and label):
            raise InputError(f"--merge {text}: write treatments and their new name as a+b=name.")
        out |= {name.strip(): label.strip() for name in names.split("+")}
    return out


def read_network(file: str, measure: str, sheet: str | None, add: float) -> Any:
    """The network of a file: contrasts when it has a column `treat1`, otherwise arms."""
    from klarsyn.synthesis.network_data import network_from_arms, network_from_contrasts
    from klarsyn.tables import Column, in_file, missing_column, read_table

    above = [Column(name=c, kind="number", required=False, above=0) for c in ABOVE]
    events = Column(name="events", kind="number", required=False, minimum=0)
    table = read_table(file, [*above, events], sheet=sheet)
    with in_file(file):
        if "treat1" in table:
            return network_from_contrasts(
                table["study"],
                table["treat1"],
                table["treat2"],
                table.numbers("effect"),
                table.numbers("se"),
                measure=measure,
            )
        for name in ("study", "treatment"):
            if name not in table:
                raise missing_column(file, name, tuple(table.columns))
        numbers = {c: table.numbers(c) for c in ARM_COLUMNS if c in table}
        return network_from_arms(
            table["study"], table["treatment"], measure=measure, add=add, **numbers
        )


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--measure", required=True, help="OR, RR, RD, IRR, MD, SMD or GEN (contrasts: any).")
@click.option("--reference", default=None, help="Show the others against this treatment.")
@click.option("--better", default=None, help="lower or higher; asked for by P-scores.")
@click.option("--heterogeneity", default="REML", help="REML, ML, DL, PM or common.")
@click.option("--add", type=float, default=0.5, help="Added to studies with an empty cell.")
@click.option("--mantel-haenszel", is_flag=True, help="Common odds ratios, nothing added.")
@click.option("--components", is_flag=True, help="Additive effects of A and B in A+B.")
@click.option("--inactive", default=None, help="The treatment without any component.")
@click.option("--splits", is_flag=True, help="Direct against indirect evidence, designs.")
@click.option("--split-method", default="back-calculation", help="back-calculation, SIDDE or side.")
@click.option("--contributions", is_flag=True, help="The studies' shares in each estimate.")
@click.option("--outcome", default=None, help="Of a base, in order of preference.")
@click.option("--clock", default="first_dose", help="Of a base: first_dose or last_dose.")
@click.option("--days", default="", help="Of a base: earliest..latest.")
@click.option("--target", type=float, default=None, help="Of a base: the day preferred.")
@click.option("--merge", multiple=True, help="Of a base: treatments as one, a+b=name.")
@click.option("--largest-piece", is_flag=True, help="Leave out what is not connected.")
@click.option("--sheet", default=None, help="The sheet of an Excel workbook.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str,
    measure: str,
    reference: str | None,
    better: str | None,
    heterogeneity: str,
    add: float,
    mantel_haenszel: bool,
    components: bool,
    inactive: str | None,
    splits: bool,
    split_method: str,
    contributions: bool,
    outcome: str | None,
    clock: str,
    days: str,
    target: float | None,
    merge: tuple[str, ...],
    largest_piece: bool,
    sheet: str | None,
    as_json: bool,
) -> None:
    """Compare all treatments of a FILE, or of a base, from direct and indirect evidence."""
    from klarsyn.app.output import print_json
    from klarsyn.synthesis import network_base
    from klarsyn.synthesis.network import fit_network
    from klarsyn.synthesis.network_sparse import fit_network_mantel_haenszel

    data = (
        read_base(file, measure, outcome, clock, days, target, merge)
        if outcome or days or _is_base(file)
        else read_network(file, measure, sheet, add)
    )
    if largest_piece:
        data = network_base.largest_piece(data)
    if components:
        _print_components(data, inactive, heterogeneity, as_json)
        return
    fit = (
        fit_network_mantel_haenszel(data, reference=reference, better=better)
        if mantel_haenszel
        else fit_network(data, reference=reference, heterogeneity=heterogeneity, better=better)
    )
    more = _more(fit, splits, split_method, contributions)
    if as_json:
        print_json(fit.to_dict() | more)
        return
    click.echo(fit.summary())
    _print_more(fit, more)


def _print_components(data: Any, inactive: str | None, heterogeneity: str, as_json: bool) -> None:
    from klarsyn.app.output import print_json
    from klarsyn.synthesis.network_components import fit_components

    parts = fit_components(data, inactive=inactive, heterogeneity=heterogeneity)
    if as_json:
        print_json(parts.to_dict())
    else:
        click.echo(parts.summary())


def _more(fit: Any, splits: bool, method: str, contributions: bool) -> dict[str, Any]:
    from klarsyn.synthesis.network_consistency import decompose_designs, node_splits
    from klarsyn.synthesis.network_contributions import contribution_shares

    more: dict[str, Any] = {}
    if splits:
        more["node_splits"] = [s.to_dict() for s in node_splits(fit, method)]
        more["designs"] = decompose_designs(fit).to_dict()
    if contributions:
        more["contributions"] = contribution_shares(fit).to_dict()
    return more


def _print_more(fit: Any, more: dict[str, Any]) -> None:
    from klarsyn.app.output import print_table

    if "node_splits" in more:
        rows = [
            (
                f"{s['a']} against {s['b']}",
                s["studies"],
                f"{s['share']:.0%}",
                *(f"{s[k]['value']:.3g}" if s[k] else "none" for k in ("direct", "indirect")),
                f"{s['difference']['p']:.3g}" if s["difference"] else "",
            )
            for s in more["node_splits"]
        ]
        header = ("comparison", "studies", "direct share", "direct", "indirect", "p of difference")
        print_table(header, rows, title="Direct against indirect evidence")
        between = more["designs"]["between_designs"]
        click.echo(
            f"Between designs: Q = {between['Q']:.3g} on {between['df']} df"
            + (f", p = {between['p']:.3g}" if between["df"] else "")
        )
    if "contributions" in more:
        shares = more["contributions"]
        rows = []
        for (a, b), row in zip(shares["estimates"], shares["by_study"], strict=True):
            if fit.reference in (a, b):
                best = sorted(zip(row, shares["studies"], strict=True), reverse=True)[:3]
                rows.append((f"{a} against {b}", ", ".join(f"{s} {x:.0%}" for x, s in best)))
        print_table(("estimate", "largest shares"), rows, title=shares["method"])
