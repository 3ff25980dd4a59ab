-- The right to draw noise, apart from the budget: a run that died while it read
-- has drawn nothing, and another may go on.

-- One row for every (metric, period) whose noise somebody set out to draw. It is
-- written, durably, before the first number is drawn, and never changed or
-- removed. As in ledger.reservations the first insert wins.
CREATE TABLE IF NOT EXISTS ledger.draws
(
    period Date COMMENT 'Monday of the ISO week',
    metric LowCardinality(String) COMMENT 'As in ledger.reservations',
    run String COMMENT 'Random name of the run that drew',
    drawn Date COMMENT 'The day'
)
ENGINE = MergeTree
ORDER BY (period, metric)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000000
COMMENT 'Noise that was drawn, or is lost: once for each metric and period';

-- A build that does not know the table above says nothing here: it may have drawn
-- whatever it reserved, before this step or, by mistake, after it.
ALTER TABLE ledger.reservations ADD COLUMN IF NOT EXISTS
    draws_apart UInt8 DEFAULT 0 COMMENT '1: whoever draws is in ledger.draws. 0: whoever reserved may have drawn';
