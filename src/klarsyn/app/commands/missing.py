"""`klarsyn missing`: pooled effects under assumptions about the outcomes nobody saw."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
Events, one row a study (…_observed: patients whose outcome was seen):
  study,treated_events,treated_observed,treated_missing,
        control_events,control_observed,control_missing     (one line)
  Beasley,29,47,22,20,34,34
  klarsyn missing events.csv --event good
\b
Means: treated_mean,treated_sd,treated_observed,treated_missing and the same for control.
  klarsyn missing means.csv --difference -2,2
  klarsyn missing means.csv --ratio 0.8,1.2
  klarsyn missing means.csv --threshold 0
\b
Refusals before treatment, one row a trial (events are good; totals: patients analysed):
  name,new_events,new_total,reference_events,reference_total,new_refused,reference_refused
  ELEKT-D,108,195,70,170,5,33
  klarsyn missing refusals.csv --margin 0.1
\b
Dropout by visit: model-based mean changes from baseline (visit 0), one SD a visit, and how many
were last seen when:
  visit,treated_mean,control_mean,sd,treated_last_seen,control_last_seen
  0,0,0,0,2,3
  1,-4.0,-3.0,5.0,5,4
  2,-9.0,-5.5,7.0,53,53
  klarsyn missing visits.csv --correlation 0.5
  klarsyn missing visits.csv --correlation 0.5 --deltas 0,2,4
\b
Only a difference (treated − control) among those seen, and how many began and were seen at the end:
  study,difference,lower,upper,treated_began,treated_seen,control_began,control_seen
  Trial A,-6.0,-8.9,-3.1,121,89,250,185
  klarsyn missing aggregates.csv
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--measure", default="RR", show_default=True, help="RR, OR or RD (events).")
@click.option("--event", type=click.Choice(["good", "bad"]), default=None, help="Events: which?")
@click.option("--imor", default=None, help="Treated,control: odds ratios of missingness.")
@click.option("--difference", default=None, help="Treated,control: missing less seen (means).")
@click.option("--ratio", default=None, help="Treated,control: missing over seen (means).")
@click.option(
    "--threshold",
    type=float,
    default=None,
    help="Means: how far each arm's missing must have ended from its seen for the limit to reach "
    "this.",
)
@click.option("--sd", default="0,0", show_default=True, help="SDs of these (logs for --imor).")
@click.option(
    "--correlation",
    type=float,
    default=None,
    help="Of the two arms' parameters (0 when not given); for visits, of visits next to each "
    "other (its powers for visits further apart).",
)
@click.option(
    "--control-dropouts",
    default="missing_at_random",
    show_default=True,
    help="Visits: missing_at_random or no_change.",
)
@click.option("--deltas", default=None, help="Visits: points added to each arm's unseen, crossed.")
@click.option("--method", default="REML", show_default=True, help="Estimator of tau2.")
@click.option("--test", default="knha", show_default=True, help="z, t, knha or adhoc.")
@click.option("--margin", type=float, default=None, help="Non-inferiority margin (refusals).")
@click.option("--interval", default="newcombe", show_default=True, help="Interval (refusals).")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str, as_json: bool, **options: Any) -> None:
    """How far missing outcomes could move the pooled effect, or a trial's conclusion."""
    from klarsyn.app.output import print_json
    from klarsyn.tables import read_table

    header = read_table(file)
    if "visit" in header:
        found = _visits(file, options)
    elif "treated_began" in header:
        found = _aggregates(file, options)
    elif "new_refused" in header:
        found = _refusals(file, options)
    elif "treated_mean" in header:
        found = _means(file, options)
    else:
        found = _events(file, options)
    if as_json:
        print_json([f.to_dict() for f in found])
        return
    for f in found:
        click.echo(f.summary())


def two_numbers(text: str, option: str) -> tuple[float, float]:
    """`1,2` as two numbers."""
    from klarsyn.errors import InputError

    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option}: {text!r} is not two numbers with a comma, e.g. 1,2.") from None
    return first, second


