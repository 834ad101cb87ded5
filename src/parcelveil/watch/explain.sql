-- Which looks want a reason, and how far work explains them.
--
-- Gives   view open_row: every look whose outcome is not ok, whose action is export, or whose provisional level is under 2;
--         the columns of look, and provisional and settled (2 direct, 1 group, 0 none, -1 where none applies).
--         open_count: for each day and account that has any, how many of its looks (ok, no export) are settled below
--         direct (indirect), at group (grouped), at none (none).
-- Inputs  look: coded accesses with place (a number of its own for each) and day.  work: coded work events.
--         rule: see watch/explaining.py.  held: see routes.sql.
-- Params  offset: microseconds by which local time is ahead of UTC.  day: microseconds of a day.
--         grace: microseconds after the end of a day at which it is settled.
-- Codes   outcome 0 ok; action 3 export; whom 1 account, 2 outlet, 3 ticket, 4 role, 5 region (which raises no level: see
--         near_region.sql); steps 5 out_for_delivery, 12 ticket_opened (which explains nothing to its opener, nor anything
--         when nobody knows who that was, -1).
--
-- Most looks are somebody's own work, known at that time. The first statement takes those away with one join on parcel
-- and account; it needs no grouping, because only looks without any match are left. Only these are compared with all work
-- at their parcels, of which the second join first drops what is of other accounts and outlets: that rids it of most pairs
-- before the rules are looked at. What is known of a route may change, so work of its holder counts from `received` until
-- before `ended`.
DROP VIEW IF EXISTS open_row;
DROP TABLE IF EXISTS open_look;
CREATE TEMPORARY TABLE open_look AS
SELECT l.*
  FROM (SELECT look.*, CASE WHEN outcome = 0 AND action <> 3 AND waybill <> 0 AND actor >= 0 THEN waybill END AS parcel
          FROM look) l
  LEFT JOIN (SELECT w.waybill AS waybill, w.actor AS actor, w.time - r.before_us AS since, w.time + r.after_us AS until,
                    w.received AS received
               FROM work w JOIN rule r ON r.step = w.step AND r.whom = 1 AND r.level = 2
              WHERE w.actor >= 0
              UNION ALL
             SELECT h.waybill, h.holder, h.time - r.before_us, h.time + r.after_us, h.received
               FROM held h JOIN rule r ON r.step = 5 AND r.whom = 1 AND r.level = 2
              WHERE h.ended = 9223372036854775807) d
    ON d.waybill = l.parcel AND d.actor = l.actor
   AND d.since <= l.time AND d.until >= l.time AND d.received <= l.received
 WHERE d.waybill IS NULL;

DROP TABLE IF EXISTS look_level;
CREATE TEMPORARY TABLE look_level AS
SELECT place, MAX(level) AS settled, MAX(provisional) AS provisional
  FROM (SELECT l.place AS place, r.level AS level,
               CASE WHEN w.received <= l.received THEN r.level ELSE 0 END AS provisional
          FROM (SELECT place, waybill, time, received, ticket, role,
                       CASE WHEN actor >= 0 THEN actor END AS actor, CASE WHEN outlet >= 0 THEN outlet END AS outlet,
                       time + $offset - (time + $offset) % $day - $offset + $day + $grace AS settles
                  FROM open_look
                 WHERE outcome = 0 AND waybill <> 0) l
          JOIN work w
            ON w.waybill = l.waybill
           AND (w.actor = l.actor OR w.outlet = l.outlet OR w.to_outlet = l.outlet OR w.step = 12)
          JOIN (SELECT * FROM rule WHERE whom <> 5 AND level > 0) r ON r.step = w.step
         WHERE w.received < l.settles
           AND l.time - w.time <= r.after_us AND w.time - l.time <= r.before_us
           AND ((r.whom = 1 AND w.actor = l.actor)
                OR (r.whom = 2 AND r.onward = 0 AND w.outlet = l.outlet)
                OR (r.whom = 2 AND r.onward = 1 AND w.to_outlet = l.outlet)
                OR (r.whom = 3 AND w.ticket = l.ticket AND l.ticket >= 0 AND w.actor <> -1 AND w.actor <> l.actor)
                OR (r.whom = 4 AND r.role = l.role AND w.actor <> -1 AND w.actor <> l.actor))
         UNION ALL
        SELECT place, level, CASE WHEN received <= looked AND ended > looked THEN level ELSE 0 END
          FROM (SELECT l.place AS place, r.level AS level, l.received AS looked, h.received AS received, h.ended AS ended,
                       l.time + $offset - (l.time + $offset) % $day - $offset + $day + $grace AS settles
                  FROM open_look l
                  JOIN held h ON h.waybill = l.waybill AND h.holder = l.actor
                  JOIN rule r ON r.step = 5 AND r.whom = 1
                 WHERE l.outcome = 0
                   AND h.time - l.time <= r.before_us AND l.time - h.time <= r.after_us) k
         WHERE (received <= looked AND ended > looked) OR (received < settles AND ended >= settles)) m
 GROUP BY place;

CREATE TEMPORARY VIEW open_row AS
SELECT l.*,
       CASE WHEN l.outcome <> 0 OR l.waybill = 0 THEN -1 ELSE COALESCE(v.provisional, 0) END AS provisional,
       CASE WHEN l.outcome <> 0 OR l.waybill = 0 THEN -1 ELSE COALESCE(v.settled, 0) END AS settled
  FROM open_look l
  LEFT JOIN look_level v ON v.place = l.place
 WHERE l.outcome <> 0 OR l.action = 3 OR COALESCE(v.provisional, 0) < 2;

DROP TABLE IF EXISTS open_count;
CREATE TEMPORARY TABLE open_count AS
SELECT day, actor, COUNT(CASE WHEN settled < 2 THEN 1 END) AS indirect, COUNT(CASE WHEN settled = 1 THEN 1 END) AS grouped,
       COUNT(CASE WHEN settled = 0 THEN 1 END) AS none
  FROM open_row
 WHERE outcome = 0 AND action <> 3
 GROUP BY day, actor;
