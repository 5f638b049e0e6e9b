"""Risk of bias of each trial: tables suggest, a named person decides, a file keeps both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from klarsyn.bias.questionnaire import NOT_APPLICABLE, Suggestion, attainable, suggest, tool
from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.tables import Column, missing_column, read_table

JUDGEMENTS = ("Low", "Some concerns", "High")
OVERALL = "overall"
CROSSOVER = "S"
EFFECTS = {"assignment": "D2a", "adhering": "D2b"}
RECORDED = "judgement"
COLUMNS = (
    Column(name="domain"),
    Column(name="question", may_be_empty=True, required=False),
    Column(name="answer", may_be_empty=True),
    Column(name="who", may_be_empty=True),
    Column(name="when", may_be_empty=True),
    Column(name="why", may_be_empty=True),
    *(
        Column(name=name, may_be_empty=True, required=False)
        for name in ("outcome", "scale", "effect", "findings", "source_id", "locator")
    ),
    Column(name="draft", kind="truth", may_be_empty=True, required=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One line of the answers file: what was answered or judged, by whom, when and why.

    `outcome`, `scale` and `effect` say which result was judged for which effect of interest; blank
    where the file holds one. `findings`, `source` and `locator` say what it rests on. `draft` is
    true until a person has read the answer and agreed.
    """

    trial: str
    domain: str
    question: str
    answer: str
    who: str
    when: str
    why: str
    outcome: str = ""
    scale: str = ""
    effect: str = ""
    findings: tuple[str, ...] = ()
    source: str = ""
    locator: str = ""
    draft: bool = False
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainJudgement:
    """A domain's suggestion beside the recorded judgement; `judgement` is the one that counts.

    `attainable` are the best and the worst suggestion if all that is not reported were known.
    """

    domain: str
    judgement: str
    suggestion: Suggestion | None
    recorded: Answer | None
    answers: tuple[Answer, ...]
    attainable: tuple[str, str]

    @property
    def note(self) -> str:
        """What a reader must know: an override and its reason, or that no table exists."""
        if self.recorded and self.suggestion and self.judgement != self.suggestion.judgement:
            return (
                f"The table suggests {self.suggestion.judgement}; {self.recorded.who} judged "
                f"{self.judgement}: {_ended(self.recorded.why)}"
            )
        if self.recorded and not self.suggestion:
            return f"Recorded by {self.recorded.who}: {_ended(self.recorded.why)}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRisk:
    """One trial: its domains, and the overall judgement that a person recorded, or none.

    `allowed_overall` is what the published rule leaves open; nothing is counted automatically.
    `unjudged` are the answers of domain S that its two plain corners do not decide.
    `draft` is true while any answer still waits for a person to agree.
    """

    trial: str
    domains: Mapping[str, DomainJudgement]
    allowed_overall: tuple[str, ...]
    overall: Answer | None
    note: str
    outcome: str = ""
    scale: str = ""
    draft: bool = False
    unjudged: tuple[Answer, ...] = ()

    @property
    def standing(self) -> str:
        """The recorded overall judgement, else the mildest that the rule leaves open."""
        return self.overall.answer if self.overall else self.allowed_overall[0]

    @property
    def waits(self) -> bool:
        """Whether a person must still judge: no overall judgement, or answers that are drafts."""
        return self.overall is None or self.draft


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskOfBias:
    """All trials assessed with RoB 2 for one effect of interest."""

    trials: Mapping[str, TrialRisk]
    effect: str
    method: str
    digest: str

    def summary(self) -> str:
        """One sentence: how many of each overall judgement, and how many still wait for one."""
        counts: dict[str, int] = dict.fromkeys(JUDGEMENTS, 0)
        open_ones = [t for t, r in self.trials.items() if r.overall is None]
        for risk in self.trials.values():
            if risk.overall:
                counts[risk.overall.answer] += 1
        text = ", ".join(f"{n} {name}" for name, n in counts.items())
        waiting = f"; no overall judgement yet: {', '.join(open_ones)}" if open_ones else ""
        drafts = sum(r.draft for r in self.trials.values())
        unread = f" {drafts} of them are drafts that no person has reviewed." if drafts else ""
        return f"{len(self.trials)} trial{'s' * (len(self.trials) != 1)}: {text}{waiting}.{unread}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "trials": [_risk_dict(r) for r in self.trials.values()],
            "effect": self.effect,
            "method": self.method,
            "digest": self.digest,
        }

    def plot(self, **labels: Any) -> Any:
        """Traffic-light chart (Altair)."""
        from klarsyn.figures.riskofbias import traffic_light
        from klarsyn.figures.theme import housed

        return housed(traffic_light(self.lights(), **labels))

    def lights(self) -> list[dict[str, Any]]:
        """One mark for each trial and domain, the overall ones last; `none` where nobody judged.

        A mark is `open` where the judgement could be another if all that is not reported were
        known, and an overall one while a person must still agree.
        """
        marks = []
        for risk in self.trials.values():
            for name, domain in risk.domains.items():
                hangs = len(set(domain.attainable)) > 1
                marks.append(_mark(risk.trial, name[:2], domain.judgement, domain.note, hangs))
            judged = risk.overall.answer if risk.overall else "none"
            marks.append(_mark(risk.trial, OVERALL, judged, risk.note, risk.waits))
        return sorted(marks, key=lambda mark: mark["domain"] == OVERALL)


