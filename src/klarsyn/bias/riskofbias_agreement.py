"""Two people fill the same form: where they agree, how far beyond chance, and where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.riskofbias import JUDGEMENTS, OVERALL, RiskOfBias, TrialRisk
from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.stats.agreement import Agreement, weighted_kappa

ALL = "all domains"
JUDGED = "judgement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One question, or one judgement, that two assessors answered differently."""

    trial: str
    domain: str
    question: str
    first: str
    second: str
    first_why: str
    second_why: str

    def to_dict(self) -> dict[str, str]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two assessments of the same trials.

    `judgements` has the agreement on each domain's judgement, on all together and on the overall
    judgements where both recorded them; `answers` the share of identical answers to the questions
    that both answered, by domain. `only_first` and `only_second` are trials one of them left out.
    """

    trials: tuple[str, ...]
    judgements: Mapping[str, Agreement]
    answers: Mapping[str, tuple[int, int]]
    disagreements: tuple[Disagreement, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    method: str
    digest: str

    def summary(self) -> str:
        """Two sentences: judgements and answers."""
        same, asked = (sum(pair[i] for pair in self.answers.values()) for i in (0, 1))
        return (
            f"{len(self.trials)} trials judged by both. Judgements: "
            f"{self.judgements[ALL].summary()} Answers: {same} of {asked} identical."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "trials": list(self.trials),
            "judgements": {name: a.to_dict() for name, a in self.judgements.items()},
            "answers": {d: {"identical": s, "both": n} for d, (s, n) in self.answers.items()},
            "disagreements": [d.to_dict() for d in self.disagreements],
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "method": self.method,
            "digest": self.digest,
        }


def compare_assessments(
    first: RiskOfBias, second: RiskOfBias, *, weights: str = "linear"
) -> Comparison:
    """Agreement of two assessments, with weighted kappa over Low, Some concerns, High (Cohen 1968).

    Raises InputError where no trial was judged by both, or for different effects of interest.
    """
    if first.effect != second.effect:
        raise InputError(
            f"One assessment is about the effect of {first.effect}, the other of {second.effect}; "
            f"compare like with like."
        )
    both = tuple(t for t in first.trials if t in second.trials)
    if not both:
        raise InputError(
            f"No trial was judged in both: {', '.join(first.trials)} against "
            f"{', '.join(second.trials)}. Use the same names for the trials."
        )
    pairs = _judged_pairs(first, second, both)
    judged = {
        name: weighted_kappa(
            [one for one, _ in found], [two for _, two in found], JUDGEMENTS, weights=weights
        )
        for name, found in pairs.items()
        if found
    }
    answers, different = _answers(first, second, both)
    return Comparison(
        trials=both,
        judgements=judged,
        answers=answers,
        disagreements=different,
        only_first=tuple(t for t in first.trials if t not in second.trials),
        only_second=tuple(t for t in second.trials if t not in first.trials),
        method=f"Cohen 1968, {weights} weights over {', '.join(JUDGEMENTS)}",
        digest=digest_of(first.digest, second.digest, weights),
    )


def _judged_pairs(
    first: RiskOfBias, second: RiskOfBias, both: tuple[str, ...]
) -> dict[str, list[tuple[str, str]]]:
    pairs: dict[str, list[tuple[str, str]]] = {}
    for trial in both:
        one, two = first.trials[trial], second.trials[trial]
        for domain in one.domains:
            if domain in two.domains:
                found = (one.domains[domain].judgement, two.domains[domain].judgement)
                pairs.setdefault(domain, []).append(found)
    pairs[ALL] = [pair for found in pairs.values() for pair in found]
    pairs[OVERALL] = [
        (one.overall.answer, two.overall.answer)
        for one, two in ((first.trials[t], second.trials[t]) for t in both)
        if one.overall and two.overall
    ]
    return pairs


def _answers(
    first: RiskOfBias, second: RiskOfBias, both: tuple[str, ...]
) -> tuple[dict[str, tuple[int, int]], tuple[Disagreement, ...]]:
    counts: dict[str, tuple[int, int]] = {}
    different: list[Disagreement] = []
    for trial in both:
        one, two = _told(first.trials[trial]), _told(second.trials[trial])
        for key in one:
            if key not in two:
                continue
            domain, question = key
            same = one[key][0] == two[key][0]
            if question != JUDGED:
                agreed, asked = counts.get(domain, (0, 0))
                counts[domain] = (agreed + same, asked + 1)
            if not same:
                different.append(
                    Disagreement(
                        trial=trial,
                        domain=domain,
                        question=question,
                        first=one[key][0],
                        second=two[key][0],
                        first_why=one[key][1],
                        second_why=two[key][1],
                    )
                )
    return counts, tuple(different)


def _told(risk: TrialRisk) -> dict[tuple[str, str], tuple[str, str]]:
    """Every answer and judgement of a trial with its reason."""
    told: dict[tuple[str, str], tuple[str, str]] = {}
    for name, domain in risk.domains.items():
        for answer in domain.answers:
            told[name, answer.question] = (answer.answer, answer.why)
        rules = "; ".join(domain.suggestion.rules) if domain.suggestion else ""
        told[name, JUDGED] = (domain.judgement, domain.note or rules)
    if risk.overall:
        told[OVERALL, JUDGED] = (risk.overall.answer, risk.overall.why)
    return told
