# Reference values for test_longitudinal.py: R's nlme::gls, unstructured REML, then conditional
# means by strategy and least squares on the completed last visit. Run in this folder.
library(nlme)
wide <- read.csv("repeated_measures.csv")
visits <- paste0("visit", 1:4)
long <- do.call(rbind, lapply(1:4, function(t) data.frame(
  id = wide$id, treated = wide$treated, baseline = wide$baseline, t = t, y = wide[[visits[t]]])))
long <- long[order(long$id, long$t), ]
long$visit <- factor(long$t)
seen <- long[!is.na(long$y), ]
m <- gls(y ~ 0 + visit + visit:treated + visit:baseline, seen, method = "REML",
  correlation = corSymm(form = ~ t | id), weights = varIdent(form = ~ 1 | visit),
  control = glsControl(tolerance = 1e-12, msTol = 1e-14, maxIter = 500, msMaxIter = 500,
                       opt = "optim", returnObject = FALSE))
b <- coef(m)
full <- names(which.max(table(seen$id)))
V <- getVarCov(m, individual = full)
class(V) <- "matrix"
for (strategy in c("mar", "jr", "cr", "cir", "lmcf")) {
  final <- sapply(seq_len(nrow(wide)), function(i) {
    y <- unlist(wide[i, visits]); mu <- function(a) b[1:4] + a * b[5:8] + wide$baseline[i] * b[9:12]
    own <- mu(wide$treated[i]); ref <- mu(0); o <- which(!is.na(y)); k <- if (length(o)) max(o) else 0
    mean <- own
    if (wide$treated[i] == 1 && k < 4) {
      a <- (k + 1):4
      if (strategy == "jr") mean[a] <- ref[a]
      if (strategy == "cr") mean <- ref
      if (strategy == "cir") mean[a] <- own[k] + ref[a] - ref[k]
      if (strategy == "lmcf") mean[a] <- own[k]
    }
    if (!is.na(y[4])) return(y[4])
    mean[4] + V[4, o] %*% solve(V[o, o], y[o] - mean[o])
  })
  cat(strategy, format(coef(lm(final ~ treated + baseline, wide))[["treated"]], digits = 10), "\n")
}
cat("visit 4:", format(b[["visit4:treated"]], digits = 10), "SE", format(sqrt(vcov(m)["visit4:treated", "visit4:treated"]), digits = 8), "logLik", format(as.numeric(logLik(m)), digits = 12), R.version.string, as.character(packageVersion("nlme")), "\n")
print(V, digits = 9)
