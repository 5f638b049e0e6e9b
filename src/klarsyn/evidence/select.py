"""Which trials meet written criteria, and which criterion each of the others fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.evidence.trial import Arm, Base, Trial

OPERATORS = (">=", "<=", "!=", "=", ">", "<")
METHOD = "each criterion meets, fails or is unknown; a trial is selected when all are met"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One condition on a trial.

    `subject` is a field of a trial, a field of its test arms (met when one of them meets it), or a
    word of `WORDS`. `operator` is `=` (one of `values`, or within `lower`–`upper`, both
    inclusive), `!=`, `>=`, `<=`, `>` or `<`, or blank for a word that stands alone.
    """

    text: str
    subject: str
    operator: str = ""
    values: tuple[str, ...] = ()
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Why a trial was not selected: the first criterion that it fails, or that nobody can tell.

    `verdict` is `fails` (at least one criterion is known to fail; the first of them is given) or
    `unknown` (none is known to fail, and the first that depends on what is not reported is given).
    """

    trial: Trial
    criterion: Criterion
    verdict: str
    found: str

    def sentence(self) -> str:
        """In words, for a table or a flow diagram."""
        if self.verdict == "unknown":
            return f"{self.criterion.text}: not reported"
        return f"{self.criterion.text}: fails, {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The trials that meet all criteria, and the others with the reason."""

    base: str
    criteria: tuple[Criterion, ...]
    selected: tuple[Trial, ...]
    excluded: tuple[Exclusion, ...]
    inputs: str
    method: str = METHOD

    def ids(self) -> tuple[str, ...]:
        """The ids of the selected trials, in the order of the base."""
        return tuple(t.id for t in self.selected)

    def summary(self) -> str:
        """Counts in one sentence."""
        unknown = sum(e.verdict == "unknown" for e in self.excluded)
        fails = len(self.excluded) - unknown
        return (
            f"{len(self.selected)} of {len(self.selected) + len(self.excluded)} trials meet all "
            f"{len(self.criteria)} criteria; {fails} fail one, {unknown} cannot be judged from "
            f"what is reported."
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "base": self.base,
            "inputs": self.inputs,
            "method": self.method,
            "criteria": [c.text for c in self.criteria],
            "selected": [{"trial": t.id, "label": t.label} for t in self.selected],
            "excluded": [
                {
                    "trial": e.trial.id,
                    "label": e.trial.label,
                    "criterion": e.criterion.text,
                    "verdict": e.verdict,
                    "found": e.found,
                }
                for e in self.excluded
            ],
        }


def _controlled(trial: Trial) -> list[bool | None]:
    return [None if not trial.comparator else trial.comparator != "none"]


def _repeated(trial: Trial) -> list[bool | None]:
    return [trial.repeated]


def _negated(of: Callable[[Trial], list[bool | None]]) -> Callable[[Trial], list[bool | None]]:
    return lambda trial: [None if v is None else not v for v in of(trial)]


# Conditions that stand alone.
WORDS: Mapping[str, Callable[[Trial], list[bool | None]]] = {
    "controlled": _controlled,
    "uncontrolled": _negated(_controlled),
    "repeated": _repeated,
    "single_dose": _negated(_repeated),
    "randomised": lambda trial: [trial.randomised],
}
_TRIAL_FIELDS = tuple(
    f.name for f in fields(Trial) if f.name not in {"arms", "findings", "row", "note", "locator"}
)
_ARM_FIELDS = ("treatment", "drug", "form", "dose", "dose_unit", "route", "infusion_minutes")
_FINDING_FIELDS = ("outcome", "scale")
_NUMERIC = frozenset(
    {
        "year",
        "participants",
        "sites",
        "doses",
        "doses_per_week",
        "treatment_days",
        "followup_days",
        "dose",
        "infusion_minutes",
    }
)
SUBJECTS = (*_TRIAL_FIELDS, *_ARM_FIELDS, *_FINDING_FIELDS)


