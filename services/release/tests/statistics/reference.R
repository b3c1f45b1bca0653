# Reference values for services/release/src/canary/statistics.rs, from R itself.
# Run in this folder: Rscript reference.R > reference.json
# Only base R (package stats); random numbers come from a fixed seed and are written into the file.

set.seed(20260601, kind = "Mersenne-Twister", normal.kind = "Inversion")
num <- function(x) ifelse(is.finite(x), formatC(x, digits = 17, format = "g"), "null")
arr <- function(x) paste0("[", paste(num(x), collapse = ","), "]")
obj <- function(...) {
  parts <- list(...)
  paste0("{", paste0("\"", names(parts), "\":", unlist(parts), collapse = ","), "}")
}
out <- function(name, rows, last = FALSE) {
  cat("\"", name, "\":[\n", paste(rows, collapse = ",\n"), "\n]", if (last) "\n" else ",\n", sep = "")
}

cat("{\n\"made_by\":\"", R.version.string, ", reference.R\",\n", sep = "")

# One-sided Fisher: errors and requests of canary and control.
fisher <- list(c(3, 400, 5, 9600), c(0, 500, 12, 9500), c(1, 100, 0, 900), c(4, 60, 3, 60),
               c(2, 900, 30, 17100), c(7, 500, 1, 500), c(1, 4500, 90, 85500), c(3, 30, 900, 90000))
out("fisher", sapply(fisher, function(v) {
  p <- fisher.test(matrix(c(v[1], v[2] - v[1], v[3], v[4] - v[3]), 2, byrow = TRUE),
                   alternative = "greater")$p.value
  obj(canary = arr(v[1:2]), control = arr(v[3:4]), p = num(p))
}))

# One-sided z with pooled variance, without continuity correction.
z <- list(c(30, 4500, 400, 85500), c(45, 4500, 400, 85500), c(60, 900, 50, 900), c(12, 1200, 230, 22800),
          c(6, 600, 150, 15000), c(500, 9000, 8000, 171000))
out("z", sapply(z, function(v) {
  p <- suppressWarnings(prop.test(c(v[1], v[3]), c(v[2], v[4]), alternative = "greater", correct = FALSE))$p.value
  obj(canary = arr(v[1:2]), control = arr(v[3:4]), p = num(p))
}))

# Wilson's interval.
wilson <- list(c(5, 100, .95), c(0, 40, .95), c(40, 40, .95), c(120, 2400, .95), c(1, 3000, .98))
out("share", sapply(wilson, function(v) {
  ci <- suppressWarnings(prop.test(v[1], v[2], conf.level = v[3], correct = FALSE))$conf.int
  obj(part = num(v[1]), whole = num(v[2]), confidence = num(v[3]), low = num(ci[1]), high = num(ci[2]))
}))

# Mann-Whitney intervals as Kayenta takes them from wilcox.test: asymptotic, corrected, two-sided.
# uniroot is asked for more digits than by default. The estimate is the median of all differences.
samples <- list(
  list(x = rnorm(60, 120, 15), y = rnorm(60, 100, 15)),
  list(x = rnorm(60, 100, 15), y = rnorm(60, 100, 15)),
  list(x = round(rnorm(20, 105, 10)), y = round(rnorm(60, 100, 10))),
  list(x = round(rlnorm(40, 4.2, .4)), y = round(rlnorm(40, 4, .4))),
  list(x = rlnorm(60, 4, .5), y = rlnorm(180, 4.4, .5)),
  list(x = c(1, 1, 1, 2, 2, 3, 3, 3), y = c(1, 1, 2, 2, 2, 2, 3)),
  list(x = c(210, 190, 240, 205, 260, 230, 199, 221), y = c(101, 98, 110, 95, 120, 99, 102, 104)))
out("shift", sapply(samples, function(s) {
  ci <- suppressWarnings(wilcox.test(s$x, s$y, conf.int = TRUE, conf.level = .98, exact = FALSE,
                                     tol.root = 1e-10))$conf.int
  obj(canary = arr(s$x), control = arr(s$y), confidence = num(.98), low = num(ci[1]), high = num(ci[2]),
      estimate = num(median(outer(s$x, s$y, "-"))))
}))

# The smallest detectable ratio of error rates: uniroot over the power of the one-sided z test.
power <- function(rate, ratio, n, m) {
  p <- rate * ratio
  pooled <- (p * n + rate * m) / (n + m)
  equal <- sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
  different <- sqrt(p * (1 - p) / n + rate * (1 - rate) / m)
  pnorm((p - rate - qnorm(.95) * equal) / different)
}
mdr <- list(c(.001, 8138, 805659), c(.001, 8603, 163449), c(.005, 1500, 28500), c(.01, 500, 9500),
            c(.001, 500, 500), c(.02, 4500, 85500))
out("detectable", sapply(mdr, function(v) {
  ratio <- uniroot(function(r) power(v[1], r, v[2], v[3]) - .8, c(1 + 1e-9, 1 / v[1] - 1e-6), tol = 1e-12)$root
  obj(rate = num(v[1]), canary = num(v[2]), control = num(v[3]), ratio = num(ratio))
}))

# The table of the procedure: total requests a second over 15 minutes that show an increase.
cells <- expand.grid(share = c(.01, .05), ratio = c(2, 3, 5, 10), rate = c(.001, .005, .01))
out("table", apply(cells, 1, function(c) {
  total <- uniroot(function(n) power(c["rate"], c["ratio"], n * c["share"], n * (1 - c["share"])) - .8,
                   c(100, 1e8), tol = 1e-9)$root
  obj(rate = num(c["rate"]), ratio = num(c["ratio"]), share = num(c["share"]), rps = num(total / 900))
}), last = TRUE)
cat("}\n")
