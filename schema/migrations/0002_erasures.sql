-- Who asked to be erased. A row here hides every raw row of that unit from all
-- readers, at once and whenever it was stored (see Users in this package); the rows
-- themselves are removed by a mutation that names this table and no value.

CREATE TABLE IF NOT EXISTS raw.erasures
(
    period Date COMMENT 'Monday of the ISO week',
    unit UInt64 COMMENT 'As in raw.slices'
)
ENGINE = ReplacingMergeTree
PARTITION BY period
ORDER BY unit
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, old_parts_lifetime = 60
COMMENT 'Units whose users asked to be erased, at most 30 days';
