-- Everybody's days: how much each account looked at, and how far work explains it.
--
-- Gives   actor_day: one row a day and account; the columns of watch/daily.py's VOLUME, with `hours` as bits (1 << local
--         hour). To be read by volume.sql.
-- Inputs  look: coded accesses with place (ascending by the time of receipt), day and hour.  open_row: see explain.sql.
-- Codes   outcome 0 ok; action 1 search, 3 export.  4294967296: two to the 32nd.
--
-- Counting goes over nearly all rows with as few aggregates as will do; searches, failures and exports are few and have
-- passes of their own. Role and outlet are those of the account's last row of the day. Nearly always all its rows have the
-- same, which shows in the least and the greatest of both in one number (`low`, `high`); only for the others rows are
-- looked up.
DROP TABLE IF EXISTS actor_part;
CREATE TABLE actor_part AS
SELECT day, actor, MIN((outlet + CAST(1 AS BIGINT)) * 4294967296 + role + 1) AS low,
       MAX((outlet + CAST(1 AS BIGINT)) * 4294967296 + role + 1) AS high,
       COUNT(*) AS looks, 0 AS searches, 0 AS failed, 0 AS exported,
       BIT_OR(CAST(1 AS INTEGER) << hour) AS hours, MIN(time) AS first, MAX(time) AS last
  FROM look
 WHERE outcome = 0 AND action <> 3
 GROUP BY day, actor
UNION ALL
SELECT day, actor, MIN((outlet + CAST(1 AS BIGINT)) * 4294967296 + role + 1),
       MAX((outlet + CAST(1 AS BIGINT)) * 4294967296 + role + 1),
       0, 0, COUNT(CASE WHEN outcome <> 0 THEN 1 END),
       CAST(SUM(CASE WHEN outcome = 0 THEN CAST(records AS BIGINT) ELSE 0 END) AS BIGINT), 0, MIN(time), MAX(time)
  FROM look
 WHERE outcome <> 0 OR action = 3
 GROUP BY day, actor
UNION ALL
SELECT day, actor, NULL, NULL, 0, COUNT(*), 0, 0, 0, MIN(time), MAX(time)
  FROM look
 WHERE outcome = 0 AND action = 1
 GROUP BY day, actor;

DROP TABLE IF EXISTS actor_whole;
CREATE TABLE actor_whole AS
SELECT day, actor, MIN(low) AS low, MAX(high) AS high, CAST(SUM(looks) AS BIGINT) AS looks,
       CAST(SUM(searches) AS BIGINT) AS searches, CAST(SUM(failed) AS BIGINT) AS failed,
       CAST(SUM(exported) AS BIGINT) AS exported, BIT_OR(hours) AS hours, MIN(first) AS first, MAX(last) AS last
  FROM actor_part
 GROUP BY day, actor;

DROP TABLE IF EXISTS actor_moved;
CREATE TABLE actor_moved AS
SELECT l.day AS day, l.actor AS actor, l.place AS place, l.role AS role, l.outlet AS outlet
  FROM look l
  JOIN (SELECT day, actor FROM actor_whole WHERE low <> high) m ON m.day = l.day AND m.actor = l.actor;

DROP TABLE IF EXISTS actor_day;
CREATE TABLE actor_day AS
SELECT d.day AS day, d.actor AS actor,
       COALESCE(n.role, d.low % 4294967296 - 1) AS role,
       COALESCE(n.outlet, CAST((d.low - d.low % 4294967296) / 4294967296 AS BIGINT) - 1) AS outlet,
       d.looks AS looks, d.looks - COALESCE(o.indirect, 0) AS direct,
       COALESCE(o.grouped, 0) AS grouped, COALESCE(o.none, 0) AS none,
       d.searches AS searches, d.failed AS failed, d.exported AS exported, d.hours AS hours,
       d.first AS first, d.last AS last
  FROM actor_whole d
  LEFT JOIN (SELECT l.day, l.actor, l.role, l.outlet
               FROM actor_moved l
               JOIN (SELECT day, actor, MAX(place) AS place FROM actor_moved GROUP BY day, actor) p
                 ON p.place = l.place) n
    ON n.day = d.day AND n.actor = d.actor
  LEFT JOIN (SELECT day, actor, COUNT(CASE WHEN settled < 2 THEN 1 END) AS indirect,
                    COUNT(CASE WHEN settled = 1 THEN 1 END) AS grouped,
                    COUNT(CASE WHEN settled = 0 THEN 1 END) AS none
               FROM open_row
              WHERE outcome = 0 AND action <> 3
              GROUP BY day, actor) o
    ON o.day = d.day AND o.actor = d.actor;

DROP TABLE actor_part;
DROP TABLE actor_whole;
DROP TABLE actor_moved;