def _mark(trial: str, domain: str, judgement: str, note: str, hangs: bool) -> dict[str, Any]:
    told = {"trial": trial, "domain": domain, "judgement": judgement, "note": note}
    return told | {"open": hangs}


def _risk_dict(risk: TrialRisk) -> dict[str, Any]:
    return {
        "trial": risk.trial,
        "outcome": risk.outcome,
        "scale": risk.scale,
        "draft": risk.draft,
        "domains": {
            name: {
                "judgement": d.judgement,
                "suggested": d.suggestion.judgement if d.suggestion else None,
                "rules": list(d.suggestion.rules) if d.suggestion else [],
                "attainable": list(d.attainable),
                "note": d.note,
            }
            for name, d in risk.domains.items()
        },
        "unjudged": {a.question: a.answer for a in risk.unjudged},
        "allowed_overall": list(risk.allowed_overall),
        "standing": risk.standing,
        "overall": risk.overall.answer if risk.overall else None,
        "overall_who": risk.overall.who if risk.overall else None,
        "overall_when": risk.overall.when if risk.overall else None,
        "overall_why": risk.overall.why if risk.overall else None,
        "note": risk.note,
    }


def rob2_domain(domain: str, answers: Mapping[str, str] | Sequence[str]) -> Suggestion:
    """RoB 2's suggestion for one domain (`D1`, `D2a`, `D2b`, `D3`, `D4`, `D5`, or `S`).

    `answers` by question id, or in the domain's order. Sterne et al. 2019, BMJ 366:l4898. Domain S
    has only the two plain corners of its table; anything else raises InputError.
    """
    chosen = tool("rob2").domain(domain)
    if not isinstance(answers, Mapping):
        if len(answers) != len(chosen.questions):
            raise InputError(
                f"{domain} has the questions {', '.join(chosen.questions)}; "
                f"{len(answers)} answers were given."
            )
        answers = dict(zip(chosen.questions, answers, strict=True))
    if domain == CROSSOVER:
        found = crossover_corner(answers)
        if found is None:
            raise _no_crossover_table()
        return found
    return suggest("rob2", domain, answers)


def crossover_corner(answers: Mapping[str, str]) -> Suggestion | None:
    """Domain S where it is plain: too short a gap is High, equal order and a long one Low.

    None in between, because the tool's own table was not available from a public source.
    """
    table = tool("rob2").domain(CROSSOVER).parts[0]
    rule = table.find([answers.get(q) for q in table.questions])
    if rule is None:
        return None
    asked = [(q, p) for q, p in zip(table.questions, rule.printed, strict=True) if p != "-"]
    path = ", ".join(f"{q} {p}" for q, p in asked)
    return Suggestion(
        domain=CROSSOVER,
        judgement=rule.judgement,
        rules=(f"{path} → {rule.judgement}",),
        unanswered=tuple(q for q, _ in asked if q not in answers),
    )


def _no_crossover_table() -> InputError:
    return InputError(
        "Domain S (period and carry-over effects of crossover trials): these answers are neither "
        "of its two plain corners, and its full table was not available from a public source. Read "
        "it at riskofbias.info and record the judgement, with who, when and why, as a row with "
        "domain S and no question."
    )


def overall_choices(judgements: Sequence[str]) -> tuple[str, ...]:
    """What the published overall rule leaves open for these domain judgements.

    All Low: Low. Any High: High. Otherwise Some concerns, or High where a person finds that several
    of them together lower confidence; how many that takes is not a rule of the tool.
    """
    for judgement in judgements:
        if judgement not in JUDGEMENTS:
            raise unknown_name("judgement", judgement, JUDGEMENTS)
    if not judgements:
        raise InputError("No domain has been judged, so nothing can be said overall.")
    if "High" in judgements:
        return ("High",)
    if "Some concerns" not in judgements:
        return ("Low",)
    return ("Some concerns", "High") if judgements.count("Some concerns") > 1 else JUDGEMENTS[1:2]


