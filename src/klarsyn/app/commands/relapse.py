"""`klarsyn relapse`: printed survival curves become relapse rates, ratios and a pooled curve."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
POINTS has the clicks along each curve, e.g.
  study,arm,day,remaining
  Alpha 2020,drug,0,1
  Alpha 2020,drug,30,0.89
  Alpha 2020,drug,84,0.73
  Alpha 2020,placebo,0,1
  Alpha 2020,placebo,30,0.74
  Alpha 2020,placebo,84,0.55
AT_RISK has the numbers printed below it; last_dose, its day, is needed unless --origin is
last_dose; events (in all) and redosed (yes, no) are optional:
  study,arm,day,at_risk,last_dose
  Alpha 2020,drug,0,90,0
  Alpha 2020,drug,84,60,0
  Alpha 2020,placebo,0,88,0
  Alpha 2020,placebo,84,46,0
SHARES, for --model, adds studies that printed only one share:
  study,day,relapsed,counted
  Beta 2019,83,12,17
\b
  klarsyn relapse points.csv at_risk.csv --origin randomisation --days 28,84 --control placebo
"""


@click.command(epilog=EPILOG)
@click.argument("points", type=click.Path())
@click.argument("at_risk", type=click.Path())
@click.option(
    "--origin", required=True, help="Where time starts: last_dose, first_dose, randomisation."
)
@click.option("--days", default="28,84,168", help="Days after the last dose to report.")
@click.option("--control", default=None, help="Arm that the others of its study are held against.")
@click.option("--horizon", type=float, default=None, help="Days over which to count days well.")
@click.option("--pool/--no-pool", default=False, help="Pool all arms that are not the control.")
@click.option("--early", type=float, default=None, help="Day when effects of stopping end.")
@click.option("--model", is_flag=True, help="Fit Weibull and log-normal to all but the control.")
@click.option("--shares", type=click.Path(), default=None, help="Studies with one share only.")
@click.option("--ties", default="efron", help="efron or breslow.")
@click.option("--outliers", default="keep", help="keep, or tukey to drop single wild clicks.")
@click.option("--percent", is_flag=True, help="The remaining share is in percent.")
@click.option("--largest-rise", type=float, default=0.02, help="Tremble allowed in the clicks.")
@click.option("--repeats", type=int, default=200, help="Rereadings with error.")
@click.option("--method-error", type=float, default=0.05, help="SD of log HR by reconstruction.")
@click.option("--seed", type=int, default=1, help="Of the rereadings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(points: str, at_risk: str, as_json: bool, **options: Any) -> None:
    """Rebuild participants from survival curves and say how long the effect lasts."""
    from klarsyn.app.output import print_json, print_table

    arms, compared, pooled = _analysed(points, at_risk, **options)
    modelled = _modelled(arms, options["control"], options["model"], options["shares"])
    checks = _withdrawal_checks(arms, options["control"], options["early"], options["horizon"])
    days = _days(options["days"])
    shares = {
        a.arm + a.study: a.remaining([d for d in days if d <= a.curve.last_time]) for a in arms
    }
    if as_json:
        print_json(
            {
                "arms": [a.to_dict() | {"remaining": shares[a.arm + a.study]} for a in arms],
                "comparisons": [c.to_dict() for c in compared],
                "withdrawal": [{"study": s, "arm": a} | c.to_dict() for s, a, c in checks],
                "pooled": pooled.to_dict() if pooled else None,
                "models": modelled.to_dict(days) if modelled else None,
            }
        )
        return
    rows = []
    for a in arms:
        for s in shares[a.arm + a.study]:
            limits = f"{s['low']:.1%} to {s['high']:.1%}"
            share = f"{s['remaining']:.1%}"
            if s["remaining_least"] < s["remaining"]:
                share = f"between {s['remaining_least']:.1%} and {share}"
            rows.append([a.study, a.arm, f"{s['day']:g}", share, limits])
        rows += [
            [a.study, a.arm, f"{d:g}", "not followed", ""] for d in days if d > a.curve.last_time
        ]
    print_table(["study", "arm", "day", "without relapse", "95 %"], rows)
    for line in [*arms, *compared, *([pooled] if pooled else [])]:
        click.echo(line.summary())
    if modelled:
        click.echo(modelled.summary())
    for note in [*(pooled.notes if pooled else ()), *(a.note() for a in arms if a.unread)]:
        click.echo(note)
    for study, arm, check in checks:
        click.echo(f"{study}, {arm}: {check.summary()}")


def _days(text: str) -> list[float]:
    from klarsyn.errors import InputError

    try:
        days = [float(d) for d in text.split(",") if d.strip()]
    except ValueError:
        raise InputError(f"--days: {text!r} is not a list of numbers such as 28,84.") from None
    if not days or sorted(set(days)) != days or days[0] <= 0:
        raise InputError(f"--days: {text!r} must rise from above 0, such as 28,84.")
    return days


def _analysed(points: str, at_risk: str, **o: Any) -> tuple[Any, Any, Any]:
    from klarsyn.errors import unknown_name
    from klarsyn.synthesis.durability import compare_durability, rebuild
    from klarsyn.synthesis.pooled_relapse import pool_relapse
    from klarsyn.synthesis.relapse_tables import read_relapse_curves

    curves = read_relapse_curves(
        points,
        at_risk,
        origin=o["origin"],
        percent=o["percent"],
        largest_rise=o["largest_rise"],
    )
    arms = [
        rebuild(c, seed=o["seed"], repeats=o["repeats"], outliers=o["outliers"]) for c in curves
    ]
    control = o["control"]
    if control is not None and control not in {a.arm for a in arms}:
        raise unknown_name("arm", control, {a.arm for a in arms}, "--control")
    controls = {a.study: a for a in arms if a.arm == control}
    compared = [
        compare_durability(
            a,
            controls[a.study],
            horizon=o["horizon"],
            ties=o["ties"],
            method_error=o["method_error"],
        )
        for a in arms
        if a.study in controls and a.arm != control
    ]
    followed = [a for a in arms if a.arm != control]
    pooled = pool_relapse(followed, _days(o["days"])) if o["pool"] else None
    return arms, compared, pooled


def _withdrawal_checks(
    arms: Any, control: str | None, early: float | None, horizon: float | None
) -> list[tuple[str, str, Any]]:
    from klarsyn.stats.survival import largest_common_time
    from klarsyn.synthesis.withdrawal import withdrawal_confound

    if early is None:
        return []
    stopped = {a.study: a for a in arms if a.arm == control}
    return [
        (
            a.study,
            a.arm,
            withdrawal_confound(
                a.curve,
                stopped[a.study].curve,
                early_day=early,
                final_day=horizon or largest_common_time(a.curve, stopped[a.study].curve),
            ),
        )
        for a in arms
        if a.study in stopped and a.arm != control
    ]


def _modelled(arms: Any, control: str | None, wanted: bool, shares: str | None) -> Any:
    from klarsyn.errors import InputError
    from klarsyn.synthesis.pooled_relapse import model_relapse
    from klarsyn.synthesis.relapse_tables import read_relapse_shares

    if not wanted:
        if shares:
            raise InputError("--shares are used by --model only; add --model.")
        return None
    known = read_relapse_shares(shares) if shares else ()
    return model_relapse([a for a in arms if a.arm != control], known)