def read_criterion(text: str) -> Criterion:
    """A criterion from its text.

    `controlled`, `route=iv`, `comparator=inert|psychoactive`, `doses_per_week=2..3`,
    `followup_days>=28`, `design!=case_report`. Raises UnknownNameError for a subject that no trial
    has and InputError for what cannot be read.
    """
    plain = text.strip()
    if plain in WORDS:
        return Criterion(text=plain, subject=plain)
    subject, operator, value = _split(plain)
    if subject not in SUBJECTS:
        raise unknown_name("criterion", subject, (*SUBJECTS, *WORDS), f"criterion {text!r}")
    if subject in _NUMERIC:
        return _numeric(plain, subject, operator, value)
    if operator not in {"=", "!="}:
        raise InputError(
            f"criterion {text!r}: {subject} is a name, not a number; compare it with = or !=."
        )
    return Criterion(
        text=plain,
        subject=subject,
        operator=operator,
        values=tuple(v.strip() for v in value.split("|")),
    )


def select_trials(base: Base, criteria: str | Iterable[str | Criterion]) -> Selection:
    """The trials that meet every criterion; of each other trial, the first that it fails.

    `criteria` are texts (see `read_criterion`), criteria, or names of selections that the base's
    settings define (`[selections.NAME]`, `criteria = [...]`). A value that nobody reported neither
    meets nor fails a criterion: such trials are excluded as `unknown`.
    """
    texts = [criteria] if isinstance(criteria, str) else list(criteria)
    parsed = tuple(c for text in texts for c in _expanded(base, text))
    if not parsed:
        raise InputError("A selection needs at least one criterion, such as `controlled`.")
    for c in parsed:
        _check_values(base, c)
    selected: list[Trial] = []
    excluded: list[Exclusion] = []
    for trial in base.trials:
        reason = _reason(trial, parsed)
        if reason is None:
            selected.append(trial)
        else:
            excluded.append(reason)
    return Selection(
        base=base.name,
        criteria=parsed,
        selected=tuple(selected),
        excluded=tuple(excluded),
        inputs=base.digest,
    )


def known_selections(base: Base) -> dict[str, tuple[str, ...]]:
    """The selections that the base's settings name, as texts of criteria."""
    named = base.settings.get("selections", {})
    if not isinstance(named, Mapping):
        raise InputError(f"{base.name}: `selections` in its settings is not a table of tables.")
    found: dict[str, tuple[str, ...]] = {}
    for name, entry in named.items():
        texts = entry.get("criteria") if isinstance(entry, Mapping) else None
        if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            raise InputError(
                f"{base.name}: [selections.{name}] in its settings needs `criteria`, a list of "
                f'texts such as ["controlled", "route=iv"].'
            )
        found[str(name)] = tuple(texts)
    return found


def _expanded(base: Base, text: str | Criterion) -> list[Criterion]:
    if isinstance(text, Criterion):
        return [text]
    named = known_selections(base)
    if text in named:
        return [read_criterion(t) for t in named[text]]
    if re.fullmatch(r"\w+", text) and text not in WORDS:
        raise unknown_name(
            "criterion or selection", text, [*named, *WORDS, *(f"{s}=…" for s in SUBJECTS)]
        )
    return [read_criterion(text)]


def _split(text: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|!=|=|>|<)\s*([^=<>\s].*?)\s*", text)
    if match is None:
        raise InputError(
            f"criterion {text!r} cannot be read. Write a word ({', '.join(WORDS)}) or a subject, "
            f"one of {' '.join(OPERATORS)} and a value, such as 'route=iv', "
            f"'doses_per_week=2..3' or 'followup_days>=28'."
        )
    return match[1], match[2], match[3]


