"""The pooled effect had trials gone missing, and under a prior for the spread between trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, TableBlock, anchor_of, paragraphs
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.tau_priors import TauPrior
from klarsyn.synthesis import simulated as seen
from klarsyn.synthesis.bayes import RandomEffectsPosterior, pool_bayes
from klarsyn.synthesis.extraction import TrialEffect, as_effects
from klarsyn.synthesis.pairwise import Pooled
from klarsyn.synthesis.smallstudy import SmallStudyEffects, analyse_small_studies

WIDEST = 4.0  # half-widths of the page's own interval; beyond that an arrow
HALVING = {"pet_peese": "PET-PEESE", "trim_and_fill": "trim and fill", "limit": "limit"}


def gaps_blocks(
    context: Context, base: Pooled, effects: Sequence[TrialEffect]
) -> tuple[list[Any], list[Result]]:
    """The figure, what simulations say of its methods, and the results behind both."""
    pooled = as_effects(effects)
    settings = context.settings
    small = analyse_small_studies(
        pooled,
        favoured=settings.favoured,
        tau2_method=settings.method,
        selection=settings.selecting,
    )
    posteriors = _posteriors(context, pooled)
    results = [_small_result(small, effects)]
    results += [_posterior_result(p, i, effects) for i, p in enumerate(posteriors, start=1)]
    blocks: list[Any] = [_figure(context, base, small, posteriors, results)]
    said = [*_small_cautions(context, small), *_prior_cautions(context, posteriors)]
    blocks.append(Prose(paragraphs=paragraphs(" ".join(said)), tone="caution"))
    blocks.append(_halving(context, small))
    return blocks, results


def _posteriors(context: Context, pooled: Any) -> list[RandomEffectsPosterior]:
    return [pool_bayes(pooled, tau_prior=prior) for prior in context.settings.tau_priors]


def _estimates(context: Context, small: SmallStudyEffects) -> list[tuple[str, Estimate]]:
    w, out = context.words, []
    if small.pet_peese is not None:
        out.append((f"PET-PEESE ({small.pet_peese.chosen})", small.pet_peese.estimate))
    out += [
        (w.plain("gaps.trim_and_fill", missing=t.missing), t.estimate) for t in small.trimmed[:1]
    ]
    if small.limit is not None:
        out.append((w.plain("gaps.limit"), small.limit.estimate))
    for s in small.selection:
        label = w.plain("gaps.selection", kind=w.plain(f"gaps.kind.{s.kind}"))
        out.append((label, Estimate(value=s.mu, se=s.se, method=s.method)))
    if small.worst.worst is not None:
        out.append((w.plain("gaps.worst"), small.worst.worst))
    return out


def _figure(
    context: Context, base: Pooled, small: SmallStudyEffects,
    posteriors: Sequence[RandomEffectsPosterior], results: Sequence[Result],
) -> Figure:  # fmt: skip
    w = context.words

    def row(label: str, value: float, low: float, high: float, **more: Any) -> ForestRow:
        text = context.numbers.with_interval(value, low, high)
        return ForestRow(
            kind=more.pop("kind", "study"), label=label, estimate=value, lower=low, upper=high,
            weight=0.25, numbers=text, colour=PALETTE[0],
            details={w.plain("hover.effect"): text}, **more,
        )  # fmt: skip

    link = "#" + anchor_of("result", results[0].id)
    rows = [row(w.plain("choices.as_shown"), base.estimate, base.ci_lower, base.ci_upper,
                kind="pooled"),
            ForestRow(kind="heading", label=w.plain("gaps.missing"))]  # fmt: skip
    rows += [
        row(label, e.value, *e.interval(), link=link) for label, e in _estimates(context, small)
    ]
    if posteriors:
        rows.append(ForestRow(kind="heading", label=w.plain("gaps.prior")))
    for posterior, result in zip(posteriors, results[1:], strict=True):
        label = w.plain("gaps.posterior", prior=_prior(context, posterior.prior))
        mu = posterior.mu
        rows.append(
            row(label, mu.median, mu.low, mu.high, link="#" + anchor_of("result", result.id))
        )
    reach = WIDEST * max(base.ci_upper - base.ci_lower, 1e-9) / 2
    axis = ForestAxis(
        title=w.plain("works.axis"),
        left="← " + w.plain("works.left", drug=context.settings.drug[context.lang]),
        right=w.plain("works.right") + " →",
        limits=(min(base.estimate - reach, -0.1), max(base.estimate + reach, 0.1)),
    )
    return Figure(
        id="missing-trials",
        title=w.plain("gaps.figure"),
        alt=w.plain("gaps.alt", methods=sum(r.kind == "study" for r in rows)),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=w("gaps.caption", side=w.plain(f"gaps.favoured.{small.favoured}")),
    )


def _prior(context: Context, prior: TauPrior) -> str:
    """A prior of tau as a reader of the page would write it."""
    w, n = context.words, context.numbers
    numbers = [
        f"{w.plain(f'gaps.parameter.{k}')} {n.general(v)}" for k, v in prior.parameters.items()
    ]
    name = prior.name.lower().removesuffix(" of tau²").replace(" ", "-")
    return ", ".join([w.plain(f"gaps.priors.{name}"), *numbers])


def _halving(context: Context, small: SmallStudyEffects) -> TableBlock:
    """How the shown adjustments did in simulations."""
    w, rows = context.words, []
    for key, name in HALVING.items():
        if key not in dict(small.warnings):
            continue
        (alike, of_alike), (differing, of_differing) = seen.HALVED[name]
        none, chosen = seen.UNSELECTED_HETEROGENEOUS[name], seen.SELECTED_HETEROGENEOUS[name]
        rows.append(
            (w.plain(f"gaps.method.{key}"), w.plain("gaps.of", n=alike, of=of_alike),
             w.plain("gaps.of", n=differing, of=of_differing), _range(context, none),
             _range(context, chosen))
        )  # fmt: skip
    columns = ("method", "alike", "differing", "none", "chosen")
    return TableBlock(
        id="missing-trials-seen",
        folded=True,
        title=w.plain("gaps.seen"),
        header=[w.plain(f"gaps.column.{c}") for c in columns],
        rows=rows,
        caption=w("gaps.seen_caption"),
        numeric=(1, 2, 3, 4),
    )


def _range(context: Context, pair: tuple[int, int]) -> str:
    return context.words.plain("gaps.range", low=pair[0], high=pair[1])


def _small_cautions(context: Context, small: SmallStudyEffects) -> list[str]:
    """Of every warning whose result the page shows, in the page's words."""
    w = context.words
    values = {
        "few": {"k": len(small.study), "three": seen.PET_ERROR[0], "five": seen.PET_ERROR[1]},
        "smooth_models": {
            "own": _range(context, seen.SMOOTH_OWN), "step": _range(context, seen.SMOOTH_STEP)
        },
    }  # fmt: skip
    names = [n for n, _ in small.warnings if w.knows(f"gaps.caution.{n}")]
    return [w.plain(f"gaps.caution.{n}", **_local(context, values.get(n, {}))) for n in names]


