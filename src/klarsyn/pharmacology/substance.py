"""What a substance is: formula, masses, salts, mirror forms, metabolites and relatives."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import KINDS, Source

BASE = "base"
SHARES_SUM = 1e-9
_FORMULA = re.compile(r"([A-Z][a-z]?)(\d*)")
# IUPAC 2021 conventional atomic masses, g/mol
ATOMIC_MASS = {
    "H": 1.008,
    "C": 12.011,
    "N": 14.007,
    "O": 15.999,
    "F": 18.998,
    "P": 30.974,
    "S": 32.06,
    "Cl": 35.45,
    "Br": 79.904,
    "I": 126.904,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Salt:
    """A salt of the substance; `molar_mass` in g/mol, one base molecule to the formula."""

    name: str
    formula: str
    molar_mass: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Enantiomer:
    """One mirror form; `smiles` carries its chirality."""

    label: str
    name: str
    other_names: tuple[str, ...]
    smiles: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is given: the share of each enantiomer by label, summing to one."""

    name: str
    shares: Mapping[str, float]

    def excess(self, label: str) -> float:
        """Enantiomeric excess of one label, 0 for a racemate and 1 for the pure form."""
        return 2.0 * self.shares.get(label, 0.0) - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metabolite:
    """A metabolite; `fraction_formed` of its parent's elimination, None where nobody knows."""

    name: str
    short: str
    parent: str
    formula: str
    molar_mass: float
    fraction_formed: float | None
    kind: str
    source: str
    locator: str
    smiles: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """Another molecule of the same class, for comparison."""

    name: str
    formula: str
    molar_mass: float
    smiles: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Substance:
    """A substance as its data file describes it; masses in g/mol of the free base."""

    name: str
    other_names: tuple[str, ...]
    iupac: str
    chemical_class: str
    relation: str
    formula: str
    molar_mass: float
    smiles: str
    stereocentre: str
    labelled_as: str
    labelled_source: str
    default_model: str
    response: str
    effects: str
    salts: Mapping[str, Salt]
    enantiomers: Mapping[str, Enantiomer]
    forms: Mapping[str, Form]
    metabolites: tuple[Metabolite, ...]
    relatives: tuple[Relative, ...]
    sources: Mapping[str, Source]
    locator: str

    def base_mass(self, mass: float, basis: str) -> float:
        """The mass of free base in `mass` of `basis` ('base' or the name of a salt), same unit."""
        if basis == BASE:
            return mass
        return mass * self.molar_mass / self.salt(basis).molar_mass

    def salt_mass(self, mass: float, salt: str) -> float:
        """The mass of salt that holds `mass` of free base, same unit."""
        return mass * self.salt(salt).molar_mass / self.molar_mass

    def salt(self, name: str) -> Salt:
        """The salt of this name."""
        if name not in self.salts:
            raise unknown_name("salt", name, [BASE, *self.salts], self.name)
        return self.salts[name]

    def micromoles(self, milligrams: float, basis: str) -> float:
        """Amount in µmol of a dose in mg of `basis`."""
        return self.base_mass(milligrams, basis) * 1000.0 / self.molar_mass

    def form(self, name: str) -> Form:
        """A form by name, or by excess such as 'S 99.5 % ee'."""
        if name in self.forms:
            return self.forms[name]
        found = re.fullmatch(r"\s*(\S+)\s+([\d.]+)\s*%\s*ee\s*", name)
        if found and found[1] in self.enantiomers:
            return self._with_excess(name.strip(), found[1], float(found[2]) / 100.0)
        example = next(iter(self.enantiomers), "S")
        raise InputError(
            f"{unknown_name('form', name, self.forms, self.name)} "
            f"Or state an excess: '{example} 99.5 % ee'."
        )

    def _with_excess(self, name: str, label: str, excess: float) -> Form:
        if not 0 <= excess <= 1 or len(self.enantiomers) != 2:
            raise InputError(f"{name!r}: an enantiomeric excess lies between 0 and 100 %.")
        other = next(e for e in self.enantiomers if e != label)
        return Form(name=name, shares={label: (1 + excess) / 2, other: (1 - excess) / 2})

    def molar_masses(self) -> dict[str, float]:
        """g/mol by name, the substance first and then its metabolites."""
        return {self.name: self.molar_mass, **{m.name: m.molar_mass for m in self.metabolites}}

    def summary(self) -> str:
        """Two lines: what it is and what it becomes."""
        metabolites = ", ".join(m.name for m in self.metabolites) or "none described"
        return (
            f"{self.name}: {self.formula}, {self.molar_mass:g} g/mol; forms "
            f"{', '.join(self.forms)}; salts {', '.join(self.salts) or 'none'}\n"
            f"metabolites: {metabolites}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a resolution with recycling yields, as shares of the racemate put in.

    `product` is the mass of product, `wanted` and `unwanted` its enantiomers, `left` what is
    still in the loop after the last round, `lost` the rest. They add up to one. `excess_left` is
    the other enantiomer's excess in what one round leaves, before it is racemised.
    """

    product: float
    wanted: float
    unwanted: float
    left: float
    lost: float
    limit: float
    excess_left: float


def resolve(*, yield_per_round: float, excess: float, racemised: float, rounds: int) -> Resolution:
    """Yield of one enantiomer from a racemate when what is left is racemised and used again.

    Each round takes `yield_per_round` of what enters it as product of enantiomeric `excess`; of
    the rest, `racemised` enters the next round as racemate and the remainder is lost. `limit` is
    the product's share after endless rounds, y / (1 - (1 - y) r).

    Raises InputError for a share outside 0 to 1, or a product holding more of the wanted
    enantiomer than half of what entered.
    """
    for name, value in (
        ("yield_per_round", yield_per_round),
        ("excess", excess),
        ("racemised", racemised),
    ):
        if not (math.isfinite(value) and 0 <= value <= 1):
            raise InputError(f"{name} is a share between 0 and 1; {value:g} is not.")
    if isinstance(rounds, bool) or rounds != int(rounds) or rounds < 1:
        raise InputError(f"rounds is a whole number from 1 up; {rounds} is not.")
    if yield_per_round * (1 + excess) / 2 > 0.5 + SHARES_SUM:
        raise InputError(
            f"a product of {yield_per_round:.0%} with {excess:.1%} excess would hold more of one "
            f"enantiomer than the racemate has. Yield times (1 + excess) is at most 1."
        )
    again = (1 - yield_per_round) * racemised
    product = sum(yield_per_round * again**k for k in range(rounds))
    left = again**rounds
    used = (1 - racemised) + yield_per_round * racemised  # 1 - again, with its digits
    limit = yield_per_round / used if used else 0.0
    return Resolution(
        product=product,
        wanted=product * (1 + excess) / 2,
        unwanted=product * (1 - excess) / 2,
        left=left,
        lost=1 - product - left,
        limit=limit,
        excess_left=(
            yield_per_round * excess / (1 - yield_per_round) if yield_per_round < 1 else 0.0
        ),
    )


def mix(parts: Sequence[tuple[Form, float]]) -> Form:
    """What masses of several forms make together, (form, mass) in one unit and one basis.

    Raises InputError without parts, for a mass below 0, or for forms of different substances.
    """
    if not parts:
        raise InputError("a mixture needs at least one form and its mass.")
    for form, mass in parts:
        if not (math.isfinite(mass) and mass >= 0):
            raise InputError(f"{mass:g} of {form.name}: a mass is a finite number, 0 or more.")
        if set(form.shares) != set(parts[0][0].shares):
            raise InputError(f"{form.name!r} and {parts[0][0].name!r} have other enantiomers.")
    total = math.fsum(mass for _, mass in parts)
    if total <= 0:
        raise InputError("the masses of a mixture sum to 0; at least one lies above.")
    shares = {
        label: math.fsum(mass * form.shares[label] for form, mass in parts) / total
        for label in parts[0][0].shares
    }
    name = " + ".join(f"{mass:g} {form.name}" for form, mass in parts)
    return Form(name=name, shares=shares)


def formula_mass(formula: str) -> float:
    """Molar mass in g/mol from a formula such as C13H16ClNO."""
    parts = _FORMULA.findall(formula)
    if "".join(a + n for a, n in parts) != formula or not parts:
        raise InputError(f"{formula!r} is not a molecular formula such as C13H16ClNO.")
    for atom, _ in parts:
        if atom not in ATOMIC_MASS:
            raise unknown_name("element", atom, ATOMIC_MASS, formula)
    return sum(ATOMIC_MASS[a] * int(n or 1) for a, n in parts)


def substances() -> tuple[str, ...]:
    """The names of the substances in the library."""
    folder = resources.files("klarsyn.pharmacology") / "library" / "substances"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def read_substance(name: str | Path) -> Substance:
    """A substance of the library by name, or a user's own file ending in .toml."""
    data, where = read_data(name, "substances", "substance", substances())
    try:
        return _substance(data, where)
    except KeyError as missing:
        raise InputError(f"{where}: the key {missing} is missing.") from None
    except (TypeError, ValueError, AttributeError) as bad:
        raise InputError(f"{where}: not a substance file ({bad}).") from None


def read_data(
    name: str | Path, folder: str, kind: str, known: tuple[str, ...]
) -> tuple[dict[str, Any], str]:
    """The TOML of a library entry or of a user's file, and what to call it in errors."""
    text = str(name)
    if text.endswith(".toml"):
        path = Path(text)
        if not path.is_file():
            raise InputError(f"{path}: there is no such file. Check the path and its spelling.")
        raw = path.read_bytes()
    else:
        match = {k.casefold(): k for k in known}.get(text.casefold())
        if match is None:
            raise unknown_name(kind, text, known)
        place = resources.files("klarsyn.pharmacology") / "library" / folder / f"{match}.toml"
        raw, text = place.read_bytes(), match
    try:
        return tomllib.loads(raw.decode("utf-8")), text
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as bad:
        raise InputError(f"{text}: not a TOML text file ({bad}).") from None


def read_sources(data: Mapping[str, Any]) -> dict[str, Source]:
    """The [sources] of a library file."""
    return {
        key: Source(id=key, citation=v["citation"], doi=v.get("doi", ""), url=v.get("url", ""))
        for key, v in data.get("sources", {}).items()
    }


def _substance(data: Mapping[str, Any], where: str) -> Substance:
    enantiomers = {
        label: Enantiomer(
            label=label,
            name=v["name"],
            other_names=tuple(v.get("other_names", ())),
            smiles=v["smiles"],
        )
        for label, v in data.get("enantiomers", {}).items()
    }
    sources = read_sources(data)
    found = Substance(
        name=data["name"],
        other_names=tuple(data.get("other_names", ())),
        iupac=data.get("iupac", ""),
        chemical_class=data.get("class", ""),
        relation=data.get("relation", ""),
        formula=data["formula"],
        molar_mass=_positive(data["molar_mass"], f"{where}: molar_mass"),
        smiles=data.get("smiles", ""),
        stereocentre=data.get("stereocentre", ""),
        labelled_as=data.get("labelled_as", ""),
        labelled_source=data.get("labelled_source", ""),
        default_model=data.get("default_model", ""),
        response=data.get("response", ""),
        effects=data.get("effects", ""),
        salts={
            name: Salt(
                name=name,
                formula=v["formula"],
                molar_mass=_positive(v["molar_mass"], f"{where}: molar_mass of {name}"),
            )
            for name, v in data.get("salts", {}).items()
        },
        enantiomers=enantiomers,
        forms=_forms(data, enantiomers, where),
        metabolites=tuple(_metabolite(m, sources, where) for m in data.get("metabolites", ())),
        relatives=tuple(
            Relative(
                name=r["name"],
                formula=r["formula"],
                molar_mass=_positive(r["molar_mass"], f"{where}: molar_mass of {r['name']}"),
                smiles=r.get("smiles", ""),
            )
            for r in data.get("relatives", ())
        ),
        sources=sources,
        locator=data.get("locator", ""),
    )
    if found.labelled_as and found.labelled_as != BASE:
        found.salt(found.labelled_as)
    return found


def _forms(
    data: Mapping[str, Any], enantiomers: Mapping[str, Enantiomer], where: str
) -> dict[str, Form]:
    forms = {}
    for name, shares in data.get("forms", {"only": {}}).items():
        for label in shares:
            if label not in enantiomers:
                raise unknown_name("enantiomer", label, enantiomers, f"{where}, form {name}")
        if shares and abs(sum(shares.values()) - 1) > SHARES_SUM:
            raise InputError(f"{where}: the shares of form {name} do not sum to 1.")
        forms[name] = Form(name=name, shares=dict(shares))
    return forms


def _metabolite(data: Mapping[str, Any], sources: Mapping[str, Source], where: str) -> Metabolite:
    name = data["name"]
    fraction = data.get("fraction_formed")
    if fraction is not None and not 0 <= fraction <= 1:
        raise InputError(f"{where}: fraction_formed of {name} is {fraction:g}, not within 0 to 1.")
    if data["kind"] not in KINDS:
        raise unknown_name("kind of value", data["kind"], KINDS, f"{where}, {name}")
    if data["source"] not in sources:
        raise unknown_name("source", data["source"], sources, f"{where}, {name}")
    return Metabolite(
        name=name,
        short=data["short"],
        parent=data["parent"],
        formula=data["formula"],
        molar_mass=_positive(data["molar_mass"], f"{where}: molar_mass of {name}"),
        fraction_formed=fraction,
        kind=data["kind"],
        source=data["source"],
        locator=data["locator"],
        smiles=dict(data.get("smiles", {})),
        note=data.get("note", ""),
    )


def _positive(value: Any, what: str) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise InputError(f"{what} is {value!r}; it must be a number above 0.")
    return float(value)
