"""How much of each trial is known: reported, recorded absent, or not looked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.errors import InputError
from klarsyn.evidence.trial import Base, Finding, Trial

STATES = ("reported", "absent", "not_looked_for")
METHOD = "reported where any number answers the question; absent where its absence is recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one may ask of a trial.

    Answered by findings of `outcomes` (of any statistic, or one of `statistics`), by a field of
    the trial (`field`), or by guesses (`guesses`). `after_last_dose` asks for days since the last
    dose of at least that many; `days` for a time between two days after the dose that `clock`
    (`first_dose` or `last_dose`) names, recorded absences included.
    """

    name: str
    outcomes: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    field: str = ""
    guesses: bool = False
    after_last_dose: float | None = None
    clock: str = "first_dose"
    days: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """The state of each question for each trial; `states[trial][question]`."""

    base: str
    questions: tuple[str, ...]
    states: Mapping[str, Mapping[str, str]]
    inputs: str
    method: str = METHOD

    def counts(self, question: str) -> dict[str, int]:
        """How many trials are in each state."""
        found = Counter(states[question] for states in self.states.values())
        return {s: found[s] for s in STATES}

    def summary(self) -> str:
        """One line a question."""
        lines = []
        for q in self.questions:
            c = self.counts(q)
            lines.append(
                f"{q}: reported by {c['reported']}, looked for and absent in {c['absent']}, not "
                f"looked for in {c['not_looked_for']} of {len(self.states)} trials"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "base": self.base,
            "inputs": self.inputs,
            "method": self.method,
            "counts": {q: self.counts(q) for q in self.questions},
            "trials": {t: dict(states) for t, states in self.states.items()},
        }


def completeness(base: Base, questions: Sequence[Question] = ()) -> Completeness:
    """For each trial and question whether the answer is reported, recorded absent or unsought.

    Without `questions` those of the base's settings (`[[questions]]` with the fields of
    `Question`), or one for each outcome of the base's vocabulary.
    """
    asked = tuple(questions) or known_questions(base)
    states = {t.id: {q.name: _state(base, t, q) for q in asked} for t in base.trials}
    return Completeness(
        base=base.name,
        questions=tuple(q.name for q in asked),
        states=states,
        inputs=base.digest,
    )


def known_questions(base: Base) -> tuple[Question, ...]:
    """The questions that the base's settings ask, or one for each outcome with findings."""
    entries = base.settings.get("questions")
    if entries is None:
        asked = dict.fromkeys(f.outcome for f in base.findings)
        return tuple(Question(name=outcome, outcomes=(outcome,)) for outcome in asked)
    if not isinstance(entries, list):
        raise InputError(f"{base.name}: `questions` in its settings is not a list of tables.")
    return tuple(_question(base, entry) for entry in entries)


def _question(base: Base, entry: object) -> Question:
    from klarsyn.evidence.vocabulary import check_name

    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise InputError(f"{base.name}: each of the [[questions]] in its settings needs a name.")
    where = f"{base.name}: question {entry['name']!r}"
    fields = ("name", "outcomes", "statistics", "field", "guesses", "after_last_dose")
    for key in entry:
        check_name("field of a question", key, where, fields)
    outcomes = tuple(entry.get("outcomes", ()))
    for outcome in outcomes:
        check_name("outcome", outcome, where, [t.name for t in base.terms.get("outcome", ())])
    for statistic in entry.get("statistics", ()):
        check_name("statistic", statistic, where)
    values = {**entry, "outcomes": outcomes, "statistics": tuple(entry.get("statistics", ()))}
    if values.get("field"):
        check_name("field of a trial", values["field"], where, Trial.__dataclass_fields__)
    return Question(**values)


def _state(base: Base, trial: Trial, question: Question) -> str:
    if question.field:
        known = getattr(trial, question.field) not in (None, "", ())
        return "reported" if known else "absent"
    found = [f for f in trial.findings if _answers(f, question)]
    if any(f.value is not None for f in found):
        return "reported"
    if question.guesses and any(g.trial == trial.id for g in base.guesses):
        return "reported"
    return "absent" if found else "not_looked_for"


def _answers(f: Finding, question: Question) -> bool:
    if f.outcome not in question.outcomes:
        return False
    if question.statistics and f.statistic not in question.statistics:
        return False
    if question.days is not None:
        day = f.days(question.clock)
        return day is not None and question.days[0] <= day <= question.days[1]
    if question.after_last_dose is None or f.value is None:
        return True
    return f.days_from_last_dose is not None and f.days_from_last_dose >= question.after_last_dose