def _numeric(text: str, subject: str, operator: str, value: str) -> Criterion:
    low, dots, high = value.partition("..")
    if dots and operator != "=":
        raise InputError(f"criterion {text!r}: a range takes `=`, such as '{subject}=2..3'.")
    if dots:
        lower, upper = _float(text, low), _float(text, high)
        if lower > upper:
            raise InputError(f"criterion {text!r}: the range ends below its beginning.")
        return Criterion(text=text, subject=subject, operator="=", lower=lower, upper=upper)
    bound = _float(text, value)
    return Criterion(text=text, subject=subject, operator=operator, lower=bound, upper=bound)


def _float(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if number != number:
        raise InputError(f"criterion {text!r}: {value!r} is not a number.")
    return number


def _check_values(base: Base, criterion: Criterion) -> None:
    """A name that no list of the base has is an error, not an empty selection."""
    from klarsyn.evidence.schema import ARMS, FINDINGS, TRIALS
    from klarsyn.evidence.vocabulary import LISTS, check_name

    where = f"criterion {criterion.text!r}"
    lists = {f.name: f.list for t in (TRIALS, ARMS, FINDINGS) for f in t.fields if f.list}
    closed = lists.get(criterion.subject)
    for value in criterion.values:
        if criterion.subject == "scale":
            check_name("scale", value, where, base.scales)
        elif closed and closed in LISTS:
            check_name(closed, value, where)
        elif closed:
            check_name(closed, value, where, [t.name for t in base.terms.get(closed, ())])


def _reason(trial: Trial, criteria: Sequence[Criterion]) -> Exclusion | None:
    unknown: Criterion | None = None
    for c in criteria:
        values = _values(trial, c)
        verdicts = _verdicts(c, values)
        if True in verdicts:
            continue
        if None in verdicts:
            unknown = unknown or c
            continue
        return Exclusion(trial=trial, criterion=c, verdict="fails", found=_found(c, values))
    if unknown is None:
        return None
    return Exclusion(trial=trial, criterion=unknown, verdict="unknown", found="")


def _values(trial: Trial, criterion: Criterion) -> list[Any]:
    """What is known of the subject: one value, or one for each test arm; None where unknown."""
    subject = criterion.subject
    if subject in WORDS:
        return list(WORDS[subject](trial))
    if subject in _FINDING_FIELDS:
        return [getattr(f, subject) for f in trial.findings if f.value is not None] or [None]
    if subject in _ARM_FIELDS:
        return [_known(getattr(a, subject)) for a in _test_arms(trial)] or [None]
    value = getattr(trial, subject)
    if subject == "cited_by":
        return list(value) or [""]
    if (
        subject in {"doses_per_week", "treatment_days"}
        and value is None
        and _repeated(trial) == [False]
    ):
        return [0.0]  # a single dose has no schedule, which is known, not unreported
    return [_known(value)]


def _test_arms(trial: Trial) -> list[Arm]:
    return [a for a in trial.arms if a.role == "test"]


def _known(value: Any) -> Any:
    return None if value == "" else value


def _verdicts(criterion: Criterion, values: Sequence[Any]) -> list[bool | None]:
    if criterion.operator == "!=":
        met = [_meets(criterion, v) for v in values]
        # All values must differ; one that is unknown leaves it open.
        return [False] if False in met else [None] if None in met else [True]
    return [_meets(criterion, v) for v in values]


def _meets(c: Criterion, value: Any) -> bool | None:
    if value is None:
        return None
    if not c.operator:
        return bool(value)
    if c.lower is not None and c.upper is not None:
        compare: dict[str, bool] = {
            "=": c.lower <= value <= c.upper,
            "!=": value != c.lower,
            ">=": value >= c.lower,
            "<=": value <= c.lower,
            ">": value > c.lower,
            "<": value < c.lower,
        }
        return compare[c.operator]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return (text in c.values) == (c.operator == "=")


def _found(criterion: Criterion, values: Sequence[Any]) -> str:
    if criterion.subject in WORDS:
        return f"not {criterion.subject}"
    shown = sorted({f"{v:g}" if isinstance(v, float) else str(v) for v in values if v is not None})
    return f"{criterion.subject} is {', '.join(s or 'none' for s in shown)}"
