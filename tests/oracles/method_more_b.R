# Reference values for the methods of durability, rare harms, risk of bias, certainty, value of
# information, inclusion sets and many analyses: writes method_more_b.csv beside this file.
#
#   Rscript tests/oracles/method_more_b.R        (from the root of the repository; half a minute)
#
# Made with R 4.2.2, survival 3.5-3, metafor 3.8-1, lme4 1.1-31, BiasedUrn 2.0.9, jsonlite 1.8.4
# (Debian 12). What a package computes is taken from it; the rest is written out below from the
# formulas of the source named in the row. Nothing here was written with klarsyn's code in view, and
# nothing in it calls klarsyn. Optimisers are given tight stopping rules; a row's tolerance says what
# is left of them.

suppressMessages({ library(survival); library(metafor); library(jsonlite) })
here <- "tests/oracles"
rows <- list()
put <- function(method, id, inputs, values, tolerance, source, note = "") {
  stopifnot(!is.null(names(values)), !anyDuplicated(names(values)))
  values <- as.list(values)
  json <- as.character(toJSON(inputs, auto_unbox = TRUE, digits = NA, null = "null"))
  tolerance <- rep(tolerance, length.out = length(values))
  for (i in seq_along(values)) {
    v <- values[[i]]
    if (is.numeric(v) && !is.finite(v)) stop(id, ": ", names(values)[i], " is not finite")
    text <- if (is.numeric(v)) trimws(formatC(v, digits = 12, format = "g")) else as.character(v)
    rows[[length(rows) + 1]] <<- data.frame(
      method = method, example_id = id, inputs_json = json, quantity = names(values)[i],
      value = text, tolerance = as.character(tolerance[i]), source = source, note = note)
  }
}
arr <- function(x) I(unname(x)) # a vector that stays one in JSON, also of length 1
expit <- plogis
logit <- qlogis

# ---- 6 Durability: Kaplan–Meier, log-rank, Cox, restricted mean ------------------------------

