"""What the simulations in `validation/` saw: the numbers that cautions quote.

Ranges are lowest and highest over the cells that the name describes, in percent unless said
otherwise. A test computes each anew from the tables there.
"""

from __future__ import annotations

Range = tuple[int, int]

# validation/pairwise/results.csv, normal effects.
NORMAL_INTERVAL = {3: 79, 5: 86, 10: 90}  # lowest coverage of the mean, by number of studies
BESIDE_DOMINANT: Range = (89, 93)  # Knapp–Hartung, liberal cells with a dominant study, up to 10
NEXT_STUDY: Range = (72, 92)  # prediction intervals, tau2 ¼ of the sampling variance or equal to it

# validation/dependent/README.md: normal intervals of a network, tau 0.15.
NETWORK_OF_12 = 92

# validation/pairwise/measures.csv: odds, risk and rate ratios whose zero cells were corrected.
SPARSE_BIAS: Range = (18, 52)  # of the effect, control risk 1 %
SPARSE_COVERAGE: Range = (60, 95)  # Knapp–Hartung, control risk 1 %
SPARSE_COVERAGE_5: Range = (76, 96)  # the same, control risk 5 %
# Inverse-variance risk differences, risks of 1 and 5 %, groups of 4 to 1, Knapp–Hartung.
DIFFERENCE_COVERAGE: Range = (57, 95)
DIFFERENCE_BIAS = 47  # largest, of the effect
# Mantel–Haenszel where effects differ between studies (tau 0.2 and 0.5, RD: shares of the risk).
MANTEL_HAENSZEL: dict[str, Range] = {
    "OR": (41, 98), "RR": (22, 99), "IRR": (28, 99), "RD": (36, 97), "IRD": (36, 97),
}  # fmt: skip
PETO_DIFFERING: Range = (16, 97)  # validation/rare/results.csv, tau 0.4

# validation/rare/models.csv: normal 95 % intervals, effects differing (tau 0.4, 0.8).
GLMM_DIFFERING: dict[str, Range] = {
    "CM.EL": (80, 99), "CM.AL": (75, 98), "UM.FS": (74, 98), "UM.RS": (77, 97),
    "beta-binomial FS": (43, 98),
}  # fmt: skip
APPROXIMATE_AT_10: Range = (69, 97)  # CM.AL, control risk 10 %, effects alike
FEW_EVENTS_BIAS = 1.05  # largest of a log odds ratio of −0.7; fewest events below 1 on average

# validation/selection/tests.csv: false alarms at 5 %, tau2 0.1.
RANK: Range = (2, 3)  # Begg–Mazumdar
MIXED: Range = (8, 9)  # mixed Egger and Thompson–Sharp, 10 studies or Hedges' g of 0.8
# validation/selection/models.csv: the step model, tau2 0.1, nothing or by its form selected.
STEP_OWN: Range = (83, 94)

# validation/selection/adjusted.csv: adjusted means. Heterogeneous: tau2 0.1 and 0.4.
UNSELECTED_HETEROGENEOUS: dict[str, Range] = {  # coverage where nothing was selected
    "PET-PEESE": (87, 96), "trim and fill": (81, 93), "limit": (91, 96),
}  # fmt: skip
SELECTED_HETEROGENEOUS: dict[str, Range] = {
    "PET-PEESE": (22, 96), "trim and fill": (0, 74), "limit": (3, 94),
}  # fmt: skip
# Settings under selection in which the bias fell to half the unadjusted mean's or less, of how many
# (where that exceeded 0.05): homogeneous, heterogeneous.
HALVED: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "PET-PEESE": ((8, 12), (8, 40)), "trim and fill": ((0, 24), (0, 80)),
    "limit": ((11, 12), (1, 40)),
}  # fmt: skip
PET_ERROR = (7.5, 3.0)  # root mean square over the unadjusted mean's, 3 and 5 homogeneous studies

# validation/selection/smooth.csv: smooth selection models where nothing, or by their own form, was
# selected, tau2 0.1; and under a step, which they do not assume.
SMOOTH_UNSELECTED: Range = (80, 98)
SMOOTH_OWN: Range = (57, 91)
SMOOTH_STEP: Range = (11, 85)

# validation/selection/counts.csv: false alarms at 5 %, odds ratio 0.4, 5 to 40 trials.
EGGER_ON_ODDS: Range = (6, 22)
MADE_FOR_COUNTS: Range = (3, 7)  # Harbord, Peters and Deeks, both odds ratios
MACASKILL: Range = (4, 9)

# validation/bayes/coverage.csv: 95 % intervals, half-normal prior of scale 0.5, tau2 0.5.
PRIOR_TOO_NARROW_MEAN: Range = (89, 92)  # up to 10 studies
PRIOR_TOO_NARROW_NEW: Range = (88, 92)  # up to 20 studies
