# Reference-based imputation on the antidepressant trial, conditional means, by nlme (R 4.2.2,
# nlme 3.1-162): `Rscript tests/oracles/method_more_a/reference_based.R` from the repository root.
suppressMessages(library(nlme))
d <- read.csv("tests/oracles/data/rbmi_antidepressant.csv")
d$CHANGE <- suppressWarnings(as.numeric(as.character(d$CHANGE)))
d <- d[order(d$PATIENT, d$VISIT), ]
d$V <- factor(d$VISIT)
d$visit <- as.integer(d$V)
d$arm <- factor(d$THERAPY, levels = c("PLACEBO", "DRUG"))
fit <- gls(CHANGE ~ arm * V + BASVAL * V, data = d[!is.na(d$CHANGE), ],
           correlation = corSymm(form = ~ visit | PATIENT), weights = varIdent(form = ~ 1 | V),
           method = "REML", control = glsControl(msMaxIter = 500, tolerance = 1e-10, msTol = 1e-12))
every <- corMatrix(fit$modelStruct$corStruct)
correlation <- every[[which(sapply(every, nrow) == 4)[1]]]
ratio <- c(1, coef(fit$modelStruct$varStruct, unconstrained = FALSE))
names(ratio)[1] <- setdiff(levels(d$V), names(ratio))
sd <- fit$sigma * ratio[levels(d$V)]
covariance <- correlation * outer(sd, sd)
for (strategy in c("MAR", "JR", "CR", "CIR", "LMCF")) {
  y <- base <- drug <- numeric(0)
  for (patient in unique(d$PATIENT)) {
    rows <- d[d$PATIENT == patient, ]
    own <- predict(fit, rows)
    other <- rows
    other$arm <- factor("PLACEBO", levels = levels(d$arm))
    reference <- predict(fit, other)
    value <- rows$CHANGE
    seen <- which(!is.na(value))
    last <- if (length(seen)) max(seen) else 0
    mean <- own
    if (rows$arm[1] == "DRUG" && last < 4) {
      left <- (last + 1):4
      if (strategy == "JR") mean[left] <- reference[left]
      if (strategy == "CR") mean <- reference
      if (strategy == "CIR")
        mean[left] <- reference[left] + if (last > 0) own[last] - reference[last] else 0
      if (strategy == "LMCF") mean[left] <- if (last > 0) own[last] else 0
    }
    gone <- which(is.na(value))
    if (length(gone) && length(seen)) {
      b <- covariance[gone, seen, drop = FALSE] %*% solve(covariance[seen, seen, drop = FALSE])
      value[gone] <- mean[gone] + b %*% (value[seen] - mean[seen])
    } else if (length(gone)) value[gone] <- mean[gone]
    y <- c(y, value[4]); base <- c(base, rows$BASVAL[1]); drug <- c(drug, rows$arm[1] == "DRUG")
  }
  cat(strategy, sprintf("%.6f\n", coef(lm(y ~ drug + base))[2]))
}
