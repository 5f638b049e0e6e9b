"""Missing binary outcomes on the haloperidol trials against metasens' `metamiss` (meta 8.4)."""

from __future__ import annotations

from functools import cache

import pytest
from meta_rows import Row, data, rows_of

from klarsyn.bias.missing import BinaryStudy, Missingness, binary_with_missing
from klarsyn.stats.contrasts import contrasts
from klarsyn.synthesis.pairwise import pool

COVERED = ("P34",)

CLOSED = 1e-8  # closed forms; the table is printed with ten digits
# The reference's best case lies beyond its own limit of ever smaller odds ratios (it tends to
# -0.0543677606 from -0.0543675); ours is that limit, none or all of the missing counted.
LIMIT = 1e-6

# metamiss counts small values as good unless told otherwise: an event is bad.
ASSUMPTIONS = {
    "GH": Missingness(assumption="gamble_hollis"),
    "zero": Missingness(assumption="none_had_event"),
    "best": Missingness(assumption="best"),
    "worst": Missingness(assumption="worst"),
    "pe": Missingness(assumption="as_treated"),
    "IMOR2": Missingness(assumption="odds_ratio", treated=2, control=2),
    "IMOR13": Missingness(assumption="odds_ratio", treated=1 / 3, control=3),
}


@cache
def trials() -> tuple[BinaryStudy, ...]:
    d = data("dat.higgins2008")
    return tuple(
        BinaryStudy(
            study=str(name),
            treated_events=float(rh),
            treated_observed=float(rh) + float(fh),
            treated_missing=float(mh),
            control_events=float(rp),
            control_observed=float(rp) + float(fp),
            control_missing=float(mp),
        )
        for name, rh, fh, mh, rp, fp, mp in zip(
            *(
                d[c]
                for c in (
                    "author", "resp.halo", "fail.halo", "miss.halo",
                    "resp.plac", "fail.plac", "miss.plac",
                )
            ),
            strict=True,
        )
    )  # fmt: skip


def available_cases() -> dict[str, list[float]]:
    """The tables as meta's default corrects them: half an event among half a patient more."""
    more = [0.5 * (t.treated_events == 0 or t.control_events == 0) for t in trials()]
    return {
        "ai": [t.treated_events + h for t, h in zip(trials(), more, strict=True)],
        "n1i": [t.treated_observed + h for t, h in zip(trials(), more, strict=True)],
        "ci": [t.control_events + h for t, h in zip(trials(), more, strict=True)],
        "n2i": [t.control_observed + h for t, h in zip(trials(), more, strict=True)],
    }


@cache
def values() -> dict[str, float]:
    seen = contrasts("RR", available_cases(), to="none")
    out = {
        "ACA.c": pool(seen.y, seen.v, method="EE", test="z").estimate,
        "ACA.r": pool(seen.y, seen.v, method="DL", test="z").estimate,
    }
    for name, assumed in ASSUMPTIONS.items():
        found = binary_with_missing(
            trials(), assumed, measure="RR", event_is_good=False, tau2_method="DL", test="z"
        )
        out |= {f"{name}.c": found.common.estimate, f"{name}.se": found.common.se}
        out[f"{name}.r"] = found.random.estimate
    return out


@pytest.mark.parametrize("row", rows_of(COVERED), ids=lambda r: r.id)
def test_the_row_is_reproduced(row: Row) -> None:
    bound = LIMIT if row.name.startswith("best") else CLOSED
    assert values()[row.name] == pytest.approx(row.value, rel=bound)


def test_the_best_case_is_the_limit_of_ever_more_extreme_odds_ratios() -> None:
    def pooled(odds: float) -> float:
        extreme = Missingness(assumption="odds_ratio", treated=odds, control=1 / odds)
        return binary_with_missing(
            trials(), extreme, measure="RR", event_is_good=False, tau2_method="DL", test="z"
        ).common.estimate

    assert abs(pooled(1e-8) - values()["best.c"]) < abs(pooled(1e-6) - values()["best.c"])
    assert pooled(1e-12) == pytest.approx(values()["best.c"], rel=CLOSED)
