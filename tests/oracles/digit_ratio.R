# Every analysis of the right-hand digit ratios by metafor: six features of a sample, each value or
# either, sets of two samples or more, each set once; r and Fisher's z; four models.
# Rscript digit_ratio.R  (metafor 3.8-1, R 4.2.2) writes digit_ratio_metafor.csv
suppressMessages(library(metafor))
data <- read.csv("data/digit_ratio_right_hand.csv", stringsAsFactors = FALSE)
features <- c("sex", "method", "age_group", "sample", "race", "published_estimate")
values <- lapply(features, function(f) c(sort(unique(data[[f]])), NA))
every <- expand.grid(values, stringsAsFactors = FALSE)
inside <- function(choice) {
  kept <- rep(TRUE, nrow(data))
  for (i in seq_along(features)) {
    if (!is.na(choice[[i]])) kept <- kept & data[[features[i]]] == choice[[i]]
  }
  which(kept)
}
sets <- lapply(seq_len(nrow(every)), function(i) inside(unlist(every[i, ])))
sets <- unique(sets[lengths(sets) >= 2])
fit <- function(y, se, model) {
  tight <- list(threshold = 1e-12, maxiter = 10000, stepadj = 0.5)
  switch(model,
    common = rma(y, sei = se, method = "EE"),
    DL = rma(y, sei = se, method = "DL"),
    REML = rma(y, sei = se, method = "REML", control = tight),
    unweighted = rma(y, sei = se, method = "EE", weighted = FALSE))
}
rows <- list()
for (set in sets) for (metric in c("r", "z")) for (model in c("common", "DL", "REML", "unweighted")) {
  found <- fit(data[[metric]][set], data[[paste0(metric, "_se")]][set], model)
  rows[[length(rows) + 1]] <- data.frame(
    set = paste(set, collapse = " "), metric = metric, model = model,
    estimate = sprintf("%.15g", found$b[1]), low = sprintf("%.15g", found$ci.lb),
    high = sprintf("%.15g", found$ci.ub), p = sprintf("%.15g", found$pval))
}
write.csv(do.call(rbind, rows), "digit_ratio_metafor.csv", row.names = FALSE, quote = FALSE)
