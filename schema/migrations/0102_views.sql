-- A typed view for every metric, generated from the metrics:
--   go test ./schema/metrics -run Views -update

CREATE OR REPLACE VIEW published.adhesion
(
    period Date COMMENT 'Monday of the ISO week',
    adhesion LowCardinality(String) COMMENT 'One of 5 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS adhesion,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'adhesion' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'adhesion' AND r.status = 'released')
COMMENT 'Build plate adhesion. Which adhesion do people choose?';

CREATE OR REPLACE VIEW published.bed_temperature
(
    period Date COMMENT 'Monday of the ISO week',
    bed_temperature_celsius UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS bed_temperature_celsius,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'bed_temperature' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'bed_temperature' AND r.status = 'released')
COMMENT 'Build plate temperature. Which plate temperatures do people choose?';

CREATE OR REPLACE VIEW published.changed_settings
(
    period Date COMMENT 'Monday of the ISO week',
    changed_settings LowCardinality(String) COMMENT 'One of 684 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS changed_settings,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'changed_settings' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'changed_settings' AND r.status = 'released')
COMMENT 'Changed settings. Which settings do people change most?';

CREATE OR REPLACE VIEW published.changed_settings_count
(
    period Date COMMENT 'Monday of the ISO week',
    changed_settings_count UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS changed_settings_count,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'changed_settings_count' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'changed_settings_count' AND r.status = 'released')
COMMENT 'Number of changed settings. How many settings do people change?';

CREATE OR REPLACE VIEW published.extruder_count
(
    period Date COMMENT 'Monday of the ISO week',
    extruder_count UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS extruder_count,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'extruder_count' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'extruder_count' AND r.status = 'released')
COMMENT 'Extruders. How many extruders do machines have?';

CREATE OR REPLACE VIEW published.filament_length_by_type
(
    period Date COMMENT 'Monday of the ISO week',
    material_type LowCardinality(String) COMMENT 'One of 60 public names; others are "other"',
    value Float64 COMMENT 'In km, never negative',
    value_raw Float64 COMMENT 'In km, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS material_type,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'filament_length_by_type' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'filament_length_by_type' AND r.status = 'released')
COMMENT 'Filament length by type. How much of each type of filament are used?';

CREATE OR REPLACE VIEW published.gradual_infill_steps
(
    period Date COMMENT 'Monday of the ISO week',
    gradual_infill_steps UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS gradual_infill_steps,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'gradual_infill_steps' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'gradual_infill_steps' AND r.status = 'released')
COMMENT 'Gradual infill steps. Is gradual infill used?';

CREATE OR REPLACE VIEW published.infill_density
(
    period Date COMMENT 'Monday of the ISO week',
    infill_density_percent UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS infill_density_percent,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'infill_density' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'infill_density' AND r.status = 'released')
COMMENT 'Infill density. How dense is the infill that people choose?';

CREATE OR REPLACE VIEW published.infill_pattern
(
    period Date COMMENT 'Monday of the ISO week',
    infill_pattern LowCardinality(String) COMMENT 'One of 17 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS infill_pattern,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'infill_pattern' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'infill_pattern' AND r.status = 'released')
COMMENT 'Infill pattern. Which infill patterns do people choose?';

CREATE OR REPLACE VIEW published.installations
(
    period Date COMMENT 'Monday of the ISO week',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'installations' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'installations' AND r.status = 'released')
COMMENT 'Active installations. How many installations prepared at least one output?';

CREATE OR REPLACE VIEW published.installations_by_application
(
    period Date COMMENT 'Monday of the ISO week',
    application LowCardinality(String) COMMENT 'One of 12 public names; others are "other"',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS application,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'installations_by_application' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'installations_by_application' AND r.status = 'released')
COMMENT 'Installations by slicer. Which slicers take part?';

CREATE OR REPLACE VIEW published.installations_by_language
(
    period Date COMMENT 'Monday of the ISO week',
    language LowCardinality(String) COMMENT 'One of 20 public names; others are "other"',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS language,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'installations_by_language' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'installations_by_language' AND r.status = 'released')
COMMENT 'Installations by language. Which translations matter?';

CREATE OR REPLACE VIEW published.installations_by_machine
(
    period Date COMMENT 'Monday of the ISO week',
    machine LowCardinality(String) COMMENT 'One of 632 public names; others are "custom"',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
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
WHERE s.metric = 'installations_by_machine' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'installations_by_machine' AND r.status = 'released')
COMMENT 'Installations by machine. Which machines do people prepare outputs for?';

CREATE OR REPLACE VIEW published.installations_by_material_brand
(
    period Date COMMENT 'Monday of the ISO week',
    material_brand LowCardinality(String) COMMENT 'One of 34 public names; others are "custom"',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS material_brand,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'installations_by_material_brand' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'installations_by_material_brand' AND r.status = 'released')
COMMENT 'Installations by material brand. Whose materials do people use?';

CREATE OR REPLACE VIEW published.installations_by_operating_system
(
    period Date COMMENT 'Monday of the ISO week',
    operating_system LowCardinality(String) COMMENT 'One of 4 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS operating_system,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'installations_by_operating_system' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'installations_by_operating_system' AND r.status = 'released')
COMMENT 'Installations by operating system. Which systems must be supported?';

CREATE OR REPLACE VIEW published.installations_by_version
(
    period Date COMMENT 'Monday of the ISO week',
    application LowCardinality(String) COMMENT 'One of 12 public names; others are "other"',
    version_major UInt32 COMMENT 'Grid point',
    version_minor UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS application,
    toUInt32(s.key[2]) AS version_major,
    toUInt32(s.key[3]) AS version_minor,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'installations_by_version' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'installations_by_version' AND r.status = 'released')
COMMENT 'Installations by version. Which versions must be supported?';

CREATE OR REPLACE VIEW published.intent
(
    period Date COMMENT 'Monday of the ISO week',
    intent LowCardinality(String) COMMENT 'One of 10 public names; others are "custom"',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS intent,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'intent' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'intent' AND r.status = 'released')
COMMENT 'Intent. Which intents do people choose?';

CREATE OR REPLACE VIEW published.layer_height
(
    period Date COMMENT 'Monday of the ISO week',
    layer_height_um UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS layer_height_um,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'layer_height' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'layer_height' AND r.status = 'released')
COMMENT 'Layer height. Which layer heights do people choose?';

CREATE OR REPLACE VIEW published.machine_by_material
(
    period Date COMMENT 'Monday of the ISO week',
    machine LowCardinality(String) COMMENT 'One of 632 public names; others are "custom"',
    material_type LowCardinality(String) COMMENT 'One of 13 public names; others are "other"',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS machine,
    s.key[2] AS material_type,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'machine_by_material' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'machine_by_material' AND r.status = 'released')
COMMENT 'Installations by machine and material. Which materials need a profile on which machine?';

CREATE OR REPLACE VIEW published.machine_settings_changed
(
    period Date COMMENT 'Monday of the ISO week',
    machine_settings_changed LowCardinality(String) COMMENT 'One of 2 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS machine_settings_changed,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'machine_settings_changed' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'machine_settings_changed' AND r.status = 'released')
COMMENT 'Machine settings changed. How many people have to correct the definition of their machine?';

CREATE OR REPLACE VIEW published.material_by_type
(
    period Date COMMENT 'Monday of the ISO week',
    material_type LowCardinality(String) COMMENT 'One of 60 public names; others are "other"',
    value Float64 COMMENT 'In kg, never negative',
    value_raw Float64 COMMENT 'In kg, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS material_type,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'material_by_type' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'material_by_type' AND r.status = 'released')
COMMENT 'Material by type. How much of each type of material is used?';

CREATE OR REPLACE VIEW published.model_count
(
    period Date COMMENT 'Monday of the ISO week',
    model_count UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS model_count,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'model_count' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'model_count' AND r.status = 'released')
COMMENT 'Models on the plate. How many models are printed together?';

CREATE OR REPLACE VIEW published.nozzle_size
(
    period Date COMMENT 'Monday of the ISO week',
    nozzle_um UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS nozzle_um,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'nozzle_size' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'nozzle_size' AND r.status = 'released')
COMMENT 'Nozzle size. Which nozzles need profiles?';

CREATE OR REPLACE VIEW published.nozzle_temperature
(
    period Date COMMENT 'Monday of the ISO week',
    nozzle_temperature_celsius UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS nozzle_temperature_celsius,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'nozzle_temperature' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'nozzle_temperature' AND r.status = 'released')
COMMENT 'Nozzle temperature. Which printing temperatures do people choose?';

CREATE OR REPLACE VIEW published.output_kind
(
    period Date COMMENT 'Monday of the ISO week',
    output LowCardinality(String) COMMENT 'One of 6 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS output,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'output_kind' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'output_kind' AND r.status = 'released')
COMMENT 'Output. Where do outputs go?';

CREATE OR REPLACE VIEW published.prime_tower_use
(
    period Date COMMENT 'Monday of the ISO week',
    prime_tower LowCardinality(String) COMMENT 'One of 2 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS prime_tower,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'prime_tower_use' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'prime_tower_use' AND r.status = 'released')
COMMENT 'Prime tower. How often is a prime tower printed?';

CREATE OR REPLACE VIEW published.print_sequence
(
    period Date COMMENT 'Monday of the ISO week',
    print_sequence LowCardinality(String) COMMENT 'One of 2 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS print_sequence,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'print_sequence' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'print_sequence' AND r.status = 'released')
COMMENT 'Print sequence. Is printing one model at a time used?';

CREATE OR REPLACE VIEW published.print_speed
(
    period Date COMMENT 'Monday of the ISO week',
    speed_mm_per_s UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS speed_mm_per_s,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'print_speed' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'print_speed' AND r.status = 'released')
COMMENT 'Print speed. Which speeds do people choose?';

CREATE OR REPLACE VIEW published.print_time
(
    period Date COMMENT 'Monday of the ISO week',
    print_time_s UInt32 COMMENT 'Middle of a logarithmic bucket',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS print_time_s,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'print_time' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'print_time' AND r.status = 'released')
COMMENT 'Print time. How long do prints take?';

CREATE OR REPLACE VIEW published.quality
(
    period Date COMMENT 'Monday of the ISO week',
    quality LowCardinality(String) COMMENT 'One of 15 public names; others are "custom"',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS quality,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'quality' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'quality' AND r.status = 'released')
COMMENT 'Quality. Which quality types do people choose?';

CREATE OR REPLACE VIEW published.retraction_use
(
    period Date COMMENT 'Monday of the ISO week',
    retraction LowCardinality(String) COMMENT 'One of 2 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS retraction,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'retraction_use' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'retraction_use' AND r.status = 'released')
COMMENT 'Retraction. Is retraction ever turned off?';

CREATE OR REPLACE VIEW published.settings_mode
(
    period Date COMMENT 'Monday of the ISO week',
    mode LowCardinality(String) COMMENT 'One of 2 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS mode,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'settings_mode' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'settings_mode' AND r.status = 'released')
COMMENT 'Settings mode. Do people need more than the recommended settings?';

CREATE OR REPLACE VIEW published.slices
(
    period Date COMMENT 'Monday of the ISO week',
    value Float64 COMMENT 'In outputs, never negative',
    value_raw Float64 COMMENT 'In outputs, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'slices' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'slices' AND r.status = 'released')
COMMENT 'Outputs. How many outputs were completed?';

CREATE OR REPLACE VIEW published.slices_by_machine
(
    period Date COMMENT 'Monday of the ISO week',
    machine LowCardinality(String) COMMENT 'One of 632 public names; others are "custom"',
    value Float64 COMMENT 'In outputs, never negative',
    value_raw Float64 COMMENT 'In outputs, unbiased: add up and average this one',
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
WHERE s.metric = 'slices_by_machine' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'slices_by_machine' AND r.status = 'released')
COMMENT 'Outputs by machine. Which machines is the work prepared for?';

CREATE OR REPLACE VIEW published.slicing_cancelled
(
    period Date COMMENT 'Monday of the ISO week',
    value Float64 COMMENT 'In runs, never negative',
    value_raw Float64 COMMENT 'In runs, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'slicing_cancelled' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'slicing_cancelled' AND r.status = 'released')
COMMENT 'Slicing runs cancelled. How often is slicing stopped by hand?';

CREATE OR REPLACE VIEW published.slicing_failed
(
    period Date COMMENT 'Monday of the ISO week',
    value Float64 COMMENT 'In runs, never negative',
    value_raw Float64 COMMENT 'In runs, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'slicing_failed' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'slicing_failed' AND r.status = 'released')
COMMENT 'Slicing runs failed. How often does slicing end with an error?';

CREATE OR REPLACE VIEW published.slicing_finished
(
    period Date COMMENT 'Monday of the ISO week',
    value Float64 COMMENT 'In runs, never negative',
    value_raw Float64 COMMENT 'In runs, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'slicing_finished' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'slicing_finished' AND r.status = 'released')
COMMENT 'Slicing runs finished. How often does slicing give a result?';

CREATE OR REPLACE VIEW published.slicing_runs
(
    period Date COMMENT 'Monday of the ISO week',
    value Float64 COMMENT 'In runs, never negative',
    value_raw Float64 COMMENT 'In runs, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'slicing_runs' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'slicing_runs' AND r.status = 'released')
COMMENT 'Slicing runs started. How often is a model sliced?';

CREATE OR REPLACE VIEW published.slicing_time
(
    period Date COMMENT 'Monday of the ISO week',
    slicing_time_ms UInt32 COMMENT 'Middle of a logarithmic bucket',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS slicing_time_ms,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'slicing_time' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'slicing_time' AND r.status = 'released')
COMMENT 'Slicing time. How long do people wait for slicing?';

CREATE OR REPLACE VIEW published.support_use
(
    period Date COMMENT 'Monday of the ISO week',
    support LowCardinality(String) COMMENT 'One of 2 public names',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    s.key[1] AS support,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'support_use' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'support_use' AND r.status = 'released')
COMMENT 'Support. How often is support needed?';

CREATE OR REPLACE VIEW published.wall_count
(
    period Date COMMENT 'Monday of the ISO week',
    wall_count UInt32 COMMENT 'Grid point',
    value Float64 COMMENT 'In installations, never negative',
    value_raw Float64 COMMENT 'In installations, unbiased: add up and average this one',
    std_err Float64 COMMENT 'Standard deviation of the noise',
    ci95_lo Float64 COMMENT 'Lower end of the 95 % interval',
    ci95_hi Float64 COMMENT 'Upper end of the 95 % interval',
    status Enum8('ok' = 1, 'low_confidence' = 2) COMMENT 'low_confidence: the interval is wider than the value',
    clip_share Nullable(Float64) COMMENT 'Noisy share of installations that a cap cut'
)
AS SELECT
    s.period AS period,
    toUInt32(s.key[1]) AS wall_count,
    s.value / s.scale AS value,
    s.value_raw / s.scale AS value_raw,
    s.std_err / s.scale AS std_err,
    s.ci95_lo / s.scale AS ci95_lo,
    s.ci95_hi / s.scale AS ci95_hi,
    s.status AS status,
    s.clip_share AS clip_share
FROM published.statistics AS s FINAL
WHERE s.metric = 'wall_count' AND s.period IN
    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = 'wall_count' AND r.status = 'released')
COMMENT 'Wall count. How many walls do people choose?';

