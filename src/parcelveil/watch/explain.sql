-- Which looks want a reason, and how far work explains them.
--
-- Gives   open_row: every look whose outcome is not ok, whose action is export, or whose provisional level is under 2;
--         the columns of look, and provisional and settled (2 direct, 1 group, 0 none, -1 where none applies).
-- Inputs  look: coded accesses with place (a number of its own for each), day and hour.  reason: see work_by_rule.sql.
-- Params  offset: microseconds by which local time is ahead of UTC.  day: microseconds of a day.
--         grace: microseconds after the end of a day at which it is settled.
-- Codes   outcome 0 ok; action 3 export; whom 1 account, 2 outlet, 3 ticket, 4 role.
--
-- Most looks are somebody's own work, known at that time: the first statement takes those away with one join on parcel
-- and account, which needs no grouping because only the looks without any match are left. What is a match twice does no
-- harm. Only the rest is compared with all work at its parcel.
DROP TABLE IF EXISTS open_look;
CREATE TABLE open_look AS
SELECT l.*
  FROM (SELECT look.*, CASE WHEN outcome = 0 AND action <> 3 THEN waybill END AS parcel FROM look) l
  LEFT JOIN (SELECT waybill, who, since, until, received
               FROM reason WHERE whom = 1 AND level = 2 AND ended = 9223372036854775807) r
    ON r.waybill = l.parcel AND r.who = l.actor
   AND r.since <= l.time AND r.until >= l.time AND r.received <= l.received
 WHERE r.waybill IS NULL;

DROP TABLE IF EXISTS look_level;
CREATE TABLE look_level AS
SELECT l.place AS place, MAX(r.level) AS settled,
       MAX(CASE WHEN r.received <= l.received AND r.ended > l.received THEN r.level ELSE 0 END) AS provisional
  FROM (SELECT place, waybill, actor, outlet, ticket, role, time, received,
               time + $offset - (time + $offset) % $day - $offset + $day + $grace AS settles
          FROM open_look
         WHERE outcome = 0 AND waybill <> 0) l
  JOIN reason r ON r.waybill = l.waybill
 WHERE r.who >= 0
   AND r.who = CASE r.whom WHEN 1 THEN l.actor WHEN 2 THEN l.outlet WHEN 3 THEN l.ticket ELSE l.role END
   AND r.since <= l.time AND r.until >= l.time
   AND ((r.received <= l.received AND r.ended > l.received) OR (r.received < l.settles AND r.ended >= l.settles))
   AND r.opener <> l.actor
 GROUP BY l.place;

DROP TABLE IF EXISTS open_row;
CREATE TABLE open_row AS
SELECT l.*,
       CASE WHEN l.outcome <> 0 OR l.waybill = 0 THEN -1 ELSE COALESCE(v.provisional, 0) END AS provisional,
       CASE WHEN l.outcome <> 0 OR l.waybill = 0 THEN -1 ELSE COALESCE(v.settled, 0) END AS settled
  FROM open_look l
  LEFT JOIN look_level v ON v.place = l.place
 WHERE l.outcome <> 0 OR l.action = 3 OR COALESCE(v.provisional, 0) < 2;

DROP TABLE look_level;
DROP TABLE open_look;
