-- Of the looks that nothing explains, those at parcels that an outlet of the viewer's region had. A look farther away than
-- that is hardly ever a mistake.
--
-- Gives   near_row: place, near (1 if a rule of the region holds, 0 if none does), for each row of open_row that is settled at
--         none and whose outlet's region is known.
-- Inputs  open_row: see explain.sql.  work: coded work events.  rule: see watch/explaining.py.
--         outlet_region: outlet, region (both codes), for each outlet whose region is known.
-- Params  offset, day, grace: see explain.sql.
-- Codes   whom 5 region.
--
-- The looks are put into a table first: they are few, so that the join goes from them to the work and to no other work.
DROP TABLE IF EXISTS far_look;
CREATE TEMPORARY TABLE far_look AS
SELECT o.place AS place, o.waybill AS waybill, o.time AS time, g.region AS region,
       o.time + $offset - (o.time + $offset) % $day - $offset + $day + $grace AS settles
  FROM open_row o
  JOIN outlet_region g ON g.outlet = o.outlet
 WHERE o.settled = 0;

DROP TABLE IF EXISTS near_row;
CREATE TEMPORARY TABLE near_row AS
SELECT l.place AS place, CASE WHEN n.place IS NULL THEN 0 ELSE 1 END AS near
  FROM far_look l
  LEFT JOIN (SELECT DISTINCT f.place AS place
               FROM far_look f
               JOIN work w ON w.waybill = f.waybill
               JOIN rule r ON r.step = w.step AND r.whom = 5
               JOIN outlet_region g ON g.outlet = w.outlet AND g.region = f.region
              WHERE w.time - f.time <= r.before_us AND f.time - w.time <= r.after_us
                AND w.received < f.settles) n
    ON n.place = l.place;

DROP TABLE far_look;