people <- list(
  no_events = list(time = c(3, 5, 8, 8, 12), event = c(0, 0, 0, 0, 0), at = c(3, 10)),
  all_events = list(time = c(1, 2, 4, 7, 11, 15, 16), event = rep(1, 7), at = c(0.5, 4, 15.5, 16)),
  one_event = list(time = 4, event = 1, at = c(2, 4)),
  one_censored = list(time = 4, event = 0, at = c(2, 4)),
  all_tied = list(time = rep(6, 5), event = c(1, 1, 0, 1, 0), at = c(5.9, 6)),
  tied_with_censoring = list(time = c(2, 2, 2, 5, 5, 9, 9, 9, 12, 12),
                             event = c(1, 1, 0, 0, 1, 1, 0, 0, 1, 0), at = c(2, 5, 9, 12)),
  drops_to_zero = list(time = c(1, 3, 3, 6, 10, 14), event = c(1, 0, 1, 1, 0, 1), at = c(6, 10, 14)),
  heavy_censoring = list(time = c(1, 1, 2, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 21, 22),
                         event = c(0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
                         at = c(2, 6, 13, 22)),
  at_time_zero = list(time = c(0, 0, 1, 2, 5), event = c(1, 0, 1, 0, 0), at = c(0, 1, 5)),
  days = list(time = c(7.5, 14.25, 14.25, 28, 28, 31.5, 56, 84, 84.125, 90, 180, 182.625, 365.25),
              event = c(1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0), at = c(28, 84, 183))
)
for (name in names(people)) {
  d <- people[[name]]
  f <- survfit(Surv(time, event) ~ 1, as.data.frame(d[1:2]), conf.type = "log-log")
  s <- summary(f, times = d$at, extend = TRUE)
  v <- setNames(s$surv, sprintf("S(%g)", d$at))
  put("6_KM", name, list(time = arr(d$time), event = arr(d$event)), v, 1e-12,
      "Kaplan & Meier 1958; R survival::survfit")
  ok <- s$surv > 0 # Greenwood is 0/0 where nobody is left
  v <- setNames(s$std.err[ok], sprintf("Greenwood SE(%g)", d$at[ok]))
  if (any(ok)) put("6_KM", name, list(time = arr(d$time), event = arr(d$event)), v, 1e-10,
      "Greenwood 1926; R survival::survfit")
  ok <- s$surv > 0 & s$surv < 1
  if (any(ok)) put("6_KM", name, list(time = arr(d$time), event = arr(d$event)),
      c(setNames(s$lower[ok], sprintf("log-log lower(%g)", d$at[ok])),
        setNames(s$upper[ok], sprintf("log-log upper(%g)", d$at[ok]))), 1e-10,
      "Kalbfleisch & Prentice, log(-log) interval; R survival::survfit(conf.type = 'log-log')")
  med <- quantile(f, 0.5, conf.int = FALSE)
  if (is.finite(med)) put("6_KM", name, list(time = arr(d$time), event = arr(d$event)),
      c(median = unname(med)), 1e-10, "R survival quantile.survfit (midpoint where S is exactly 0.5)")
}

pairs <- list(
  ordinary = list(time = c(6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35,
                           1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23),
                  event = c(rep(1, 9), rep(0, 12), rep(1, 21)), group = rep(c(1, 0), each = 21),
                  tau = c(10, 20)),
  unbalanced = list(time = c(2, 4, 4, 9, 1, 2, 2, 3, 3, 5, 6, 6, 7, 8, 8, 8, 9, 10, 11, 12, 13, 14),
                    event = c(1, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0),
                    group = c(rep(1, 4), rep(0, 18)), tau = c(5, 9)),
  heavy_ties = list(time = rep(c(1, 2, 3, 4), c(8, 8, 8, 8)),
                    event = c(1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0,
                              1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0),
                    group = rep(rep(c(1, 0), each = 4), 4), tau = c(2.5, 4)),
  drops_to_zero = list(time = c(1, 2, 3, 4, 2, 5, 8, 11), event = rep(1, 8), group = rep(c(0, 1), each = 4),
                       tau = c(3.5, 4)),
  crossing = list(time = c(1, 1, 2, 10, 12, 12, 14, 3, 4, 5, 6, 7, 8, 9),
                  event = c(1, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1),
                  group = rep(c(1, 0), each = 7), tau = c(2, 8.5)),
  one_in_an_arm = list(time = c(5, 1, 3, 4, 6, 7), event = c(1, 1, 0, 1, 1, 0), group = c(1, 0, 0, 0, 0, 0),
                       tau = 5)
)
for (name in names(pairs)) {
  d <- pairs[[name]]
  inp <- list(time = arr(d$time), event = arr(d$event), group = arr(d$group))
  sd <- survdiff(Surv(time, event) ~ group, as.data.frame(d[1:3]))
  put("6_logrank", name, inp, c(chi2 = sd$chisq, p = pchisq(sd$chisq, 1, lower.tail = FALSE),
      observed = sd$obs[2], expected = sd$exp[2], variance = sd$var[2, 2]), 1e-9,
      "Mantel 1966; R survival::survdiff", "observed, expected: group 1")
  put("6_HR", name, inp, c("Peto log HR" = (sd$obs[2] - sd$exp[2]) / sd$var[2, 2],
      "Peto SE" = 1 / sqrt(sd$var[2, 2])), 1e-9,
      "Tierney 2007 eq. 3: (O - E)/V, SE 1/sqrt(V), from R survival::survdiff")
  for (ties in c("efron", "breslow")) {
    m <- coxph(Surv(time, event) ~ group, as.data.frame(d[1:3]), ties = ties, control = coxph.control(eps = 1e-13, iter.max = 100))
    put("6_HR", name, c(inp, ties = ties), setNames(c(coef(m), sqrt(vcov(m)), m$loglik), c("log HR", "SE",
        "log partial likelihood at 0", "log partial likelihood")), 1e-8, "R survival::coxph")
  }
  for (tau in d$tau) {
    rm <- sapply(c(0, 1), function(g) {
      f <- survfit(Surv(time, event) ~ 1, as.data.frame(d[1:3])[d$group == g, ])
      t <- c(0, f$time[f$time < tau], tau); s <- c(1, f$surv[f$time < tau])
      area <- sum(diff(t) * s)
      v <- 0
      for (i in which(f$time <= tau & f$n.event > 0)) {
        after <- sum(diff(c(f$time[f$time >= f$time[i] & f$time < tau], tau)) * f$surv[f$time >= f$time[i] & f$time < tau])
        if (after > 0) v <- v + after^2 * f$n.event[i] / (f$n.risk[i] * (f$n.risk[i] - f$n.event[i]))
      }
      # print.survfit's own restricted mean, where it says it to the same digits
      own <- survival:::survmean(f, rmean = tau)$matrix[c("rmean", "se(rmean)")]
      stopifnot(all(abs(own - c(area, sqrt(v))) < 1e-9))
      c(area, sqrt(v))
    })
    gap <- rm[1, 2] - rm[1, 1]; se <- sqrt(sum(rm[2, ]^2))
    put("6_RMST", name, c(inp, tau = tau), c("RMST arm0" = rm[1, 1], "RMST arm0 SE" = rm[2, 1],
        "RMST arm1" = rm[1, 2], "RMST arm1 SE" = rm[2, 2], difference = gap,
        "difference lower" = gap - qnorm(.975) * se, "difference upper" = gap + qnorm(.975) * se), 1e-9,
        "Royston & Parmar 2013; Klein & Moeschberger; checked against R survival's survmean")
  }
}

# Hazard ratios from what a paper prints (Parmar 1998; Tierney 2007, its methods 1, 3, 5-7, 10).
put("6_HR_summary", "interval", list(hr = 0.49, low = 0.29, high = 0.84),
    c("log HR" = log(.49), SE = log(.84 / .29) / (2 * qnorm(.975)),
      "O-E" = log(.49) / (log(.84 / .29) / (2 * qnorm(.975)))^2, V = 1 / (log(.84 / .29) / (2 * qnorm(.975)))^2),
    1e-9, "Tierney 2007 method 3")
put("6_HR_summary", "interval_99", list(hr = 1.9, low = 0.7, high = 5.16, level = 0.99),
    c("log HR" = log(1.9), SE = log(5.16 / .7) / (2 * qnorm(.995))), 1e-9, "Tierney 2007 method 3")
put("6_HR_summary", "observed_expected", list(o1 = 24, e1 = 33.1, o0 = 39, e0 = 29.9),
    c("log HR" = (24 - 33.1) / (1 / (1 / 33.1 + 1 / 29.9)), SE = sqrt(1 / 33.1 + 1 / 29.9)), 1e-9,
    "Tierney 2007 methods 1-2: V = 1/(1/E1 + 1/E0)")
for (x in list(list(id = "p_equal", p = .003, events = 63, n1 = 90, n0 = 86, dir = -1),
               list(id = "p_unequal", p = .04, events = 31, n1 = 80, n0 = 20, dir = 1),
               list(id = "p_one", p = 1, events = 12, n1 = 10, n0 = 10, dir = 1),
               list(id = "p_tiny", p = 1e-9, events = 200, n1 = 150, n0 = 150, dir = -1))) {
  V <- x$events * x$n1 * x$n0 / (x$n1 + x$n0)^2
  oe <- x$dir * sqrt(V) * qnorm(x$p / 2, lower.tail = FALSE)
  put("6_HR_summary", x$id, list(p = x$p, events = x$events, n1 = x$n1, n0 = x$n0, favours_1 = x$dir < 0),
      c("O-E" = oe, V = V, "log HR" = oe / V, SE = 1 / sqrt(V)), 1e-8,
      "Tierney 2007 method 7 (two-sided p, all events, sizes); Parmar 1998")
}
put("6_HR_summary", "events_by_arm", list(p = .02, events1 = 14, events0 = 27, favours_1 = TRUE),
    { V <- 14 * 27 / 41; oe <- -sqrt(V) * qnorm(.99)
      c("O-E" = oe, V = V, "log HR" = oe / V, SE = 1 / sqrt(V)) }, 1e-9,
    "Tierney 2007 method 10 (V = events1 * events0 / events)")
for (x in list(list(id = "survival_at_t", s1 = .62, se1 = .06, s0 = .41, se0 = .07),
               list(id = "survival_nearly_one", s1 = .985, se1 = .01, s0 = .95, se0 = .02))) {
  ll <- log(-log(x$s1)) - log(-log(x$s0))
  se <- sqrt((x$se1 / (x$s1 * log(x$s1)))^2 + (x$se0 / (x$s0 * log(x$s0)))^2)
  put("6_HR_summary", x$id, x[-1], c("log HR" = ll, SE = se), 1e-9,
      "log HR = log(log S1 / log S0) under proportional hazards; delta method from each SE")
}
put("6_HR_summary", "medians", list(median1 = 273, median0 = 88, events1 = 24, events0 = 39),
    c("log HR" = log(88 / 273), SE = sqrt(1 / 24 + 1 / 39)), 1e-9,
    "exponential: HR = median0/median1, variance 1/d1 + 1/d0")

# Guyot: curves of which every participant is known; the oracle is the truth, not another program.
set.seed(61)
curve <- function(n, rate, end) {
  t <- round(rexp(n, rate), 2) + 0.01; c <- round(runif(n, .3 * end, 1.3 * end), 2)
  c <- pmin(c, end); list(time = pmin(t, c), event = as.integer(t <= c))
}
click <- function(d, digits, at) {
  f <- survfit(Surv(time, event) ~ 1, as.data.frame(d))
  w <- f$n.event > 0
  list(time = c(0, f$time[w], max(d$time)), survival = round(c(1, f$surv[w], min(f$surv)), digits),
       risk_time = at, at_risk = sapply(at, function(t) sum(d$time >= t)))
}
for (x in list(list(id = "fine", n = c(120, 110), rate = c(1 / 60, 1 / 35), digits = 5, at = seq(0, 80, 10), tol = c(1, 1, .02)),
               list(id = "coarse", n = c(90, 86), rate = c(1 / 200, 1 / 90), digits = 3, at = c(0, 30, 60, 90), tol = c(2, 2, .06)),
               list(id = "two_counts", n = c(60, 60), rate = c(1 / 40, 1 / 40), digits = 4, at = c(0, 40), tol = c(4, 4, .12)),
               list(id = "small_arms", n = c(15, 14), rate = c(1 / 30, 1 / 12), digits = 5, at = c(0, 10, 20, 30), tol = c(1, 1, .1)))) {
  end <- max(x$at) * 1.1
  d <- lapply(1:2, function(i) curve(x$n[i], x$rate[i], end))
  clicks <- lapply(d, click, digits = x$digits, at = x$at)
  a <- data.frame(time = c(d[[1]]$time, d[[2]]$time), event = c(d[[1]]$event, d[[2]]$event), g = rep(1:0, x$n))
  m <- coxph(Surv(time, event) ~ g, a)
  put("6_Guyot_IPD", x$id, list(arm1 = lapply(clicks[[1]], arr), arm0 = lapply(clicks[[2]], arr)),
      c("events arm1" = sum(d[[1]]$event), "events arm0" = sum(d[[2]]$event), "log HR" = unname(coef(m))),
      x$tol, "the participants themselves, simulated; Cox on them by R survival",
      "tolerance declared: what rounding of the curve and sparse counts allow")
}
flat <- list(arm1 = list(time = arr(c(0, 2, 5, 30)), survival = arr(c(1, .9, .8, .8)),
             risk_time = arr(c(0, 10, 20)), at_risk = arr(c(20, 12, 5))))
put("6_Guyot_IPD", "flat_tail", flat, c("events arm1" = 4), 0, "20 at risk, 0.9 then 0.8 and a flat tail: 2 + 2 (T11)")
put("6_Guyot_IPD", "no_event_at_all", list(arm1 = list(time = arr(c(0, 30)), survival = arr(c(1, 1)),
    risk_time = arr(c(0, 10, 20)), at_risk = arr(c(20, 12, 5)))), c("events arm1" = 0), 0, "a curve that never falls has no events")
put("6_Guyot_IPD", "to_zero", list(arm1 = list(time = arr(c(0, 1, 2, 3, 4)), survival = arr(c(1, .75, .5, .25, 0)),
    risk_time = arr(0), at_risk = arr(8))), c("events arm1" = 8), 0, "eight participants, none censored, two events a click")

# Pooled relapse without heterogeneity is one sample: survreg on all.
two <- lapply(1:2, function(i) { set.seed(7); curve(40, 1 / 30, 60) })
a <- data.frame(time = c(two[[1]]$time, two[[2]]$time), event = c(two[[1]]$event, two[[2]]$event))
for (dist in c("weibull", "lognormal")) {
  m <- survreg(Surv(time, event) ~ 1, a, dist = dist, control = survreg.control(rel.tolerance = 1e-13, maxiter = 200))
  put("6_pooled_relapse", paste0("identical_studies_", dist), list(model = dist, studies = lapply(two, function(d) lapply(d, arr))),
      c("S(15)" = 1 - psurvreg(15, coef(m), m$scale, dist), "S(45)" = 1 - psurvreg(45, coef(m), m$scale, dist),
        "log-likelihood" = m$loglik[2], tau = 0), c(1e-5, 1e-5, 1e-5, 1e-3), "R survival::survreg on both together: two identical studies have no heterogeneity")
}
# With heterogeneity: Weibull proportional hazards with a normal trial effect, integrated numerically.
set.seed(9)
rates <- c(1 / 15, 1 / 30, 1 / 60, 1 / 25, 1 / 45)
several <- lapply(rates, function(r) curve(30, r, 60))
for (dist in c("weibull", "lognormal")) {
  like <- function(p) {
    -sum(sapply(several, function(d) {
      one <- function(u) {
        if (dist == "weibull") { # log cumulative hazard = loc + u + exp(p2) log t
          k <- exp(p[2]); H <- exp(p[1] + u) * d$time^k
          sum(d$event * (p[1] + u + log(k) + (k - 1) * log(d$time)) - H)
        } else { z <- (log(d$time) - p[1] - u) / exp(p[2])
          sum(d$event * (dnorm(z, log = TRUE) - p[2] - log(d$time)) + (1 - d$event) * pnorm(-z, log.p = TRUE)) }
      }
      peak <- optimize(function(u) one(u) + dnorm(u, 0, exp(p[3]), log = TRUE), c(-6, 6), maximum = TRUE, tol = 1e-10)
      f <- Vectorize(function(u) exp(one(u) + dnorm(u, 0, exp(p[3]), log = TRUE) - peak$objective))
      peak$objective + log(integrate(f, peak$maximum - 4, peak$maximum + 4, rel.tol = 1e-11, subdivisions = 2000)$value)
    }))
  }
  start <- if (dist == "weibull") c(-3, 0, -1) else c(3, 0, -1)
  o <- optim(start, like, method = "BFGS", control = list(reltol = 1e-15, maxit = 500))
  put("6_pooled_relapse", paste0("five_studies_", dist), list(model = dist, studies = lapply(several, function(d) lapply(d, arr))),
      c("log-likelihood" = -o$value, tau = exp(o$par[3])), c(1e-5, 5e-4),
      "written out: trial effect ~ N(0, tau^2) on the log cumulative hazard (weibull) or log time (lognormal), R integrate and optim")
}

# Enriched randomised withdrawal.
for (x in list(list(id = "sustain1_stable_response", started = 705, randomised = 297, d = c(16, 62), c = c(34, 59)),
               list(id = "nobody_relapsed_on_drug", started = 200, randomised = 80, d = c(0, 40), c = c(12, 40)),
               list(id = "everyone_relapsed", started = 90, randomised = 60, d = c(30, 30), c = c(30, 30)),
               list(id = "unbalanced", started = 1000, randomised = 150, d = c(20, 100), c = c(25, 50)))) {
  pd <- x$d[1] / x$d[2]; pc <- x$c[1] / x$c[2]; v <- c("relapse % drug" = 100 * pd, "relapse % control" = 100 * pc,
      "share of starters %" = 100 * x$randomised / x$started)
  if (pc > pd) v <- c(v, NNT = ceiling(1 / (pc - pd) - 1e-9))
  put("6_randomised_withdrawal", x$id, list(started = x$started, randomised = x$randomised, drug = arr(x$d), control = arr(x$c)),
      v, 1e-9, "arithmetic; NNT is rounded up (Altman 1998)")
}
for (x in list(c(.18, .30), c(.05, .30), c(.15, .30), c(.30, .30)))
  put("6_randomised_withdrawal", sprintf("confound_%g_%g", x[1], x[2]), list(gap_early = x[1], gap_end = x[2]),
      list(f = x[1] / x[2], flagged = if (x[1] / x[2] >= .5) "True" else "False"), c(1e-12, "exact"),
      "Recalt & Cohen 2019: at least half of the final difference already at the discontinuation-effect time")

# ---- 7 Rare harms --------------------------------------------------------------------------

for (x in list(c(0, 1), c(0, 7), c(0, 298), c(1, 1), c(1, 500), c(3, 20), c(19, 20), c(20, 20), c(7, 100000))) {
  for (level in c(.95, .99)) {
    b <- binom.test(x[1], x[2], conf.level = level)$conf.int
    put("7_rare_harms", sprintf("exact_%d_of_%d_%g", x[1], x[2], level), list(x = x[1], n = x[2], level = level),
        c("Clopper-Pearson lower" = b[1], "Clopper-Pearson upper" = b[2],
          "one-sided upper" = binom.test(x[1], x[2], alternative = "less", conf.level = level)$conf.int[2],
          "one-sided lower" = binom.test(x[1], x[2], alternative = "greater", conf.level = level)$conf.int[1]), 1e-10,
        "Clopper & Pearson 1934; R binom.test")
  }
}
for (x in list(c(0, 12.5), c(1, 300), c(4, 1000), c(25, 40.25))) {
  p <- poisson.test(x[1], x[2])$conf.int
  put("7_rare_harms", sprintf("rate_%g_in_%g", x[1], x[2]), list(x = x[1], years = x[2]),
      c("rate lower" = p[1], "rate upper" = p[2]), 1e-10, "Garwood 1936; R poisson.test")
}
for (rate in c(.02, .05, .5, .003, 1e-5)) for (conf in c(.95, .99)) {
  n <- 1; while ((1 - rate)^n > (1 - conf) * (1 + 1e-12)) n <- n + max(1, floor(n / 1e5))
  n <- ceiling(log(1 - conf) / log1p(-rate) - 1e-9)
  stopifnot((1 - rate)^n <= (1 - conf) * (1 + 1e-9), n == 1 || (1 - rate)^(n - 1) > 1 - conf)
  put("7_rare_harms", sprintf("exclude_%g_%g", rate, conf), list(rate = rate, confidence = conf),
      c("event-free patients needed" = n), 0, "smallest n with (1-p)^n <= 1-confidence, searched")
}
for (x in list(list(rate = .01, background = .002, conf = .95), list(rate = .02, background = .005, conf = .95),
               list(rate = .10, background = .05, conf = .95), list(rate = .001, background = .0001, conf = .9))) {
  # Smallest n from which the upper exact limit lies below the rate in at least half of repeated studies, for good.
  ok <- function(n) {
    k <- qbinom(1 - x$conf, n, x$rate)
    while (k >= 0 && pbinom(k, n, x$rate) > 1 - x$conf) k <- k - 1
    k >= 0 && pbinom(k, n, x$background) >= .5
  }
  top <- 40000; last <- max(which(!sapply(seq_len(top), ok)))
  stopifnot(last < top - 5000)
  put("7_rare_harms", sprintf("exclude_%g_against_%g", x$rate, x$background), list(rate = x$rate, background = x$background, confidence = x$conf, assurance = .5),
      c("patients needed" = last + 1), 0, "every n up to 40,000 tried with R pbinom: one-sided exact limit below the rate with probability 0.5, from here on for good")
}

tables <- list(
  ordinary = list(ai = c(3, 7, 5), n1 = c(50, 80, 60), ci = c(8, 9, 11), n2 = c(52, 78, 61)),
  single_zeros = list(ai = c(0, 2, 0, 1), n1 = c(30, 45, 60, 100), ci = c(3, 0, 1, 4), n2 = c(28, 50, 58, 98)),
  double_zeros = list(ai = c(0, 0, 1, 4, 0), n1 = c(20, 55, 80, 120, 33), ci = c(0, 0, 3, 9, 2), n2 = c(22, 50, 79, 118, 35)),
  unbalanced = list(ai = c(4, 12, 1, 0), n1 = c(400, 900, 210, 150), ci = c(1, 2, 2, 1), n2 = c(40, 85, 30, 20)),
  many_events = list(ai = c(30, 48, 22), n1 = c(40, 60, 25), ci = c(10, 35, 14), n2 = c(42, 58, 24)),
  all_in_an_arm = list(ai = c(10, 5, 8), n1 = c(10, 12, 15), ci = c(6, 4, 2), n2 = c(11, 13, 14)),
  one_study = list(ai = 5, n1 = 60, ci = 1, n2 = 55),
  one_study_zero = list(ai = 0, n1 = 60, ci = 4, n2 = 55),
  one_event_each_way = list(ai = c(1, 0), n1 = c(25, 40), ci = c(0, 1), n2 = c(25, 41))
)
tight <- list(threshold = 1e-13, maxiter = 10000)
exact_or <- function(t) { # conditional maximum likelihood over all tables and its exact limits, written out
  lik <- lapply(seq_along(t$ai), function(i) {
    m <- t$ai[i] + t$ci[i]; x <- max(0, m - t$n2[i]):min(m, t$n1[i])
    list(x = x, l = lchoose(t$n1[i], x) + lchoose(t$n2[i], m - x)) })
  conv <- Reduce(function(a, b) { # distribution of the sum at odds ratio 1, in logs
    s <- (min(a$x) + min(b$x)):(max(a$x) + max(b$x))
    l <- sapply(s, function(k) { w <- outer(a$x, b$x, "+") == k; z <- outer(a$l, b$l, "+")[w]; max(z) + log(sum(exp(z - max(z)))) })
    list(x = s, l = l) }, lik)
  total <- sum(t$ai); p <- function(th) { z <- conv$l + th * conv$x; z <- exp(z - max(z)); z / sum(z) }
  lo <- min(conv$x); hi <- max(conv$x); out <- c()
  if (total > lo && total < hi)
    out <- c("exact log OR" = uniroot(function(th) sum(p(th) * conv$x) - total, c(-30, 30), tol = 1e-13)$root)
  if (total > lo) out <- c(out, "exact lower" = uniroot(function(th) sum(p(th)[conv$x >= total]) - .025, c(-40, 40), tol = 1e-13)$root)
  if (total < hi) out <- c(out, "exact upper" = uniroot(function(th) sum(p(th)[conv$x <= total]) - .025, c(-40, 40), tol = 1e-13)$root)
  out
}
bb <- function(t) { # beta-binomial, logit mean, one correlation in both arms (Kuss 2015)
  y <- c(t$ai, t$ci); n <- c(t$n1, t$n2); g <- rep(1:0, each = length(t$ai))
  f <- function(p) { if (abs(p[3]) > 12 || abs(p[1]) > 25 || abs(p[2]) > 25) return(1e10); mu <- expit(p[1] + p[2] * g); r <- expit(p[3]); A <- mu * (1 - r) / r; C <- (1 - mu) * (1 - r) / r
    -sum(lchoose(n, y) + lbeta(y + A, n - y + C) - lbeta(A, C)) }
  best <- NULL
  for (r in c(-8, -5, -3, -1)) { o <- optim(c(logit((sum(t$ci) + .5) / (sum(t$n2) + 1)), 0, r), f, method = "BFGS", control = list(reltol = 1e-15, maxit = 2000))
    o <- optim(o$par, f, method = "Nelder-Mead", control = list(reltol = 1e-16, maxit = 5000)); o <- optim(o$par, f, method = "BFGS", control = list(reltol = 1e-16, maxit = 2000))
    if (is.null(best) || o$value < best$value - 1e-9) best <- o }
  hess <- optimHess(best$par, f, control = list(ndeps = rep(1e-4, 3)))
  list(par = best$par, value = -best$value, se = tryCatch(suppressWarnings(sqrt(diag(solve(hess)))[2]), error = function(e) NaN))
}
for (name in names(tables)) {
  t <- tables[[name]]; inp <- lapply(t, arr); a <- t
  mh <- function(m) rma.mh(ai = a$ai, n1i = a$n1, ci = a$ci, n2i = a$n2, measure = m, add = 0, to = "none", drop00 = FALSE)
  for (m in c("OR", "RR", "RD")) {
    f <- suppressWarnings(try(mh(m), silent = TRUE))
    if (!inherits(f, "try-error") && is.finite(f$beta[1]) && is.finite(f$se))
      put("7_rare_harms", name, inp, setNames(c(f$beta[1], f$se, f$ci.lb, f$ci.ub), paste0("MH ", if (m == "RD") "" else "log ", m, c("", " SE", " lower", " upper"))),
          1e-9, "Mantel & Haenszel 1959, Robins 1986, Greenland & Robins 1985, Sato 1989; R metafor::rma.mh without correction")
  }
  E <- t$n1 * (t$ai + t$ci) / (t$n1 + t$n2); N <- t$n1 + t$n2; M <- t$ai + t$ci
  V <- t$n1 * t$n2 * M * (N - M) / (N^2 * (N - 1))
  pv <- c("Peto log OR" = sum(t$ai - E) / sum(V), "Peto SE" = 1 / sqrt(sum(V)))
  pm <- suppressWarnings(rma.peto(ai = a$ai, n1i = a$n1, ci = a$ci, n2i = a$n2, add = 0, to = "none", drop00 = TRUE))
  stopifnot(abs(pm$beta[1] - pv[1]) < 1e-9, abs(pm$se - pv[2]) < 1e-9)
  put("7_rare_harms", name, inp, pv, 1e-9, "Yusuf 1985; by hand, equal to R metafor::rma.peto")
  ex <- exact_or(t)
  if ("exact log OR" %in% names(ex)) {
    m <- array(rbind(t$ai, t$ci, t$n1 - t$ai, t$n2 - t$ci), c(2, 2, length(t$ai)))
    r <- if (length(t$ai) > 1) mantelhaen.test(m, exact = TRUE) else fisher.test(m[, , 1])
    own <- c(r$estimate, r$conf.int); ok <- own > 0 & is.finite(own)
    stopifnot(all(abs(log(own) - ex[c("exact log OR", "exact lower", "exact upper")])[ok] < 2e-3, na.rm = TRUE))
  }
  put("7_rare_harms", name, inp, ex, 1e-7, "conditional distribution of the sum of the tables given the margins, written out; equal to R mantelhaen.test(exact = TRUE) where that answers")
  # arcsine difference, common effect (Ruecker 2009)
  as <- rma(measure = "AS", ai = a$ai, n1i = a$n1, ci = a$ci, n2i = a$n2, method = "EE", add = 0, to = "none")
  put("7_rare_harms", name, inp, c("arcsine difference" = as$beta[1], "arcsine SE" = as$se), 1e-10, "Ruecker 2009; R metafor measure AS, common effect, no correction, double zeros kept")
  if (length(t$ai) > 1) {
    asr <- rma(measure = "AS", ai = a$ai, n1i = a$n1, ci = a$ci, n2i = a$n2, method = "DL", add = 0, to = "none")
    put("7_rare_harms", name, inp, c("arcsine DL" = asr$beta[1], "arcsine DL SE" = asr$se, "arcsine DL tau2" = asr$tau2), 1e-9, "the same, DerSimonian-Laird")
  }
  if (length(t$ai) > 2 && name != "all_in_an_arm") {
    b <- bb(t)
    if (plogis(b$par[3]) > 1e-3 && is.finite(b$se))
      put("7_rare_harms", name, inp, c("beta-binomial log OR" = b$par[2], "beta-binomial SE" = b$se, "beta-binomial log-likelihood" = b$value), c(1e-4, 2e-3, 1e-6),
          "Kuss 2015; likelihood written out, R optim from four starts")
    else put("7_rare_harms", name, inp, c("beta-binomial log-likelihood" = sum(dbinom(t$ai, t$n1, sum(t$ai) / sum(t$n1), log = TRUE)) + sum(dbinom(t$ci, t$n2, sum(t$ci) / sum(t$n2), log = TRUE))), 1e-6,
      "Kuss 2015; the correlation is at its lower limit, where the model is binomial")
  }
}
# Conditional binomial-normal model, exact likelihood, by direct integration with BiasedUrn-free hypergeometric terms.
cm <- function(t, exact = TRUE) {
  keep <- t$ai + t$ci > 0 & t$ai + t$ci < t$n1 + t$n2
  a <- t$ai[keep]; n1 <- t$n1[keep]; c <- t$ci[keep]; n2 <- t$n2[keep]; m <- a + c
  lp <- function(i, th) {
    if (exact) { x <- max(0, m[i] - n2[i]):min(m[i], n1[i]); l <- lchoose(n1[i], x) + lchoose(n2[i], m[i] - x)
      l[x == a[i]] + a[i] * th - (function(z) max(z) + log(sum(exp(z - max(z)))))(l + x * th)
    } else dbinom(a[i], m[i], expit(log(n1[i] / n2[i]) + th), log = TRUE) }
  f <- function(p, tau = exp(p[2])) -sum(sapply(seq_along(a), function(i) {
    if (tau < 1e-5) return(lp(i, p[1]))
    g <- function(u) lp(i, p[1] + u) + dnorm(u, 0, tau, log = TRUE)
    k <- optimize(g, c(-8, 8) * max(tau, .1), maximum = TRUE, tol = 1e-11)
    w <- 9 * tau; k$objective + log(integrate(Vectorize(function(u) exp(g(u) - k$objective)), k$maximum - w, k$maximum + w, rel.tol = 1e-11, subdivisions = 4000)$value) }))
  o <- optim(c(pmh, -1), f, method = "Nelder-Mead", control = list(reltol = 1e-16, maxit = 2000))
  zero <- optimize(function(x) f(c(x, -Inf), 0), c(-8, 8), tol = 1e-11)
  if (zero$objective <= o$value + 1e-8 || exp(o$par[2]) < 1e-3) c(zero$minimum, 0, -zero$objective) else c(o$par[1], exp(o$par[2])^2, -o$value)
}
heterogeneous <- list(ai = c(10, 1, 9, 0, 12, 3, 15), n1 = c(100, 60, 80, 50, 110, 70, 120), ci = c(2, 6, 1, 3, 3, 9, 4), n2 = c(98, 62, 79, 55, 108, 66, 122))
for (x in list(list(id = "heterogeneous", t = heterogeneous), list(id = "single_zeros", t = tables$single_zeros), list(id = "double_zeros", t = tables$double_zeros))) {
  pmh <- 0
  for (e in c(TRUE, FALSE)) { v <- cm(x$t, e); nm <- if (e) "CM.EL" else "CM.AL"
    put("7_rare_harms", x$id, lapply(x$t, arr), setNames(v[1:2], paste(nm, c("log OR", "tau2"))), c(2e-4, 1e-3),
        "Stijnen 2010; likelihood written out, R integrate and optim", "log-likelihood is not compared: constants differ") }
}
# Unconditional model where studies do not differ: plain logistic regression.
for (name in c("ordinary", "double_zeros")) { t <- tables[[name]]
  k <- seq_along(t$ai); use <- t$ai + t$ci > 0
  d <- data.frame(y = c(t$ai[use], t$ci[use]), n = c(t$n1[use], t$n2[use]), g = rep(1:0, each = sum(use)), s = factor(c(k[use], k[use])))
  m <- glm(cbind(y, n - y) ~ g + s, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 200))
  put("7_rare_harms", name, lapply(t, arr), c("fixed-effects logistic log OR" = unname(coef(m)["g"]), "fixed-effects logistic SE" = sqrt(vcov(m)["g", "g"])), 1e-7,
      "R glm binomial, study as factor (UM.FS where tau2 is 0); studies without event drop out") }
