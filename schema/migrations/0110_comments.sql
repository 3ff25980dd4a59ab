-- What every column means, for those that the statements before leave without a
-- word: an analyst reads the tables without reading code.

ALTER TABLE published.statistics
    COMMENT COLUMN metric 'Name of the statistic, and of its view',
    COMMENT COLUMN value 'Tidied: never negative; numbers that noise drowns are reduced, within their intervals, until all add up to the total of value_raw. Read this',
    COMMENT COLUMN ci95_hi 'Upper end of the 95 % interval of the bounded total',
    COMMENT COLUMN unit 'Of value / scale',
    COMMENT COLUMN delta 'For which epsilon is given',
    COMMENT COLUMN clip_share_std_err 'Standard error of clip_share; 1 where next to nobody was counted',
    COMMENT COLUMN run 'Random name of the run that released it';

ALTER TABLE published.quantiles
    COMMENT COLUMN period 'Monday of the ISO week',
    COMMENT COLUMN metric 'Name of the statistic',
    COMMENT COLUMN quantile 'Between 0 and 1; 0.5 is the median',
    COMMENT COLUMN ci95_lo 'Lower end of the 95 % interval',
    COMMENT COLUMN ci95_hi 'Upper end of the 95 % interval',
    COMMENT COLUMN status 'low_confidence: noise drowns it';

ALTER TABLE published.releases
    COMMENT COLUMN period 'Monday of the ISO week',
    COMMENT COLUMN metric 'Name of the statistic, and of its view',
    COMMENT COLUMN status 'withheld_budget: the budget of the week did not suffice, nothing is published',
    COMMENT COLUMN title 'For people',
    COMMENT COLUMN question 'That it answers',
    COMMENT COLUMN statistic 'installations, events, sum, mean, histogram or quantiles',
    COMMENT COLUMN definition_hash 'Of the definition, its bounds and its public keys: compare only weeks of one hash',
    COMMENT COLUMN catalogue_version 'Of the public names',
    COMMENT COLUMN mu2 'Spent of the budget of the week; the metrics of a week add up',
    COMMENT COLUMN sigma 'Standard deviation of the noise, in stored integers',
    COMMENT COLUMN run 'Random name of the run that released it';

ALTER TABLE ledger.reservations
    COMMENT COLUMN metric 'Name of the statistic',
    COMMENT COLUMN catalogue_version 'Of the public names',
    COMMENT COLUMN reserved 'Day of the reservation';

ALTER TABLE ledger.drops
    COMMENT COLUMN dropped 'Day on which the raw rows were to go';
