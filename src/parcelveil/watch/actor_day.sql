-- Everybody's days: how much each account looked at, and how far work explains it.
--
-- Gives   actor_day: one row a day and account; the columns of watch/daily.py's VOLUME, with `hours` as bits (1 << local
--         hour). To be read by volume.sql.
-- Inputs  look: coded accesses with day, hour and newest (1 for the account's last row of the day, by receipt and id).
--         open_count: see explain.sql.
-- Codes   outcome 0 ok; action 1 search, 3 export.
--
-- The first pass goes over nearly all rows, so it has as few aggregates as will do; searches, failures and exports are few
-- and have a pass of their own.
DROP TABLE IF EXISTS actor_looks;
CREATE TEMPORARY TABLE actor_looks AS
SELECT day, actor, COUNT(*) AS looks, BIT_OR(CAST(1 AS INTEGER) << hour) AS hours, MIN(time) AS first, MAX(time) AS last
  FROM look
 WHERE outcome = 0 AND action <> 3
 GROUP BY day, actor;

DROP TABLE IF EXISTS actor_others;
CREATE TEMPORARY TABLE actor_others AS
SELECT day, actor, COUNT(CASE WHEN outcome = 0 AND action = 1 THEN 1 END) AS searches,
       COUNT(CASE WHEN outcome <> 0 THEN 1 END) AS failed,
       CAST(SUM(CASE WHEN outcome = 0 AND action = 3 THEN CAST(records AS BIGINT) ELSE 0 END) AS BIGINT) AS exported,
       MIN(time) AS first, MAX(time) AS last
  FROM look
 WHERE outcome <> 0 OR action = 1 OR action = 3
 GROUP BY day, actor;

DROP TABLE IF EXISTS actor_day;
CREATE TEMPORARY TABLE actor_day AS
SELECT n.day AS day, n.actor AS actor, n.role AS role, n.outlet AS outlet,
       COALESCE(l.looks, 0) AS looks, COALESCE(l.looks, 0) - COALESCE(o.indirect, 0) AS direct,
       COALESCE(o.grouped, 0) AS grouped, COALESCE(o.none, 0) AS none,
       COALESCE(s.searches, 0) AS searches, COALESCE(s.failed, 0) AS failed, COALESCE(s.exported, 0) AS exported,
       COALESCE(l.hours, 0) AS hours,
       CASE WHEN s.first IS NULL OR l.first <= s.first THEN l.first ELSE s.first END AS first,
       CASE WHEN s.last IS NULL OR l.last >= s.last THEN l.last ELSE s.last END AS last
  FROM (SELECT day, actor, role, outlet FROM look WHERE newest = 1) n
  LEFT JOIN actor_looks l ON l.day = n.day AND l.actor = n.actor
  LEFT JOIN actor_others s ON s.day = n.day AND s.actor = n.actor
  LEFT JOIN open_count o ON o.day = n.day AND o.actor = n.actor;

DROP TABLE actor_looks;
DROP TABLE actor_others;
