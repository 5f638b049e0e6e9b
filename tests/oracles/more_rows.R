# Reference rows on data sets that meta_analysis.csv does not use: writes more_rows.csv and, into
# data/, the columns of the data sets that the rows are made from.
#
#   Rscript tests/oracles/more_rows.R        (from the root of the repository; four minutes)
#   ONLY=C15,G08 Rscript tests/oracles/more_rows.R      (these analyses anew, the others as they are)
#
# Made with R 4.2.2, metafor 3.8-1, metadat 1.2-0, clubSandwich 0.5.8, robumeta 2.0, lme4 1.1-31,
# numDeriv 2016.8-1.1 (Debian 12). metafor is given tight stopping rules, because its default
# ones are absolute (1e-5) and show in the fourth digit. What has no package here (networks, Bayes,
# dose-response, exact models) is computed below from first principles: from the whole
# covariance matrix of all contrasts, by two-dimensional integration, by generalised least squares.
#
# One `put` is one analysis: its call, as it was run, stands beside the first of its values.

suppressMessages({
  library(metafor); library(clubSandwich); library(robumeta); library(lme4); library(numDeriv)
})
here <- "tests/oracles"
rows <- list()
ids <- character()
only <- strsplit(Sys.getenv("ONLY"), ",")[[1]]

put <- function(id, dataset, measure, method, call) {
  ids <<- c(ids, id)
  if (length(only) && !id %in% only) return(invisible())
  text <- paste(trimws(deparse(substitute(call), width.cutoff = 500)), collapse = " ")
  values <- eval(substitute(call), new.env(parent = globalenv()))
  stopifnot(is.numeric(values), !is.null(names(values)), !anyDuplicated(names(values)))
  if (any(bad <- !is.finite(values))) {
    message(id, ": not finite: ", paste(names(values)[bad], collapse = " "))
    values <- values[!bad]
  }
  rows[[id]] <<- data.frame(id = paste(id, names(values), sep = "."), dataset, measure, method,
                            call = c(text, rep("", length(values) - 1)), quantity = names(values),
                            value = trimws(formatC(unname(values), digits = 12, format = "g")))
  invisible()
}

kept <- character()
keep <- function(name, columns, rows = NULL, from = get(name)) {
  d <- from[if (is.null(rows)) seq_len(nrow(from)) else rows, columns]
  for (n in columns) if (is.factor(d[[n]])) d[[n]] <- as.character(d[[n]])
  file <- file.path(here, "data", paste0(name, ".csv"))
  if (!file.exists(file) || name %in% kept || Sys.getenv("RENEW") != "")
    write.csv(d, file, row.names = FALSE, fileEncoding = "UTF-8")
  invisible(d)
}

tight <- list(threshold = 1e-13, maxiter = 100000, tol = 1e-13, stepadj = 0.5)
# The tightest of these that an optimiser accepts as converged.
stopping <- lapply(c(1e-14, 1e-13, 1e-12, 1e-11, 1e-10), function(e)
  list(optimizer = "nlminb", rel.tol = e, iter.max = 5000, eval.max = 10000))
tightly <- function(call, name, control) {
  call[[1]] <- name
  if (is.null(call$control)) call$control <- control
  call
}
uni <- function(...) eval(tightly(sys.call(), quote(rma.uni), tight), parent.frame())
mv <- function(...) {
  for (control in stopping) {
    call <- sys.call(); call[[1]] <- quote(rma.mv); call$control <- control
    m <- try(suppressWarnings(eval(call, parent.frame())), silent = TRUE)
    if (!inherits(m, "try-error")) return(m)
  }
  stop(m)
}
# What a fit is asked for: `co` a pooled effect, `beta` coefficients, `pr` its prediction interval.
co <- function(m) c(k = m$k, est = m$beta[1], se = m$se[1], stat = m$zval[1], pval = m$pval[1],
                    ci.lb = m$ci.lb[1], ci.ub = m$ci.ub[1], tau2 = m$tau2, se.tau2 = m$se.tau2,
                    I2 = m$I2, H2 = m$H2, Q = m$QE, Qp = m$QEp)
few <- function(m) c(k = m$k, est = m$beta[1], se = m$se[1], tau2 = m$tau2, Q = m$QE)
beta <- function(m) {
  i <- seq_along(m$beta) - 1
  c(setNames(m$beta[, 1], paste0("b", i)), setNames(m$se, paste0("se", i)),
    setNames(m$ci.lb, paste0("lb", i)), setNames(m$ci.ub, paste0("ub", i)))
}
pr <- function(m) { p <- predict(m); c(pi.lb = p$pi.lb, pi.ub = p$pi.ub) }
# The generalised Q interval for tau2 (Jackson 2013) without CompQuadForm: Imhof's (1961) integral.
imhof <- function(q, lambda) {
  s <- sum(abs(lambda)); l <- lambda / s; x <- q / s
  f <- function(u) sapply(u, function(u) sin(0.5 * sum(atan(l * u)) - 0.5 * x * u) /
    (u * prod((1 + l^2 * u^2)^0.25)))
  0.5 + integrate(f, 0, Inf, rel.tol = 1e-10, subdivisions = 20000)$value / pi
}
generalised <- function(y, v, w, level = 0.95) {
  A <- diag(w) - w %o% w / sum(w); q <- drop(y %*% A %*% y)
  tail <- function(t2) imhof(q, eigen(sqrt(v + t2) * A * rep(sqrt(v + t2), each = length(v)),
                                      symmetric = TRUE, only.values = TRUE)$values[-length(v)])
  root <- function(p) if (tail(0) > p) 0 else uniroot(function(t) tail(t) - p, c(0, 100 * var(y)),
                                                      tol = 1e-12)$root
  c(lb = root((1 - level) / 2), ub = root((1 + level) / 2))
}
each <- function(names, f) unlist(lapply(setNames(names, names), f))

# ---------------------------------------------------------------------------------------------
# A. Every measure, pooled by REML with z
# ---------------------------------------------------------------------------------------------

keep("dat.laopaiboon2015", c("author", "year", "ai", "n1i", "ci", "n2i", "age", "diag.ab",
                             "diag.cb", "ctrl"))
put("A01", "dat.laopaiboon2015", "all of 2x2 tables", "metafor: REML + z, only0", {
  each(c("RR", "OR", "RD", "PETO", "AS", "PHI", "YUQ", "YUY", "OR2DN", "OR2DL", "PBIT"),
       function(ms) few(uni(measure = ms, ai = ai, n1i = n1i, ci = ci, n2i = n2i,
                            data = dat.laopaiboon2015)))
})
put("A02", "dat.laopaiboon2015", "RD", "metafor: REML, variances of RD", {
  each(c("LS", "UB", "AV"), function(vt) few(uni(measure = "RD", ai = ai, n1i = n1i, ci = ci,
    n2i = n2i, data = dat.laopaiboon2015, vtype = vt)))
})
keep("dat.axfors2021", c("id", "hcq_cq", "high_dose", "Published", "hcq_arm_event",
                         "hcq_arm_total", "control_arm_event", "control_arm_total"))
put("A03", "dat.axfors2021", "OR", "metafor: continuity corrections and drop00", {
  f <- function(...) few(uni(measure = "OR", ai = hcq_arm_event, n1i = hcq_arm_total,
    ci = control_arm_event, n2i = control_arm_total, data = dat.axfors2021, ...))
  c(only0 = f(), all = f(to = "all"), if0all = f(to = "if0all"), add1 = f(add = 0.1),
    drop = f(drop00 = TRUE))
})
keep("dat.curtis1998", c("id", "fungrp", "time", "pot", "method", "m1i", "sd1i", "n1i", "m2i",
                         "sd2i", "n2i"))
put("A04", "dat.curtis1998", "all of two means", "metafor: REML + z (ROM of 3.8 is our ROMU)", {
  # 3.8 multiplies the variance of SMDH by the squared small-sample factor; 5.1 does not, nor do we.
  d <- escalc(measure = "SMDH", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i,
              n2i = n2i, data = dat.curtis1998)
  n <- d$n1i + d$n2i - 2
  j <- exp(lgamma(n / 2) - log(n / 2) / 2 - lgamma((n - 1) / 2))
  c(SMDH = few(uni(d$yi, d$vi / j^2)),
    each(c("MD", "SMD", "SMD1", "ROM", "VR", "CVR", "D2ORN", "D2ORL"),
       function(ms) few(uni(measure = ms, m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i,
                            sd2i = sd2i, n2i = n2i, data = dat.curtis1998))))
})
put("A05", "dat.curtis1998", "SMD", "metafor: REML, variances of SMD, SMD1, MD, ROM", {
  f <- function(ms, vt) few(uni(measure = ms, m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i,
    sd2i = sd2i, n2i = n2i, data = dat.curtis1998, vtype = vt))
  c(LS2 = f("SMD", "LS2"), UB = f("SMD", "UB"), AV = f("SMD", "AV"), SMD1.LS2 = f("SMD1", "LS2"),
    MD.HO = f("MD", "HO"), ROM.HO = f("ROM", "HO"))
})
keep("dat.hart1999", c("trial", "year", "x1i", "n1i", "t1i", "x2i", "n2i", "t2i"))
put("A06", "dat.hart1999", "IRR, IRD, IRSD, one group's rates", "metafor: REML + z", {
  c(each(c("IRR", "IRD", "IRSD"), function(ms) few(uni(measure = ms, x1i = x1i, t1i = t1i,
      x2i = x2i, t2i = t2i, data = dat.hart1999))),
    each(c("IR", "IRLN", "IRS", "IRFT"), function(ms) few(uni(measure = ms, xi = x2i, ti = t2i,
      data = dat.hart1999))))
})
keep("dat.debruin2009", c("author", "year", "scq", "ni", "xi", "ethnicity", "patients", "select"))
put("A07", "dat.debruin2009", "PR, PLN, PLO, PAS, PFT", "metafor: REML + z", {
  c(each(c("PR", "PLN", "PLO", "PAS", "PFT"), function(ms) few(uni(measure = ms, xi = xi, ni = ni,
      data = dat.debruin2009))),
    each(c("PR", "PLN", "PLO"), function(ms) c(AV = few(uni(measure = ms, xi = xi, ni = ni,
      data = dat.debruin2009, vtype = "AV")))),
    UB = few(uni(measure = "PR", xi = xi, ni = ni, data = dat.debruin2009, vtype = "UB")),
    HO.pft.back = predict(uni(measure = "PFT", xi = xi, ni = ni, data = dat.debruin2009),
      transf = transf.ipft.hm, targs = list(ni = dat.debruin2009$ni))$pred)
})
keep("dat.hannum2020", c("authorName", "ni", "xi", "objectivity"))
put("A08", "dat.hannum2020", "PR, PLO, PAS, PFT", "metafor: REML + z, groups without non-events", {
  each(c("PR", "PLN", "PLO", "PAS", "PFT"), function(ms) few(uni(measure = ms, xi = xi, ni = ni,
      data = dat.hannum2020)))
})
keep("dat.molloy2014", c("authors", "year", "ni", "ri", "controls", "design", "meanage",
                         "quality"))
