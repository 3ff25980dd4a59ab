-- Means: quotients of published statistics, generated from their definitions:
--   go test ./schema/metrics -run Views -update

CREATE OR REPLACE VIEW published.mean_outputs
(
    period Date COMMENT 'Monday of the ISO week',
    value Nullable(Float64) COMMENT 'In outputs, within 0 and 50; NULL where the count could be 0: nothing is known then',
    value_raw Nullable(Float64) COMMENT 'The quotient as it is, total by count. Not to add up or average: do that with total and count',
    std_err Nullable(Float64) COMMENT 'Of value_raw, to first order; the interval is exact',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval (Fieller)',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value, or nothing is known',
    total Float64 COMMENT 'value_raw of slices, unbiased',
    total_std_err Float64 COMMENT 'Standard deviation of its noise',
    count Float64 COMMENT 'value_raw of installations, unbiased',
    count_std_err Float64 COMMENT 'Standard deviation of its noise, independent of that of the total'
)
AS SELECT
    period AS period,
    if(known, least(toFloat64(50), greatest(toFloat64(0), ratio)), NULL) AS value,
    if(count_raw = 0, NULL, ratio) AS value_raw,
    if(known, sqrt(pow(total_error, 2) + pow(ratio * count_error, 2)) / count_raw, NULL) AS std_err,
    if(known, least(toFloat64(50), greatest(toFloat64(0), (ratio - half) / (1 - g))), 0) AS ci95_lo,
    if(known, least(toFloat64(50), greatest(toFloat64(0), (ratio + half) / (1 - g))), 50) AS ci95_hi,
    if(known AND ci95_hi - ci95_lo <= value, 'ok', 'low_confidence') AS status,
    total_raw AS total,
    total_error AS total_std_err,
    count_raw AS count,
    count_error AS count_std_err
FROM
(
    SELECT
        *,
        pow(1.959963984540054 * count_error / count_raw, 2) AS g,
        count_raw > 0 AND g < 1 AS known,
        total_raw / count_raw AS ratio,
        1.959963984540054 / count_raw * sqrt(pow(total_error, 2) * (1 - g) + pow(ratio * count_error, 2)) AS half
    FROM
    (
        SELECT
            x.period AS period,
            x.value_raw AS total_raw,
            x.std_err AS total_error,
            y.value_raw AS count_raw,
            y.std_err AS count_error
        FROM published.slices AS x
        INNER JOIN published.installations AS y ON y.period = x.period
    )
)
COMMENT 'Mean outputs. How many outputs a week does an installation prepare?';

CREATE OR REPLACE VIEW published.mean_outputs_by_machine
(
    period Date COMMENT 'Monday of the ISO week',
    machine LowCardinality(String) COMMENT 'One of 632 public names; others are "custom"',
    value Nullable(Float64) COMMENT 'In outputs, within 0 and 40; NULL where the count could be 0: nothing is known then',
    value_raw Nullable(Float64) COMMENT 'The quotient as it is, total by count. Not to add up or average: do that with total and count',
    std_err Nullable(Float64) COMMENT 'Of value_raw, to first order; the interval is exact',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval (Fieller)',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value, or nothing is known',
    total Float64 COMMENT 'value_raw of slices_by_machine, unbiased',
    total_std_err Float64 COMMENT 'Standard deviation of its noise',
    count Float64 COMMENT 'value_raw of installations_by_machine, unbiased',
    count_std_err Float64 COMMENT 'Standard deviation of its noise, independent of that of the total'
)
AS SELECT
    period AS period,
    machine AS machine,
    if(known, least(toFloat64(40), greatest(toFloat64(0), ratio)), NULL) AS value,
    if(count_raw = 0, NULL, ratio) AS value_raw,
    if(known, sqrt(pow(total_error, 2) + pow(ratio * count_error, 2)) / count_raw, NULL) AS std_err,
    if(known, least(toFloat64(40), greatest(toFloat64(0), (ratio - half) / (1 - g))), 0) AS ci95_lo,
    if(known, least(toFloat64(40), greatest(toFloat64(0), (ratio + half) / (1 - g))), 40) AS ci95_hi,
    if(known AND ci95_hi - ci95_lo <= value, 'ok', 'low_confidence') AS status,
    total_raw AS total,
    total_error AS total_std_err,
    count_raw AS count,
    count_error AS count_std_err
