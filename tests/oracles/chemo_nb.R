# Makes data/chemo_nb.csv: net benefits (20,000 a quality-adjusted life year) of two treatments in
# 10,000 draws of the chemotherapy model of R's voi (Heath, Kunst, Jackson: Value of Information for
# Healthcare Decision-Making, 2024). The package ships the draws as a binary file only; the model's
# distributions, their order and seed 1 are public. The price of the new treatment in the released
# draws is not: 1975 gives the five values of perfect information that the package's own test prints
# (8.76486716, 368.605096, 206.468705, 150.472904, 126.983450 at 10,000 to 50,000), to every digit.
# R 4.2.2.
n <- 10000
weeks <- 52
beta <- function(mean, sd) {
  a <- ((1 - mean) / sd^2 - 1 / mean) * mean^2
  rbeta(n, a, a * (1 / mean - 1))
}
lognormal <- function(mean, sd) {
  v <- log(1 + (sd / mean)^2)
  rlnorm(n, log(mean) - v / 2, sqrt(v))
}
set.seed(1)
harmed <- rbeta(n, 1 + 52, 1 + 111 - 52)
odds <- harmed / (1 - harmed) * exp(rnorm(n, log(0.54), 0.3))
in_hospital <- rbeta(n, 1 + 43, 1 + 52 - 43)
dies <- rbeta(n, 1 + 8, 1 + 43 - 8)
well_home <- beta(0.21, 0.03)
well_hospital <- beta(0.03, 0.0065)
cost <- cbind(lognormal(830, sqrt(150)), lognormal(2400, sqrt(1880)), lognormal(1710, sqrt(760)))
utility <- cbind(beta(0.98, sqrt(8e-4)), beta(0.7, sqrt(0.02)), beta(0.3, sqrt(0.03)))
yearly <- 0.95 / 20
rate <- rgamma(n, shape = yearly^2 / 0.001, rate = yearly / 0.001)
net_benefit <- function(i, share, price) {
  moves <- 1 - (1 - c(in_hospital[i], dies[i]))^(1 / weeks)
  step <- rbind(
    c((1 - well_home[i]) * (1 - moves[1]), moves[1], well_home[i] * (1 - moves[1]), 0),
    c(0, (1 - well_hospital[i]) * (1 - moves[2]), well_hospital[i] * (1 - moves[2]), moves[2]),
    c(0, 0, exp(-rate[i] / 52), 1 - exp(-rate[i] / 52)),
    c(0, 0, 0, 1)
  )
  state <- total <- c(share, 0, 0, 0)
  for (week in seq_len(weeks)) {
    state <- as.vector(state %*% step)
    total <- total + state
  }
  alive <- 1 - state[4]
  later <- integrate(function(t) exp(-rate[i] * t) * utility[i, 2], 2, 40)$value
  spent <- (sum(cost[i, 1:2] * total[1:2]) + cost[i, 3] * state[4]) / 52 +
    alive * pexp(38, rate[i]) * cost[i, 3]
  gained <- (sum(utility[i, c(2, 3, 1)] * total[1:3]) +
    (1 - share) * utility[i, 1] * (weeks + 1)) / 52 + alive * later
  20000 * gained - spent - price
}
made <- t(sapply(seq_len(n), function(i) {
  c(net_benefit(i, harmed[i], 120), net_benefit(i, odds[i] / (1 + odds[i]), 1975))
}))
colnames(made) <- c("SoC", "Novel")
write.csv(round(made, 1), "data/chemo_nb.csv", row.names = FALSE, quote = FALSE)
