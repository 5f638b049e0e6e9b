"""`klarsyn respond`: what follows from a regimen, and what the data cannot tell."""

from __future__ import annotations

import click

from klarsyn.app.output import print_json


@click.command("respond")
@click.option("--form", "forms", multiple=True, required=True, help="racemate, S or R; repeat.")
@click.option("--regimen", required=True, help='"0.5 mg/kg base iv over 40 min"')
@click.option("--days", default=14.0, show_default=True, help="How long to follow.")
@click.option("--model", default="KSR-1-arterial", show_default=True, help="Kinetic model.")
@click.option("--study", default="ketamine_response", show_default=True, help="Response model.")
@click.option("--effects", default="ketamine_effects", show_default=True, help="Acute effects.")
@click.option("--seed", default=1, show_default=True, help="Seed of the acute effects' draws.")
@click.option("--fit", is_flag=True, help="Also list what the model does not reproduce.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    forms: tuple[str, ...],
    regimen: str,
    days: float,
    model: str,
    study: str,
    effects: str,
    seed: int,
    fit: bool,
    as_json: bool,
) -> None:
    """What follows from a regimen: occupancy, depression score, side effects.

    Every accepted parameter set gives a line; where they disagree, the answer is that it cannot be
    told from these data.

    \b
    klarsyn respond --form S --form R --regimen "0.5 mg/kg base iv over 40 min"
    """
    from klarsyn.errors import InputError
    from klarsyn.pharmacology.clinical import contrasts
    from klarsyn.pharmacology.ensemble import failures, shipped_ensemble
    from klarsyn.pharmacology.follow import follow
    from klarsyn.pharmacology.runs import read_study

    twice = [f for f in dict.fromkeys(forms) if forms.count(f) > 1]
    if twice:
        raise InputError(f"--form {twice[0]} is given {forms.count(twice[0])} times. Give it once.")
    read = read_study(study)
    ensemble = shipped_ensemble(read)
    found = [
        follow(
            read,
            ensemble,
            model=model,
            form=form,
            regimen=regimen,
            days=days,
            effects=effects,
            seed=seed,
            label=form,
        )
        for form in forms
    ]
    hours = [h for h in (24.0, 168.0) if h <= 24.0 * days]
    bands = contrasts([f.response for f in found], hours)
    missed = failures(read, ensemble) if fit else []
    if as_json:
        print_json(
            {
                "ensemble": ensemble.to_dict(),
                "forms": [f.to_dict() for f in found],
                "contrasts": [b.to_dict() for b in bands],
                "failures": missed,
            }
        )
        return
    click.echo(ensemble.summary())
    for one in found:
        click.echo(f"\n{one.summary()}")
    for b in bands:
        click.echo(f"\npoints, {b.summary()}")
    for row in missed:
        click.echo(f"#{row['id']} {row['verdict']} ({row['accepted_share']:.0%}): {row['why']}")
