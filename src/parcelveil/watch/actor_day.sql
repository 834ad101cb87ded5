-- Everybody's days: how much each account looked at, and how far work explains it.
--
-- Gives   one row a day and account: the columns of watch/daily.py's VOLUME, with `hours` as bits (1 << local hour); in no
--         order.
-- Inputs  look: coded accesses with place (ascending by the time of receipt), day and hour.  open_row: see explain.sql.
-- Codes   outcome 0 ok; action 1 search, 3 export.
SELECT d.day AS day, d.actor AS actor, n.role AS role, n.outlet AS outlet, d.looks AS looks,
       d.looks - COALESCE(o.indirect, 0) AS direct,
       COALESCE(o.grouped, 0) AS grouped, COALESCE(o.none, 0) AS none,
       d.searches AS searches, d.failed AS failed, d.exported AS exported, d.hours AS hours,
       d.first AS first, d.last AS last
  FROM (SELECT day, actor, MAX(place) AS place,
               COUNT(CASE WHEN outcome = 0 AND action <> 3 THEN 1 END) AS looks,
               COUNT(CASE WHEN outcome = 0 AND action = 1 THEN 1 END) AS searches,
               COUNT(CASE WHEN outcome <> 0 THEN 1 END) AS failed,
               CAST(SUM(CASE WHEN outcome = 0 AND action = 3 THEN records ELSE 0 END) AS BIGINT) AS exported,
               BIT_OR(CASE WHEN outcome = 0 AND action <> 3 THEN CAST(1 AS INTEGER) << hour ELSE 0 END) AS hours,
               MIN(time) AS first, MAX(time) AS last
          FROM look
         GROUP BY day, actor) d
  JOIN (SELECT place, role, outlet FROM look) n ON n.place = d.place
  LEFT JOIN (SELECT day, actor, COUNT(CASE WHEN settled < 2 THEN 1 END) AS indirect,
                    COUNT(CASE WHEN settled = 1 THEN 1 END) AS grouped,
                    COUNT(CASE WHEN settled = 0 THEN 1 END) AS none
               FROM open_row
              WHERE outcome = 0 AND action <> 3
              GROUP BY day, actor) o
    ON o.day = d.day AND o.actor = d.actor;
