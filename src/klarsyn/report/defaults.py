"""What a page asks of a base that does not say: time windows, items, priors, ways of leaving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def days(low: float, high: float, target: float, clock: str) -> dict[str, Any]:
    """A window's times as its settings write them."""
    return {"earliest": low, "latest": high, "target": target, "clock": clock}


DEFAULT_PRIORS = ("half-normal 0.5", "half-normal 1")  # of tau, for standardised differences
DEFAULT_LEAVING = (
    "dropout_before_treatment",
    "discontinued",
    "discontinued_lack_of_effect",
    "discontinued_adverse_event",
)
DEFAULT_CORRELATION_REASON = {
    "en": "assumed: no participant data in this base",
    "nb": "antatt: ingen deltakerdata i dette grunnlaget",
}
DEFAULT_WINDOWS: Sequence[Mapping[str, Any]] = (
    {
        "id": "day1",
        "label": {"en": "at about 24 hours", "nb": "ved omtrent 24 timer"},
        **days(0.8, 2, 1, "first_dose"),
    },
    {
        "id": "week1",
        "label": {"en": "at 7 days", "nb": "ved 7 dager"},
        **days(5, 10, 7, "first_dose"),
    },
    {
        "id": "end",
        "label": {"en": "at the end of treatment", "nb": "ved slutten av behandlingen"},
        "only_repeated": True,
        **days(0, 4.9, 1, "last_dose"),
    },
    {
        "id": "month1",
        "label": {
            "en": "four weeks or more after the last dose",
            "nb": "fire uker eller mer etter siste dose",
        },
        **days(28, 1000, 28, "last_dose"),
    },
    {
        "id": "last",
        "label": {"en": "at the last time reported", "nb": "ved siste rapporterte tidspunkt"},
        **days(0.01, 10_000, 10_000, "first_dose"),
    },
)


DEFAULT_ITEMS: Sequence[Mapping[str, Any]] = (
    {
        "label": {"en": "score at 24 hours", "nb": "skår ved 24 timer"},
        **days(0.8, 2, 1, "first_dose"),
    },
    {
        "label": {"en": "score at 7 days", "nb": "skår ved 7 dager"},
        **days(5, 10, 7, "first_dose"),
    },
    {
        "label": {"en": "score after ≥ 4 weeks", "nb": "skår etter ≥ 4 uker"},
        **days(28, 1000, 28, "last_dose"),
    },
    {"label": {"en": "response", "nb": "respons"}, "outcomes": ("response",)},
    {"label": {"en": "remission", "nb": "remisjon"}, "outcomes": ("remission",)},
    {"label": {"en": "relapse", "nb": "tilbakefall"}, "outcomes": ("relapse", "time_to_relapse")},
    {
        "label": {"en": "who left", "nb": "frafall"},
        "outcomes": ("discontinued", "dropout_before_treatment", "discontinued_adverse_event"),
    },
    {
        "label": {"en": "treatment guesses", "nb": "gjetning av behandling"},
        "outcomes": ("guess_correct",),
        "guesses": True,
    },
    {
        "label": {"en": "serious adverse events", "nb": "alvorlige hendelser"},
        "outcomes": ("serious_adverse_event",),
    },
    {
        "label": {"en": "dissociation", "nb": "dissosiasjon"},
        "outcomes": ("dissociation_score", "ae_dissociation"),
    },
)
