"""`klarsyn unblinding`: outcome by guess, or an effect and how far belief differs."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
Outcome by arm and guess, one row a stratum (guessed: active, control or unknown):
  received,guessed,n,mean,sd
  active,active,48,19.6,9.6
  active,control,43,12.3,10.5
  control,active,39,18.4,9.9
  control,control,102,10.9,10.9
  klarsyn unblinding strata.csv --timing after_outcome
\b
Only an effect (active − control) and Bang indices per arm, one row a trial; unknown_* are the
shares of don't-knows:
  trial,effect,lower,upper,bang_active,bang_control,unknown_active,unknown_control
  Trial A,-6.0,-8.9,-3.1,0.7,0.3,0.1,0.2
  klarsyn unblinding effects.csv --threshold 0
\b
Is the control arm's improvement that of the disappointed? One row a control arm, changes positive
when better; the active arm's change is optional:
  trial,group,control_change,control_sd,control_n,active_change,active_sd,active_n
  Trial A,recognised,2.0,6.7,26,9.2,10.4,27
  Trial B,usual,8.1,10.3,106,,,
  Trial C,usual,15.3,11.7,72,,,
  Trial D,usual,14.8,15.1,108,,,
  klarsyn unblinding controls.csv --usual usual
  klarsyn unblinding controls.csv --usual-mean 1.00,0.05,0.02
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option(
    "--timing",
    default=None,
    help="When the guess was asked: before_outcome, after_outcome, unknown.",
)
@click.option(
    "--se",
    "se_method",
    default="sampled",
    show_default=True,
    help="fixed (weights known), sampled (delta method) or dirichlet (draws).",
)
@click.option("--seed", type=int, default=None, help="Seed of --se dirichlet.")
@click.option(
    "--threshold", type=float, default=None, help="0, or the smallest effect that counts."
)
@click.option(
    "--usual", default=None, help="Control arms: the group that the others stand against."
)
@click.option(
    "--usual-mean",
    default=None,
    help="Control arms: mean, its standard error and variance between trials, from elsewhere.",
)
@click.option(
    "--method", default="REML", show_default=True, help="Control arms: estimator of tau2."
)
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str,
    timing: str | None,
    se_method: str,
    seed: int | None,
    threshold: float | None,
    usual: str | None,
    usual_mean: str | None,
    method: str,
    level: float,
    as_json: bool,
) -> None:
    """The effect under every share of benign unblinding, or the belief effect that undoes it."""
    from klarsyn.app.output import print_json
    from klarsyn.tables import read_table

    header = read_table(file)
    if "guessed" in header:
        if timing is None:
            raise click.UsageError("Say when the guess was asked: --timing after_outcome, e.g.")
        result = [_strata(file, timing, se_method, seed, level)]
    elif "control_change" in header:
        result = _controls(file, usual, usual_mean, method)
    else:
        if threshold is None:
            raise click.UsageError("Say what the effect is held against: --threshold 0, e.g.")
        result = _tippings(file, threshold, level)
    if as_json:
        print_json([r.to_dict() for r in result])
        return
    for r in result:
        click.echo(r.summary())


def _controls(file: str, group: str | None, mean: str | None, method: str) -> list[Any]:
    from klarsyn.bias.controls import Usual, benchmark_arms, read_controls, usual_of
    from klarsyn.errors import InputError
    from klarsyn.stats.estimate import Estimate

    if (group is None) == (mean is None):
        raise click.UsageError(
            "Say what the control arms stand against: --usual GROUP, or --usual-mean 1.0,0.05,0.02 "
            "(mean, standard error, variance between trials)."
        )
    arms = read_controls(file)
    if group is not None:
        found = benchmark_arms(arms, usual_of(arms, group, method=method))
        if not found:
            raise InputError(f"{file}: every control arm is of the group {group!r}.")
        return list(found)
    try:
        value, se, tau2 = (float(part) for part in (mean or "").split(","))
    except ValueError:
        raise InputError(
            f"--usual-mean: {mean!r} is not three numbers with commas: mean, standard error, "
            f"variance between trials."
        ) from None
    if not (se >= 0 and tau2 >= 0):
        raise InputError("--usual-mean: a standard error and a variance are 0 or more.")
    usual = Usual(
        name="the usual control",
        mean=Estimate(value=value, se=se, method="given"),
        tau2=tau2,
    )
    return list(benchmark_arms(arms, usual))


def _strata(file: str, timing: str, se_method: str, seed: int | None, level: float) -> Any:
    from klarsyn.bias.expectancy import GuessStratum, read_guesses
    from klarsyn.tables import Column, read_table

    table = read_table(
        file,
        [
            Column(name="received", allowed=("active", "control")),
            Column(name="guessed", allowed=("active", "control", "unknown")),
            Column(name="n", kind="count"),
            Column(name="mean", kind="number"),
            Column(name="sd", kind="number", minimum=0),
        ],
        others=False,
    )
    return read_guesses(
        [GuessStratum(**r) for r in table.records()],
        timing=timing,
        se_method=se_method,
        seed=seed,
        level=level,
    )


def _tippings(file: str, threshold: float, level: float) -> list[Any]:
    from klarsyn.bias.belief import belief_difference, tipping
    from klarsyn.errors import InputError
    from klarsyn.stats.estimate import Estimate
    from klarsyn.stats.proportions import two_sided_z
    from klarsyn.tables import Column, read_table

    share = {"kind": "number", "required": False, "minimum": 0, "maximum": 1}
    table = read_table(
        file,
        [
            Column(name="trial"),
            *(Column(name=n, kind="number") for n in ("effect", "lower", "upper")),
            *(
                Column(name=n, kind="number", minimum=-1, maximum=1)
                for n in ("bang_active", "bang_control")
            ),
            *(Column(name=n, **share) for n in ("unknown_active", "unknown_control")),
        ],
    )
    out = []
    for row, r in zip(table.row_numbers, table.records(), strict=True):
        if not r["lower"] < r["effect"] < r["upper"]:
            raise InputError(
                f"{file}: row {row}: the effect {r['effect']:g} does not lie between its limits "
                f"{r['lower']:g} and {r['upper']:g}."
            )
        try:
            difference = belief_difference(
                r["bang_active"],
                r["bang_control"],
                r.get("unknown_active") or 0,
                r.get("unknown_control") or 0,
            )
        except InputError as bad:
            raise InputError(f"{file}: row {row}: {bad}") from None
        se = (r["upper"] - r["lower"]) / (2 * two_sided_z(level))
        out.append(
            tipping(
                Estimate(value=r["effect"], se=se, method="as reported"),
                belief_difference=difference,
                belief_interval=(difference, difference),
                threshold=threshold,
                level=level,
            )
        )
    return out