rates <- list(alike = list(x1 = c(7, 8, 10, 0), t1 = c(1344, 1600, 2012, 55), x2 = c(11, 9, 14, 1), t2 = c(1988, 1460, 2110, 50.5)),
              ordinary = list(x1 = c(7, 8, 3), t1 = c(1344, 1600, 12012), x2 = c(11, 8, 14), t2 = c(1988, 1460, 10962)),
              zeros = list(x1 = c(0, 2, 0), t1 = c(100.5, 80, 60), x2 = c(3, 1, 0), t2 = c(98, 85.25, 61)))
for (name in names(rates)) { r <- rates[[name]]
  for (m in c("IRR", "IRD")) { f <- rma.mh(x1i = r$x1, t1i = r$t1, x2i = r$x2, t2i = r$t2, measure = m, add = 0, to = "none", drop00 = FALSE)
    put("7_rare_harms", paste0("rates_", name), lapply(r, arr), setNames(c(f$beta[1], f$se), paste0("MH ", if (m == "IRR") "log ", m, c("", " SE"))), 1e-10, "Greenland & Robins 1985; R metafor::rma.mh") }
  if (name != "alike") next # elsewhere UM.FS finds that studies differ
  use <- r$x1 + r$x2 > 0; k <- sum(use)
  d <- data.frame(y = c(r$x1[use], r$x2[use]), t = c(r$t1[use], r$t2[use]), g = rep(1:0, each = k), s = factor(rep(seq_len(k), 2)))
  m <- glm(y ~ g + s + offset(log(t)), poisson, d, control = glm.control(epsilon = 1e-14, maxit = 200))
  put("7_rare_harms", paste0("rates_", name), lapply(r, arr), c("Poisson log IRR" = unname(coef(m)["g"]), "Poisson SE" = sqrt(vcov(m)["g", "g"])), 1e-7, "R glm poisson with offset, study as factor")
}

