-- SPDX-License-Identifier: Apache-2.0
-- Ten questions of an operator. Replace the times; add FINAL behind handshakes if a server or an agent has just failed, and
-- the exact number counts.

-- 1. Which peers cause trouble?
WITH toDateTime('2026-01-01 00:00:00') AS since
SELECT peer, sni, count() AS handshakes, countIf(outcome != 'ok') AS bad, round(100 * bad / handshakes, 2) AS percent,
       uniq(host) AS hosts, topKIf(3)(cause, outcome != 'ok') AS causes
FROM handshakes
WHERE time >= since AND role = 'client'
GROUP BY peer, sni HAVING bad > 0
ORDER BY bad DESC, peer, sni LIMIT 20;

-- 2. Which causes, whose fault, and what did they cost?
WITH toDateTime('2026-01-01 00:00:00') AS since
SELECT cause, fault, count() AS handshakes, uniq(host) AS hosts, round(sum(duration_ns) / 1e9) AS seconds,
       any(evidence) AS example, any(advice) AS next_step
FROM handshakes
WHERE time >= since AND cause != 'NONE'
GROUP BY cause, fault
ORDER BY handshakes DESC, cause;

-- 3. Since when, and does it go on?
WITH toDateTime('2026-01-01 00:00:00') AS since
SELECT cause, min(minute) AS since_when, max(minute) AS until, countMerge(handshakes) AS total
FROM handshakes_by_minute
WHERE minute >= since AND cause != 'NONE'
GROUP BY cause
ORDER BY since_when, cause;

-- 4. Which build of which program?
WITH toDateTime('2026-01-01 00:00:00') AS since
SELECT program, build, uniq(host) AS hosts, count() AS handshakes, countIf(outcome != 'ok') AS bad,
       round(100 * bad / handshakes, 2) AS percent, round(quantileTDigest(0.99)(duration_ns) / 1e6, 1) AS p99_ms
FROM handshakes
WHERE time >= since
GROUP BY program, build
ORDER BY percent DESC, program, build;

-- 5. Which path through the network: from which of our networks to which peers' (IPv4: the first three bytes)?
WITH toDateTime('2026-01-01 00:00:00') AS since
SELECT replaceRegexpOne(local, '[.][0-9]+:[0-9]+$', '.*') AS from_network,
       replaceRegexpOne(peer, '[.][0-9]+:[0-9]+$', '.*') AS to_network,
       count() AS handshakes, countIf(fault IN ('network', 'peer')) AS bad, round(100 * bad / handshakes, 2) AS percent
FROM handshakes
WHERE time >= since AND peer != ''
GROUP BY from_network, to_network HAVING bad > 0
ORDER BY percent DESC, from_network, to_network LIMIT 20;

-- 6. Which path through the code: who called OpenSSL (addr2line -e MODULE OFFSET names the function)?
WITH toDateTime('2026-01-01 00:00:00') AS since
SELECT caller, comm, cause, count() AS handshakes, uniq(build) AS builds
FROM handshakes
WHERE time >= since AND fault = 'program'
GROUP BY caller, comm, cause
ORDER BY handshakes DESC, caller, comm, cause LIMIT 20;

-- 7. What did a deploy change: the hour before it and the hour after?
WITH toDateTime('2026-01-01 12:00:00') AS deploy
SELECT comm,
       countIf(time < deploy) AS before, countIf(time >= deploy) AS after,
       round(100 * countIf(outcome != 'ok' AND time < deploy) / before, 2) AS percent_before,
       round(100 * countIf(outcome != 'ok' AND time >= deploy) / after, 2) AS percent_after,
       round(quantileTDigestIf(0.5)(duration_ns, time < deploy) / 1e6, 1) AS p50_ms_before,
       round(quantileTDigestIf(0.5)(duration_ns, time >= deploy) / 1e6, 1) AS p50_ms_after
FROM handshakes
WHERE time >= deploy - 3600 AND time < deploy + 3600
GROUP BY comm HAVING before > 0 AND after > 0
ORDER BY percent_after - percent_before DESC, comm;

-- 8. One host, or all of them?
SELECT cause, uniqExact(host) AS hosts, max(of_host) AS most_of_a_host, argMax(host, of_host) AS that_host,
       sum(of_host) AS handshakes, round(most_of_a_host / handshakes * hosts, 1) AS times_the_average
FROM
(
    WITH toDateTime('2026-01-01 00:00:00') AS since
    SELECT cause, host, countMerge(handshakes) AS of_host
    FROM handshakes_by_minute
    WHERE minute >= since AND cause != 'NONE'
    GROUP BY cause, host
)
GROUP BY cause
ORDER BY times_the_average DESC, cause;

-- 9. How long do handshakes take, over time?
SELECT minute, number AS handshakes, round(quantiles[1] / 1e6, 1) AS p50_ms, round(quantiles[2] / 1e6, 1) AS p90_ms,
       round(quantiles[3] / 1e6, 1) AS p99_ms, round(longest_ns / 1e6, 1) AS longest_ms
FROM
(
    WITH toDateTime('2026-01-01 00:00:00') AS since
    SELECT minute, countMerge(handshakes) AS number, quantilesTDigestMerge(0.5, 0.9, 0.99)(durations) AS quantiles,
           maxMerge(longest) AS longest_ns
    FROM handshakes_by_minute
    WHERE minute >= since AND outcome = 'ok'
    GROUP BY minute
)
ORDER BY minute;

-- 10. What do they agree on: who still needs TLS 1.2, and how many sessions are resumed?
WITH toDateTime('2026-01-01 00:00:00') AS since
SELECT version, cipher, role, count() AS handshakes, round(100 * sum(resumed) / handshakes, 2) AS percent_resumed,
       uniq(host) AS hosts, round(avg(cpu_ns) / 1e6, 2) AS average_cpu_ms
FROM handshakes
WHERE time >= since AND outcome = 'ok'
GROUP BY version, cipher, role
ORDER BY handshakes DESC, version, cipher, role;
