"""`klarsyn simulate`: a dose and a route become exposure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--substance", required=True, help="A substance of the library, or a .toml file.")
@click.option("--form", default="racemate", show_default=True, help="racemate, S, R, 'S 98 % ee'.")
@click.option("--dose", help="'0.5 mg/kg', '28 mg base', '32.3 mg hydrochloride'.")
@click.option("--route", help="iv, im, sc, oral, nasal or film.")
@click.option("--infusion", help="How long it takes, '40 min'; leave out for a bolus.")
@click.option("--portions", default="", help="Several sprays: '3 portions 5 min apart'.")
@click.option("--schedule", default="once", show_default=True, help="'2 per week, 3 weeks'.")
@click.option("--regimen", help="Everything in words, instead of dose, route and schedule.")
@click.option("--model", "model_name", help="A model of the library, or a .toml file.")
@click.option("--n", default=1000, show_default=True, help="How many patients.")
@click.option("--seed", default=1, show_default=True, help="The seed of every draw.")
@click.option("--weight", default="70", show_default=True, help="Mean kg, or 'mean,SD'.")
@click.option("--age", default="40", show_default=True, help="Years, or 'low,high'.")
@click.option("--individuals", help="A CSV with columns weight, age, female, ... instead.")
@click.option("--typical", is_flag=True, help="The typical patient: only uncertainty is drawn.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--out", help="Write each patient's metrics (.parquet or .csv).")
@click.option("--report", "report_path", help="Write a page with the curves as bands (.html).")
def command(**options: Any) -> None:
    """Exposure of each analyte after a regimen.

    \b
    klarsyn simulate --substance ketamine --form racemate --dose "0.5 mg/kg" --route iv \\
        --infusion "40 min" --schedule "2 per week, 3 weeks" --n 1000 --seed 1

    The table of --individuals has a column weight (kg) and any covariates of the model:

    \b
    weight,age,female
    82,45,0
    64,71,1
    """
    from klarsyn.app.output import print_json

    if options["out"]:
        _check_suffix(options["out"])
    exposure = _run(options)
    if options["out"]:
        _write_metrics(exposure, options["out"])
    if options["report_path"]:
        _write_report(exposure, options["report_path"])
    if options["as_json"]:
        print_json(exposure.to_dict())
        return
    _print(exposure)


def _run(options: dict[str, Any]) -> Any:
    from klarsyn.pharmacology.model import models, read_model
    from klarsyn.pharmacology.population import sample_individuals
    from klarsyn.pharmacology.simulate import simulate
    from klarsyn.pharmacology.substance import read_substance

    substance = read_substance(options["substance"])
    regimen, notes = _regimen(options, substance)
    name = options["model_name"] or substance.default_model
    if not name:
        from klarsyn.errors import InputError

        raise InputError(
            f"{substance.name} has no default model. Name one with --model; known: "
            f"{', '.join(models(substance.name)) or 'none'}."
        )
    model = read_model(name)
    _check_same(model, substance)
    demographics, table = _who(options)
    individuals = sample_individuals(
        model,
        options["n"],
        seed=options["seed"],
        demographics=demographics,
        table=table,
        occasions=max(1, regimen.administrations),
        variability=not options["typical"],
    )
    return simulate(individuals, regimen, options["form"], notes=notes)


def _check_same(model: Any, substance: Any) -> None:
    from klarsyn.errors import InputError

    if model.substance.name != substance.name:
        raise InputError(
            f"{model.id} is a model of {model.substance.name}, not of {substance.name}."
        )


def _regimen(options: dict[str, Any], substance: Any) -> tuple[Any, list[str]]:
    from klarsyn.errors import InputError
    from klarsyn.pharmacology.dosing import parse_regimen

    if options["regimen"]:
        text = options["regimen"]
    elif options["dose"] and options["route"]:
        text = f"{options['dose']} {options['route']}"
        if options["portions"]:
            text += f" in {options['portions']}"
        if options["infusion"]:
            text += f" over {options['infusion']}"
        text += f", {options['schedule']}"
    else:
        raise InputError("no dose. Give --dose and --route, or --regimen with everything in words.")
    try:
        regimen = parse_regimen(text)
    except InputError as unsaid:
        if "does not say of what" not in str(unsaid) or not substance.labelled_as:
            raise
        regimen = parse_regimen(text, basis=substance.labelled_as)
        note = f"The dose is read as {substance.labelled_as}, which it does not say. "
        return regimen, [note + substance.labelled_source]
    for step in regimen.steps:
        if step.amount.basis != "base":
            substance.salt(step.amount.basis)
    return regimen, []


def _who(options: dict[str, Any]) -> tuple[Any, Any]:
    from klarsyn.pharmacology.population import Demographics, read_individuals

    if options["individuals"]:
        return None, read_individuals(options["individuals"])
    mean, sd = _pair(options["weight"], "--weight", 0.0)
    low, high = _pair(options["age"], "--age", None)
    return Demographics(weight_mean=mean, weight_sd=sd, age_low=low, age_high=high), None


def _pair(text: str, name: str, second: float | None) -> tuple[float, float]:
    from klarsyn.errors import InputError

    try:
        numbers = [float(p) for p in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return numbers[0], numbers[0] if second is None else second
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    raise InputError(f"{name} {text!r}: give one number, or two with a comma between.")


def _print(exposure: Any) -> None:
    from klarsyn.app.output import print_table
    from klarsyn.pharmacology.simulate import METRICS

    rows = []
    for analyte in exposure.analytes:
        cells = [analyte, exposure.units[analyte]]
        for metric in METRICS:
            cells.append(exposure.cell(analyte, metric))
        rows.append(cells)
    title = f"{exposure.form}: {exposure.regimen}\n{exposure.model}, n {len(exposure.subjects)}"
    header = ["analyte", "unit", "Cmax", "Tmax (h)", "AUC to infinity", "half-life (h)"]
    print_table(header, rows, title=title)
    click.echo("Median (5th to 95th percentile).")
    for note in exposure.notes:
        click.echo(f"- {note}")


def _check_suffix(path: str) -> None:
    from klarsyn.errors import InputError

    if Path(path).suffix.lower() not in (".parquet", ".csv"):
        raise InputError(f"{path}: write to a file that ends in .parquet or .csv.")


def _write_metrics(exposure: Any, path: str) -> None:
    import io

    import polars as pl

    from klarsyn.tables import whole_files

    frame = pl.DataFrame(exposure.rows())
    buffer = io.BytesIO()
    if Path(path).suffix.lower() == ".parquet":
        frame.write_parquet(buffer)
    else:
        frame.write_csv(buffer)
    whole_files(Path(path).parent, {Path(path).name: buffer.getvalue()})


def _write_report(exposure: Any, path: str) -> None:
    from klarsyn.report.exposure import render_exposure
    from klarsyn.tables import write_text

    write_text(path, render_exposure(exposure))
