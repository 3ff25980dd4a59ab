-- A typed view for every metric, generated from the metrics:
--   go test ./schema/metrics -run Views -update

CREATE OR REPLACE VIEW published.print_time_by_machine
(
    period Date COMMENT 'Monday of the ISO week',
    machine LowCardinality(String) COMMENT 'One of 632 public names; others are "custom"',
    value Float64 COMMENT 'In hours, never negative',
    value_raw Float64 COMMENT 'In hours, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS machine,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'print_time_by_machine' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'print_time_by_machine' AND r.status = 'released')
COMMENT 'Print time by machine. Which machines is the longest work prepared for?';

