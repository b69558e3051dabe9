-- SPDX-License-Identifier: Apache-2.0
-- How long rows are kept; ClickHouse 19.6 and later. Before that, remove a day by a timer:
--
--     ALTER TABLE handshakes DROP PARTITION '2026-01-31'

ALTER TABLE handshakes MODIFY TTL day + INTERVAL 14 DAY;
ALTER TABLE handshakes_by_minute MODIFY TTL day + INTERVAL 400 DAY;