def read_answers(path: str | Path) -> tuple[Answer, ...]:
    """Read the answers file: trial (or trial_id), domain, question, answer, who, when, why.

    `outcome`, `scale`, `effect`, `findings`, `source_id`, `locator` and `draft` may be there too,
    so that the table `riskofbias` of a base is such a file. A row without an answer and without a
    name is not yet answered; a name without an answer means NA; an answer needs who, when and why.
    """
    table = read_table(path, COLUMNS)
    name = "trial_id" if "trial_id" in table.columns else "trial"
    if name not in table.columns:
        raise missing_column(str(path), "trial", list(table.columns))
    out = []
    for row, r in table.numbered():
        if not r[name]:
            raise InputError(f"{path}: row {row}: column {name!r} is empty. Name the trial.")
        if r["answer"] or r["who"]:
            out.append(_answer(r, r[name], row))
            _check_signed(out[-1], f"{path}: row {row}")
    return tuple(out)


def _answer(r: Mapping[str, Any], trial: str, row: int) -> Answer:
    def text(column: str) -> str:
        return str(r.get(column) or "")

    return Answer(
        trial=trial,
        answer=text("answer") or NOT_APPLICABLE,
        **{c: text(c) for c in ("domain", "question", "who", "when", "why")},
        **{c: text(c) for c in ("outcome", "scale", "effect", "locator")},
        findings=tuple(i.strip() for i in text("findings").split(";") if i.strip()),
        source=text("source_id"),
        draft=bool(r.get("draft")),
        row=row,
    )


def assess_rob2(
    answers: Sequence[Answer],
    *,
    effect: str = "assignment",
    outcome: str = "",
    where: str = "answers",
) -> RiskOfBias:
    """Judge every trial of an answers file; raises InputError with the row that is wrong.

    Only answers for that `effect` (or for none named) count and, where `outcome` is given, only
    those for that result; a trial with answers for several results needs it.
    """
    if effect not in EFFECTS:
        raise unknown_name("effect of interest", effect, EFFECTS)
    trials: dict[str, list[Answer]] = {}
    for answer in answers:
        _check_line(answer, where)
        wanted = answer.effect in ("", effect) and (not outcome or answer.outcome == outcome)
        if wanted:
            trials.setdefault(answer.trial, []).append(answer)
    if not trials:
        about = f" about {outcome}" if outcome else ""
        raise InputError(f"{where}: there is no answer{about} for the effect of {effect}.")
    return RiskOfBias(
        trials={t: _assess(t, lines, effect, where) for t, lines in trials.items()},
        effect=effect,
        method="RoB 2 (2019), tables suggest, overall recorded",
        digest=digest_of([a for lines in trials.values() for a in lines], effect),
    )


def _check_line(line: Answer, where: str) -> None:
    used, at = tool("rob2"), f"{where}: row {line.row}"
    domains = ["D1", *EFFECTS.values(), "D3", "D4", "D5", CROSSOVER, OVERALL]
    if line.domain not in domains:
        raise unknown_name("domain", line.domain, domains, at)
    if line.effect not in ("", *EFFECTS):
        raise unknown_name("effect of interest", line.effect, EFFECTS, at)
    _check_signed(line, at)
    if line.domain == OVERALL or line.question in ("", RECORDED):
        if line.answer not in JUDGEMENTS:
            raise unknown_name("judgement", line.answer, JUDGEMENTS, at)
        return
    questions = used.domain(line.domain).questions
    if line.question not in questions:
        raise unknown_name(f"question of {line.domain}", line.question, questions, at)
    allowed = dict.fromkeys((*used.allowed(line.domain, line.question), "NA"))
    if line.answer not in allowed:
        raise unknown_name(f"answer to question {line.question}", line.answer, allowed, at)


def _check_signed(line: Answer, at: str) -> None:
    for column in ("who", "when", "why"):
        if not getattr(line, column).strip():
            raise InputError(
                f"{at}: column {column!r} is empty; an answer needs who, when and why."
            )


