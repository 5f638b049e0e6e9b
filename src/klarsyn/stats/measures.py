"""Effect measures by name: what each needs, its scale, the data it is made from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """An effect measure: what it needs, the scale of its effect, the kind of data it is made from.

    `scale` is `log` where the effect is a natural logarithm (a ratio after `exp`), `natural`
    where it is in the outcome's own unit or a standardised unit, else the transformation's name.
    """

    name: str
    label: str
    kind: str
    needs: tuple[str, ...]
    scale: str
    variances: tuple[str, ...] = ("LS",)


_TABLE = ("ai", "bi", "ci", "di")
_RATES = ("x1i", "t1i", "x2i", "t2i")
_MEANS = ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")
_SLOPE = ("ti", "ni", "mi")
_PAIRS = ("m1i", "m2i", "sd1i", "sd2i", "ni", "ri")

MEASURES: dict[str, Measure] = {
    name: Measure(name=name, label=label, kind=kind, needs=needs, scale=scale, variances=variances)
    for name, label, kind, needs, scale, variances in (
        ("RR", "risk ratio", "table", _TABLE, "log", ("LS",)),
        ("OR", "odds ratio", "table", _TABLE, "log", ("LS",)),
        ("RD", "risk difference", "table", _TABLE, "natural", ("LS", "UB", "AV")),
        ("PETO", "Peto's one-step odds ratio", "table", _TABLE, "log", ("LS",)),
        ("AS", "arcsine difference", "table", _TABLE, "arcsine", ("LS",)),
        ("PHI", "phi coefficient", "table", _TABLE, "natural", ("LS",)),
        ("YUQ", "Yule's Q", "table", _TABLE, "natural", ("LS",)),
        ("YUY", "Yule's Y", "table", _TABLE, "natural", ("LS",)),
        ("OR2DN", "SMD from an odds ratio, normal", "table", _TABLE, "natural", ("LS",)),
        ("OR2DL", "SMD from an odds ratio, logistic", "table", _TABLE, "natural", ("LS",)),
        ("PBIT", "probit-transformed risk difference", "table", _TABLE, "natural", ("LS",)),
        ("MPRD", "matched pairs risk difference", "matched", _TABLE, "natural", ("LS",)),
        ("MPRR", "matched pairs risk ratio", "matched", _TABLE, "log", ("LS",)),
        ("MPOR", "matched pairs marginal odds ratio", "matched", _TABLE, "log", ("LS",)),
        ("MPORC", "matched pairs conditional odds ratio", "matched", _TABLE, "log", ("LS",)),
        ("MPPETO", "matched pairs conditional odds ratio by Peto", "matched", _TABLE, "log",
         ("LS",)),
        ("IRR", "incidence rate ratio", "rates", _RATES, "log", ("LS",)),
        ("IRD", "incidence rate difference", "rates", _RATES, "natural", ("LS",)),
        ("IRSD", "difference of root rates", "rates", _RATES, "square root", ("LS",)),
        ("MD", "mean difference", "means", _MEANS, "natural", ("LS", "UB", "HO")),
        ("SMD", "standardised mean difference (Hedges g)", "means", _MEANS, "natural",
         ("LS", "LS2", "UB", "AV")),
        ("SMD1", "SMD by the second group's SD", "means", _MEANS, "natural", ("LS", "LS2")),
        ("SMDH", "SMD with unequal variances", "means", _MEANS, "natural", ("LS",)),
        ("SMD1H", "SMD by the second group's SD, unequal variances", "means", _MEANS, "natural",
         ("LS",)),
        ("RPB", "point-biserial correlation", "means", _MEANS, "natural", ("LS",)),
        ("RBIS", "biserial correlation", "means", _MEANS, "natural", ("LS",)),
        ("ROM", "ratio of means, bias-corrected (Lajeunesse 2015)", "means", _MEANS, "log",
         ("LS", "HO")),
        ("ROMU", "ratio of means, uncorrected", "means", _MEANS, "log", ("LS", "HO")),
        ("D2ORN", "log odds ratio from an SMD, normal", "means", _MEANS, "log", ("LS",)),
        ("D2ORL", "log odds ratio from an SMD, logistic", "means", _MEANS, "log", ("LS",)),
        ("CVR", "ratio of coefficients of variation", "means", _MEANS, "log", ("LS",)),
        ("VR", "ratio of standard deviations", "means", ("sd1i", "n1i", "sd2i", "n2i"), "log",
         ("LS",)),
        ("MC", "mean change", "pairs", _PAIRS, "natural", ("LS",)),
        ("SMCC", "standardised change, change-score SD", "pairs", _PAIRS, "natural",
         ("LS", "LS2")),
        ("SMCR", "standardised change, first SD", "pairs", ("m1i", "m2i", "sd1i", "ni", "ri"),
         "natural", ("LS", "LS2")),
        ("SMCRH", "standardised change, first SD, unequal variances", "pairs", _PAIRS,
         "natural", ("LS",)),
        ("ROMC", "ratio of paired means", "pairs", _PAIRS, "log", ("LS",)),
        ("CVRC", "ratio of paired coefficients of variation", "pairs", _PAIRS, "log", ("LS",)),
        ("VRC", "ratio of paired standard deviations", "pairs", ("sd1i", "sd2i", "ni", "ri"), "log",
         ("LS",)),
        ("PR", "proportion", "proportion", ("xi", "ni"), "natural", ("LS", "UB", "AV")),
        ("PLN", "log proportion", "proportion", ("xi", "ni"), "log", ("LS", "AV")),
        ("PLO", "logit proportion", "proportion", ("xi", "ni"), "logit", ("LS", "AV")),
        ("PAS", "arcsine proportion", "proportion", ("xi", "ni"), "arcsine", ("LS",)),
        ("PFT", "Freeman–Tukey double arcsine", "proportion", ("xi", "ni"), "Freeman–Tukey",
         ("LS",)),
        ("IR", "incidence rate", "rate", ("xi", "ti"), "natural", ("LS",)),
        ("IRLN", "log incidence rate", "rate", ("xi", "ti"), "log", ("LS",)),
        ("IRS", "root incidence rate", "rate", ("xi", "ti"), "square root", ("LS",)),
        ("IRFT", "Freeman–Tukey incidence rate", "rate", ("xi", "ti"), "Freeman–Tukey", ("LS",)),
        ("MN", "mean", "mean", ("mi", "sdi", "ni"), "natural", ("LS",)),
        ("MNLN", "log mean", "mean", ("mi", "sdi", "ni"), "log", ("LS",)),
        ("SMN", "standardised mean of one group", "mean", ("mi", "sdi", "ni"), "natural", ("LS",)),
        ("SDLN", "log standard deviation", "mean", ("sdi", "ni"), "log", ("LS",)),
        ("CVLN", "log coefficient of variation", "mean", ("mi", "sdi", "ni"), "log", ("LS",)),
        ("COR", "correlation", "correlation", ("ri", "ni"), "natural", ("LS", "AV")),
        ("UCOR", "bias-corrected correlation", "correlation", ("ri", "ni"), "natural",
         ("LS", "UB", "AV")),
        ("ZCOR", "Fisher's z", "correlation", ("ri", "ni"), "Fisher z", ("LS",)),
        ("PCOR", "partial correlation", "partial", _SLOPE, "natural", ("LS", "AV")),
        ("ZPCOR", "Fisher's z of a partial correlation", "partial", _SLOPE, "Fisher z", ("LS",)),
        ("SPCOR", "semi-partial correlation", "partial", (*_SLOPE, "r2i"), "natural",
         ("LS", "AV")),
        ("ARAW", "Cronbach's alpha", "alpha", ("ai", "mi", "ni"), "natural", ("LS",)),
        ("AHW", "Cronbach's alpha, 1 − (1 − α)^(1/3)", "alpha", ("ai", "mi", "ni"), "cube root",
         ("LS",)),
        ("ABT", "Cronbach's alpha, −log(1 − α)", "alpha", ("ai", "mi", "ni"), "complementary log",
         ("LS",)),
        ("HR", "hazard ratio", "generic", ("yi", "vi"), "log", ("LS",)),
        ("GEN", "effect as given", "generic", ("yi", "vi"), "natural", ("LS",)),
    )
}  # fmt: skip
