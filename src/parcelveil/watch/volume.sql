-- Everybody's days, in the order in which they are given out.
--
-- Gives   the columns of watch/daily.py's VOLUME, with day, and `hours` as bits; ordered by (day, actor).
-- Inputs  actor_day: see actor_day.sql.
SELECT day, actor, role, outlet, looks, direct, grouped, none, searches, failed, exported, hours, first, last
  FROM actor_day
 ORDER BY day, actor;
