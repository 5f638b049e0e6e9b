# Reference values for test_asymmetry.py, from base functions of R (lm, cor.test, choose) and
# metafor's regtest and ranktest on metafor's own data. Run in this folder:
#   Rscript asymmetry.R > asymmetry_metafor_3.8.csv
# R's meta is not on this machine; its tests are regressions, which lm does here by their papers'
# definitions: Harbord 2006, 2009; Peters 2006; Macaskill 2001; Deeks 2005; Schwarzer 2007;
# Ruecker 2008; Pustejovsky & Rodgers 2019; Debray 2018; Thompson & Sharp 1999; Begg 1994.
suppressMessages(library(metafor))
cat("# ", R.version.string, ", metafor ", as.character(packageVersion("metafor")), "\n", sep = "")
cat("data,test,statistic,df,p,slope,se,limit\n")
row <- function(data, test, statistic, df, p, slope, se, limit)
  cat(paste(c(data, test, formatC(c(statistic, df, p, slope, se, limit), digits = 15, format = "g")),
            collapse = ","), "\n", sep = "")
line <- function(data, test, y, x, w, limit = TRUE) {
  m <- lm(y ~ x, weights = w)
  s <- coef(summary(m))
  row(data, test, s[2, 3], m$df.residual, s[2, 4], s[2, 1], s[2, 2], if (limit) s[1, 1] else NA)
}
mixed <- function(data, test, y, v, method) {
  m <- rma(y, v, mods = ~ sqrt(v), method = method, control = list(threshold = 1e-12, maxiter = 1000))
  row(data, test, m$zval[2], Inf, m$pval[2], m$beta[2], m$se[2], m$beta[1])
}
ranks <- function(data, test, first, second) {
  found <- cor.test(first, second, method = "kendall")
  row(data, test, found$estimate, NA, found$p.value, NA, NA, NA)
}
# Mean and variance of Fisher's noncentral hypergeometric distribution by its sum.
noncentral <- function(n1, n2, m, psi) {
  x <- max(0, m - n2):min(n1, m)
  l <- lchoose(n1, x) + lchoose(n2, m - x) + x * log(psi)
  p <- exp(l - max(l)); p <- p / sum(p)
  c(sum(p * x), sum(p * x^2) - sum(p * x)^2)
}
counts <- function(data, a, n1, c, n2) {
  a <- as.numeric(a); n1 <- as.numeric(n1); c <- as.numeric(c); n2 <- as.numeric(n2)
  s <- 1 / (4 * n1) + 1 / (4 * n2)   # studies without events stay in this one only
  line(data, "arcsine", asin(sqrt(a / n1)) - asin(sqrt(c / n2)), sqrt(s), 1 / s)
  keep <- a + c > 0 & a + c < n1 + n2
  a <- a[keep]; n1 <- n1[keep]; c <- c[keep]; n2 <- n2[keep]
  b <- n1 - a; d <- n2 - c; m <- a + c; n <- n1 + n2
  e <- escalc("OR", ai = a, n1i = n1, ci = c, n2i = n2)
  y <- as.numeric(e$yi); v <- as.numeric(e$vi)
  z <- a - m * n1 / n; i <- n1 * n2 * m * (n - m) / (n^2 * (n - 1))
  line(data, "Harbord", z / i, 1 / sqrt(i), i)
  z <- (a * n - m * n1) / (n - m); i <- n1 * n2 * m / (n * (n - m))
  line(data, "Harbord RR", z / i, 1 / sqrt(i), i)
  line(data, "Peters", y, 1 / n, m * (n - m) / n)
  line(data, "Macaskill", y, n, m * (n - m) / n, limit = FALSE)
  line(data, "Macaskill FIV", y, n, 1 / v, limit = FALSE)
  ess <- 4 * n1 * n2 / n
  line(data, "Deeks", y, 1 / sqrt(ess), ess)
  psi <- sum(a * d / n) / sum(b * c / n)
  h <- mapply(noncentral, n1, n2, m, psi)
  ranks(data, "Schwarzer", (a - h[1, ]) / sqrt(h[2, ]), 1 / h[2, ])
}
both <- function(data, y, v) {
  line(data, "Egger", y, sqrt(v), 1 / v)
  line(data, "Egger unweighted", y, sqrt(v), rep(1, length(y)))
  mixed(data, "Thompson-Sharp", y, v, "DL")
  mixed(data, "Egger mixed", y, v, "REML")
  t <- ranktest(y, v)
  row(data, "Begg", t$tau, NA, t$pval, NA, NA, NA)
  r <- regtest(y, v, model = "lm")   # the same number from metafor itself
  stopifnot(all.equal(as.numeric(r$zval), coef(summary(lm(y ~ sqrt(v), weights = 1 / v)))[2, 3]))
}
d <- dat.bcg
counts("bcg", d$tpos, d$tpos + d$tneg, d$cpos, d$cpos + d$cneg)
e <- escalc("OR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = d)
both("bcg", as.numeric(e$yi), as.numeric(e$vi))
d <- dat.nielweise2007   # zero cells
counts("nielweise2007", d$ai, d$n1i, d$ci, d$n2i)
d <- dat.normand1999
e <- escalc("SMD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = d)
y <- as.numeric(e$yi); v <- as.numeric(e$vi); w <- 1 / d$n1i + 1 / d$n2i
both("normand1999", y, v)
line("normand1999", "Pustejovsky", y, sqrt(w), 1 / w)
line("normand1999", "Pustejovsky meta", y, sqrt(w), 1 / v)
# Made up, because no hazard ratios with events are among metafor's data.
h <- data.frame(y = c(-0.51, -0.22, 0.10, -0.36, -0.69, -0.05, -0.92),
                v = c(0.040, 0.012, 0.009, 0.055, 0.130, 0.006, 0.210),
                d1 = c(48, 160, 230, 35, 12, 330, 6), d2 = c(52, 175, 214, 38, 19, 341, 13))
line("hazards", "Debray FIV", h$y, 1 / (h$d1 + h$d2), 1 / h$v)
line("hazards", "Debray FAV", h$y, 1 / (h$d1 + h$d2), 1 / (1 / h$d1 + 1 / h$d2))
