-- What was spent, so that nothing is ever drawn twice.

CREATE DATABASE IF NOT EXISTS ledger;

-- One row for every (metric, period) that somebody set out to release. It is
-- written, durably, before the first row is read, and never changed or removed.
-- The first insert for a (metric, period) wins: its deduplication token is the
-- pair, and the window holds more of them than a century of weeks has.
CREATE TABLE IF NOT EXISTS ledger.reservations
(
    period Date COMMENT 'Monday of the ISO week',
    metric LowCardinality(String),
    run String COMMENT 'Random name of the run that reserved',
    definition_hash String COMMENT 'SHA-256 of the definition, its bounds and every public key',
    catalogue_version UInt32,
    budget_mu2 Float64 COMMENT 'What may be spent on the period in all',
    mu2 Float64 COMMENT 'What this release spends of it; 0 if nothing was left',
    sensitivity Float64 COMMENT 'L2, of one unit',
    sigma Float64 COMMENT 'Standard deviation of the noise that is used',
    clip_sigma Float64 COMMENT 'The same for the clip share; 0 if there is none',
    reserved Date
)
ENGINE = MergeTree
ORDER BY (period, metric)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000000
COMMENT 'Privacy budget: reserved before data is read, spent for ever';

-- The periods whose raw rows are dropped, written before they are. What is not
-- released by then never will be: it would be noise about nothing.
CREATE TABLE IF NOT EXISTS ledger.drops
(
    period Date COMMENT 'Monday of the ISO week',
    dropped Date
)
ENGINE = ReplacingMergeTree
ORDER BY period
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Periods whose raw rows are gone';
