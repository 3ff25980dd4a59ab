-- What the collector stores. Everything here is gone 30 days after its period's
-- end at the latest: a partition is one period and is dropped whole.

CREATE DATABASE IF NOT EXISTS raw;

-- One row a completed output. The key (period, unit, batch, idx) is the same
-- however often a batch is sent, so repetitions fold; reading queries use FINAL.
-- Sorted by privacy unit, so that contributions are bounded in the order of
-- storage. An insert is acknowledged after it reached the disk.
CREATE TABLE IF NOT EXISTS raw.slices
(
    period Date COMMENT 'Monday of the ISO week',
    unit UInt64 COMMENT 'Hash of the unit token under a key that dies with the period',
    batch UInt64 COMMENT 'Hash of the batch id under the same key',
    idx UInt16 COMMENT 'Position in the batch',

    machine LowCardinality(String),
    machine_settings_changed Enum8('unspecified' = 0, 'no' = 1, 'yes' = 2),
    extruder_count UInt8,

    `extruders.material_type` Array(LowCardinality(String)),
    `extruders.material_brand` Array(LowCardinality(String)),
    `extruders.used_mg` Array(UInt32),
    `extruders.used_mm` Array(UInt32),
    `extruders.nozzle_um` Array(UInt16),

    layer_height_um UInt16,
    wall_count Nullable(UInt8),
    infill_density_percent Nullable(UInt8),
    infill_pattern Enum8('unspecified' = 0, 'other' = 1, 'grid' = 2, 'lines' = 3, 'triangles' = 4, 'trihexagon' = 5,
        'cubic' = 6, 'cubicsubdiv' = 7, 'tetrahedral' = 8, 'quarter_cubic' = 9, 'concentric' = 10, 'zigzag' = 11,
        'cross' = 12, 'cross_3d' = 13, 'gyroid' = 14, 'lightning' = 15, 'honeycomb' = 16, 'octagon' = 17),
    gradual_infill_steps Nullable(UInt8),
    support Enum8('unspecified' = 0, 'no' = 1, 'yes' = 2),
    adhesion Enum8('unspecified' = 0, 'other' = 1, 'none' = 2, 'skirt' = 3, 'brim' = 4, 'raft' = 5),
    prime_tower Enum8('unspecified' = 0, 'no' = 1, 'yes' = 2),
    retraction Enum8('unspecified' = 0, 'no' = 1, 'yes' = 2),
    print_sequence Enum8('unspecified' = 0, 'all_at_once' = 1, 'one_at_a_time' = 2),
    nozzle_temperature_celsius UInt16,
    bed_temperature_celsius UInt8,
    speed_mm_per_s UInt16,
    intent LowCardinality(String),
    quality LowCardinality(String),
    mode Enum8('unspecified' = 0, 'recommended' = 1, 'custom' = 2),
    changed_settings Array(LowCardinality(String)),
    changed_settings_count Nullable(UInt8),

    application LowCardinality(String),
    version_major UInt8,
    version_minor UInt8,
    operating_system Enum8('unspecified' = 0, 'other' = 1, 'windows' = 2, 'macos' = 3, 'linux' = 4),
    language LowCardinality(String),
    output Enum8('unspecified' = 0, 'other' = 1, 'file' = 2, 'removable' = 3, 'usb' = 4, 'network' = 5, 'cloud' = 6),
    model_count UInt8,
    print_time_s UInt32,
    slicing_time_ms UInt32
)
ENGINE = ReplacingMergeTree
PARTITION BY period
ORDER BY (unit, batch, idx)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, old_parts_lifetime = 60
COMMENT 'Completed outputs, pseudonymous within a period, at most 30 days';

-- What happened besides completed outputs, one row a batch.
CREATE TABLE IF NOT EXISTS raw.counters
(
    period Date COMMENT 'Monday of the ISO week',
    unit UInt64 COMMENT 'As in raw.slices',
    batch UInt64 COMMENT 'As in raw.slices',
    slices_started UInt16,
    slices_finished UInt16,
    slices_failed UInt16,
    slices_cancelled UInt16
)
ENGINE = ReplacingMergeTree
PARTITION BY period
ORDER BY (unit, batch)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, old_parts_lifetime = 60
COMMENT 'Usage counters, pseudonymous within a period, at most 30 days';

-- How much came from which coarse network prefix (/16 or /32), by day, for the
-- study of abuse. It holds no unit, so it cannot be joined to anybody's rows.
CREATE TABLE IF NOT EXISTS raw.origins
(
    received Date,
    prefix IPv6 COMMENT 'IPv4 prefixes are mapped',
    batches UInt64,
    events UInt64
)
ENGINE = SummingMergeTree
PARTITION BY received
ORDER BY (received, prefix)
TTL received + INTERVAL 2 DAY
SETTINGS ttl_only_drop_parts = 1, old_parts_lifetime = 60, merge_with_ttl_timeout = 3600
COMMENT 'Traffic by coarse prefix, at most 48 hours';
