"""`klarsyn simulate`: a dose and a route become exposure, and what follows from it."""

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
@click.option("--weight", default="70", show_default=True, help="Mean kg.")
@click.option("--weight-sd", default="0", show_default=True, help="SD of the weight, kg.")
@click.option("--age", default="40", show_default=True, help="Years, or a range: '18-65'.")
@click.option("--individuals", help="A CSV with columns weight, age, female, ... instead.")
@click.option("--typical", is_flag=True, help="The typical patient: only uncertainty is drawn.")
@click.option("--alike", is_flag=True, help="Patients differ in kinetics only, not in response.")
@click.option("--days", default=28.0, show_default=True, help="Days to follow after the last dose.")
@click.option(
    "--followed",
    default=200,
    show_default=True,
    help="How many of the patients go through every parameter set of the response model.",
)
@click.option("--effect-model", help="The kinetic model behind occupancy and effects.")
@click.option("--exposure-only", is_flag=True, help="Stop at concentrations.")
@click.option("--compare", help="A second regimen in words, on the same patients.")
@click.option("--compare-form", help="The second regimen's form; the same one if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--out", help="Write each patient's metrics (.parquet or .csv).")
@click.option("--courses", help="Write the bands of all effects (.parquet or .csv).")
@click.option("--report", "report_path", help="Write a page with the curves as bands (.html).")
@click.option(
    "--lang",
    default="en",
    show_default=True,
    type=click.Choice(["en", "nb"]),
    help="Language of the page.",
)
def command(**options: Any) -> None:
    """Exposure, occupancy, effect and side effects of a regimen.

    \b
    klarsyn simulate --substance ketamine --form racemate --dose "0.5 mg/kg" --route iv \\
        --infusion "40 min" --schedule "2 per week, 3 weeks" --n 1000 --seed 1 --report run.html

    Two kinds of not knowing are shown apart: how patients differ, and what the data leave open
    (the parameter sets that satisfy every listed experiment).

    Doses that follow the score of each patient:

    \b
    ... --schedule "until MADRS below 12, checked every 3 days, at most 8 doses"
    ... --schedule "when MADRS at or above 20, checked every 7 days, at most 12 doses"

    Another regimen on the same patients, as paired differences:

    \b
    ... --compare "0.25 mg/kg base iv over 40 min" --compare-form S

    A titration is a sequence of steps:

    \b
    --regimen "28 mg base nasal; 56 mg base nasal on days 3, 7, 10"

    The table of --individuals has a column weight (kg) and any covariates of the model:

    \b
    weight,age,female
    82,45,0
    64,71,1
    """
    from klarsyn.app.output import print_json

    _check_together()
    for path in (options["out"], options["courses"]):
        if path:
            _check_suffix(path, (".parquet", ".csv"))
    if options["report_path"]:
        _check_suffix(options["report_path"], (".html",))
    first = _run(options)
    second = _second(options)
    if options["out"]:
        _write_table(first.exposure.rows(), options["out"])
    if options["courses"]:
        _write_courses(first, options["courses"])
    compared = _compared(first, second)
    if options["report_path"]:
        against = None if compared is None else (compared, second)
        _write_report(first, against, options["report_path"], options["lang"])
    if options["as_json"]:
        found = first.to_dict()
        if compared is not None:
            found["comparison"] = compared.to_dict() | {"doses": second.doses_are()}
        print_json(found)
        return
    _print(first)
    if compared is not None:
        click.echo(f"\n{compared.summary()}\nSecond regimen: {second.doses_are()}")


EXCLUDED = (
    ("regimen", ("dose", "route", "infusion", "portions", "schedule")),
    ("individuals", ("weight", "weight_sd", "age")),
    ("exposure_only", ("effect_model",)),
)


def _check_together() -> None:
    """Raises InputError where two options that were typed say the same thing twice."""
    from click.core import ParameterSource

    from klarsyn.errors import InputError

    context = click.get_current_context()

    def typed(name: str) -> bool:
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    def option(name: str) -> str:
        return f"--{name.replace('_', '-')}"

    for name, others in EXCLUDED:
        both = [option(o) for o in others if typed(name) and typed(o)]
        if both:
            raise InputError(f"{option(name)} leaves no room for {', '.join(both)}. Give one.")


def _run(options: dict[str, Any]) -> Any:
    from klarsyn.errors import InputError
    from klarsyn.pharmacology.model import models, read_model
    from klarsyn.pharmacology.session import Patients, simulate_session
    from klarsyn.pharmacology.substance import read_substance

    substance = read_substance(options["substance"])
    regimen, read_as = _regimen(options, substance)
    name = options["model_name"] or substance.default_model
    if not name:
        raise InputError(
            f"{substance.name} has no default model. Name one with --model; known: "
            f"{', '.join(models(substance.name)) or 'none'}."
        )
    model = read_model(name)
    _check_same(model, substance)
    effect_model = options["effect_model"] and read_model(options["effect_model"])
    if effect_model:
        _check_same(effect_model, substance)
    demographics, table = _who(options)
    if options["followed"] < 1:
        raise InputError(f"--followed {options['followed']}: at least one patient is followed.")
    return simulate_session(
        substance,
        form=options["form"],
        regimen=regimen,
        model=model,
        patients=Patients(
            n=options["n"],
            seed=options["seed"],
            followed=options["followed"],
            demographics=demographics,
            table=table,
            variability=not options["typical"],
            alike=options["alike"],
        ),
        effect_model=effect_model or None,
        days=options["days"],
        follow=not options["exposure_only"],
        read_as=read_as,
        notes=[substance.labelled_source] if read_as else [],
    )


