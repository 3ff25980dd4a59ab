-- What a power cut leaves. ClickHouse does not start with a table of which more than a
-- hundred parts are broken.

-- What is merged, or fetched from another replica, is on the disk before anybody counts
-- on it, as what is inserted is.
ALTER TABLE raw.slices MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
ALTER TABLE raw.counters MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
ALTER TABLE raw.erasures MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
ALTER TABLE ledger.reservations MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
ALTER TABLE ledger.draws MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
ALTER TABLE ledger.drops MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
ALTER TABLE published.statistics MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
ALTER TABLE published.quantiles MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
ALTER TABLE published.releases MODIFY SETTING min_compressed_bytes_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;

-- Origins are not written through at all, for they may be lost; all parts of the last
-- half minute may be broken.
ALTER TABLE raw.origins MODIFY SETTING max_suspicious_broken_parts = 1000000;