# ---- 8 Information size, sequential boundaries, value of information ---------------------------

zz <- function(a, p) qnorm(1 - a / 2) + qnorm(p)
for (x in list(c(.12, .096, .05, .9), c(.5, .35, .05, .8), c(.01, .02, .05, .8), c(.3, .2, .01, .9), c(.99, .95, .05, .8))) {
  pb <- mean(x[1:2])
  id <- sprintf("shares_%g_%g_%g_%g", x[1], x[2], x[3], x[4]); inp <- list(pC = x[1], pI = x[2], alpha = x[3], power = x[4])
  put("8_OIS_RIS", id, inp, c("total N, pooled variance" = 4 * zz(x[3], x[4])^2 * pb * (1 - pb) / (x[1] - x[2])^2), 1e-6, "Wetterslev 2009 (methods 8.2): 4 z^2 p(1-p)/d^2")
  pp <- 2 * power.prop.test(p1 = x[1], p2 = x[2], sig.level = x[3], power = x[4], tol = 1e-12)$n
  put("8_OIS_RIS", id, inp, c("total N, risk difference" = pp), 1e-4, "R power.prop.test, both arms")
}
for (x in list(c(2, 10, .05, .8), c(1.6, 9.5, .05, .9), c(-4, 12, .01, .8), c(.2, 1, .05, .8)))
  put("8_OIS_RIS", sprintf("means_%g_%g_%g_%g", x[1], x[2], x[3], x[4]), list(delta = x[1], sd = x[2], alpha = x[3], power = x[4]),
      c("total N" = 4 * zz(x[3], x[4])^2 * x[2]^2 / x[1]^2), 1e-8, "methods 8.2, normal approximation")