keep("dat.mcdaniel1994", c("study", "ni", "ri", "type", "struct"))
put("A09", "dat.mcdaniel1994", "COR, UCOR, ZCOR", "metafor: REML + z", {
  each(c("COR", "UCOR", "ZCOR"), function(ms) few(uni(measure = ms, ri = ri, ni = ni,
      data = dat.mcdaniel1994)))
})
put("A10", "dat.molloy2014", "COR, UCOR", "metafor: REML, variances of correlations", {
  f <- function(ms, vt) few(uni(measure = ms, ri = ri, ni = ni, data = dat.molloy2014, vtype = vt))
  c(COR.AV = f("COR", "AV"), UCOR.LS = f("UCOR", "LS"), UCOR.UB = f("UCOR", "UB"),
    UCOR.AV = f("UCOR", "AV"), ZCOR = f("ZCOR", "LS"))
})
# Morris (2008, Organ Res Methods 11:364), table 1, treatment groups; correlations as in
# metafor's help page of escalc.
morris2008 <- data.frame(study = c("Carlson", "Allison", "Jaffee", "Fitch", "Kim"),
  m_pre = c(30.6, 23.5, 0.5, 53.4, 35.6), m_post = c(38.5, 26.8, 0.7, 75.9, 36.0),
  sd_pre = c(15.0, 3.1, 0.1, 14.5, 4.7), sd_post = c(11.6, 4.1, 0.1, 4.4, 4.6),
  ni = c(20, 50, 9, 10, 14), ri = c(.47, .64, .77, .89, .44))
keep("morris2008", names(morris2008))
put("A11", "morris2008", "MC, SMCC, SMCR, SMCRH, ROMC", "metafor: REML + z", {
  each(c("MC", "SMCC", "SMCR", "SMCRH", "ROMC"), function(ms) few(uni(measure = ms, m1i = m_post,
    m2i = m_pre, sd1i = sd_pre, sd2i = sd_post, ni = ni, ri = ri, data = morris2008)))
})
put("A12", "morris2008", "MN, MNLN", "metafor: REML + z, one group's means", {
  each(c("MN", "MNLN"), function(ms) few(uni(measure = ms, mi = m_pre, sdi = sd_pre, ni = ni,
    data = morris2008)))
})
keep("dat.aloe2013", names(dat.aloe2013))
keep("dat.bonett2010", names(dat.bonett2010))
put("A13", "dat.curtis1998, dat.laopaiboon2015, morris2008, dat.aloe2013, dat.bonett2010",
    "further measures", "metafor: REML + z", {
  two <- each(c("SMD1H", "RPB", "RBIS"), function(ms) few(uni(measure = ms, m1i = m1i, sd1i = sd1i,
    n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.curtis1998)))
  matched <- each(c("MPRD", "MPRR", "MPOR", "MPORC", "MPPETO"), function(ms) few(uni(measure = ms,
    ai = n1i - ai, bi = ai, ci = ci, di = n2i - ci, data = dat.laopaiboon2015)))
  change <- each(c("CVRC", "VRC"), function(ms) few(uni(measure = ms, m1i = m_post, m2i = m_pre,
    sd1i = sd_post, sd2i = sd_pre, ni = ni, ri = ri, data = morris2008)))
  one <- each(c("SMN", "SDLN", "CVLN"), function(ms) few(uni(measure = ms, mi = m_pre, sdi = sd_pre,
    ni = ni, data = morris2008)))
  part <- function(ms, ...) few(uni(measure = ms, ti = tval, ni = n, mi = preds, r2i = R2,
                                    data = dat.aloe2013, ...))
  alpha <- each(c("ARAW", "AHW", "ABT"), function(ms) few(uni(measure = ms, ai = ai, mi = mi, ni = ni,
                                                             data = dat.bonett2010)))
  c(two, matched, change, one, each(c("PCOR", "ZPCOR", "SPCOR"), part),
    PCOR.AV = part("PCOR", vtype = "AV"), SPCOR.AV = part("SPCOR", vtype = "AV"), alpha)
})

# ---------------------------------------------------------------------------------------------
# B. Every estimator, interval, test and prediction
# ---------------------------------------------------------------------------------------------

keep("dat.lee2004", c("study", "year", "ai", "n1i", "ci", "n2i"))
keep("dat.baskerville2012", c("author", "year", "score", "design", "alloconc", "fumonths",
                              "retention", "country", "itt", "smd", "se"))