def _prior_cautions(context: Context, posteriors: Sequence[RandomEffectsPosterior]) -> list[str]:
    w = context.words
    values = {
        "narrow_prior": {
            "mean": _range(context, seen.PRIOR_TOO_NARROW_MEAN),
            "new": _range(context, seen.PRIOR_TOO_NARROW_NEW),
        }
    }
    names = dict.fromkeys(n for p in posteriors for n, _ in p.warnings)
    known = [n for n in names if w.knows(f"gaps.caution.{n}")]
    return [w.plain(f"gaps.caution.{n}", **values.get(n, {})) for n in known]


def _local(context: Context, values: dict[str, Any]) -> dict[str, str]:
    return {
        name: context.numbers.general(v) if isinstance(v, float) else str(v)
        for name, v in values.items()
    }


def _small_result(small: SmallStudyEffects, effects: Sequence[TrialEffect]) -> Result:
    record = small.to_dict()
    kept = ("favoured", "tau2_method", "failed", "warnings")
    return Result(
        id="choices.small_studies",
        value={name: record[name] for name in kept}
        | {"chosen": None if small.pet_peese is None else small.pet_peese.chosen}
        | {"estimates": [{"method": e.method, "value": e.value, "interval": list(e.interval())}
                         for e in small.estimates()]},
        method=small.method,
        inputs=tuple(dict.fromkeys(i for e in effects for i in e.findings)),
        digest=digest_of(small.digest, small.favoured, small.tau2_method),
    )  # fmt: skip


def _posterior_result(
    posterior: RandomEffectsPosterior, number: int, effects: Sequence[TrialEffect]
) -> Result:
    record = posterior.to_dict()
    kept = ("tau_prior", "mu_prior", "mu", "tau", "new_study", "probability_below_zero", "warnings")
    return Result(
        id=f"choices.prior_{number}",
        value={name: record[name] for name in kept},
        method=posterior.method,
        inputs=tuple(dict.fromkeys(i for e in effects for i in e.findings)),
        digest=posterior.digest,
    )