for (x in list(list(y = c(-.5, -.1, -.9, .2), v = c(.04, .09, .06, .12)), list(y = c(-.3, -.31, -.29), v = c(.02, .03, .05)))) {
  r <- rma(x$y, x$v, method = "DL"); e <- rma(x$y, x$v, method = "EE"); d2 <- (r$se^2 - e$se^2) / r$se^2
  put("8_OIS_RIS", sprintf("diversity_%d", length(x$y)), list(y = arr(x$y), v = arr(x$v), size = 785),
      c(D2 = d2, "size by D2" = 785 / (1 - d2), "size by I2" = 785 / (1 - r$I2 / 100)), c(1e-9, 1e-6, 1e-6), "Wetterslev 2009, R metafor DL against common effect")
}
for (x in list(c(.5, .7, .05, .05, .9), c(.2, .8, .02, .05, .8), c(.1, 1.5, .15, .05, .9), c(.3, .75, .08, .01, .8))) {
  d <- log(x[2]); z2 <- zz(x[4], x[5])^2; k <- ceiling(x[3] * z2 / d^2); if (k == x[3] * z2 / d^2) k <- k + 1
  v <- 1 / x[1] + 1 / (x[1] * x[2]) - 2
  put("8_OIS_RIS", sprintf("min_trials_%g_%g_%g", x[1], x[2], x[3]), list(pC = x[1], RR = x[2], tau2 = x[3], alpha = x[4], power = x[5]),
      c("minimum number of trials" = k, "patients per trial" = ceiling(2 * v / (d^2 * k / z2 - x[3]))), 0, "methods 8.2 (Kulinskaya & Wood 2014)")
}
# Alpha spending of O'Brien-Fleming type (Lan & DeMets 1983), boundaries by recursive integration.
# 2 - 2 Phi(z_(a/2) / sqrt t) spends a one-sided level a; a two-sided alpha is alpha/2 on each side,
# as ldbounds, gsDesign and RTSA do.
spend <- function(t, alpha, sides) sides * 2 * pnorm(qnorm(alpha / sides / 2) / sqrt(pmin(t, 1)))
bounds <- function(info, alpha = .05, sides = 2, m = 4001) {
  b <- numeric(length(info)); cum <- 0
  for (k in seq_along(info)) {
    want <- spend(info[k], alpha, sides) - cum
    if (k == 1) { b[1] <- qnorm(want / sides, lower.tail = FALSE)
    } else {
      step <- sqrt(info[k] - info[k - 1])
      tail <- function(c) { z <- c * sqrt(info[k]); sum(w * dens * (pnorm(-(z - x) / step) + if (sides == 2) pnorm((-z - x) / step) else 0)) }
      b[k] <- uniroot(function(c) tail(c) - want, c(.5, 12), tol = 1e-12)$root
    }
    cum <- cum + want
    lim <- min(b[k], 12) * sqrt(info[k])
    xs <- seq(if (sides == 2) -lim else -12 * sqrt(info[k]), lim, length.out = m); h <- xs[2] - xs[1] # Simpson
    nd <- if (k == 1) dnorm(xs, 0, sqrt(info[1])) else sapply(xs, function(s) sum(w * dens * dnorm(s - x, 0, step)))
    x <- xs; dens <- nd; w <- c(1, rep(c(4, 2), length.out = m - 2), 1) * h / 3
  }
  b
}
for (x in list(list(id = "five_equal", t = (1:5) / 5, alpha = .05, sides = 2), list(id = "two", t = c(.5, 1), alpha = .05, sides = 2), list(id = "one", t = 1, alpha = .05, sides = 2),
               list(id = "unequal", t = c(.12, .3, .31, .77, .95), alpha = .05, sides = 2), list(id = "one_per_cent", t = c(.25, .5, .75, 1), alpha = .01, sides = 2),
               list(id = "early", t = c(.1, .15, .6), alpha = .05, sides = 2), list(id = "one_sided", t = c(.25, .5, .75, 1), alpha = .025, sides = 1),
               list(id = "one_sided_five_per_cent", t = c(.4, .9), alpha = .05, sides = 1))) {
  b <- bounds(x$t, x$alpha, x$sides)
  put("8_sequential", x$id, list(information = arr(x$t), alpha = x$alpha, sides = x$sides),
      c(setNames(b, sprintf("boundary z at %g", x$t)), setNames(spend(x$t, x$alpha, x$sides), sprintf("alpha spent by %g", x$t))), rep(c(1e-5, 1e-10), each = length(b)),
      "Lan & DeMets 1983, O'Brien-Fleming type; R, Simpson recursion of Armitage, McPherson & Rowe 1969", if (x$id == "five_equal") "published: 4.8769 3.3569 2.6803 2.2898 2.0310 (ldbounds)" else "")
}
stopifnot(max(abs(bounds((1:5) / 5) - c(4.8769, 3.3569, 2.6803, 2.2898, 2.0310))) < 2e-4)