FROM
(
    SELECT
        *,
        pow(1.959963984540054 * count_error / count_raw, 2) AS g,
        count_raw > 0 AND g < 1 AS known,
        total_raw / count_raw AS ratio,
        1.959963984540054 / count_raw * sqrt(pow(total_error, 2) * (1 - g) + pow(ratio * count_error, 2)) AS half
    FROM
    (
        SELECT
            x.period AS period,
            x.machine AS machine,
            x.value_raw AS total_raw,
            x.std_err AS total_error,
            y.value_raw AS count_raw,
            y.std_err AS count_error
        FROM published.slices_by_machine AS x
        INNER JOIN published.installations_by_machine AS y ON y.period = x.period AND y.machine = x.machine
    )
)
COMMENT 'Mean outputs by machine. How many outputs a week does an installation prepare for this machine?';

CREATE OR REPLACE VIEW published.mean_print_time_by_machine
(
    period Date COMMENT 'Monday of the ISO week',
    machine LowCardinality(String) COMMENT 'One of 632 public names; others are "custom"',
    value Nullable(Float64) COMMENT 'In hours, within 0 and 278; NULL where the count could be 0: nothing is known then',
    value_raw Nullable(Float64) COMMENT 'The quotient as it is, total by count. Not to add up or average: do that with total and count',
    std_err Nullable(Float64) COMMENT 'Of value_raw, to first order; the interval is exact',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval (Fieller)',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value, or nothing is known',
    total Float64 COMMENT 'value_raw of print_time_by_machine, unbiased',
    total_std_err Float64 COMMENT 'Standard deviation of its noise',
    count Float64 COMMENT 'value_raw of slices_by_machine, unbiased',
    count_std_err Float64 COMMENT 'Standard deviation of its noise, independent of that of the total'
)
AS SELECT
    period AS period,
    machine AS machine,
    if(known, least(toFloat64(278), greatest(toFloat64(0), ratio)), NULL) AS value,
    if(count_raw = 0, NULL, ratio) AS value_raw,
    if(known, sqrt(pow(total_error, 2) + pow(ratio * count_error, 2)) / count_raw, NULL) AS std_err,
    if(known, least(toFloat64(278), greatest(toFloat64(0), (ratio - half) / (1 - g))), 0) AS ci95_lo,
    if(known, least(toFloat64(278), greatest(toFloat64(0), (ratio + half) / (1 - g))), 278) AS ci95_hi,
    if(known AND ci95_hi - ci95_lo <= value, 'ok', 'low_confidence') AS status,
    total_raw AS total,
    total_error AS total_std_err,
    count_raw AS count,
    count_error AS count_std_err
FROM
(
    SELECT
        *,
        pow(1.959963984540054 * count_error / count_raw, 2) AS g,
        count_raw > 0 AND g < 1 AS known,
        total_raw / count_raw AS ratio,
        1.959963984540054 / count_raw * sqrt(pow(total_error, 2) * (1 - g) + pow(ratio * count_error, 2)) AS half
    FROM
    (
        SELECT
            x.period AS period,
            x.machine AS machine,
            x.value_raw AS total_raw,
            x.std_err AS total_error,
            y.value_raw AS count_raw,
            y.std_err AS count_error
        FROM published.print_time_by_machine AS x
        INNER JOIN published.slices_by_machine AS y ON y.period = x.period AND y.machine = x.machine
    )
)
COMMENT 'Mean print time by machine. How long does an output for this machine take to print?';