def _events(file: str, options: dict[str, Any]) -> list[Any]:
    from klarsyn.bias.missing import ASSUMPTIONS, BinaryStudy, Missingness, binary_with_missing
    from klarsyn.errors import InputError
    from klarsyn.tables import Column, read_table

    if options["event"] is None:
        raise click.UsageError("Say whether the event is good or bad: --event good, e.g.")
    names = [f"{a}_{w}" for a in ("treated", "control") for w in ("events", "observed", "missing")]
    table = read_table(
        file, [Column(name="study"), *(Column(name=n, kind="count") for n in names)], others=False
    )
    studies = []
    for row, r in table.numbered():
        try:
            studies.append(BinaryStudy(**r))
        except InputError as bad:
            raise InputError(f"{file}: row {row}: {bad}") from None
    sd = two_numbers(options["sd"], "--sd")
    shared = {
        "sd_treated": sd[0],
        "sd_control": sd[1],
        "correlation": options["correlation"] or 0.0,
    }
    if options["imor"] is not None:
        treated, control = two_numbers(options["imor"], "--imor")
        chosen = [Missingness(assumption="odds_ratio", treated=treated, control=control, **shared)]
    else:
        chosen = [Missingness(assumption=a, **shared) for a in ASSUMPTIONS if a != "odds_ratio"]
    return [
        binary_with_missing(
            studies,
            m,
            measure=options["measure"],
            event_is_good=options["event"] == "good",
            tau2_method=options["method"],
            test=options["test"],
            level=options["level"],
        )
        for m in chosen
    ]


def _means(file: str, options: dict[str, Any]) -> list[Any]:
    from klarsyn.bias.missing import (
        ContinuousStudy,
        Missingness,
        continuous_with_missing,
        shifts_to_threshold,
    )
    from klarsyn.errors import InputError
    from klarsyn.tables import Column, read_table

    kinds_given = [k for k in ("difference", "ratio") if options[k] is not None]
    if len(kinds_given) > 1 or not (kinds_given or options["threshold"] is not None):
        raise click.UsageError(
            "Say how much the missing differ from the seen: --difference treated,control or "
            "--ratio treated,control, or ask with --threshold 0 how much they would have to."
        )
    kinds = {"mean": "number", "sd": "number", "observed": "count", "missing": "count"}
    table = read_table(
        file,
        [
            Column(name="study"),
            *(
                Column(name=f"{a}_{w}", kind=kind)
                for a in ("treated", "control")
                for w, kind in kinds.items()
            ),
        ],
        others=False,
    )
    studies = []
    for row, r in table.numbered():
        try:
            studies.append(ContinuousStudy(**r))
        except InputError as bad:
            raise InputError(f"{file}: row {row}: {bad}") from None
    choices = {"tau2_method": options["method"], "test": options["test"], "level": options["level"]}
    sd = two_numbers(options["sd"], "--sd")
    found: list[Any] = []
    for kind in kinds_given:
        treated, control = two_numbers(options[kind], f"--{kind}")
        missingness = Missingness(
            assumption=kind,
            treated=treated,
            control=control,
            sd_treated=sd[0],
            sd_control=sd[1],
            correlation=options["correlation"] or 0.0,
        )
        found.append(continuous_with_missing(studies, missingness, kind=kind, **choices))
    if options["threshold"] is not None:
        found.extend(shifts_to_threshold(studies, options["threshold"], **choices))
    return found


def _aggregates(file: str, options: dict[str, Any]) -> list[Any]:
    from klarsyn.bias.reference_based import dropout_on_aggregates
    from klarsyn.errors import InputError
    from klarsyn.stats.estimate import Estimate
    from klarsyn.stats.proportions import two_sided_z
    from klarsyn.tables import Column, read_table

    counts = ("treated_began", "treated_seen", "control_began", "control_seen")
    table = read_table(
        file,
        [
            Column(name="study"),
            *(Column(name=n, kind="number") for n in ("difference", "lower", "upper")),
            *(Column(name=n, kind="count") for n in counts),
        ],
        others=False,
    )
    wide = 2 * two_sided_z(options["level"])
    found = []
    for row, r in table.numbered():
        if not r["lower"] < r["difference"] < r["upper"]:
            raise InputError(
                f"{file}: row {row}: the difference {r['difference']:g} does not lie between its "
                f"limits {r['lower']:g} and {r['upper']:g}."
            )
        seen = Estimate(
            value=r["difference"], se=(r["upper"] - r["lower"]) / wide, method="among those seen"
        )
        try:
            made = dropout_on_aggregates(
                r["study"],
                seen,
                treated=(r["treated_began"], r["treated_seen"]),
                control=(r["control_began"], r["control_seen"]),
                level=options["level"],
            )
        except InputError as bad:
            raise InputError(f"{file}: row {row}: {bad}") from None
        found.append(made)
    return found