for (x in list(c(1, sqrt(5)), c(0, 3), c(-2, 1), c(500, 1200), c(1, 1e-6), c(-.3, 2)))
  put("8_VoI", sprintf("normal_%g_%.3g", x[1], x[2]), list(INB_mean = x[1], INB_sd = x[2]),
      c(EVPI = if (abs(x[1] / x[2]) > 38) 0 else x[2] * integrate(function(z) (z - abs(x[1]) / x[2]) * dnorm(z), abs(x[1]) / x[2], 40, rel.tol = 1e-12)$value), 1e-8,
      "unit normal loss integral, R integrate (Raiffa & Schlaifer 1961)")
for (x in list(c(1, 2, 16, 50), c(-.5, 1.5, 100, 400), c(2, 4, 225, 1))) {
  s <- x[2]^2 / sqrt(x[2]^2 + x[3] / x[4]); f <- function(m, s) m * pnorm(m / s) + s * dnorm(m / s) - max(m, 0)
  put("8_VoI", sprintf("sample_%g_%g_%g_%g", x[1], x[2], x[3], x[4]), list(INB_mean = x[1], INB_sd = x[2], outcome_variance = x[3], patients = x[4]),
      c("preposterior sd" = s, EVSI = f(x[1], s)), 1e-10, "methods 8.5 (normal-normal preposterior analysis)")
}
set.seed(85)
nb <- cbind(0, round(rnorm(40, 1, 2), 3), round(rnorm(40, .5, 3), 3))
put("8_VoI", "three_options_40_draws", list(net_benefit = I(nb)), c(EVPI = mean(apply(nb, 1, max)) - max(colMeans(nb))), 1e-10, "E max - max E over the draws")
put("8_benefit_risk", "net_clinical_benefit", list(benefit = .23, harms = arr(c(.04, .11)), weights = arr(c(2, .5))), c(NCB = .23 - .08 - .055), 1e-12, "methods 8.4")

