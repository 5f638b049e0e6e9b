"""The answers that stand beside a base become judgements; an empty form asks for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from klarsyn.bias.questionnaire import NOT_APPLICABLE, tool
from klarsyn.bias.riskofbias import (
    CROSSOVER,
    EFFECTS,
    OVERALL,
    Answer,
    RiskOfBias,
    assess_rob2,
)
from klarsyn.errors import InputError, unknown_name
from klarsyn.evidence.schema import TABLES
from klarsyn.evidence.trial import Base, RiskAnswer
from klarsyn.tables import csv_text

MEASUREMENT = "D4"
ASKS = "asks"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialJudgement:
    """What a base's answers say of one trial.

    `standing` is the overall judgement that a person recorded, else the mildest that the published
    rule leaves open; `waits` is true where a person must still judge, `draft` where nobody has
    reviewed the answers. `domains` maps each domain to its judgement, `attainable` to the best and
    the worst judgement if all that is not reported were known.
    """

    trial: str
    outcome: str
    scale: str
    domains: Mapping[str, str]
    attainable: Mapping[str, tuple[str, str]]
    standing: str
    recorded: bool
    draft: bool
    waits: bool

    @property
    def high_in(self) -> tuple[str, ...]:
        """The domains judged to be at high risk."""
        return tuple(d for d, judgement in self.domains.items() if judgement == "High")

    @property
    def surely_high_in(self) -> tuple[str, ...]:
        """The domains that stay at high risk whatever the unreported turns out to be."""
        return tuple(d for d, (best, _) in self.attainable.items() if best == "High")

    @property
    def surely_high(self) -> bool:
        """Whether a person recorded high risk, or some domain is high whatever is not reported."""
        if self.recorded:
            return self.standing == "High"
        return bool(self.surely_high_in)

    @property
    def counts_as_high(self) -> bool:
        """Whether certainty may be lowered for it.

        In a draft no information means that the sources reached are silent, not the trial's own
        report: what is high for that reason alone does not count until a person has read it.
        """
        return self.surely_high if self.draft else self.standing == "High"

    @property
    def only_measurement(self) -> bool:
        """Whether it counts as high for the measurement of the outcome alone."""
        domains = self.surely_high_in if self.draft else self.high_in
        return self.counts_as_high and domains == (MEASUREMENT,)


def base_answers(base: Base) -> tuple[Answer, ...]:
    """The answers of a base's table `riskofbias`; those that nobody has signed are left out."""
    return tuple(_answer(r) for r in base.risk_answers if r.answer or r.who)


def _answer(r: RiskAnswer) -> Answer:
    return Answer(
        trial=r.trial,
        domain=r.domain,
        question=r.question,
        answer=r.answer or NOT_APPLICABLE,
        who=r.who,
        when=r.when,
        why=r.why,
        outcome=r.outcome,
        scale=r.scale,
        effect=r.effect,
        findings=r.finding_ids(),
        source=r.source,
        locator=r.locator,
        draft=bool(r.draft),
        row=r.row,
    )


def judge_base(base: Base, *, effect: str = "assignment", outcome: str = "") -> RiskOfBias | None:
    """RoB 2 of a base's trials from the answers beside it; None where nobody has answered.

    Raises InputError with the row of `riskofbias` that is wrong.
    """
    if effect not in EFFECTS:
        raise unknown_name("effect of interest", effect, EFFECTS)
    answers = [a for a in base_answers(base) if a.effect == effect]
    if not answers:
        return None
    where = f"{base.name}: riskofbias"
    return assess_rob2(answers, effect=effect, outcome=outcome, where=where)


def judgements_of(
    base: Base, *, effect: str = "assignment", outcome: str = ""
) -> dict[str, TrialJudgement]:
    """Each judged trial of a base by its id; empty where nobody has answered."""
    risk = judge_base(base, effect=effect, outcome=outcome)
    return {} if risk is None else trial_judgements(risk)


def trial_judgements(risk: RiskOfBias) -> dict[str, TrialJudgement]:
    """Each trial of an assessment, as pooling, the grid and GRADE use it."""
    return {
        name: TrialJudgement(
            trial=name,
            outcome=r.outcome,
            scale=r.scale,
            domains={d: j.judgement for d, j in r.domains.items()},
            attainable={d: j.attainable for d, j in r.domains.items()},
            standing=r.standing,
            recorded=r.overall is not None,
            draft=r.draft,
            waits=r.waits,
        )
        for name, r in risk.trials.items()
    }


def check_trials(answers: Sequence[Answer], base: Base, where: str) -> None:
    """Every trial must be one of the base; raises UnknownNameError with the row."""
    known = [t.id for t in base.trials]
    for answer in answers:
        if answer.trial not in known:
            raise unknown_name("trial", answer.trial, known, f"{where}: row {answer.row}")


def empty_form(
    trials: Sequence[str],
    *,
    outcome: str,
    scale: str = "",
    effect: str = "assignment",
    crossover: Sequence[str] = (),
) -> str:
    """A form (CSV) with every question of RoB 2 for some trials, to be filled in by a person.

    Its columns are those of a base's table `riskofbias` and one with the question in short.
    `crossover` are the trials that need domain S; every trial ends with the overall judgement.
    """
    if effect not in EFFECTS:
        raise unknown_name("effect of interest", effect, EFFECTS)
    if not trials:
        raise InputError("Name at least one trial for the form.")
    used = tool("rob2")
    names = [f.name for f in TABLES["riskofbias"].fields]
    names.insert(names.index("answer"), ASKS)
    lines: list[list[str]] = []
    for trial in dict.fromkeys(trials):
        crossed = trial in crossover
        rows = [
            (domain, question, used.texts[f"{domain}:{question}"])
            for domain in ("D1", EFFECTS[effect], "D3", "D4", "D5", *[CROSSOVER] * crossed)
            for question in used.domain(domain).questions
        ]
        rows += [(CROSSOVER, "", "Low, Some concerns or High?")] if crossed else []
        rows.append((OVERALL, "", "Low, Some concerns or High?"))
        for domain, question, asks in rows:
            cells = {
                "trial_id": trial,
                "outcome": outcome,
                "scale": scale,
                "effect": effect,
                "domain": domain,
                "question": question,
                ASKS: asks,
            }
            lines.append([cells.get(name, "") for name in names])
    return csv_text(names, lines)


def base_form(
    base: Base, trials: Sequence[str] = (), *, outcome: str = "", effect: str = "assignment"
) -> str:
    """The empty form for trials of a base (all randomised ones where none is named).

    The outcome is by default the commonest primary outcome of those trials.
    """
    chosen = [base.trial(t) for t in trials] or [t for t in base.trials if t.randomised]
    if not chosen:
        raise InputError(f"{base.name}: no randomised trial to judge. Name trials.")
    names = [t.name for t in base.terms.get("outcome", ())]
    primary = [t.primary_outcome for t in chosen if t.primary_outcome] or names
    if outcome and outcome not in names:
        raise unknown_name("outcome", outcome, names, base.name)
    return empty_form(
        [t.id for t in chosen],
        outcome=outcome or max(sorted(set(primary)), key=primary.count),
        effect=effect,
        crossover=[t.id for t in chosen if t.design == "crossover"],
    )
