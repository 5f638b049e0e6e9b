"""Model files: TOML in, a checked `Model` out, or one sentence that says why not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.expressions import Expression, check_names, evaluate, read_expression
from klarsyn.pharmacology.modelrecord import (
    DEFAULT_WEIGHT,
    SITES,
    SPREADS,
    TRANSFORMS,
    CovariateEffect,
    Model,
    Output,
    Parameter,
    Part,
    Uncertain,
    Variability,
)
from klarsyn.pharmacology.substance import Substance, read_data, read_sources, read_substance
from klarsyn.pharmacology.system import System, build_system
from klarsyn.provenance import Source, Sourced


def models(substance: str | None = None) -> tuple[str, ...]:
    """The ids of the library's models, of one substance if it is named."""
    folder = resources.files("klarsyn.pharmacology") / "library" / "models"
    names = sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml"))
    if substance is None:
        return tuple(names)
    return tuple(
        n for n in names if read_data(n, "models", "model", (n,))[0]["substance"] == substance
    )


def read_model(name: str | Path) -> Model:
    """A model of the library by id, or a user's own file ending in .toml.

    Raises InputError naming the file and what is missing or wrong in it.
    """
    data, where = read_data(name, "models", "model", models())
    try:
        return _model(data, where, Path(str(name)).parent)
    except KeyError as missing:
        raise InputError(f"{where}: the key {missing} is missing.") from None
    except (TypeError, ValueError, AttributeError) as bad:
        raise InputError(f"{where}: not a model file ({bad}).") from None


def _model(data: Mapping[str, Any], where: str, folder: Path) -> Model:
    substance = _substance_of(data["substance"], folder)
    labels = tuple(data.get("enantiomers", ()))
    for label in labels:
        if label not in substance.enantiomers:
            raise unknown_name("enantiomer", label, substance.enantiomers, where)
    if data["site"] not in SITES:
        raise unknown_name("site", data["site"], SITES, where)
    sources = read_sources(data)
    parameters = {n: _parameter(n, v, sources, where) for n, v in data["parameters"].items()}
    derived = _derived(data, parameters, substance, where)
    outputs = _outputs(data, labels)
    names = _values(parameters, derived, substance)
    system = build_system(
        compartments=_compartments(data, labels),
        equations=_equations(data, labels, where),
        parameters=names,
        outputs={o.name: o.text for o in outputs.values()},
        where=where,
    )
    model = Model(
        id=data["id"],
        label=data["label"],
        substance=substance,
        site=data["site"],
        population=data.get("population", ""),
        enantiomers=labels,
        holds=data.get("holds", ""),
        weight_reference=float(data.get("weight_reference", DEFAULT_WEIGHT)),
        notes=tuple(data.get("notes", ())),
        system=system,
        holdings={
            n: c.get("holds", "").replace("{e}", e)
            for c in data["compartments"]
            for e, n in _each(c["name"], labels)
        },
        routes=_routes(data, labels, system, where),
        outputs=outputs,
        totals={k: tuple(v) for k, v in data.get("totals", {}).items()},
        parameters=parameters,
        derived=derived,
        between_subject=_variability(data, "between_subject", parameters, sources, where),
        between_occasion=_variability(data, "between_occasion", parameters, sources, where),
        covariates=_covariates(data, parameters, sources, where),
        sources=sources,
        analytes=(*outputs, *data.get("totals", {})),
    )
    for total, summands in model.totals.items():
        for name in summands:
            if name not in outputs:
                raise unknown_name("output", name, outputs, f"{where}, total {total}")
    return model


def _substance_of(name: str, folder: Path) -> Substance:
    if name.endswith(".toml") and not Path(name).is_absolute():
        return read_substance(folder / name)
    return read_substance(name)


def _each(text: str, labels: Sequence[str]) -> list[tuple[str, str]]:
    """(enantiomer, text with it filled in), once for a text that names none."""
    if "{e}" not in text:
        return [("", text)]
    return [(label, text.replace("{e}", label)) for label in labels]


def _parameter(
    name: str, data: Mapping[str, Any], sources: Mapping[str, Source], where: str
) -> Parameter:
    value = float(data["value"])
    if not math.isfinite(value):
        raise InputError(f"{where}: parameter {name} is {value}, not a finite number.")
    if data["source"] not in sources:
        raise unknown_name("source", data["source"], sources, f"{where}, parameter {name}")
    uncertain = data.get("uncertain")
    if uncertain is not None and uncertain["spread"] not in SPREADS:
        raise unknown_name("spread", uncertain["spread"], SPREADS, f"{where}, parameter {name}")
    return Parameter(
        name=name,
        number=Sourced(
            value=value,
            unit=data["unit"],
            source=data["source"],
            locator=data["locator"],
            kind=data["kind"],
            note=data.get("note", ""),
        ),
        weight_power=float(data.get("weight_power", 0.0)),
        uncertain=None if uncertain is None else Uncertain(**uncertain),
    )


def _derived(
    data: Mapping[str, Any],
    parameters: Mapping[str, Parameter],
    substance: Substance,
    where: str,
) -> dict[str, Expression]:
    known = {*parameters, *(f"M_{n}" for n in substance.molar_masses())}
    found: dict[str, Expression] = {}
    for name, text in data.get("derived", {}).items():
        place = f"{where}, derived parameter {name}"
        found[name] = read_expression(text, place)
        check_names(found[name], known, place)
        known.add(name)
    return found


