"""A base becomes a report: the four questions, then every row and source they stand on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from klarsyn import __version__
from klarsyn.errors import InputError
from klarsyn.evidence.trial import Base, Finding
from klarsyn.report.context import Context
from klarsyn.report.document import Part, Report, Section
from klarsyn.report.labels import in_language
from klarsyn.report.numbers import Numbers
from klarsyn.report.records import record_rows
from klarsyn.report.sections.action import build_action
from klarsyn.report.sections.adjusted import build_adjusted
from klarsyn.report.sections.against import build_against
from klarsyn.report.sections.certainty import build_certainty, known_cells
from klarsyn.report.sections.change import build_change
from klarsyn.report.sections.choices import build_choices
from klarsyn.report.sections.duration import build_duration
from klarsyn.report.sections.findings_summary import build_findings_summary
from klarsyn.report.sections.left import build_left
from klarsyn.report.sections.network import build_network
from klarsyn.report.sections.riskofbias import build_risk_of_bias
from klarsyn.report.sections.safety import build_safety
from klarsyn.report.sections.told import build_told
from klarsyn.report.sections.works import build_works
from klarsyn.report.settings import read_settings
from klarsyn.report.words import read_words

TAG = re.compile(r"<[^>]*>")
Builder = Callable[[Context], tuple[Section, Any] | None]

# What stands behind each answer, where the base has what it needs.
BEHIND: Mapping[str, tuple[Builder, ...]] = {
    "works": (build_against, build_network),
    "duration": (build_left,),
    "safety": (),
    "certainty": (
        build_findings_summary,
        build_told,
        build_risk_of_bias,
        build_adjusted,
        build_choices,
        build_change,
    ),
}
LAST: tuple[Builder, ...] = (build_action,)


def build_report(base: Base, lang: str = "en") -> tuple[Report, Context]:
    """The report of a base in one language, with the context it was written in.

    Raises InputError for a base without trials or with unusable settings, UnknownNameError for a
    language the catalogue does not have.
    """
    if not base.trials:
        raise InputError(f"{base.name}: the base has no trial. Add rows to trials.csv.")
    base = in_language(base, lang)
    context = Context(
        base=base, settings=read_settings(base), words=read_words(lang), numbers=Numbers(lang)
    )
    behind = {name: _built(context, builders) for name, builders in BEHIND.items()}
    graded = next((a for built in behind.values() for s, a in built if s.id == "findings"), None)
    answered = [
        build_works(context),
        build_duration(context),
        build_safety(context),
        build_certainty(context, graded),
    ]
    last = _built(context, LAST)
    contents = [
        *(Part(first=s, behind=tuple(b for b, _ in behind[s.id])) for s, _ in answered),
        *(Part(first=s) for s, _ in last),
    ]
    sections = [section for part in contents for section in (part.first, *part.behind)]
    report = Report(
        lang=lang,
        title=context.settings.title[lang],
        subtitle=_subtitle(context),
        summary=[
            {"question": section.title, "answer": _unlinked(answer), "section": section.id}
            for section, answer in answered
        ],
        sections=sections,
        contents=contents,
        rows=_rows(context, sections),
        sources=_sources(context, sections),
        facts={
            "version": __version__,
            "base": base.name,
            "digest": base.digest,
            "trials": _trials(context),
        },
    )
    return report, context


def _built(context: Context, builders: Sequence[Builder]) -> list[tuple[Section, Any]]:
    return [built for build in builders if (built := build(context)) is not None]


def _subtitle(context: Context) -> str:
    people = sum(t.participants or 0 for t in context.base.trials)
    return context.words.plain(
        "page.subtitle",
        trials=len(context.base.trials),
        participants=context.numbers.whole(people),
    )


def _unlinked(answer: Any) -> str:
    """The answer without links, its unbreakable spaces kept: a card is one link already."""
    from markupsafe import Markup

    return Markup(TAG.sub("", str(Markup(answer)))).unescape()


def _trials(context: Context) -> list[Mapping[str, Any]]:
    n = context.numbers
    known: dict[str, list[bool]] = {}
    for trial, _, state in known_cells(context):
        known.setdefault(trial.id, []).append(state == "reported")

    def number(value: float | None) -> str:
        return "–" if value is None else n.general(value)

    out = []
    for t in context.base.trials:
        cells = known.get(t.id, [])
        source = context.base.sources.get(t.source)
        out.append(
            {
                "id": t.id,
                "label": t.label,
                "design": context.term("design", t.design),
                "comparator": context.comparator(t.comparator),
                "participants": number(t.participants),
                "doses": number(t.doses),
                "followup": number(t.followup_days),
                "known": n.percent(sum(cells) / len(cells)) if cells else "–",
                "doi": t.doi,
                "citation": source.citation if source else t.source,
            }
        )
    return out


def _used(context: Context, sections: Sequence[Section]) -> list[Finding]:
    ids = _ids(sections)
    return [f for f in context.base.findings if f.id in ids]


def _ids(sections: Sequence[Section]) -> set[str]:
    return {i for s in sections for i in s.findings}


def _rows(context: Context, sections: Sequence[Section]) -> list[Mapping[str, Any]]:
    out = []
    for f in _used(context, sections):
        parts = [
            context.base.trial(f.trial).label,
            context.arm_label(f.trial, f.arm),
            context.term("outcome", f.outcome),
            f.scale,
            context.term("statistic", f.statistic),
            _day(context, f),
        ]
        out.append(
            {
                "id": f.id,
                "what": ", ".join(p for p in parts if p),
                "value": f.value,
                "unit": f.unit,
                "printed": context.numbers.general(f.value) if f.value is not None else "–",
                "source": f.source,
                "locator": f.locator,
                "kind": context.term("kind", f.kind),
                "confidence": context.term("confidence", f.confidence),
                "note": f.note,
            }
        )
    return out + record_rows(context, _ids(sections))


def _day(context: Context, finding: Finding) -> str:
    if finding.days_from_first_dose is None:
        return ""
    day = context.numbers.general(finding.days_from_first_dose)
    return context.words.plain("hover.day", scale="", day=day)


def _sources(context: Context, sections: Sequence[Section]) -> list[Mapping[str, str]]:
    ids = {row["source"] for row in _rows(context, sections)}
    return [
        {"id": s.id, "citation": s.citation, "doi": s.doi, "url": s.url, "licence": s.licence}
        for s in context.base.sources.values()
        if s.id in ids
    ]