# ---- 3 Bias-adjusted pooling -------------------------------------------------------------------

studies <- list(y = c(-.8, -.45, -1.1, -.3, -.62), s = c(.25, .2, .4, .15, .3), high = c(1, 0, 1, 0, 1))
for (x in list(list(id = "additive", y = -.5, s = .2, a = -.1, as = .15, p = 0, ps = 0),
               list(id = "proportional", y = -.5, s = .2, a = 0, as = 0, p = .2, ps = .1),
               list(id = "both", y = log(.25), s = .177, a = -.1, as = .2, p = .1, ps = .08),
               list(id = "none", y = .3, s = .1, a = 0, as = 0, p = 0, ps = 0),
               list(id = "shrinks", y = 1.2, s = .5, a = .3, as = .4, p = -.25, ps = .2))) {
  th <- (x$y - x$a) / (1 + x$p); v <- (x$s^2 + x$as^2 + th^2 * x$ps^2) / (1 + x$p)^2
  put("3_bias_adjusted_MA", paste0("turner_", x$id), list(y = x$y, se = x$s, additive = x$a, additive_sd = x$as, proportional = x$p, proportional_sd = x$ps),
      c("adjusted effect" = th, "adjusted SE" = sqrt(v)), 1e-10, "Turner 2009, first order (methods 3.1)")
}
turner <- data.frame(a = c(-.1, 0, -.2, -.05, -.1), as = c(.1, .05, .2, .05, .12), p = c(.05, 0, .1, 0, .1), ps = c(.05, .02, .1, 0, .08))
ty <- (studies$y - turner$a) / (1 + turner$p); tv <- (studies$s^2 + turner$as^2 + ty^2 * turner$ps^2) / (1 + turner$p)^2
for (m in c("EE", "DL", "REML", "PM")) { r <- rma(ty, tv, method = m, control = if (m %in% c("DL", "EE")) list() else list(threshold = 1e-13, maxiter = 10000, tol = 1e-13))
  put("3_bias_adjusted_MA", paste0("turner_pooled_", m), c(lapply(studies, arr), lapply(turner, arr), tau2 = m), c("pooled effect" = r$beta[1], "pooled SE" = r$se, tau2 = r$tau2), 1e-7,
      "Turner 2009: each study adjusted, then R metafor") }
for (x in list(list(id = "blinding", b0 = log(.87), phi = .038412, kappa = .1), list(id = "vague", b0 = 0, phi = 1, kappa = .5), list(id = "certain", b0 = -.2, phi = 0, kappa = 0),
               list(id = "uncertain_mean", b0 = -.1, phi = 5, kappa = .2))) for (tau2 in c(0, .05)) {
  h <- studies$high; V <- diag(studies$s^2 + tau2 + h * x$kappa^2) + x$phi^2 * h %o% h; W <- solve(V)
  put("3_bias_adjusted_MA", sprintf("welton_%s_tau2_%g", x$id, tau2), c(lapply(studies, arr), list(b0 = x$b0, phi = x$phi, kappa = x$kappa, tau2 = tau2)),
      c("pooled effect" = sum(W %*% (studies$y - h * x$b0)) / sum(W), "pooled SE" = 1 / sqrt(sum(W))), 1e-9,
      "Welton 2009 integrated over the biases: generalised least squares with shared phi^2 among studies at high risk, flat prior on the effect")
}
# The same with tau2 estimated under that covariance: REML and ML by metafor, DL and PM from Q.
apart <- list(y = c(-1.4, -.1, -.9, .2, -1.1, -.3, -.7, -.55), s = c(.25, .2, .3, .15, .3, .2, .22, .18), high = c(1, 0, 1, 0, 1, 0, 1, 1))
for (d in list(studies, apart)) for (phi in c(.2, .6)) for (m in c("REML", "ML", "DL", "PM")) {
  h <- d$high; k <- length(h); V <- diag(d$s^2 + h * .1^2) + phi^2 * h %o% h; z <- d$y + h * .1393
  proj <- function(t) { W <- solve(V + t * diag(k)); W - tcrossprod(rowSums(W)) / sum(W) }
  q <- function(t) drop(z %*% proj(t) %*% z) - (k - 1)
  t2 <- if (m %in% c("REML", "ML")) rma.mv(z, V, random = ~ 1 | id, data = data.frame(id = seq_len(k)), method = m, control = list(rel.tol = 1e-10))$sigma2
        else if (q(0) <= 0) 0 else if (m == "DL") q(0) / sum(diag(proj(0))) else uniroot(q, c(0, 50), tol = 1e-13)$root
  W <- solve(V + t2 * diag(k))
  put("3_bias_adjusted_MA", sprintf("welton_%s_%g_%d", m, phi, k), c(lapply(d, arr), list(b0 = -.1393, phi = phi, kappa = .1, tau2 = m)),
      c("pooled effect" = sum(W %*% z) / sum(W), "pooled SE" = 1 / sqrt(sum(W)), tau2 = t2), if (m %in% c("REML", "ML")) c(1e-5, 1e-5, 2e-5) else 1e-9,
      "Welton 2009; tau2 beside the known covariance: R metafor::rma.mv (REML, ML) or generalised Q written out (DL, PM)") }

# ---- 3 RoB 2: answers drawn at random, judged by the tables of methods 3.4 written as conditions ----