ESTIMATORS <- c("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")
put("B01", "dat.lee2004", "RR", "metafor: every estimator of tau2", {
  d <- escalc(measure = "RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.lee2004)
  each(ESTIMATORS, function(me) co(uni(yi, vi, data = d, method = me)))
})
put("B02", "dat.baskerville2012", "SMD", "metafor: every estimator, t, knha, adhoc", {
  c(each(ESTIMATORS, function(me) co(uni(smd, se^2, data = dat.baskerville2012, method = me,
      test = "t"))),
    each(c("DL", "REML", "PM", "SJ"), function(me) c(
      knha = co(uni(smd, se^2, data = dat.baskerville2012, method = me, test = "knha")),
      adhoc = co(uni(smd, se^2, data = dat.baskerville2012, method = me, test = "adhoc")))))
})
put("B03", "dat.lee2004", "RR", "metafor: GENQ and GENQM with weights n", {
  d <- escalc(measure = "RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.lee2004)
  w <- d$n1i + d$n2i
  m <- uni(yi, vi, data = d, method = "GENQ", weights = w)
  o <- uni(yi, vi, data = d, method = "REML", weights = w)
  c(GENQ = few(m), own = few(o), GENQ = generalised(d$yi, d$vi, w),
    GENQM.tau2 = generalised(d$yi, d$vi, w, level = 0)[[1]])
})
put("B04", "dat.baskerville2012", "SMD", "metafor: intervals for tau2, I2, H2; 90 %", {
  m <- uni(smd, se^2, data = dat.baskerville2012)
  s <- list(tol = 1e-12, tau2.max = 1e4)
  f <- function(...) { q <- confint(m, control = s, ...)$random
    c(lb = q[1, 2], ub = q[1, 3], tau.lb = q[2, 2], tau.ub = q[2, 3], I2.lb = q[3, 2],
      I2.ub = q[3, 3], H2.lb = q[4, 2], H2.ub = q[4, 3]) }
  ml <- uni(smd, se^2, data = dat.baskerville2012, method = "ML")
  g <- function(w) with(dat.baskerville2012, generalised(smd, se^2, w))
  pl <- confint(ml, type = "PL", control = s)$random
  c(QP = f(), QP90 = f(level = 90), PL = f(type = "PL"), PLML.lb = pl[1, 2], PLML.ub = pl[1, 3],
    J = g(1 / dat.baskerville2012$se), BJ = g(1 / dat.baskerville2012$se^2))
})
put("B05", "dat.baskerville2012", "SMD", "metafor: prediction intervals; information criteria", {
  f <- function(...) uni(smd, se^2, data = dat.baskerville2012, ...)
  h <- function(m) c(ll = as.numeric(logLik(m)), AIC = AIC(m), BIC = BIC(m),
                     AICc = AIC(m, correct = TRUE))
  c(z = pr(f()), t = pr(f(test = "t")), knha = pr(f(test = "knha")), DL = pr(f(method = "DL")),
    level90 = pr(f(test = "knha", level = 90)), REML = h(f()), ML = h(f(method = "ML")),
    DL = h(f(method = "DL")), EE = h(f(method = "EE")))
})
keep("dat.woods2010", c("author", "treatment", "r", "N"))
keep("dat.cannon2006", c("trial", "nt", "nc", "ep1t", "ep1c"))
put("B06", "dat.cannon2006", "RR", "metafor: k = 4, every estimator, knha", {
  d <- escalc(measure = "RR", ai = ep1t, n1i = nt, ci = ep1c, n2i = nc, data = dat.cannon2006)
  each(c("DL", "HE", "SJ", "ML", "REML", "EB", "PM"), function(me) co(uni(yi, vi, data = d,
    method = me, test = "knha")))
})
put("B07", "dat.cannon2006", "RR", "metafor: k = 2 and 3", {
  d <- escalc(measure = "RR", ai = ep1t, n1i = nt, ci = ep1c, n2i = nc, data = dat.cannon2006)
  c(two = co(uni(yi, vi, data = d[1:2, ], test = "knha")),
    three = co(uni(yi, vi, data = d[1:3, ], test = "t", method = "PM")))
})
keep("dat.dagostino1998", c("study", "cold", "drug", "outcome", "mt", "sdt", "mc", "sdc", "xt",
                            "xc", "nt", "nc"))
put("B08", "dat.dagostino1998", "SMD, OR", "metafor: by outcome, missing cells left out", {
  d <- escalc(measure = "SMD", m1i = mt, m2i = mc, sd1i = sdt, sd2i = sdc, n1i = nt, n2i = nc,
              data = dat.dagostino1998)
  o <- escalc(measure = "OR", ai = xt, ci = xc, n1i = nt, n2i = nc, data = dat.dagostino1998)
  f <- function(x) if (all(is.na(x$yi))) NULL else few(suppressWarnings(uni(yi, vi, data = x)))
  each(c("rnic1", "snic1", "rngoal1", "sngoal2"), function(u) c(SMD = f(d[d$outcome == u, ]),
                                                            OR = f(o[o$outcome == u, ])))
})

# ---------------------------------------------------------------------------------------------
# C. Meta-regression, location-scale, permutation, influence
# ---------------------------------------------------------------------------------------------

put("C01", "dat.laopaiboon2015", "RR", "metafor: factor and number, interaction, z", {
  d <- escalc(measure = "RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.laopaiboon2015)
  m <- uni(yi, vi, mods = ~ factor(diag.ab) * year, data = d)
  a <- anova(m, btt = 4)
  c(beta(m), tau2 = m$tau2, R2 = m$R2, I2 = m$I2, H2 = m$H2, QM = m$QM, QMp = m$QMp, QE = m$QE,
    QEp = m$QEp, ll = as.numeric(logLik(m)), AICc = AIC(m, correct = TRUE), Qab = a$QM)
})
put("C02", "dat.baskerville2012", "SMD", "metafor: two factors, knha; every estimator's tau2", {
  m <- uni(smd, se^2, mods = ~ design + country, data = dat.baskerville2012, test = "knha")
  a <- anova(m, btt = 2:3)
  c(beta(m), tau2 = m$tau2, R2 = m$R2, F = m$QM, Fp = m$QMp, F.design = a$QM, Fp.design = a$QMp,
    each(c("DL", "HE", "HS", "HSk", "SJ", "ML", "EB", "PM", "EE"), function(me) {
      x <- uni(smd, se^2, mods = ~ design + score, data = dat.baskerville2012, method = me)
      c(b1 = x$beta[2], b3 = x$beta[4], se3 = x$se[4], tau2 = x$tau2, QM = x$QM, I2 = x$I2)
    }))
})
put("C03", "dat.debruin2009", "PLO", "metafor: without intercept, t; predict; vif; shrinkage", {
  d <- escalc(measure = "PLO", xi = xi, ni = ni, data = dat.debruin2009)
  m <- uni(yi, vi, mods = ~ 0 + ethnicity, data = d, test = "t")
  n <- uni(yi, vi, mods = ~ scq + ethnicity + select, data = d)
  p <- predict(n, newmods = c(20, 1, 1)); b <- metafor::blup(n); r <- metafor::ranef(n)
  v <- vif(n)
  c(beta(m), F = m$QM, Fp = m$QMp, tau2 = m$tau2, n = beta(n), n.tau2 = n$tau2, n.pred = p$pred,
    n.pred.se = p$se, n.pi.lb = p$pi.lb, n.pi.ub = p$pi.ub, n.vif.scq = v$vif[[1]]$vif,
    n.vif.eth = v$vif[[2]]$vif, n.blup3 = b$pred[3], n.blup3.se = b$se[3], n.ranef5 = r$pred[5])
})
keep("dat.viechtbauer2021", names(dat.viechtbauer2021))
put("C04", "dat.viechtbauer2021", "OR", "metafor: regression on dose, adhoc, and influence of it", {
  d <- escalc(measure = "OR", ai = xTi, n1i = nTi, ci = xCi, n2i = nCi, add = 1/2, to = "all",
              data = dat.viechtbauer2021)
  m <- uni(yi, vi, mods = ~ dose, data = d, test = "adhoc")
  q <- uni(yi, vi, mods = ~ dose + I(dose^2), data = d, method = "ML")
  c(beta(m), tau2 = m$tau2, R2 = m$R2, quad = beta(q), quad.tau2 = q$tau2, quad.QM = q$QM,
    quad.R2 = q$R2)
})
put("C14", "dat.laopaiboon2015, dat.debruin2009", "RR, PLO", "metafor: a slope for each level, nested levels, all pairs of levels", {
  d <- escalc(measure = "RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.laopaiboon2015)
  m <- suppressWarnings(uni(yi, vi, mods = ~ year:factor(diag.ab), data = d))
  e <- escalc(measure = "PLO", xi = xi, ni = ni, data = dat.debruin2009)
  n <- uni(yi, vi, mods = ~ ethnicity + ethnicity:patients, data = e)
  p <- uni(yi, vi, mods = ~ 0 + ethnicity:patients, data = e)
  c(beta(m), tau2 = m$tau2, QM = m$QM, n = beta(n), n.tau2 = n$tau2, n.QM = n$QM, p.tau2 = p$tau2,
    p.QM = p$QM)
})
put("C05", "dat.baskerville2012", "SMD", "metafor: location-scale, two scale moderators, ML and REML", {
  d <- dat.baskerville2012
  bfgs <- list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000)
  m <- rma(smd, se^2, mods = ~ score, scale = ~ score + alloconc, data = d, control = bfgs)
  n <- rma(smd, se^2, mods = ~ 1, scale = ~ retention, data = d, method = "ML")
  o <- rma(smd, se^2, mods = ~ score, scale = ~ score, data = d, test = "knha", control = bfgs)
  f <- function(m) c(beta(m), a = m$alpha[, 1], a.se = m$se.alpha, QM = m$QM, QS = m$QS,
                     ll = as.numeric(logLik(m)))
  setNames(c(m = f(m), n = f(n), o = f(o)), sub("intrcpt", "0",
           make.unique(names(c(m = f(m), n = f(n), o = f(o))))))
})
keep("dat.landenberger2005", c("study", "pubtype", "design", "n.ctrl.rec", "n.ctrl.non",
                               "n.cbt.rec", "n.cbt.non", "group", "male", "sessions"))
put("C06", "dat.landenberger2005", "OR", "metafor: k = 58, three factors, missing moderators left out", {
  d <- escalc(measure = "OR", ai = n.ctrl.rec, bi = n.ctrl.non, ci = n.cbt.rec, di = n.cbt.non,
              data = dat.landenberger2005)
  m <- uni(yi, vi, mods = ~ factor(design) + factor(group) + pubtype, data = d, test = "knha")
  n <- suppressWarnings(uni(yi, vi, mods = ~ male + sessions, data = d))
  c(beta(m), tau2 = m$tau2, F = m$QM, Fp = m$QMp, n = beta(n), n.k = n$k, n.tau2 = n$tau2,
    n.QM = n$QM)
})
put("C07", "dat.cannon2006", "RR", "metafor: permutest exact, signs (k = 4)", {
  d <- escalc(measure = "RR", ai = ep1t, n1i = nt, ci = ep1c, n2i = nc, data = dat.cannon2006)
  p <- permutest(uni(yi, vi, data = d), exact = TRUE, progbar = FALSE)
  c(p = p$pval, n = nrow(p$zval.perm))
})
put("C08", "dat.hart1999", "IRR", "metafor: permutest exact, one moderator (6! orders), z and knha", {
  d <- escalc(measure = "IRR", x1i = x1i, t1i = t1i, x2i = x2i, t2i = t2i, data = dat.hart1999)
  p <- permutest(uni(yi, vi, mods = ~ year, data = d), exact = TRUE, progbar = FALSE)
  q <- permutest(uni(yi, vi, mods = ~ year, data = d, test = "knha", method = "DL"), exact = TRUE,
                 progbar = FALSE)
  c(p0 = p$pval[1], p1 = p$pval[2], QMp = p$QMp, n = nrow(p$zval.perm), knha.p0 = q$pval[1],
    knha.p1 = q$pval[2], knha.QMp = q$QMp)
})
put("C09", "dat.baskerville2012", "SMD", "metafor: permutest exact, factor of two levels", {
  d <- dat.baskerville2012[1:11, ]
  p <- permutest(uni(smd, se^2, mods = ~ itt, data = d, method = "DL"), exact = TRUE,
                 progbar = FALSE)
  c(p0 = p$pval[1], p1 = p$pval[2], QMp = p$QMp, n = nrow(p$zval.perm))
})
put("C10", "dat.lee2004", "RR", "metafor: leave1out, influence (every measure), cumul", {
  d <- escalc(measure = "RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.lee2004)
  m <- uni(yi, vi, data = d); l <- leave1out(m); i <- influence(m)$inf; b <- influence(m)$dfbs[[1]]; u <- cumul(m, order = d$year)
  k <- seq_len(m$k)
  c(l1o.est = setNames(l$estimate, k), l1o.se = setNames(l$se, k), l1o.tau2 = setNames(l$tau2, k),
    l1o.I2 = setNames(l$I2, k), l1o.Q = setNames(l$Q, k), rstud = setNames(i$rstudent, k),
    dffits = setNames(i$dffits, k), cook = setNames(i$cook.d, k), covr = setNames(i$cov.r, k),
    tau2del = setNames(i$tau2.del, k), QEdel = setNames(i$QE.del, k), hat = setNames(i$hat, k),
    weight = setNames(i$weight, k), dfbs = setNames(b, k), cumul.est = setNames(u$estimate, k),
    cumul.se = setNames(u$se, k), cumul.tau2 = setNames(u$tau2, k))
})
put("C11", "dat.baskerville2012", "SMD", "metafor: influence with knha and DL; cumul, knha", {
  m <- uni(smd, se^2, data = dat.baskerville2012, test = "knha", method = "DL")
  i <- influence(m)$inf; b <- influence(m)$dfbs[[1]]; l <- leave1out(m)
  k <- c(1, 2, 10, 23)
  c(rstud = setNames(i$rstudent[k], k), dffits = setNames(i$dffits[k], k),
    cook = setNames(i$cook.d[k], k), covr = setNames(i$cov.r[k], k), hat = setNames(i$hat[k], k),
    dfbs = setNames(b[k], k),
    l1o.lb = setNames(l$ci.lb[k], k), l1o.ub = setNames(l$ci.ub[k], k))
})
put("C12", "dat.debruin2009", "PLO", "metafor: subgroups, common and separate tau2", {
  d <- escalc(measure = "PLO", xi = xi, ni = ni, data = dat.debruin2009)
  m <- uni(yi, vi, mods = ~ patients, data = d)
  a <- uni(yi, vi, data = d, subset = patients == "continuing")
  s <- uni(yi, vi, data = d, subset = patients == "starting")
  g <- rma(c(a$beta, s$beta), c(a$se, s$se)^2, method = "EE")
  c(Q.common = m$QM, p.common = m$QMp, continuing = few(a), starting = few(s),
    Q.own = g$QE, p.own = g$QEp)
})
put("C13", "dat.laopaiboon2015", "RR", "metafor: gosh, all subsets of 10 trials, EE and REML", {
  d <- escalc(measure = "RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.laopaiboon2015)[1:10, ]
  f <- function(me) { x <- as.data.frame(gosh(uni(yi, vi, data = d, method = me), progbar = FALSE)$res)
    c(n = nrow(x), est.mean = mean(x$estimate), est.sd = sd(x$estimate), est.min = min(x$estimate),
      est.max = max(x$estimate), QE.mean = mean(x$QE)) }
  c(EE = f("EE"), REML = f("REML"), DL = f("DL"))
})

# Every diagnostic of a regression, and its coefficients without each study.
diagnosed <- function(m, k) {
  i <- influence(m); l <- lapply(k, function(n) uni(m$yi, m$vi, mods = m$X, intercept = FALSE,
                                                    method = m$method, test = m$test, subset = -n))
  named <- function(x) setNames(x[k], k)
  by <- function(f) unlist(lapply(seq_len(m$p), function(j) setNames(f(j), paste0(j - 1, ".", k))))
  c(rstandard = named(rstandard(m)$z), rstud = named(i$inf$rstudent), dffits = named(i$inf$dffits),
    cook = named(i$inf$cook.d), covr = named(i$inf$cov.r), tau2del = named(i$inf$tau2.del),
    QEdel = named(i$inf$QE.del), hat = named(i$inf$hat), weight = named(i$inf$weight),
    dfbs = by(function(j) i$dfbs[[j]][k]), b = by(function(j) sapply(l, function(x) x$beta[j])),
    lb = by(function(j) sapply(l, function(x) x$ci.lb[j])),
    ub = by(function(j) sapply(l, function(x) x$ci.ub[j])))
}
put("C15", "dat.debruin2009", "PLO", "metafor: influence and rstandard with moderators, REML, z", {
  d <- escalc(measure = "PLO", xi = xi, ni = ni, data = dat.debruin2009)
  diagnosed(uni(yi, vi, mods = ~ scq + ethnicity + select, data = d), seq_len(nrow(d)))
})
put("C16", "dat.baskerville2012", "SMD", "metafor: influence with moderators: knha, t, EE, DL adhoc", {
  f <- function(...) diagnosed(uni(smd, se^2, data = dat.baskerville2012, ...), c(1, 7, 11, 23))
  c(knha = f(mods = ~ design + country, test = "knha"), t = f(mods = ~ score, test = "t", method = "ML"),
    EE = f(mods = ~ 0 + design, method = "EE"), adhoc = f(mods = ~ score, test = "adhoc", method = "DL"),
    mean = setNames(rstandard(uni(smd, se^2, data = dat.baskerville2012))$z, 1:23))
})
# ---------------------------------------------------------------------------------------------
# D. Dependent effects: levels, structures, assumed correlations, robust errors
# ---------------------------------------------------------------------------------------------

ml <- function(m) {
  i <- seq_along(m$beta) - 1
  c(setNames(m$beta[, 1], paste0("b", i)), setNames(m$se, paste0("se", i)),
    ll = as.numeric(logLik(m)), QE = m$QE)
}
keep("dat.bornmann2007", c("study", "obs", "doctype", "year", "type", "country", "waward", "wtotal",
                           "maward", "mtotal"))
put("D01", "dat.bornmann2007", "OR", "metafor: three levels REML, ML; crossed; t; profile limits", {
  d <- escalc(measure = "OR", ai = waward, n1i = wtotal, ci = maward, n2i = mtotal,
              data = dat.bornmann2007)
  m <- mv(yi, vi, random = ~ 1 | study/obs, data = d)
  n <- mv(yi, vi, mods = ~ doctype, random = ~ 1 | study/obs, data = d, method = "ML", test = "t")
  d$row <- seq_len(nrow(d))
  x <- mv(yi, vi, random = list(~ 1 | country, ~ 1 | study, ~ 1 | row), data = d)
  p <- predict(m); r <- ranef(m)[[1]]
  c(ml(m), s2.1 = m$sigma2[1], s2.2 = m$sigma2[2], AIC = AIC(m), BIC = BIC(m),
    AICc = AIC(m, correct = TRUE), pi.lb = p$pi.lb, pi.ub = p$pi.ub, ranef2 = r$intrcpt[2],
    ranef2.se = r$se[2], n = ml(n), n.s2.1 = n$sigma2[1], n.s2.2 = n$sigma2[2], n.QM = n$QM,
    n.QMp = n$QMp, n.p1 = n$pval[2], x = ml(x), x.s2.country = x$sigma2[1],
    x.s2.study = x$sigma2[2], x.s2.obs = x$sigma2[3])
})
put("D02", "dat.bornmann2007", "OR", "clubSandwich: CR0 to CR3 with Satterthwaite; HTZ", {
  d <- escalc(measure = "OR", ai = waward, n1i = wtotal, ci = maward, n2i = mtotal,
              data = dat.bornmann2007)
  m <- mv(yi, vi, mods = ~ type + year, random = ~ 1 | study/obs, data = d)
  m$call$data <- quote(d)
  f <- function(k) { V <- vcovCR(m, cluster = d$study, type = k); setNames(sqrt(diag(V)), 0:2) }
  V <- vcovCR(m, cluster = d$study, type = "CR2")
  a <- coef_test(m, vcov = V, test = "Satterthwaite")
  w <- Wald_test(m, constraints = constrain_zero(2:3), vcov = V, test = "HTZ")
  c(each(c("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"), f), df = setNames(a$df_Satt, 0:2),
    p = setNames(a$p_Satt, 0:2), HTZ = w$Fstat, HTZ.df = w$df_denom, HTZ.p = w$p_val)
})
keep("dat.kalaian1996", c("id", "study", "year", "n1i", "n2i", "outcome", "yi", "vi", "hrs"))
put("D03", "dat.kalaian1996", "SMD of two outcomes", "metafor: vcalc rho = .66; ID DIAG CS HCS UN", {
  d <- dat.kalaian1996
  V <- vcalc(vi, cluster = study, type = outcome, data = d, rho = 0.66)
  f <- function(st, me = "REML") { m <- mv(yi, V, mods = ~ 0 + outcome, random = ~ outcome | study,
      struct = st, data = d, method = me)
    c(ml(m), setNames(m$tau2, paste0("tau2.", seq_along(m$tau2))),
      if (st %in% c("CS", "HCS", "UN")) c(rho = m$rho[1])) }
  w <- robust(mv(yi, V, mods = ~ outcome + hrs, random = ~ outcome | study, struct = "UN", data = d),
              cluster = study, clubSandwich = TRUE)
  c(V12 = V[12, 13], each(c("ID", "DIAG", "CS", "HCS", "UN"), f), ML = f("UN", "ML"),
    cr2.b = setNames(w$beta[, 1], 0:2), cr2.se = setNames(w$se, 0:2), cr2.df = setNames(w$dfs, 0:2),
    cr2.F = w$QM, cr2.df2 = w$QMdf[2])
})
fine <- do.call(rbind, lapply(1:4, function(t) with(dat.fine1993, data.frame(study = 1:17,
  time = t, ai = get(paste0("e", t, "i")), n1i = nei, ci = get(paste0("c", t, "i")), n2i = nci))))
fine <- escalc(measure = "OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = fine)
fine <- as.data.frame(fine[!is.na(fine$yi), ]); fine <- fine[order(fine$study, fine$time), ]
fine$months <- c(6, 12, 18, 24)[fine$time] / 6 * (1 + (fine$time == 4) * 0.25)
keep("fine1993_long", c("study", "time", "months", "yi", "vi"), from = fine)
put("D04", "fine1993_long", "OR at four times", "metafor: AR, HAR, CAR, HCS, UN with vcalc phi", {
  V <- vcalc(vi, cluster = study, time1 = time, phi = 0.8, data = fine)
  f <- function(st) { m <- mv(yi, V, mods = ~ 0 + factor(time), random = ~ time | study, struct = st,
      data = fine)
    c(ml(m), setNames(m$tau2, paste0("tau2.", seq_along(m$tau2))), rho = m$rho[1]) }
  m <- mv(yi, V, mods = ~ 0 + factor(time), random = ~ months | study, struct = "CAR", data = fine)
  c(each(c("AR", "HAR", "HCS"), f), CAR = c(ml(m), tau2 = m$tau2, rho = m$rho))
})
riley <- subset(dat.riley2003, study %in% names(which(table(dat.riley2003$study) == 2)))
riley <- riley[!is.na(riley$yi) & !is.na(riley$vi), ]
keep("riley2003_complete", c("study", "yi", "vi", "outcome"), from = riley)
put("D05", "riley2003_complete", "log HR, two outcomes", "metafor: UN, correlation of errors 0.7", {
  V <- vcalc(vi, cluster = study, type = outcome, data = riley, rho = 0.7)
  m <- mv(yi, V, mods = ~ 0 + outcome, random = ~ outcome | study, struct = "UN", data = riley)
  k <- mv(yi, V, mods = ~ 0 + outcome, random = ~ outcome | study, struct = "HCS", data = riley)
  c(ml(m), tau2.1 = m$tau2[1], tau2.2 = m$tau2[2], rho = m$rho, hcs.ll = as.numeric(logLik(k)))
})
keep("dat.crede2010", c("studyid", "year", "source", "sampleid", "criterion", "class", "ni", "ri"))
put("D06", "dat.crede2010", "ZCOR", "metafor: three levels by ML and REML, LRT of a level, t", {
  d <- escalc(measure = "ZCOR", ri = ri, ni = ni, data = dat.crede2010)
  m <- mv(yi, vi, mods = ~ criterion, random = ~ 1 | studyid/sampleid, data = d, test = "t")
  n <- mv(yi, vi, mods = ~ criterion, random = ~ 1 | studyid, data = d, test = "t")
  a <- anova(m, n)
  c(ml(m), s2.1 = m$sigma2[1], s2.2 = m$sigma2[2], QM = m$QM, QMp = m$QMp, p1 = m$pval[2],
    lb1 = m$ci.lb[2], LRT = a$LRT, LRTp = a$pval)
})
obrien <- escalc(measure = "PLO", xi = cases, ni = total, data = dat.obrien2003)
obrien <- as.data.frame(obrien); obrien$bmicent <- obrien$bmi - 23
keep("obrien2003", c("study", "grp", "bmi", "bmicent", "cases", "total", "yi", "vi"), from = obrien)
put("D07", "obrien2003", "PLO", "metafor: random intercepts and slopes (GEN)", {
  m <- mv(yi, vi, mods = ~ bmicent, random = ~ bmicent | study, struct = "GEN", data = obrien)
  c(ml(m), tau2.0 = m$G[1, 1], tau2.1 = m$G[2, 2], cov = m$G[1, 2])
})
keep("dat.white2020", c("study_id", "obs", "exp_obs", "species", "sex", "n", "r"))
put("D08", "dat.white2020", "ZCOR", "metafor: crossed species, studies and observations", {
  d <- escalc(measure = "ZCOR", ri = r, ni = n, data = dat.white2020)
  m <- mv(yi, vi, random = list(~ 1 | study_id, ~ 1 | obs, ~ 1 | species), data = d)
  r <- robust(mv(yi, vi, mods = ~ exp_obs, random = list(~ 1 | study_id, ~ 1 | obs), data = d),
              cluster = study_id)
  c(ml(m), s2.study = m$sigma2[1], s2.obs = m$sigma2[2], s2.species = m$sigma2[3],
    cr1.se0 = r$se[1], cr1.se1 = r$se[2], cr1.p1 = r$pval[2])
})
keep("dat.knapp2017", c("study", "task", "difficulty", "group1", "group2", "yi", "vi", "n_sz",
                        "n_hc"))
put("D09", "dat.knapp2017", "SMD", "metafor: vcalc with shared groups and rho = .4, CR2", {
  d <- dat.knapp2017
  V <- vcalc(vi, cluster = study, grp1 = group1, grp2 = group2, w1 = n_sz, w2 = n_hc, obs = task,
             rho = 0.4, data = d)
  d$id <- seq_len(nrow(d))
  m <- mv(yi, V, random = ~ 1 | study/id, data = d)
  r <- robust(m, cluster = study, clubSandwich = TRUE)
  c(V23 = V[2, 3], Vsum = sum(V), ml(m), s2.1 = m$sigma2[1], s2.2 = m$sigma2[2], cr2.se = r$se,
    cr2.df = r$dfs)
})
keep("dat.tannersmith2016", c("studyid", "yi", "vi", "sei", "aget1", "aget2", "propmale",
                              "sexmix"))
put("D10", "dat.tannersmith2016", "partial correlations", "robumeta: CORR (.2, .8), HIER, small = TRUE and FALSE", {
  d <- dat.tannersmith2016
  f <- function(...) { m <- robu(..., data = d, studynum = studyid, var.eff.size = vi)
    t <- m$reg_table; i <- seq_len(nrow(t)) - 1
    c(b = setNames(t$b.r, i), se = setNames(t$SE, i), df = setNames(t$dfs, i), p = setNames(t$prob, i),
      tau2 = as.numeric(m$mod_info$tau.sq), omega2 = as.numeric(m$mod_info$omega.sq)) }
  c(corr = f(yi ~ aget1 + propmale, modelweights = "CORR", rho = 0.8, small = TRUE),
    low = f(yi ~ 1, modelweights = "CORR", rho = 0.2, small = TRUE),
    hier = f(yi ~ aget1 + propmale, modelweights = "HIER", small = TRUE),
    plain = f(yi ~ 1, modelweights = "HIER", small = TRUE))
})
put("D11", "dat.crede2010", "ZCOR", "robumeta: CORR and HIER", {
  d <- escalc(measure = "ZCOR", ri = ri, ni = ni, data = dat.crede2010)
  d$grade <- as.numeric(d$criterion == "grade")
  f <- function(...) { m <- robu(yi ~ grade, data = d, studynum = studyid, var.eff.size = vi, ...)
    t <- m$reg_table; i <- 0:1
    c(b = setNames(t$b.r, i), se = setNames(t$SE, i), df = setNames(t$dfs, i), p = setNames(t$prob, i),
      tau2 = as.numeric(m$mod_info$tau.sq), omega2 = as.numeric(m$mod_info$omega.sq),
      I2 = as.numeric(m$mod_info$I.2)) }
  c(corr = f(modelweights = "CORR", rho = 0.5, small = TRUE),
    hier = f(modelweights = "HIER", small = TRUE))
})

# ---------------------------------------------------------------------------------------------
# E. Networks, from the covariance matrix of all contrasts of each study with its first arm
# ---------------------------------------------------------------------------------------------

# `level` and `v` are each arm's own level and variance on an additive scale; heterogeneity is the
# same for every contrast, so that two contrasts with the same arm share half of it (`S`).
network <- function(study, trt, level, v) {
  trts <- sort(unique(trt), method = "radix"); y <- NULL; X <- NULL; V <- list(); S <- list()
  of <- character(); arms <- list()
  for (s in unique(study)) {
    i <- which(study == s); i <- i[order(trt[i], method = "radix")]; k <- length(i) - 1
    y <- c(y, level[i[-1]] - level[i[1]])
    X <- rbind(X, t(sapply(i[-1], function(j) (trts == trt[j]) - (trts == trt[i[1]]))))
    V[[s]] <- diag(v[i[-1]], k) + v[i[1]]; S[[s]] <- diag(0.5, k) + 0.5
    of <- c(of, rep(s, k)); arms[[s]] <- trt[i]
  }
  list(y = y, X = X, V = as.matrix(bldiag(V)), S = as.matrix(bldiag(S)), study = of, trts = trts,
       arms = arms)
}
odds <- function(study, trt, r, n) {
  ok <- ave(r, study, FUN = sum) > 0 & ave(n - r, study, FUN = sum) > 0
  a <- 0.5 * (ave(r == 0 | r == n, study, FUN = max) > 0)
  network(study[ok], trt[ok], log((r + a) / (n - r + a))[ok], (1 / (r + a) + 1 / (n - r + a))[ok])
}
gls <- function(N, X, t2 = 0) {
  W <- solve(N$V + t2 * N$S); C <- solve(t(X) %*% W %*% X)
  b <- drop(C %*% t(X) %*% W %*% N$y); e <- N$y - drop(X %*% b)
  P <- W - W %*% X %*% C %*% t(X) %*% W
  list(b = b, C = C, Q = drop(e %*% W %*% e), W = W, P = P, df = length(N$y) - ncol(X))
}
tau2 <- function(N, X, method) {
  if (method == "common") return(0)
  g <- gls(N, X)
  if (method == "DL") return(max(0, (g$Q - g$df) / sum(g$P * N$S)))
  f <- function(t) {
    g <- gls(N, X, t)
    if (method == "PM") return(g$Q - g$df)
    drop(t(N$y) %*% g$P %*% N$S %*% g$P %*% N$y) - sum((if (method == "REML") g$P else g$W) * N$S)
  }
  if (f(0) <= 0) 0 else uniroot(f, c(0, 20 * var(N$y)), tol = 1e-15)$root
}
basic <- function(N, ref) N$X[, N$trts != ref, drop = FALSE]
league <- function(N, ref, method) {
  X <- basic(N, ref); t2 <- tau2(N, X, method); g <- gls(N, X, t2)
  names <- make.names(N$trts[N$trts != ref]); q <- gls(N, X)
  c(tau2 = t2, Q = q$Q, df = q$df, setNames(g$b, paste0("est.", names)),
    setNames(sqrt(diag(g$C)), paste0("se.", names)))
}
scores <- function(N, ref, method, sign) {
  X <- basic(N, ref); g <- gls(N, X, tau2(N, X, method))
  b <- c(0, g$b); C <- rbind(0, cbind(0, g$C)); names <- c(ref, N$trts[N$trts != ref])
  p <- sapply(seq_along(b), function(i) mean(pnorm(sign * (b[i] - b[-i]) /
    sqrt(C[i, i] + diag(C)[-i] - 2 * C[i, -i]))))
  setNames(p, paste0("P.", make.names(names)))
}
designs <- function(N, ref) {
  key <- sapply(N$arms, paste, collapse = ":")[N$study]
  D <- do.call(cbind, lapply(unique(key), function(k) {
    U <- N$X * (key == k); U <- U[, colSums(abs(U)) > 0, drop = FALSE]; U[, -1, drop = FALSE] }))
  X <- basic(N, ref); w <- gls(N, D); a <- gls(N, X); t2 <- tau2(N, D, "DL"); t3 <- tau2(N, D, "REML")
  c(Q.within = w$Q, df.within = w$df, Q.between = a$Q - w$Q, df.between = a$df - w$df,
    tau2.within = t2, Q.random = gls(N, X, t2)$Q - gls(N, D, t2)$Q, REML.tau2.within = t3,
    REML.Q.random = gls(N, X, t3)$Q - gls(N, D, t3)$Q)
}
nodesplit <- function(N, ref, a, b, method = "REML") {
  X <- basic(N, ref); t2 <- tau2(N, X, method); g <- gls(N, X, t2)
  trts <- N$trts[N$trts != ref]; x <- (trts == a) - (trts == b)
  net <- c(sum(x * g$b), sqrt(drop(x %*% g$C %*% x)))
  both <- names(N$arms)[sapply(N$arms, function(s) all(c(a, b) %in% s))]
  one <- sapply(both, function(s) { r <- N$study == s; arms <- N$arms[[s]]
    l <- c(0, N$y[r]); C <- rbind(0, cbind(0, N$V[r, r])); i <- match(a, arms); j <- match(b, arms)
    c(l[i] - l[j], C[i, i] + C[j, j] - 2 * C[i, j]) })
  w <- 1 / (one[2, ] + t2); dir <- c(sum(w * one[1, ]) / sum(w), 1 / sqrt(sum(w)))
  rest <- 1 / net[2]^2 - 1 / dir[2]^2
  back <- c((net[1] / net[2]^2 - dir[1] / dir[2]^2) / rest, 1 / sqrt(rest))
  k <- !N$study %in% both
  M <- list(y = N$y[k], V = N$V[k, k], S = N$S[k, k]); Z <- X[k, ]
  use <- colSums(abs(Z)) > 0; h <- gls(M, Z[, use], t2)
  sidde <- c(sum(x[use] * h$b), sqrt(drop(x[use] %*% h$C %*% x[use])))
  # side-splitting, symmetric: half the inconsistency on each arm of the studies with both
  z <- rep(0, length(N$y)); f <- N$X[, N$trts == a] - N$X[, N$trts == b]
  z[!k] <- f[!k] / 2; Y <- cbind(X, z); s2 <- tau2(N, Y, method); u <- gls(N, Y, s2)
  n <- ncol(Y)
  c(direct = dir[1], direct.se = dir[2], share = (net[2] / dir[2])^2, back = back[1],
    back.se = back[2], sidde = sidde[1], sidde.se = sidde[2], omega = u$b[[n]],
    omega.se = sqrt(u$C[n, n]), omega.tau2 = s2)
}
METHODS <- c("common", "DL", "PM", "ML", "REML")

keep("dat.baker2009", c("study", "treatment", "exac", "total"))
N.baker <- with(dat.baker2009, odds(as.character(study), treatment, exac, total))
put("E01", "dat.baker2009", "OR", "GLS with whole covariance, 8 treatments, 10 multi-arm trials", {
  c(each(METHODS, function(m) league(N.baker, "Placebo", m)), scores(N.baker, "Placebo", "REML", -1),
    designs(N.baker, "Placebo"))
})
put("E02", "dat.baker2009", "OR", "node-splits by three methods", {
  c(FP = nodesplit(N.baker, "Placebo", "Fluticasone", "Salmeterol"),
    ST = nodesplit(N.baker, "Placebo", "Salmeterol", "Tiotropium"))
})
put("E03", "dat.baker2009", "OR", "additive components, Placebo inactive", {
  parts <- strsplit(N.baker$trts, "+", fixed = TRUE); all <- sort(unique(unlist(parts)))
  all <- all[all != "Placebo"]; C <- t(sapply(parts, function(p) as.numeric(all %in% p)))
  X <- N.baker$X %*% C
  f <- function(m) { t2 <- tau2(N.baker, X, m); g <- gls(N.baker, X, t2)
    c(tau2 = t2, setNames(g$b, all), setNames(sqrt(diag(g$C)), paste0("se.", all))) }
  q <- gls(N.baker, X)
  c(DL = f("DL"), REML = f("REML"), Q = q$Q, df = q$df, Q.diff = q$Q - gls(N.baker, basic(N.baker,
    "Placebo"))$Q)
})
keep("dat.dogliotti2014", c("study", "treatment", "stroke", "total"))
N.dogliotti <- with(dat.dogliotti2014, odds(as.character(study), treatment, stroke, total))
put("E04", "dat.dogliotti2014", "OR", "GLS, scores, designs, node-splits", {
  r <- "Placebo/Control"
  c(each(METHODS, function(m) league(N.dogliotti, r, m)), scores(N.dogliotti, r, "DL", -1),
    designs(N.dogliotti, r), AV = nodesplit(N.dogliotti, r, "Aspirin", "VKAs"))
})
put("E05", "dat.dogliotti2014", "RR, RD", "GLS on risks (no empty cells needed)", {
  d <- subset(dat.dogliotti2014, ave(stroke, study, FUN = min) > 0); s <- as.character(d$study)
  p <- d$stroke / d$total
  c(RR = league(network(s, d$treatment, log(p), 1 / d$stroke - 1 / d$total), "VKAs", "REML"),
    RD = league(network(s, d$treatment, p, p * (1 - p) / d$total), "VKAs", "REML"))
})
franchini <- with(dat.franchini2012, {
  d <- data.frame(study = rep(Study, 3), treatment = c(Treatment1, Treatment2, Treatment3),
                  mean = c(y1, y2, y3), sd = c(sd1, sd2, sd3), n = c(n1, n2, n3))
  d[!is.na(d$mean), ] })
keep("franchini2012_arms", names(franchini), from = franchini)
stowe <- with(dat.stowe2010, {
  d <- data.frame(study = rep(study, 3), treatment = c(t1, t2, t3), mean = c(y1, y2, y3),
                  sd = c(sd1, sd2, sd3), n = c(n1, n2, n3))
  d[!is.na(d$mean), ] })
keep("stowe2010_arms", names(stowe), from = stowe)
put("E06", "franchini2012_arms", "MD", "GLS, 5 treatments, 7 trials", {
  N <- with(franchini, network(as.character(study), treatment, mean, sd^2 / n))
  each(METHODS, function(m) league(N, "Placebo", m))
})
put("E07", "stowe2010_arms", "MD", "GLS, a three-arm trial, designs", {
  N <- with(stowe, network(as.character(study), treatment, mean, sd^2 / n))
  c(each(METHODS, function(m) league(N, "Placebo", m)), designs(N, "Placebo"),
    scores(N, "Placebo", "REML", -1))
})
linde <- with(dat.linde2015, {
  d <- data.frame(id = rep(id, 3), treatment = c(treatment1, treatment2, treatment3),
                  resp = c(resp1, resp2, resp3), n = c(n1, n2, n3))
  d <- d[d$treatment != "" & !is.na(d$resp), ]
  twice <- unique(d$id[duplicated(d[c("id", "treatment")])])
  d <- d[!d$id %in% twice, ]; d[ave(d$n, d$id, FUN = length) > 1, ] })
keep("linde2015_arms", names(linde), from = linde)
put("E08", "linde2015_arms", "OR", "GLS, 9 classes of antidepressants, node-split", {
  N <- with(linde, odds(as.character(id), treatment, resp, n))
  c(each(METHODS, function(m) league(N, "Placebo", m)), scores(N, "Placebo", "REML", 1),
    designs(N, "Placebo"), ST = nodesplit(N, "Placebo", "SSRI", "TCA", "REML"))
})
keep("dat.dong2013", c("id", "treatment", "death", "randomized"))
put("E09", "dat.dong2013", "OR", "Mantel-Haenszel by design, two-arm trials, then GLS", {
  d <- subset(dat.dong2013, ave(id, id, FUN = length) == 2)
  d <- d[order(d$id, d$treatment, method = "radix"), ]
  a <- d[!duplicated(d$id), ]; b <- d[duplicated(d$id), ]; key <- paste(a$treatment, b$treatment)
  one <- lapply(unique(key), function(k) {
    i <- key == k & a$death + b$death > 0
    if (sum(a$death[i]) == 0 || sum(b$death[i]) == 0) return(NULL)
    m <- rma.mh(measure = "OR", ai = b$death[i], n1i = b$randomized[i], ci = a$death[i],
                n2i = a$randomized[i])
    list(y = m$beta[1], v = m$se^2, from = a$treatment[i][1], to = b$treatment[i][1]) })
  one <- Filter(Negate(is.null), one); trts <- sort(unique(unlist(lapply(one, `[`, c("from", "to")))))
  N <- list(y = sapply(one, `[[`, "y"), V = diag(sapply(one, `[[`, "v")), trts = trts,
            X = t(sapply(one, function(o) (trts == o$to) - (trts == o$from))))
  g <- gls(c(N, list(S = 0 * N$V)), basic(N, "Placebo")); n <- make.names(trts[trts != "Placebo"])
  c(setNames(g$b, paste0("est.", n)), setNames(sqrt(diag(g$C)), paste0("se.", n)), Q = g$Q, df = g$df)
})
put("E10", "dat.dong2013", "OR", "GLS, studies without deaths left out, half added", {
  N <- with(dat.dong2013, odds(as.character(id), treatment, death, randomized))
  c(common = league(N, "Placebo", "common"), REML = league(N, "Placebo", "REML"))
})

# ---------------------------------------------------------------------------------------------
# F. Rare events: stratified by metafor, models by the trapezoid over the random effect
# ---------------------------------------------------------------------------------------------

keep("dat.hahn2001", c("study", "ai", "n1i", "ci", "n2i"))
keep("dat.damico2009", c("study", "year", "xt", "nt", "xc", "nc", "conceal", "blind"))
keep("dat.collins1985a", c("id", "trial", "trt", "ctrl", "nti", "b.xti", "nci", "b.xci"))
keep("dat.graves2010", c("study", "ai", "n1i", "ci", "n2i"))
counts <- list(
  hahn = with(dat.hahn2001, data.frame(a = ai, n1 = n1i, c = ci, n2 = n2i)),
  damico = with(dat.damico2009, data.frame(a = xt, n1 = nt, c = xc, n2 = nc)),
  collins = with(subset(dat.collins1985a, !is.na(b.xti)),
                 data.frame(a = b.xti, n1 = nti, c = b.xci, n2 = nci)),
  axfors = with(dat.axfors2021, data.frame(a = hcq_arm_event, n1 = hcq_arm_total,
                                           c = control_arm_event, n2 = control_arm_total)))
stratified <- function(d) {
  f <- function(ms) { m <- rma.mh(measure = ms, ai = a, n1i = n1, ci = c, n2i = n2, data = d)
    c(est = m$beta[[1]], se = m$se, lb = m$ci.lb, p = m$pval, Q = m$QE) }
  o <- rma.mh(measure = "OR", ai = a, n1i = n1, ci = c, n2i = n2, data = d)
  p <- rma.peto(ai = a, n1i = n1, ci = c, n2i = n2, data = d)
  c(OR = f("OR"), RR = f("RR"), RD = f("RD"), CMH = o$MH, CMHp = o$MHp, BD = o$BD, TA = o$TA,
    Peto = c(est = p$beta[[1]], se = p$se, Q = p$QE, used = sum(d$a + d$c > 0 & d$a + d$c < d$n1 + d$n2)))
}
put("F01", "dat.hahn2001", "OR, RR, RD", "metafor: rma.mh without correction, rma.peto",
    stratified(counts$hahn))
put("F02", "dat.damico2009", "OR, RR, RD", "metafor: rma.mh, rma.peto", stratified(counts$damico))
put("F03", "dat.collins1985a", "OR, RR, RD", "metafor: rma.mh, rma.peto",
    stratified(counts$collins))
put("F04", "dat.axfors2021", "OR, RR, RD", "metafor: rma.mh, rma.peto", stratified(counts$axfors))
put("F05", "dat.hart1999", "IRR, IRD", "metafor: rma.mh of rates", {
  f <- function(ms) { m <- rma.mh(measure = ms, x1i = x1i, t1i = t1i, x2i = x2i, t2i = t2i,
      data = dat.hart1999)
    c(est = m$beta[[1]], se = m$se, Q = m$QE) }
  c(IRR = f("IRR"), IRD = f("IRD"))
})

grid <- seq(-9, 9, length.out = 361)  # of the standardised random effect
logw <- dnorm(grid, log = TRUE) + log(grid[2] - grid[1])
lse <- function(m) { t <- apply(m, 1, max); t + log(rowSums(exp(m - t))) }
# `study(theta)` gives each study's log-likelihood at the columns of a matrix (studies x grid).
integrated <- function(study, k) function(p) {
  sum(lse(study(matrix(p[1] + p[2] * grid, k, length(grid), byrow = TRUE)) + rep(logw, each = k)))
}
noncentral <- function(d) {
  d <- subset(d, a + c > 0 & a + c < n1 + n2)
  parts <- lapply(seq_len(nrow(d)), function(i) with(d[i, ], {
    x <- max(0, a + c - n2):min(n1, a + c)
    list(x = x, w = lchoose(n1, x) + lchoose(n2, a + c - x), a = a) }))
  list(k = nrow(d), f = function(t) t(sapply(seq_along(parts), function(i) with(parts[[i]],
    w[match(a, x)] + a * t[i, ] - lse(outer(t[i, ], x) + rep(w, each = ncol(t)))))))
}
conditional <- function(a, m, offset) list(k = length(a), f = function(t)
  lchoose(m, a) + a * plogis(t + offset, log.p = TRUE) + (m - a) * plogis(-t - offset, log.p = TRUE))
# Both groups with an intercept for each study, maximised by Newton's method given mu and tau.
unconditional <- function(d) {
  d <- subset(d, a + c > 0 & a + c < n1 + n2); k <- nrow(d)
  cell <- function(alpha, t) with(d, {
    p <- alpha + t / 2; q <- alpha - t / 2
    lchoose(n1, a) + lchoose(n2, c) + a * plogis(p, log.p = TRUE) + (n1 - a) * plogis(-p, log.p = TRUE) +
      c * plogis(q, log.p = TRUE) + (n2 - c) * plogis(-q, log.p = TRUE) })
  alpha0 <- with(d, qlogis((a + c + 0.5) / (n1 + n2 + 1)))
  function(p) {
    t <- matrix(p[1] + p[2] * grid, k, length(grid), byrow = TRUE); w <- rep(logw, each = k)
    one <- function(alpha) lse(cell(alpha, t) + w)
    alpha <- alpha0; h <- 1e-3
    for (n in 1:40) {
      u <- one(alpha + h); m <- one(alpha); l <- one(alpha - h)
      step <- ((u - l) / (2 * h)) / ((u - 2 * m + l) / h^2)
      alpha <- alpha - pmax(pmin(step, 1), -1)
      if (max(abs(step)) < 1e-9) break
    }
    alpha0 <<- alpha
    sum(one(alpha))
  }
}
best <- function(ll, start = c(0, 0.5)) {
  f <- function(p) -ll(p)
  o <- optim(start, f, method = "BFGS", control = list(reltol = 1e-15, maxit = 1000))
  o <- optim(o$par, f, method = "BFGS", control = list(reltol = 1e-16, maxit = 1000))
  if (abs(o$par[2]) < 0.01) {
    g <- function(m) f(c(m, 0)); m <- optimize(g, o$par[1] + c(-1, 1), tol = 1e-10)$minimum
    return(c(est = m, se = 1 / sqrt(hessian(g, m)[1]), tau2 = 0, ll = -g(m)))
  }
  H <- solve(hessian(f, o$par)); t <- abs(o$par[2])
  c(est = o$par[1], se = sqrt(H[1, 1]), tau2 = t^2, se.tau2 = 2 * t * sqrt(H[2, 2]), ll = -o$value)
}
mixed <- function(d) {
  e <- noncentral(d); u <- subset(d, a + c > 0 & a + c < n1 + n2)
  b <- with(u, conditional(a, a + c, log(n1 / n2)))
  c(CM.EL = best(integrated(e$f, e$k)), CM.AL = best(integrated(b$f, b$k)),
    UM.FS = best(unconditional(d))[1:3])
}
betabinomial <- function(d) {
  f <- function(p, x, n, l) { m <- plogis(l); s <- exp(-p); A <- m * s; B <- (1 - m) * s
    sum(lchoose(n, x) + lbeta(x + A, n - x + B) - lbeta(A, B)) }
  g <- function(p) -with(d, f(p[3], a, n1, p[1] + p[2]) + f(p[3], c, n2, p[1]))
  o <- optim(c(-1, 0, -2), g, method = "BFGS", control = list(reltol = 1e-16, maxit = 5000))
  H <- solve(hessian(g, o$par))
  c(est = o$par[2], se = sqrt(H[2, 2]), rho = plogis(o$par[3]), ll = -o$value)
}
put("F06", "dat.hahn2001", "OR", "CM.EL, CM.AL, UM.FS, beta-binomial, integrated directly",
    c(mixed(counts$hahn), BB = betabinomial(counts$hahn)))
put("F07", "dat.damico2009", "OR", "CM.EL, CM.AL, UM.FS, beta-binomial, integrated directly",
    c(mixed(counts$damico), BB = betabinomial(counts$damico)))
put("F08", "dat.collins1985a", "OR", "CM.EL, CM.AL, UM.FS, beta-binomial, integrated directly",
    c(mixed(counts$collins), BB = betabinomial(counts$collins)))
put("F09", "dat.axfors2021", "OR", "CM.AL, beta-binomial, integrated directly", {
  u <- subset(counts$axfors, a + c > 0); b <- with(u, conditional(a, a + c, log(n1 / n2)))
  c(CM.AL = best(integrated(b$f, b$k)), BB = betabinomial(counts$axfors))
})
put("F10", "dat.hart1999", "IRR", "CM.EL of rates, integrated directly", {
  best(with(dat.hart1999, { b <- conditional(x1i, x1i + x2i, log(t1i / t2i))
    integrated(b$f, b$k) }))
})
put("F11", "dat.debruin2009, dat.hannum2020, dat.hart1999", "PLO, IRLN", "one group's models", {
  grid <<- seq(-7, 7, length.out = 4001)  # groups of thousands: narrow likelihoods
  logw <<- dnorm(grid, log = TRUE) + log(grid[2] - grid[1])
  one <- function(d) best(with(d, { b <- conditional(xi, ni, 0); integrated(b$f, b$k) }))
  rates <- with(dat.hart1999, integrated(function(t) dpois(x2i, t2i * exp(t), log = TRUE), 6))
  c(debruin = one(dat.debruin2009), hannum = one(dat.hannum2020), hart = best(rates, c(-3, 0.5)))
})
put("F12", "dat.damico2009", "OR", "metafor and lme4: UM.RS by Laplace's approximation", {
  m <- suppressWarnings(rma.glmm(measure = "OR", ai = a, n1i = n1, ci = c, n2i = n2,
                                 data = counts$damico, model = "UM.RS"))
  c(est = m$beta[1], se = m$se, tau2 = m$tau2)
})

# Both random effects integrated: the study's level and its effect, each on a fine even grid.
two_random <- function(d, n = 91, end = 6) {
  z <- seq(-end, end, length.out = n); lw <- dnorm(z, log = TRUE) + log(z[2] - z[1])
  u <- rep(z, n); w <- rep(z, each = n); lw <- rep(lw, n) + rep(lw, each = n)
  term <- function(x, m, eta) x * plogis(eta, log.p = TRUE) + (m - x) * plogis(-eta, log.p = TRUE)
  const <- with(d, sum(lchoose(n1, a) + lchoose(n2, c)))
  f <- function(p) -const - sum(sapply(seq_len(nrow(d)), function(i) with(d[i, ], {
    level <- p[2] + exp(p[4]) * u; effect <- p[1] + exp(p[3]) * w
    x <- lw + term(a, n1, level + effect / 2) + term(c, n2, level - effect / 2)
    max(x) + log(sum(exp(x - max(x)))) })))
  start <- c(0, mean(qlogis((d$a + d$c + 0.5) / (d$n1 + d$n2 + 1))), log(0.4), log(0.7))
  o <- list(par = start)
  for (e in c(1e-10, 1e-14)) o <- optim(o$par, f, method = "BFGS", control = list(reltol = e))
  p <- o$par; q <- c(p[1:2], exp(p[3:4]))
  H <- solve(hessian(function(q) f(c(q[1:2], log(q[3:4]))), q))
  c(est = p[1], se = sqrt(H[1, 1]), tau2 = exp(2 * p[3]), ll = -o$value)
}
put("F13", "dat.hahn2001, dat.damico2009", "OR", "UM.RS, both random effects integrated", {
  c(hahn = two_random(counts$hahn), damico = two_random(counts$damico))
})
# ---------------------------------------------------------------------------------------------
# G. Small studies and selection
# ---------------------------------------------------------------------------------------------

# trimfill() fits the filled data with its own stopping rule; here they are fitted again, tightly.
filled <- function(f) { m <- uni(f$yi, f$vi, method = f$method)
  c(k0 = f$k0, se.k0 = f$se.k0, est = m$beta[[1]], se = m$se, tau2 = m$tau2) }
PREDICTORS <- c("sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv")
lee <- escalc(measure = "OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.lee2004)
small <- function(m) {
  g <- function(...) { r <- regtest(m, ...)
    c(stat = r$zval, p = r$pval, if (!is.null(r$est)) c(limit = r$est[[1]])) }
  t <- function(e, ...) { f <- trimfill(m, estimator = e, ...)
    filled(f) }
  r <- ranktest(m)
  c(rma = each(PREDICTORS, function(p) g(predictor = p)),
    lm = each(PREDICTORS, function(p) g(predictor = p, model = "lm")),
    rank.tau = r$tau[[1]], rank.p = r$pval, L0 = t("L0"), R0 = t("R0"),
    right = t("L0", side = "right"))
}
put("G01", "dat.lee2004", "OR", "metafor: regtest by every predictor, ranktest, trimfill", {
  small(uni(yi, vi, ni = n1i + n2i, data = lee))
})
put("G02", "dat.baskerville2012", "SMD", "metafor: ranktest, trimfill, fsn; DL", {
  m <- uni(smd, se^2, data = dat.baskerville2012, method = "DL")
  f <- function(ty, ...) with(dat.baskerville2012, as.numeric(fsn(smd, se^2, type = ty, ...)$fsnum))
  t <- function(e, ...) { f <- trimfill(m, estimator = e, ...)
    filled(f)[-2] }
  r <- ranktest(m); e <- regtest(m, predictor = "sei"); l <- regtest(m, model = "lm")
  c(rank.tau = r$tau[[1]], rank.p = r$pval, e.z = e$zval, e.limit = e$est[[1]], l.t = l$zval,
    l.limit = l$est[[1]], L0 = t("L0"), R0 = t("R0"), rosenthal = f("Rosenthal"),
    orwin = f("Orwin", target = 0.1), rosenberg = f("Rosenberg"))
})
keep("dat.cohen1981", c("study", "ni", "ri"))
put("G07", "dat.molloy2014", "ZCOR", "metafor: regtest, ranktest, trimfill with Q0 where it exists", {
  m <- uni(measure = "ZCOR", ri = ri, ni = ni, data = dat.molloy2014)
  n <- uni(measure = "COR", ri = ri, ni = ni, data = dat.cohen1981)
  q <- function(m) filled(trimfill(m, estimator = "Q0"))
  c(small(m), Q0 = q(m), cohen.Q0 = q(n), cohen = small(n))
})
put("G03", "dat.lee2004", "OR", "lm: Harbord, Peters, Macaskill, Deeks, arcsine; PET-PEESE", {
  a <- lee$ai; c1 <- lee$ci; n1 <- lee$n1i; n2 <- lee$n2i; m <- a + c1; n <- n1 + n2
  t <- function(f) { s <- coef(summary(f)); c(stat = s[2, 3], p = s[2, 4]) }
  Z <- a - m * n1 / n; I <- n1 * n2 * m * (n - m) / (n^2 * (n - 1))
  as <- escalc(measure = "AS", ai = a, n1i = n1, ci = c1, n2i = n2)
  e <- 4 * n1 * n2 / n
  pet <- lm(lee$yi ~ sqrt(lee$vi), weights = 1 / lee$vi)
  peese <- lm(lee$yi ~ lee$vi, weights = 1 / lee$vi)
  c(harbord = t(lm(Z / I ~ sqrt(1 / I), weights = I)), peters = t(lm(lee$yi ~ I(1 / n),
      weights = m * (n - m) / n)), macaskill = t(lm(lee$yi ~ n, weights = m * (n - m) / n)),
    deeks = t(lm(lee$yi ~ I(1 / sqrt(e)), weights = e)),
    arcsine = t(lm(as$yi ~ sqrt(as$vi), weights = 1 / as$vi)),
    pet = coef(pet)[[1]], pet.se = coef(summary(pet))[1, 2], pet.slope = coef(pet)[[2]],
    peese = coef(peese)[[1]], peese.se = coef(summary(peese))[1, 2])
})
put("G04", "dat.curtis1998", "SMD", "lm: Pustejovsky-Rodgers and Egger; metafor: ranktest with ties", {
  d <- escalc(measure = "SMD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i,
              data = dat.curtis1998)
  v <- 1 / d$n1i + 1 / d$n2i
  p <- coef(summary(lm(d$yi ~ sqrt(v), weights = 1 / v)))
  e <- coef(summary(lm(d$yi ~ sqrt(d$vi), weights = 1 / d$vi)))
  r <- suppressWarnings(ranktest(d$yi, d$vi))
  c(pr.stat = p[2, 3], pr.p = p[2, 4], e.stat = e[2, 3], rank.tau = r$tau[[1]], rank.p = r$pval)
})
sm <- function(m, ...) {
  for (e in c(1e-13, 1e-11, 1e-10, 1e-8)) {
    control <- list(optimizer = "nlminb", rel.tol = e, iter.max = 2000, eval.max = 5000,
                    intCtrl = list(rel.tol = 1e-10, subdivisions = 5000))
    f <- try(suppressWarnings(selmodel(m, ..., control = control)), silent = TRUE)
    if (!inherits(f, "try-error")) return(f)
  }
  stop(f)
}
got <- function(s) c(est = s$beta[1], se = s$se, tau2 = s$tau2, delta = setNames(s$delta,
  seq_along(s$delta)), ll = as.numeric(logLik(s)), LRT = s$LRT)
put("G05", "dat.baskerville2012", "SMD", "metafor: selmodel, every weight function", {
  m <- uni(smd, se^2, data = dat.baskerville2012, method = "ML")
  c(step = got(sm(m, type = "stepfun", steps = 0.025)),
    three = got(sm(m, type = "stepfun", steps = c(0.01, 0.3))),
    beta = got(sm(m, type = "beta")), halfnorm = got(sm(m, type = "halfnorm")),
    negexp = got(sm(m, type = "negexp")), logistic = got(sm(m, type = "logistic")),
    power = got(sm(m, type = "power")), prec = got(sm(m, type = "negexp", prec = "sei")))
})
put("G06", "dat.lee2004", "OR", "metafor: selmodel of negative effects, two-sided, given weights", {
  m <- uni(yi, vi, data = lee, method = "ML")
  c(less = got(sm(m, type = "stepfun", steps = 0.025, alternative = "less")),
    both = got(sm(m, type = "stepfun", steps = 0.05, alternative = "two.sided")),
    beta = got(sm(m, type = "beta", alternative = "less")),
    given = got(sm(m, type = "stepfun", steps = c(0.05, 1), delta = c(1, 0.3),
                   alternative = "less"))[c("est", "se", "tau2", "ll")],
    halfnorm = got(sm(m, type = "halfnorm", alternative = "less")))
})

keep("dat.mcdaniel1994", names(dat.mcdaniel1994))
put("G08", "dat.mcdaniel1994, dat.lee2004, dat.baskerville2012", "ZCOR, OR, SMD",
    "metafor: selmodel, two to five steps, one- and two-sided; negexppow", {
  m <- uni(measure = "ZCOR", ri = ri, ni = ni, data = dat.mcdaniel1994, method = "ML")
  l <- uni(yi, vi, data = lee, method = "ML")
  b <- uni(smd, se^2, data = dat.baskerville2012, method = "ML")
  step <- function(m, s, ...) got(sm(m, type = "stepfun", steps = s, ...))
  c(two = step(m, c(0.025, 0.5)), four = step(m, c(0.001, 0.01, 0.05, 0.5)),
    five = step(m, c(0.001, 0.01, 0.05, 0.2, 0.5)),
    both = step(m, c(0.05, 0.3), alternative = "two.sided"),
    both.four = step(m, c(0.001, 0.01, 0.1, 0.5), alternative = "two.sided"),
    less = step(l, c(0.025, 0.5), alternative = "less"),
    lee.both = step(l, c(0.05, 0.5), alternative = "two.sided"),
    held = step(m, c(0.025, 0.5, 1), delta = c(1, NA, 0.4)),
    nep = got(sm(m, type = "negexppow")), nep.b = got(sm(b, type = "negexppow")))
})
put("G09", "dat.lee2004, dat.baskerville2012", "OR, SMD",
    "clubSandwich: PublicationBias's corrected mean and worst case (CR2 about v + tau2)", {
  worst <- function(y, v, sign, ratios) {
    affirmative <- sign * y / sqrt(v) > qnorm(0.975)
    all <- uni(y, v)$tau2  # of all studies, also for those that are not affirmative
    corrected <- function(ratio, keep = rep(TRUE, length(y)), robust = TRUE) {
      yk <- y[keep]; vk <- v[keep]; a <- affirmative[keep]; t2 <- if (robust) all else 0
      w <- ifelse(a, 1, ratio) / (vk + t2)
      if (!robust) return(c(est = sum(w * yk) / sum(w), se = sqrt(sum(w^2 * vk)) / sum(w)))
      f <- lm(yk ~ 1, weights = w)
      V <- vcovCR(f, cluster = seq_along(yk), type = "CR2", target = vk + t2, inverse_var = FALSE)
      ci <- conf_int(f, vcov = V, test = "Satterthwaite")
      c(est = ci$beta, se = ci$SE, df = ci$df, lb = ci$CI_L, ub = ci$CI_U)
    }
    c(each(setNames(ratios, ratios), corrected), worst = corrected(1, !affirmative),
      common = corrected(ratios[1], robust = FALSE), n = sum(affirmative))
  }
  y <- lee$yi; v <- lee$vi; b <- dat.baskerville2012
  c(lee = worst(y, v, -1, c(1.5, 4)), baskerville = worst(b$smd, b$se^2, 1, c(1, 3, 20)))
})
put("G10", "dat.lee2004, dat.baskerville2012", "OR, SMD",
    "lm: limit meta-analysis (Ruecker et al. 2011), three adjustments, DL and REML", {
  limit <- function(y, v, method) {
    t2 <- uni(y, v, method = method)$tau2; s <- sqrt(v); w <- sqrt(v + t2); k <- length(y)
    radial <- function(y, s) lm(I(y / s) ~ I(1 / s))
    r <- coef(radial(y, w)); l <- r[[2]] + sqrt(t2) / w * (y - r[[2]])
    n <- radial(l, s); p <- radial(y, s); X <- cbind(1, 1 / w); a <- c(sqrt(t2), 1)
    Q <- sum((y - sum(y / v) / sum(1 / v))^2 / v); rss <- sum(resid(p)^2)
    c(beta0 = a %*% r, beta0.se = sqrt(a %*% solve(t(X) %*% X) %*% a), slope = r[[2]],
      bias = r[[1]], betalim = coef(n)[[2]], betalim.se = 1 / sd(1 / s) / sqrt(k - 1),
      mulim = sum(l / v) / sum(1 / v), mulim.se = sqrt(1 / sum(1 / v)), Q.small = Q - rss,
      Q.resid = rss, G2 = 1 - summary(n)$r.squared, limit1 = l[1])
  }
  b <- dat.baskerville2012
  c(lee = limit(lee$yi, lee$vi, "DL"), bask = limit(b$smd, b$se^2, "DL"),
    bask.REML = limit(b$smd, b$se^2, "REML"))
})
# ---------------------------------------------------------------------------------------------
# H. Bayes by summation over tau, dose-response by generalised least squares
# ---------------------------------------------------------------------------------------------

# mu given tau is normal; tau is summed over a fine grid (of its fourth root, which is dense at 0).
bayes <- function(y, v, prior, mu0 = 0, sd0 = Inf, top = 30) {
  u <- seq(0, top^0.25, length.out = 12001)[-1]; tau <- u^4
  W <- 1 / outer(v, tau^2, "+"); p0 <- 1 / sd0^2
  prec <- colSums(W) + p0; mean <- (colSums(W * y) + mu0 * p0) / prec
  quad <- colSums(W * y^2) + mu0^2 * p0 - prec * mean^2
  ll <- 0.5 * colSums(log(W)) - 0.5 * log(prec) - 0.5 * quad - length(y) / 2 * log(2 * pi) +
    if (p0 > 0) 0.5 * log(p0) else 0.5 * log(2 * pi)
  lw <- ll + log(prior(tau)) + log(4 * u^3); lw[12000] <- lw[12000] - log(2)
  w <- exp(lw - max(lw)); h <- u[2] - u[1]; logml <- max(lw) + log(sum(w) * h); w <- w / sum(w)
  cdf <- function(x, s) sum(w * pnorm(x, mean, s)); s1 <- sqrt(1 / prec)
  s2 <- sqrt(1 / prec + tau^2)
  q <- function(p, s) uniroot(function(x) cdf(x, s) - p, c(-50, 50), tol = 1e-12)$root
  qt <- function(p) approx(cumsum(w) - w / 2, tau, p, ties = "ordered")$y
  m <- sum(w * mean); t <- sum(w * tau)
  c(mu.mean = m, mu.sd = sqrt(sum(w * (s1^2 + (mean - m)^2))), mu.median = q(0.5, s1),
    mu.low = q(0.025, s1), mu.high = q(0.975, s1), mu.below = cdf(0, s1), tau.mean = t,
    tau.sd = sqrt(sum(w * (tau - t)^2)), tau.median = qt(0.5), tau.low = qt(0.025),
    tau.high = qt(0.975), new.median = q(0.5, s2), new.low = q(0.025, s2), new.high = q(0.975, s2),
    new.below = cdf(0, s2), study1 = sum(w * (y[1] * tau^2 + v[1] * mean) / (tau^2 + v[1])),
    if (p0 > 0) c(logml = logml))
}
cannon <- escalc(measure = "RR", ai = ep1t, n1i = nt, ci = ep1c, n2i = nc, data = dat.cannon2006)
hart <- escalc(measure = "IRR", x1i = x1i, t1i = t1i, x2i = x2i, t2i = t2i, data = dat.hart1999)
put("H01", "dat.cannon2006", "RR", "summed over tau: seven priors", {
  f <- function(...) bayes(cannon$yi, cannon$vi, ...)
  c(hn = f(function(t) 2 * dnorm(t, 0, 0.5), 0, 4), hc = f(function(t) 2 * dcauchy(t, 0, 0.5), 0, 4),
    ht = f(function(t) 2 * dt(t / 0.3, 4) / 0.3, 0, 2),
    ex = f(function(t) dexp(t, 1 / 0.4), 0, 4), ln = f(function(t) dlnorm(t, -2.5, 0.8), 0, 4),
    ig = f(function(t) 2 * t * dgamma(1 / t^2, 2, rate = 0.1) / t^4, 0, 4),
    un = f(function(t) 0.5 * (t <= 2), 0, 4, top = 2))
})
put("H02", "dat.hart1999", "IRR", "summed over tau: flat mu, informative mu", {
  f <- function(...) bayes(hart$yi, hart$vi, ...)
  c(flat = f(function(t) 2 * dnorm(t, 0, 1)), sceptic = f(function(t) 2 * dnorm(t, 0, 0.5), 0.1, 0.2))
})
put("H03", "dat.baskerville2012", "SMD", "summed over tau, k = 23", {
  with(dat.baskerville2012, bayes(smd, se^2, function(t) 2 * dnorm(t, 0, 0.5), 0, 1))
})

# One-stage dose-response: y = X b + Z u + e within each study, Z = X; REML or ML.
mixedgls <- function(y, X, V, id, method, q = ncol(X)) {
  same <- outer(id, id, "=="); n <- length(y)
  f <- function(p) {
    L <- matrix(0, q, q); L[lower.tri(L, TRUE)] <- p; G <- L %*% t(L)
    S <- V + same * (X %*% G %*% t(X)); W <- solve(S); A <- t(X) %*% W %*% X
    b <- solve(A, t(X) %*% W %*% y); e <- y - X %*% b
    d <- determinant(S)$modulus + drop(t(e) %*% W %*% e) + n * log(2 * pi)
    if (method == "REML") d <- d + determinant(A)$modulus - determinant(crossprod(X))$modulus -
      ncol(X) * log(2 * pi)
    structure(as.numeric(d) / 2, b = drop(b), se = sqrt(diag(solve(A))), G = G)
  }
  ends <- lapply(c(1, 0.1), function(s) {
    start <- (s * sd(y) / apply(abs(X), 2, max))
    p0 <- diag(start, q)[lower.tri(diag(q), TRUE)]
    scale <- outer(1 / apply(abs(X), 2, max), rep(1, q))[lower.tri(diag(q), TRUE)]
    o <- list(par = p0)
    for (i in 1:4) o <- optim(o$par, function(p) as.numeric(f(p)), method = "BFGS",
                              control = list(reltol = 1e-16, maxit = 5000, parscale = scale))
    o })
  o <- ends[[which.min(sapply(ends, `[[`, "value"))]]; a <- f(o$par); G <- attr(a, "G")
  c(b = setNames(attr(a, "b"), seq_len(q)), se = setNames(attr(a, "se"), seq_len(q)),
    psi = setNames(diag(G), seq_len(q)), ll = -as.numeric(a))
}
risks <- do.call(rbind, lapply(split(dat.obrien2003, dat.obrien2003$study), function(d) {
  d <- d[order(d$bmi), ]; p <- d$cases / d$total
  data.frame(study = d$study, dose = d$bmi, effect = log(p / p[1]),
             se = c(NA, sqrt(1 / d$cases - 1 / d$total + 1 / d$cases[1] - 1 / d$total[1])[-1]),
             cases = d$cases, n = d$total, design = "cumulative-incidence") }))
risks <- risks[ave(risks$n, risks$study, FUN = length) > 1, ]
keep("obrien2003_risks", names(risks), from = risks)
put("H04", "obrien2003_risks", "log RR", "crude risks share 1/c - 1/n of the reference; GLS", {
  r <- risks[!is.na(risks$se), ]; ref <- risks[is.na(risks$se), ]; k <- match(r$study, ref$study)
  V <- outer(r$study, r$study, "==") * (1 / ref$cases - 1 / ref$n)[k]
  diag(V) <- r$se^2
  x <- r$dose - ref$dose[k]; z <- r$dose^2 - ref$dose[k]^2
  knots <- c(20, 25, 32)
  rcs <- function(d) { p <- function(u) pmax(u, 0)^3; t <- knots
    (p(d - t[1]) - p(d - t[2]) * (t[3] - t[1]) / (t[3] - t[2]) + p(d - t[3]) * (t[2] - t[1]) /
      (t[3] - t[2])) / (t[3] - t[1])^2 }
  s <- rcs(r$dose) - rcs(ref$dose[k])
  common <- function(X) { W <- solve(V); C <- solve(t(X) %*% W %*% X); b <- drop(C %*% t(X) %*% W %*% r$effect)
    e <- r$effect - drop(X %*% b)
    c(b = setNames(b, seq_along(b)), se = setNames(sqrt(diag(C)), seq_along(b)), Q = drop(e %*% W %*% e)) }
  f <- function(X, me) mixedgls(r$effect, X, V, r$study, me)
  c(linear = f(cbind(x), "REML"), linear.ML = f(cbind(x), "ML"), quad = f(cbind(x, z), "ML"),
    spline = f(cbind(x, s), "REML"), common = common(cbind(x, s)), common.quad = common(cbind(x, z)))
})
# Dose groups with means: invented numbers.
means <- data.frame(study = rep(c("A", "B", "C", "D", "E"), c(4, 3, 4, 3, 3)),
  dose = c(0, 5, 10, 20, 0, 10, 30, 0, 2.5, 10, 40, 0, 5, 20, 5, 10, 40),
  mean = c(-4.1, -6.9, -8.2, -9.6, -3.2, -7.1, -9.9, -5, -6.2, -9.4, -11.2, -2.2, -4.3, -6.4, -7, -8.5,
           -10.3), sd = c(8, 7.5, 8.2, 9, 7, 7.7, 8.1, 9, 8.8, 9.4, 9.1, 6.5, 7.1, 6.9, 8, 8.4, 8.8),
  n = c(40, 41, 38, 39, 60, 58, 61, 33, 35, 34, 30, 80, 77, 79, 50, 52, 49))
keep("dose_means", names(means), from = means)
put("H05", "dose_means (invented)", "MD", "GLS with the reference's shared variance; Emax by ML", {
  d <- means; low <- ave(d$dose, d$study, FUN = min) == d$dose; r <- d[!low, ]; ref <- d[low, ]
  k <- match(r$study, ref$study); y <- r$mean - ref$mean[k]
  V <- outer(r$study, r$study, "==") * (ref$sd^2 / ref$n)[k] + diag(r$sd^2 / r$n)
  X <- cbind(r$dose - ref$dose[k], r$dose^2 - ref$dose[k]^2); same <- outer(r$study, r$study, "==")
  em <- function(p) { x <- r$dose / (r$dose + exp(p[2])) - ref$dose[k] / (ref$dose[k] + exp(p[2]))
    S <- V + same * outer(x, x) * p[3]^2; e <- y - p[1] * x
    as.numeric(determinant(S)$modulus + e %*% solve(S) %*% e + length(y) * log(2 * pi)) / 2 }
  o <- list(par = c(-8, 2, 0.5))
  for (i in 1:5) o <- optim(o$par, em, method = "BFGS", control = list(reltol = 1e-16, maxit = 5000))
  fixed <- function(p) em(c(p, 0)); c0 <- optim(c(-8, 2), fixed, method = "BFGS",
                                                control = list(reltol = 1e-16))
  c0 <- optim(c0$par, fixed, method = "BFGS", control = list(reltol = 1e-16))
  c(linear = mixedgls(y, X[, 1, drop = FALSE], V, r$study, "REML"),
    quad.ML = mixedgls(y, X, V, r$study, "ML"), emax = o$par[1], log.ed50 = o$par[2],
    emax.ll = -o$value, common.emax = c0$par[1], common.log.ed50 = c0$par[2], common.ll = -c0$value)
})

# ---------------------------------------------------------------------------------------------

if (length(only)) {
  old <- read.csv(file.path(here, "more_rows.csv"), colClasses = "character", na.strings = NULL)
  old <- split(old, sub("[.].*", "", old$id))
  rows <- c(rows, old[setdiff(names(old), names(rows))])
}
out <- do.call(rbind, rows[ids])
write.csv(out, file.path(here, "more_rows.csv"), row.names = FALSE, fileEncoding = "UTF-8")
cat(nrow(out), "values of", length(rows), "analyses\n")