def _refusals(file: str, options: dict[str, Any]) -> list[Any]:
    from klarsyn.bias.noninferiority import Counts
    from klarsyn.bias.refusals import Refusals, refusal_grid
    from klarsyn.errors import InputError
    from klarsyn.tables import Column, read_table

    if options["margin"] is None:
        raise click.UsageError("Say how much worse is still acceptable: --margin 0.1, e.g.")
    cells = ("new_events", "new_total", "reference_events", "reference_total")
    table = read_table(
        file,
        [
            Column(name="name"),
            *(Column(name=n, kind="count") for n in (*cells, "new_refused", "reference_refused")),
        ],
        others=False,
    )
    found = []
    for row, r in table.numbered():
        try:
            counts = Counts(name=r["name"], **{n: r[n] for n in cells})
        except InputError as bad:
            raise InputError(f"{file}: row {row}: {bad}") from None
        refusals = Refusals(
            analysed=counts,
            new_refused=r["new_refused"],
            reference_refused=r["reference_refused"],
        )
        found.append(
            refusal_grid(
                refusals,
                options["margin"],
                interval_method=options["interval"],
                level=options["level"],
            )
        )
    return found


def _visits(file: str, options: dict[str, Any]) -> list[Any]:
    from klarsyn.bias.reference_based import VisitMeans, reference_based
    from klarsyn.errors import InputError
    from klarsyn.stats.longitudinal import STRATEGIES
    from klarsyn.tables import Column, read_table

    r = options["correlation"]
    if r is None or not -1 < r < 1:
        raise click.UsageError(
            "Say how visits next to each other correlate: --correlation 0.5, e.g., in -1 to 1."
        )
    table = read_table(
        file,
        [
            Column(name="visit", kind="count"),
            *(Column(name=n, kind="number") for n in ("treated_mean", "control_mean")),
            Column(name="sd", kind="number", minimum=0),
            *(Column(name=n, kind="count") for n in ("treated_last_seen", "control_last_seen")),
        ],
        others=False,
    )
    rows = table.records()
    for expected, (row, found) in enumerate(table.numbered()):
        if found["visit"] != expected:
            raise InputError(
                f"{file}: row {row}: visit {found['visit']} where {expected} was expected. Number "
                f"the visits 0 (baseline), 1, 2 … in order."
            )
    after = rows[1:]
    trial = VisitMeans(
        treated=tuple(a["treated_mean"] for a in after),
        control=tuple(a["control_mean"] for a in after),
        covariance=tuple(
            tuple(a["sd"] * b["sd"] * r ** abs(a["visit"] - b["visit"]) for b in after)
            for a in after
        ),
        treated_last_seen=tuple(a["treated_last_seen"] for a in rows),
        control_last_seen=tuple(a["control_last_seen"] for a in rows),
    )
    if options["deltas"] is not None:
        return _delta_rows(trial, options)
    return [
        reference_based(
            trial, s, control_dropouts=options["control_dropouts"], level=options["level"]
        )
        for s in STRATEGIES
    ]


def _delta_rows(trial: Any, options: dict[str, Any]) -> list[Any]:
    """The final difference for each pair of deltas, dropouts otherwise missing at random."""
    from klarsyn.bias.reference_based import tipping_grid
    from klarsyn.errors import InputError

    try:
        deltas = [float(part) for part in options["deltas"].split(",")]
    except ValueError:
        raise InputError(
            f"--deltas: {options['deltas']!r} is not numbers with commas, e.g. 0,2,4."
        ) from None
    return tipping_grid(trial, "missing_at_random", deltas, deltas, level=options["level"])
