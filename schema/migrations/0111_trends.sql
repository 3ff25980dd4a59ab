-- How numbers change from week to week. It is arithmetic on what is published, so
-- it costs no privacy. Noise of different weeks is independent: the variance of a
-- sum or of a difference is the sum of the variances.
--
-- Weeks of different definitions are never compared: a changed cap or key set
-- changes the number without anything having happened.

CREATE OR REPLACE VIEW published.trends
(
    period Date COMMENT 'Monday of the ISO week',
    metric LowCardinality(String) COMMENT 'Name of the statistic',
    key Array(LowCardinality(String)) COMMENT 'One value a dimension, in the order of the columns of the metric''s own view',
    unit LowCardinality(String) COMMENT 'Of all numbers here',
    value_raw Float64 COMMENT 'Of this week, unbiased',
    std_err Float64 COMMENT 'Standard deviation of its noise',
    change Nullable(Float64) COMMENT 'From the week before; NULL where that is not published, or by another definition',
    change_std_err Nullable(Float64) COMMENT 'Of the change: the root of the sum of both variances',
    change_ci95_lo Nullable(Float64) COMMENT 'Lower end of the 95 % interval of the change',
    change_ci95_hi Nullable(Float64) COMMENT 'Upper end: where both have one sign something changed, but of 20 keys one does so by chance',
    weeks UInt8 COMMENT 'Published weeks among these four: this one and the three before',
    sum_4_weeks Float64 COMMENT 'Over these weeks, unbiased. Installations of several weeks are not people: nothing links weeks',
    sum_4_weeks_std_err Float64 COMMENT 'Of the sum: standard errors add in quadrature',
    mean_4_weeks Float64 COMMENT 'A week, over these weeks',
    mean_4_weeks_std_err Float64 COMMENT 'Of the mean: with four weeks half of that of one'
)
AS SELECT
    period,
    metric,
    key,
    unit,
    value_raw,
    std_err,
    if(count() OVER before = 0, NULL, value_raw - any(value_raw) OVER before) AS change,
    if(count() OVER before = 0, NULL, sqrt(std_err * std_err + any(std_err * std_err) OVER before)) AS change_std_err,
    change - 1.959963984540054 * change_std_err AS change_ci95_lo,
    change + 1.959963984540054 * change_std_err AS change_ci95_hi,
    toUInt8(count() OVER month) AS weeks,
    sum(value_raw) OVER month AS sum_4_weeks,
    sqrt(sum(std_err * std_err) OVER month) AS sum_4_weeks_std_err,
    sum_4_weeks / weeks AS mean_4_weeks,
    sum_4_weeks_std_err / weeks AS mean_4_weeks_std_err
FROM
(
    SELECT
        s.period AS period,
        s.metric AS metric,
        s.key AS key,
        s.unit AS unit,
        s.cell AS cell,
        s.value_raw / s.scale AS value_raw,
        s.std_err / s.scale AS std_err,
        r.definition_hash AS definition,
        toInt32(toUInt16(s.period)) AS day
    FROM published.statistics AS s FINAL
    INNER JOIN
    (
        SELECT r.period AS period, r.metric AS metric, r.definition_hash AS definition_hash
        FROM published.releases AS r FINAL
        WHERE r.status = 'released'
    ) AS r ON r.metric = s.metric AND r.period = s.period
)
WINDOW
    before AS (PARTITION BY metric, definition, cell ORDER BY day ASC RANGE BETWEEN 7 PRECEDING AND 7 PRECEDING),
    month AS (PARTITION BY metric, definition, cell ORDER BY day ASC RANGE BETWEEN 21 PRECEDING AND CURRENT ROW)
COMMENT 'Every published number with its change from the week before and its sum over four weeks, with standard errors';
