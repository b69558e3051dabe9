-- SPDX-License-Identifier: Apache-2.0
-- Tables for `tlstall export --format clickhouse`, for ClickHouse 18.16 and later. As the server's administrator:
--
--     clickhouse-client -mn --query "CREATE DATABASE tls"
--     clickhouse-client -mn --database tls <schema.sql
--     clickhouse-client -mn --database tls <ttl.sql          # 19.6 and later
--
-- Columns are named as in the records of JSON Lines; what is not known is empty, 0, or NULL. A column that is left out here
-- is not stored; the agents send it all the same.

-- An agent that does not get an answer sends the batch again, and one that is restarted sends what ended in the last 15 s
-- again. Rows with the same key are the same handshake: ReplacingMergeTree removes them when it merges, FINAL when it reads. On
-- a Replicated table a batch that is sent again is recognized by its content, and is not inserted.
CREATE TABLE IF NOT EXISTS handshakes
(
    ts_ns UInt64,                                                        -- start, since the epoch
    time DateTime MATERIALIZED toDateTime(intDiv(ts_ns, 1000000000)),
    day Date MATERIALIZED toDate(toDateTime(intDiv(ts_ns, 1000000000))),
    host String,
    trace String,
    comm String,
    program String,
    build String,                                                        -- GNU build id of the program
    caller String,                                                       -- module+offset that called OpenSSL
    pid UInt32,
    tid UInt32,
    handshake UInt64,
    role String,
    outcome String,
    cause String,
    fault String,
    confidence String,
    peer String,
    local String,
    sni String,
    alpn String,
    version String,
    cipher String,
    `group` String,
    resumed Nullable(UInt8),
    calls UInt32,
    retries UInt32,
    want_read UInt32,
    want_write UInt32,
    want_other UInt32,
    duration_ns UInt64,
    cpu_ns UInt64,
    wait_in_call_ns UInt64,
    gap_waiting_ns UInt64,
    gap_ready_ns UInt64,
    other_ns UInt64,
    bytes_in UInt64,
    bytes_out UInt64,
    error String,
    reason String,
    verify_reason String,
    evidence String,
    advice String
)
ENGINE = ReplacingMergeTree()
PARTITION BY day
ORDER BY (time, host, ts_ns, pid, handshake);

-- What dashboards ask: a row for each minute, host, program, build, role, outcome and cause. It outlives the handshakes.
CREATE TABLE IF NOT EXISTS handshakes_by_minute
(
    minute DateTime,
    day Date,
    host String,
    comm String,
    build String,
    role String,
    outcome String,
    cause String,
    fault String,
    handshakes AggregateFunction(count),
    durations AggregateFunction(quantilesTDigest(0.5, 0.9, 0.99), UInt64),     -- of duration_ns
    longest AggregateFunction(max, UInt64)
)
ENGINE = AggregatingMergeTree()
PARTITION BY toYYYYMM(day)
ORDER BY (minute, host, comm, build, role, outcome, cause, fault);

-- It counts what is inserted, so a handshake that is sent again counts again.
CREATE MATERIALIZED VIEW IF NOT EXISTS handshakes_to_minutes TO handshakes_by_minute AS
SELECT toStartOfMinute(toDateTime(intDiv(ts_ns, 1000000000))) AS minute,
       toDate(toDateTime(intDiv(ts_ns, 1000000000))) AS day,
       host, comm, build, role, outcome, cause, fault,
       countState() AS handshakes,
       quantilesTDigestState(0.5, 0.9, 0.99)(duration_ns) AS durations,
       maxState(duration_ns) AS longest
FROM handshakes
GROUP BY minute, day, host, comm, build, role, outcome, cause, fault;
