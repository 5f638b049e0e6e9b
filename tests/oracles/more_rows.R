# Reference rows on data sets that meta_analysis.csv does not use: writes more_rows.csv and, into
# data/, the columns of the data sets that the rows are made from.
#
#   Rscript tests/oracles/more_rows.R        (from the root of the repository; about a minute)
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

put <- function(id, dataset, measure, method, call) {
  text <- paste(trimws(deparse(substitute(call), width.cutoff = 500)), collapse = " ")
  values <- eval(substitute(call), new.env(parent = globalenv()))
  stopifnot(is.numeric(values), !is.null(names(values)), !anyDuplicated(names(values)))
  if (any(bad <- !is.finite(values))) {
    message(id, ": not finite: ", paste(names(values)[bad], collapse = " "))
    values <- values[!bad]
  }
  rows[[id]] <<- data.frame(id = paste(id, names(values), sep = "."), dataset, measure, method,
                            call = c(text, rep("", length(values) - 1)), quantity = names(values),
                            value = formatC(unname(values), digits = 12, format = "g"))
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
  m <- uni(yi, vi, data = d); l <- leave1out(m); i <- influence(m)$inf; u <- cumul(m, order = d$year)
  k <- seq_len(m$k)
  c(l1o.est = setNames(l$estimate, k), l1o.se = setNames(l$se, k), l1o.tau2 = setNames(l$tau2, k),
    l1o.I2 = setNames(l$I2, k), l1o.Q = setNames(l$Q, k), rstud = setNames(i$rstudent, k),
    dffits = setNames(i$dffits, k), cook = setNames(i$cook.d, k), covr = setNames(i$cov.r, k),
    tau2del = setNames(i$tau2.del, k), QEdel = setNames(i$QE.del, k), hat = setNames(i$hat, k),
    weight = setNames(i$weight, k), cumul.est = setNames(u$estimate, k),
    cumul.se = setNames(u$se, k), cumul.tau2 = setNames(u$tau2, k))
})
put("C11", "dat.baskerville2012", "SMD", "metafor: influence with knha and DL; cumul, knha", {
  m <- uni(smd, se^2, data = dat.baskerville2012, test = "knha", method = "DL")
  i <- influence(m)$inf; u <- cumul(m, order = dat.baskerville2012$year); l <- leave1out(m)
  k <- c(1, 2, 10, 23)
  c(rstud = setNames(i$rstudent[k], k), dffits = setNames(i$dffits[k], k),
    cook = setNames(i$cook.d[k], k), covr = setNames(i$cov.r[k], k), hat = setNames(i$hat[k], k),
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

out <- do.call(rbind, rows)
write.csv(out, file.path(here, "more_rows.csv"), row.names = FALSE, fileEncoding = "UTF-8")
cat(nrow(out), "values of", length(rows), "analyses\n")