def _assess(trial: str, lines: Sequence[Answer], effect: str, where: str) -> TrialRisk:
    _check_one_result(trial, lines, where)
    _check_twice(lines, where)
    wanted = ["D1", EFFECTS[effect], "D3", "D4", "D5"]
    if any(line.domain == CROSSOVER for line in lines):
        wanted.append(CROSSOVER)
    domains = {d: _domain(d, [x for x in lines if x.domain == d], trial, where) for d in wanted}
    found = {d: j for d, j in domains.items() if j is not None}
    if not found:
        raise InputError(f"{where}: {trial} has no answer in {', '.join(wanted)}.")
    allowed = overall_choices([j.judgement for j in found.values()])
    overall = next((x for x in lines if x.domain == OVERALL), None)
    missing = [d for d in wanted if d not in found]
    asked = (x for x in lines if x.domain == CROSSOVER and x.question not in ("", RECORDED))
    return TrialRisk(
        trial=trial,
        domains=found,
        allowed_overall=allowed,
        overall=overall,
        note=_overall_note(overall, allowed, missing),
        outcome=lines[0].outcome,
        scale=lines[0].scale,
        draft=any(line.draft for line in lines),
        unjudged=() if CROSSOVER in found else tuple(asked),
    )


def _check_one_result(trial: str, lines: Sequence[Answer], where: str) -> None:
    results = {(line.outcome, line.scale): line.row for line in reversed(lines)}
    if len(results) > 1:
        named = "; ".join(
            f"{' '.join(p for p in key if p) or 'none named'} (row {row})"
            for key, row in sorted(results.items(), key=lambda item: item[1])
        )
        raise InputError(
            f"{where}: {trial} has answers about several results: {named}. Judge one at a time: "
            f"name its outcome, or give every row of the trial the same outcome and scale."
        )


def _check_twice(lines: Sequence[Answer], where: str) -> None:
    seen: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (line.domain, line.question or RECORDED)
        if key in seen:
            raise InputError(
                f"{where}: row {line.row} answers {' '.join(key)} of {line.trial} again (row "
                f"{seen[key]}). Keep one row; say in `why` what the assessors disagreed on."
            )
        seen[key] = line.row


def _domain(domain: str, lines: Sequence[Answer], trial: str, where: str) -> DomainJudgement | None:
    recorded = next((x for x in lines if x.question in ("", RECORDED)), None)
    answered = [x for x in lines if x is not recorded]
    if not answered and recorded is None:
        return None
    suggestion = None
    given = {x.question: x.answer for x in answered}
    if answered:
        first = min(x.row for x in answered)
        place = f"{where}: {trial} (from row {first})"
        corner = domain == CROSSOVER
        suggestion = (
            crossover_corner(given) if corner else suggest("rob2", domain, given, where=place)
        )
        if suggestion is None and recorded is None:
            return None
    judgement = recorded.answer if recorded else suggestion.judgement if suggestion else ""
    settled = recorded is not None or suggestion is None or domain == CROSSOVER
    return DomainJudgement(
        domain=domain,
        judgement=judgement,
        suggestion=suggestion,
        recorded=recorded,
        answers=tuple(answered),
        attainable=(judgement, judgement) if settled else attainable("rob2", domain, given),
    )


def _ended(why: str) -> str:
    """What somebody wrote, ended as a sentence."""
    return why if why.endswith((".", "!", "?", "”", '"')) else f"{why}."


def _overall_note(overall: Answer | None, allowed: tuple[str, ...], missing: list[str]) -> str:
    gap = f" Not judged yet: {', '.join(missing)}." if missing else ""
    if overall is None:
        return f"No overall judgement recorded; the domains leave {' or '.join(allowed)}.{gap}"
    if overall.answer not in allowed:
        return (
            f"Recorded as {overall.answer} by {overall.who}, although the domains leave only "
            f"{' or '.join(allowed)}: {_ended(overall.why)}{gap}"
        )
    return f"{overall.answer}, {overall.who}, {overall.when}: {_ended(overall.why)}{gap}"


def robins_i(domains: Mapping[str, Mapping[str, str]], *, where: str = "") -> dict[str, Any]:
    """ROBINS-I V2 for one non-randomised study: each domain's suggestion and the worst of them.

    `domains` maps `D1A` or `D1B`, `D2` … `D6`, and `B` for the gate, to answers by question id.
    A combination that the published diagrams leave undefined raises InputError.
    """
    used = tool("robins_i")
    gate = domains.get("B", {})
    if used.gate and any(gate.get(q) in ("Y", "PY") for q in used.gate.questions):
        return {"overall": "Critical", "domains": {}, "stopped": "Section B"}
    found = {d: suggest("robins_i", d, a, where=where) for d, a in domains.items() if d != "B"}
    if not found:
        raise InputError("No domain has been answered.")
    return {
        "overall": used.worst([s.judgement for s in found.values()]),
        "domains": {d: s.judgement for d, s in found.items()},
        "stopped": "",
    }