def _values(
    parameters: Mapping[str, Parameter], derived: Mapping[str, Expression], substance: Substance
) -> dict[str, Any]:
    values: dict[str, Any] = {n: p.number.value for n, p in parameters.items()}
    values |= {f"M_{n}": m for n, m in substance.molar_masses().items()}
    for name, expression in derived.items():
        values[name] = evaluate(expression, values)
    return values


def _compartments(data: Mapping[str, Any], labels: Sequence[str]) -> list[str]:
    each = [_each(c["name"], labels) for c in data["compartments"]]
    order = ["", *labels]
    pairs = [pair for pairs in each for pair in pairs]
    return [name for _, name in sorted(pairs, key=lambda p: order.index(p[0]))]


def _equations(data: Mapping[str, Any], labels: Sequence[str], where: str) -> dict[str, str]:
    terms: dict[str, list[str]] = {n: [] for n in _compartments(data, labels)}

    def add(compartment: str, term: str, flow: str) -> None:
        if compartment not in terms:
            raise unknown_name("compartment", compartment, terms, f"{where}, flow {flow}")
        terms[compartment].append(term)

    for flow in data["flows"]:
        for label, origin in _each(flow["from"], labels):
            fill = lambda text, label=label: str(text).replace("{e}", label)  # noqa: E731
            name = f"from {origin}"
            rate = f"({fill(flow['rate'])})*{origin}"
            if flow.get("depletes", True):
                add(origin, f"-{rate}", name)
            for target, share in _targets(flow).items():
                add(fill(target), f"({fill(share)})*{rate}", name)
    return {n: " + ".join(t) if t else "0" for n, t in terms.items()}


def _targets(flow: Mapping[str, Any]) -> dict[str, Any]:
    if "split" in flow:
        return dict(flow["split"])
    return {flow["to"]: flow.get("fraction", 1)} if "to" in flow else {}


def _outputs(data: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Output]:
    found = {}
    for name, value in data["outputs"].items():
        for label, filled in _each(name, labels):
            found[filled] = Output(
                name=filled,
                text=value["is"].replace("{e}", label),
                unit=value["unit"],
                residual=value.get("residual"),
            )
    return found


def _routes(
    data: Mapping[str, Any], labels: Sequence[str], system: System, where: str
) -> dict[str, tuple[Part, ...]]:
    found = {}
    known = {*system.parameters, "portion"}
    for route, parts in data["routes"].items():
        place = f"{where}, route {route}"
        for part in parts:
            for _, name in _each(part["into"], labels):
                if name not in system.compartments:
                    raise unknown_name("compartment", name, system.compartments, place)
        found[route] = tuple(
            Part(
                into=p["into"],
                fraction=_known(p.get("fraction", "1"), known, place),
                lag=_known(p.get("lag", "0"), known, place),
                duration=_known(p["duration"], known, place) if "duration" in p else None,
            )
            for p in parts
        )
    return found


def _known(text: Any, known: set[str], place: str) -> Expression:
    expression = read_expression(text, place)
    check_names(expression, known, place)
    return expression


def _variability(
    data: Mapping[str, Any],
    key: str,
    parameters: Mapping[str, Parameter],
    sources: Mapping[str, Source],
    where: str,
) -> tuple[Variability, ...]:
    found = []
    for block in data.get(key, ()):
        place = f"{where}, {key}"
        for name in block["on"]:
            if name not in parameters:
                raise unknown_name("parameter", name, parameters, place)
        if block["source"] not in sources:
            raise unknown_name("source", block["source"], sources, place)
        transform = block.get("transform", "log")
        if transform not in TRANSFORMS:
            raise unknown_name("transform", transform, TRANSFORMS, place)
        covariance = np.array(block["covariance"], float)
        _check_covariance(covariance, block["on"], place)
        found.append(
            Variability(
                on=tuple(block["on"]),
                covariance=tuple(tuple(row) for row in covariance.tolist()),
                transform=transform,
                source=block["source"],
                locator=block["locator"],
            )
        )
    return tuple(found)


def _check_covariance(covariance: np.ndarray, on: Sequence[str], place: str) -> None:
    shape_is = covariance.shape == (len(on), len(on))
    if not shape_is or not np.allclose(covariance, covariance.T, rtol=0, atol=0):
        raise InputError(
            f"{place} of {', '.join(on)}: the covariance is not a symmetric {len(on)} by {len(on)} "
            f"matrix."
        )
    if np.linalg.eigvalsh(covariance).min() < -1e-12:
        raise InputError(
            f"{place} of {', '.join(on)}: the covariance has a negative variance in some direction."
        )


def _covariates(
    data: Mapping[str, Any],
    parameters: Mapping[str, Parameter],
    sources: Mapping[str, Source],
    where: str,
) -> tuple[CovariateEffect, ...]:
    found = []
    for block in data.get("covariates", ()):
        place = f"{where}, covariate {block['name']}"
        for name in block["on"]:
            if name not in parameters:
                raise unknown_name("parameter", name, parameters, place)
        if block["source"] not in sources:
            raise unknown_name("source", block["source"], sources, place)
        found.append(
            CovariateEffect(
                covariate=block["name"],
                on=tuple(block["on"]),
                factor=_known(block["factor"], {block["name"], "weight"}, place),
                applied=bool(block["applied"]),
                source=block["source"],
                locator=block["locator"],
            )
        )
    return tuple(found)