def _second(options: dict[str, Any]) -> Any:
    """The simulation of --compare, or None."""
    from klarsyn.errors import InputError

    if not options["compare"]:
        if options["compare_form"]:
            raise InputError("--compare-form needs --compare with the second regimen in words.")
        return None
    form = options["compare_form"] or options["form"]
    return _run(options | {"regimen": options["compare"], "form": form})


def _compared(first: Any, second: Any) -> Any:
    if second is None:
        return None
    from klarsyn.pharmacology.compare import compare

    return compare(first, second)


def _check_same(model: Any, substance: Any) -> None:
    from klarsyn.errors import InputError

    if model.substance.name != substance.name:
        raise InputError(
            f"{model.id} is a model of {model.substance.name}, not of {substance.name}."
        )


def _regimen(options: dict[str, Any], substance: Any) -> tuple[Any, str]:
    """The regimen, and as what its doses are read where they do not say it."""
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
        return parse_regimen(text, basis=substance.labelled_as), substance.labelled_as
    for step in regimen.steps:
        if step.amount.basis != "base":
            substance.salt(step.amount.basis)
    return regimen, ""


def _who(options: dict[str, Any]) -> tuple[Any, Any]:
    from klarsyn.pharmacology.population import Demographics, read_individuals

    if options["individuals"]:
        return None, read_individuals(options["individuals"])
    mean = _number(options["weight"], "--weight", "mean {0} kg with SD {1}", "{0} --weight-sd {1}")
    sd = _number(options["weight_sd"], "--weight-sd")
    low, dash, high = str(options["age"]).strip().partition("-")
    if not (low and dash and high):
        low, high = options["age"], options["age"]
    two = ("from {0} to {1} years", "{0}-{1}")
    low, high = _number(low, "--age", *two), _number(high, "--age", *two)
    return Demographics(weight_mean=mean, weight_sd=sd, age_low=low, age_high=high), None


def _number(text: str, name: str, other: str = "", instead: str = "") -> float:
    """A number; one with a comma is refused, with the second reading where there is an `other`."""
    from klarsyn.errors import InputError

    parts = str(text).strip().split(",")
    try:
        if len(parts) == 1:
            return float(parts[0])
        numbers = [f"{float(p):g}" for p in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 2:
        hint = f", or {name} {instead.format('18', '65')}" if name == "--age" else ""
        raise InputError(f"{name} {text!r}: give one number{hint}.")
    point = ".".join(p.strip() for p in parts)
    if not other:
        raise InputError(f"{name} {text!r}: use a decimal point, {name} {point}.")
    raise InputError(
        f"{name} {text!r} can be read two ways: {point} with a decimal comma, or "
        f"{other.format(*numbers)}. Write {name} {point} or {name} {instead.format(*numbers)}."
    )


def _print(simulation: Any) -> None:
    from klarsyn.app.output import print_table
    from klarsyn.pharmacology.simulate import METRICS

    exposure = simulation.exposure
    rows = []
    for analyte in exposure.analytes:
        cells = [analyte, exposure.units[analyte]]
        for metric in METRICS:
            cells.append(exposure.cell(analyte, metric))
        rows.append(cells)
    title = f"{exposure.form}: {exposure.regimen}\n{simulation.doses_are()}\n"
    title += f"{exposure.model}, n {len(exposure.subjects)}"
    area = "AUC to infinity" if exposure.to_infinity else "AUC to 3 days after"
    header = ["analyte", "unit", "Cmax", "Tmax (h)", area, "half-life (h)"]
    print_table(header, rows, title=title)
    click.echo(
        "Median (5th to 95th percentile). Cmax is the highest of all doses, AUC that of all doses "
        "together."
    )
    for note in exposure.notes:
        click.echo(f"- {note}")
    if simulation.crossed is not None:
        click.echo(f"\n{simulation.crossed.summary()}")
        for note in simulation.crossed.notes:
            click.echo(f"- {note}")


def _check_suffix(path: str, allowed: tuple[str, ...]) -> None:
    from klarsyn.errors import InputError

    if Path(path).suffix.lower() not in allowed:
        raise InputError(f"{path}: write to a file that ends in {' or '.join(allowed)}.")


def _write_courses(simulation: Any, path: str) -> None:
    from klarsyn.errors import InputError

    if simulation.crossed is None:
        raise InputError("--courses has nothing to write: no effects were simulated.")
    _write_table(simulation.crossed.rows(), path)


def _write_table(rows: list[dict[str, Any]], path: str) -> None:
    import io

    import polars as pl

    from klarsyn.tables import whole_files

    frame = pl.DataFrame(rows)
    buffer = io.BytesIO()
    if Path(path).suffix.lower() == ".parquet":
        frame.write_parquet(buffer)
    else:
        frame.write_csv(buffer)
    whole_files(Path(path).parent, {Path(path).name: buffer.getvalue()})


def _write_report(simulation: Any, against: Any, path: str, lang: str) -> None:
    from klarsyn.report.simulation import render_simulation
    from klarsyn.report.words import read_words
    from klarsyn.tables import write_text

    write_text(path, render_simulation(simulation, read_words(lang), against))