Y <- c("Y", "PY"); N <- c("N", "PN"); L <- "Low"; S <- "Some concerns"; H <- "High"
rob <- list(
  D1 = function(a) if (a[2] %in% N) H else if (a[2] == "NI") { if (a[3] %in% Y) H else S } else if (a[1] %in% N || a[3] %in% Y) S else L,
  D2a = function(a) {
    one <- if (a[1] %in% N && a[2] %in% N) L else if (a[3] %in% c(N, "NA")) L else if (a[3] == "NI") S else if (a[4] %in% c(N, "NA")) S else if (a[5] %in% c(Y, "NA")) S else H
    two <- if (a[6] %in% Y) L else if (a[7] %in% c(N, "NA")) S else H
    if (H %in% c(one, two)) H else if (one == L && two == L) L else S },
  D2b = function(a) {
    fine <- a[4] %in% c(N, "NA") && a[5] %in% c(N, "NA"); analysis <- a[6] %in% c(Y, "NA"); blind <- a[1] %in% N && a[2] %in% N
    if (!blind && !(a[3] %in% c(Y, "NA"))) { if (analysis) S else H } else if (fine) L else if (analysis) S else H },
  D3 = function(a) if (a[1] %in% Y || a[2] %in% Y || a[3] %in% N) L else if (a[4] %in% N) S else H,
  D4 = function(a) if (a[1] %in% Y || a[2] %in% Y) H else { unsure <- a[2] == "NI"
    if (a[3] %in% N || a[4] %in% N) { if (unsure) S else L } else if (a[5] %in% N) S else H },
  D5 = function(a) if (any(a[2:3] %in% Y)) H else if (any(a[2:3] == "NI")) S else if (a[1] %in% Y) L else S)
size <- c(D1 = 3, D2a = 7, D2b = 6, D3 = 4, D4 = 5, D5 = 3)
set.seed(34)
every <- c("Y", "PY", "PN", "N", "NI")
options <- function(d) lapply(seq_len(size[[d]]), function(i) if (d == "D3" && i == 2) every[1:4] else if (d == "D2b" && i %in% 3:5) c(every, "NA") else every)
for (d in names(rob)) {
  all <- as.matrix(expand.grid(options(d), stringsAsFactors = FALSE)); j <- apply(all, 1, rob[[d]])
  put("3_RoB2_tables", paste0("rob2_", tolower(d), "_exhaustive"), list(domain = d),
      list("judgement counts over all combinations" = sprintf("Low=%d,Some=%d,High=%d", sum(j == L), sum(j == S), sum(j == H))), "exact",
      "methods 3.4, every combination in R", if (d == "D2b") "questions 2.3-2.5 also NA" else "")
  # Twelve different answers, four of each judgement
  for (w in c(L, S, H)) for (i in sample(which(j == w), 4))
    put("3_RoB2_tables", paste0("answers_", tolower(d), "_", paste(all[i, ], collapse = "")), list(domain = d, answers = arr(unname(all[i, ]))), list("suggested judgement" = j[[i]]), "exact", "RoB 2 (Sterne 2019), tables of methods 3.4")
}

# ---- 5, 9 Inclusion sets, every subset, vibration of effects -----------------------------------

trials <- list(A = c(74, 195, 37, 170), B = c(44, 95, 57, 91), C = c(12, 21, 15, 20), D = c(5, 16, 9, 16))
sets <- list(A = "A", B = "B", AB = c("A", "B"), BCD = c("B", "C", "D"), ABCD = names(trials))
for (m in c("RR", "OR", "RD")) for (s in names(sets)) {
  d <- do.call(rbind, trials[sets[[s]]]); r <- rma(measure = m, ai = d[, 1], n1i = d[, 2], ci = d[, 3], n2i = d[, 4], method = if (nrow(d) > 1) "DL" else "EE")
  put("9_inclusion", sprintf("%s_%s", m, s), list(trials = lapply(trials, arr), included = arr(sets[[s]]), measure = m, tau2 = "DL"),
      c(estimate = r$beta[1], lower = r$ci.lb, upper = r$ci.ub, I2 = if (nrow(d) > 1) r$I2 else 0), c(1e-9, 1e-9, 1e-9, 1e-7), "R metafor, DL, z; log scale for ratios")
}
g <- list(y = c(-.889, -1.585, -1.348, -1.442, -.217, -.786), v = c(.326, .195, .415, .02, .051, .007))
for (m in c("EE", "DL")) { r <- rma(g$y, g$v, method = m); q <- gosh(r, progbar = FALSE)$res
  put("9_GOSH_multiverse", paste0("gosh_", m), c(lapply(g, arr), model = m), c(subsets = nrow(q), "min estimate" = min(q$estimate), "median" = median(q$estimate), "max" = max(q$estimate),
      "median I2" = median(q$I2), "share with I2 above 50" = mean(q$I2 > 50)), c(0, 1e-9, 1e-9, 1e-9, 1e-6, 1e-9), "R metafor::gosh", "subsets of one study have I2 0")
  e <- q$estimate; put("9_GOSH_multiverse", paste0("vibration_", m), c(lapply(g, arr), model = m),
      c("estimate, 1st percentile" = unname(quantile(e, .01)), "estimate, 99th percentile" = unname(quantile(e, .99)),
        "relative effect (ratio of the 99th to the 1st percentile)" = unname(exp(quantile(e, .99) - quantile(e, .01))), "share above zero" = mean(e > 0)), 1e-9,
      "Patel 2015 on the subsets: 99th over 1st percentile of the ratio; Janus effect = share on each side of no effect")
}
j <- list(y = c(.4, -.35, .1, -.05, .62), v = c(.04, .05, .02, .09, .3)); q <- gosh(rma(j$y, j$v, method = "EE"), progbar = FALSE)$res$estimate
put("9_GOSH_multiverse", "vibration_janus", c(lapply(j, arr), model = "EE"),
    c("estimate, 1st percentile" = unname(quantile(q, .01)), "estimate, 99th percentile" = unname(quantile(q, .99)),
      "relative effect (ratio of the 99th to the 1st percentile)" = unname(exp(quantile(q, .99) - quantile(q, .01))), "share above zero" = mean(q > 0)), 1e-9, "Patel 2015 on the subsets; both signs occur")

# ---- 8 GRADE: thresholds that an interval reaches across (GRADE guidance 34) ---------------------

thr <- c(2, 5, 8)
for (x in list(c(-4, -6, -2.5), c(-4, -4.8, -2.2), c(-4, -9, .5), c(-1, -1.5, -.5), c(-6, -7, -5.5), c(0, -9, 9), c(-3, -5, -2), c(10, 9, 11), c(-3, -4.9, 2.5))) {
  all <- c(-rev(thr), thr); crossed <- sum(all > x[2] & all < x[3])
  put("8_GRADE_imprecision", sprintf("md_%g_%g_%g", x[1], x[2], x[3]), list(estimate = x[1], low = x[2], high = x[3], thresholds = arr(thr)),
      c("thresholds crossed" = crossed), 0, "methods 8.1 (Zeng 2022): thresholds of both directions strictly inside the interval")
}

out <- do.call(rbind, rows)
stopifnot(!anyDuplicated(out[c("method", "example_id", "inputs_json", "quantity")]))
write.csv(out, file.path(here, "method_more_b.csv"), row.names = FALSE, fileEncoding = "UTF-8", eol = "\n")
cat(nrow(out), "rows\n"); print(table(out$method))
