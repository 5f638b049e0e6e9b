"""Signalling answers become a judgement by a printed table of rules, first match wins."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from klarsyn.errors import InputError, unknown_name

TOOLS = ("rob2", "robins_i")
NOT_APPLICABLE = "NA"
NO_INFORMATION = "NI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of a table: a pattern for each question, and the judgement it gives."""

    patterns: tuple[frozenset[str] | None, ...]
    printed: tuple[str, ...]
    judgement: str

    def fits(self, answers: Sequence[str | None]) -> bool:
        """Whether every asked question has a listed answer; None in a pattern is not asked."""
        pairs = zip(self.patterns, answers, strict=True)
        return all(pattern is None or answer in pattern for pattern, answer in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTable:
    """The rules over some questions, in the order in which they are read."""

    questions: tuple[str, ...]
    rules: tuple[Rule, ...]

    def find(self, answers: Sequence[str | None]) -> Rule | None:
        """The first rule that fits, or None where the table is silent."""
        return next((rule for rule in self.rules if rule.fits(answers)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain's tables: the worst of `parts`, then `when_serious` where that is Serious."""

    id: str
    title: str
    parts: tuple[RuleTable, ...]
    when_serious: RuleTable | None

    @property
    def questions(self) -> tuple[str, ...]:
        """All question ids in order."""
        tables = (*self.parts, self.when_serious) if self.when_serious else self.parts
        return tuple(q for table in tables for q in table.questions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A risk-of-bias tool as data: domains, answers, judgements from best to worst."""

    name: str
    answers: tuple[str, ...]
    judgements: tuple[str, ...]
    domains: Mapping[str, Domain]
    texts: Mapping[str, str]
    limits: Mapping[str, tuple[str, ...]]
    gate: RuleTable | None

    def domain(self, name: str) -> Domain:
        """The domain of that id; raises UnknownNameError."""
        if name not in self.domains:
            raise unknown_name("domain", name, self.domains, self.name)
        return self.domains[name]

    def allowed(self, domain: str, question: str) -> tuple[str, ...]:
        """The answers that question takes."""
        return self.limits.get(f"{domain}:{question}", self.answers)

    def worst(self, judgements: Sequence[str]) -> str:
        """The worst of several judgements."""
        return max(judgements, key=self.judgements.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What the tables say for one domain, and by which rows.

    `unanswered` were asked but cannot change the judgement; `not_asked` were answered all the same.
    """

    domain: str
    judgement: str
    rules: tuple[str, ...]
    unanswered: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()


@cache
def tool(name: str) -> Tool:
    """Read one of the shipped tools: `rob2` or `robins_i`."""
    if name not in TOOLS:
        raise unknown_name("risk-of-bias tool", name, TOOLS)
    text = resources.files("klarsyn.bias") / "questionnaires" / f"{name}.toml"
    raw = tomllib.loads(text.read_text(encoding="utf-8"))
    answers = tuple(raw["answers"])
    exceptions = dict(raw["exceptions"])
    conditional = exceptions.pop("conditional")
    limits = {key: tuple(value) for key, value in exceptions.items()}
    for key in conditional:
        limits[key] = (*limits.get(key, answers), NOT_APPLICABLE)
    every = (*answers, NOT_APPLICABLE)
    domains = {
        key: Domain(
            id=key,
            title=value["title"],
            parts=tuple(_table(part, every) for part in value["parts"]),
            when_serious=_table(value["when_serious"], every) if "when_serious" in value else None,
        )
        for key, value in raw["domains"].items()
    }
    return Tool(
        name=name,
        answers=answers,
        judgements=tuple(raw["judgements"]),
        domains=domains,
        texts=raw["questions"],
        limits=limits,
        gate=_table(raw["gate"], every) if "gate" in raw else None,
    )


def _table(raw: Mapping[str, list], every: Sequence[str]) -> RuleTable:
    def pattern(cell: str) -> frozenset[str] | None:
        if cell == "-":
            return None
        return frozenset(every) if cell == "any" else frozenset(cell.split("/"))

    rules = tuple(
        Rule(patterns=tuple(map(pattern, row[:-1])), printed=tuple(row[:-1]), judgement=row[-1])
        for row in raw["rules"]
    )
    return RuleTable(questions=tuple(raw["questions"]), rules=rules)


def suggest(
    name: str, domain: str, answers: Mapping[str, str | None], *, where: str = ""
) -> Suggestion:
    """The judgement that the tool's tables give for one domain.

    `answers` maps question ids to answers; a question left out is tried with every answer, and is
    needed only where the judgement depends on it. Raises InputError (unknown answer, needed answer
    missing, or a combination that the published tables leave undefined).
    """
    used, place = tool(name), f"{where}: " if where else ""
    chosen = used.domain(domain)
    given = {q: a for q, a in answers.items() if a}
    _check_answers(used, domain, given, where)
    parts = [_judge(used, domain, table, given, place) for table in chosen.parts]
    if chosen.when_serious and used.worst([p.judgement for p in parts]) == "Serious":
        last = _judge(used, domain, chosen.when_serious, given, place)
        judgement, parts = last.judgement, [*parts, last]
    else:
        judgement = used.worst([p.judgement for p in parts])
    asked = {q for p in parts for q in p.not_asked}
    return Suggestion(
        domain=domain,
        judgement=judgement,
        rules=tuple(rule for p in parts for rule in p.rules),
        unanswered=tuple(q for p in parts for q in p.unanswered),
        not_asked=tuple(q for q in chosen.questions if q in given and q not in asked),
    )


def attainable(name: str, domain: str, answers: Mapping[str, str | None]) -> tuple[str, str]:
    """The best and the worst judgement if all that is not reported (NI, NA, blank) were known.

    Equal ends mean that the judgement rests on what was answered. Only for domains without a table
    that is read after the others.
    """
    used = tool(name)
    chosen = used.domain(domain)
    if chosen.when_serious:
        raise InputError(f"{domain} has a table that depends on the judgement of the others.")
    silent = {None, "", NO_INFORMATION, NOT_APPLICABLE}
    ends: list[tuple[str, str]] = []
    for table in chosen.parts:
        row = [None if answers.get(q) in silent else answers[q] for q in table.questions]
        limits = [
            frozenset(used.allowed(domain, q)) - {NO_INFORMATION, NOT_APPLICABLE}
            for q in table.questions
        ]
        found = {rule.judgement for rule in _reachable(table.rules, row, limits)}
        ranked = sorted(found, key=used.judgements.index)
        ends.append((ranked[0], ranked[-1]))
    return used.worst([low for low, _ in ends]), used.worst([high for _, high in ends])


def _check_answers(used: Tool, domain: str, given: Mapping[str, str], where: str) -> None:
    known = used.domain(domain).questions
    for question, answer in given.items():
        if question not in known:
            raise unknown_name(f"question of {domain}", question, known, where)
        allowed = (*used.allowed(domain, question), NOT_APPLICABLE)
        if answer not in allowed:
            raise unknown_name(
                f"answer to question {question}", answer, dict.fromkeys(allowed), where
            )


def _judge(
    used: Tool, domain: str, table: RuleTable, given: Mapping[str, str], place: str
) -> Suggestion:
    """One table's verdict; its `not_asked` holds, for the caller, the questions it did ask."""
    row = [given.get(q) for q in table.questions]
    limits = [frozenset(used.allowed(domain, q)) for q in table.questions]
    found: dict[Rule, None] = {}
    for rule in _reachable(table.rules, row, limits):
        found[rule] = None
        if len({r.judgement for r in found}) > 1:
            raise _unanswered(domain, table, given, found, place)
    if not found:
        raise _undefined(domain, table, row, place)
    rule = min(found, key=table.rules.index)
    asked = [q for q, p in zip(table.questions, rule.patterns, strict=True) if p is not None]
    path = ", ".join(
        f"{q} {p}"
        for q, p in zip(table.questions, rule.printed, strict=True)
        if p not in ("-", "any")
    )
    return Suggestion(
        domain=domain,
        judgement=rule.judgement,
        rules=(f"{path} → {rule.judgement}",),
        unanswered=tuple(q for q in asked if q not in given),
        not_asked=tuple(asked),
    )


def _reachable(
    rules: Sequence[Rule], row: list[str | None], limits: Sequence[frozenset[str]]
) -> Iterator[Rule]:
    """The rules that some completion of the missing answers ends at, each at least once.

    Only questions on which the next possible rule depends are tried, so a long table with many
    unanswered questions stays cheap.
    """
    for rule in rules:
        if not _possible(rule, row, limits):
            continue
        open_question = next(
            (
                i
                for i, pattern in enumerate(rule.patterns)
                if row[i] is None and pattern is not None and not limits[i] <= pattern
            ),
            None,
        )
        if open_question is None:
            yield rule
            return
        for answer in sorted(limits[open_question]):
            filled = [*row[:open_question], answer, *row[open_question + 1 :]]
            yield from _reachable(rules, filled, limits)
        return


def _possible(rule: Rule, row: Sequence[str | None], limits: Sequence[frozenset[str]]) -> bool:
    triples = zip(rule.patterns, row, limits, strict=True)
    return all(
        pattern is None or (limit & pattern if answer is None else answer in pattern)
        for pattern, answer, limit in triples
    )


def _undefined(domain: str, table: RuleTable, row: Sequence[str | None], place: str) -> InputError:
    pairs = ", ".join(f"{q} {a}" for q, a in zip(table.questions, row, strict=True) if a)
    return InputError(
        f"{place}{domain}: the published table has no row for {pairs}. "
        f"Check these answers, or record a judgement with who and why."
    )


def _unanswered(
    domain: str,
    table: RuleTable,
    given: Mapping[str, str],
    found: Iterable[Rule],
    place: str,
) -> InputError:
    needed = next(
        q
        for i, q in enumerate(table.questions)
        if q not in given and any(rule.patterns[i] is not None for rule in found)
    )
    return InputError(
        f"{place}{domain}: question {needed} is needed after "
        f"{', '.join(f'{q} {a}' for q, a in given.items()) or 'nothing yet'}. Answer it."
    )
