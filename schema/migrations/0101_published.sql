-- What is published. Everything here is differentially private; analysts read it.

CREATE DATABASE IF NOT EXISTS published;

-- One row for every public key of every released metric and period.
CREATE TABLE IF NOT EXISTS published.statistics
(
    period Date COMMENT 'Monday of the ISO week',
    metric LowCardinality(String),
    cell UInt32 COMMENT 'Position of the key in the public set',
    key Array(LowCardinality(String)) COMMENT 'One value a dimension',
    value_raw Int64 COMMENT 'Unbiased: bounded total plus noise. Add these up, and average these',
    value Int64 COMMENT 'Tidied: never negative. Read this',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Int64 COMMENT 'Lower end of the 95 % interval of the bounded total',
    ci95_hi Int64 COMMENT 'Upper end',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    scale Int64 COMMENT 'Divide numbers by this for the unit',
    unit LowCardinality(String),
    epsilon Float64 COMMENT 'Of the metric, alone, at delta',
    delta Float64,
    mu2 Float64 COMMENT 'Of the metric; all metrics of a period add up',
    cap_keys Int64 COMMENT 'Keys that a unit counts for',
    cap_per_key Int64 COMMENT 'What it adds to one of them at most',
    cap_total Int64 COMMENT 'What it adds to all of them at most',
    clip_share Nullable(Float64) COMMENT 'Noisy share of units that a cap cut; NULL where none can',
    clip_share_std_err Nullable(Float64),
    run String
)
ENGINE = ReplacingMergeTree
ORDER BY (metric, period, cell)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000000
COMMENT 'Noisy statistics; those whose release is complete are in the views';

-- Quantiles, read from the published histograms: they cost nothing more.
CREATE TABLE IF NOT EXISTS published.quantiles
(
    period Date,
    metric LowCardinality(String),
    quantile Float64,
    value Float64 COMMENT 'In the unit of the field',
    ci95_lo Float64,
    ci95_hi Float64,
    status Enum8('ok' = 1, 'low_confidence' = 2)
)
ENGINE = ReplacingMergeTree
ORDER BY (metric, period, quantile)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Quantiles with one vote an installation';

-- The last thing that is written of a release. Without it a release is not complete.
CREATE TABLE IF NOT EXISTS published.releases
(
    period Date,
    metric LowCardinality(String),
    status Enum8('released' = 1, 'withheld_budget' = 2),
    title String,
    question String,
    statistic LowCardinality(String),
    definition_hash String,
    catalogue_version UInt32,
    cells UInt32 COMMENT 'Rows in published.statistics',
    mu2 Float64,
    sigma Float64,
    run String
)
ENGINE = ReplacingMergeTree
ORDER BY (period, metric)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Complete releases';
