-- The rows that want a reason, in the order in which they are given out.
--
-- Gives   the columns of watch/daily.py's OPEN_ROWS, with day; ordered by (day, received, id).
-- Inputs  open_row: see explain.sql.  near_row: see near_region.sql.
SELECT o.day AS day, o.id AS id, o.time AS time, o.received AS received, o.actor AS actor, o.role AS role,
       o.outlet AS outlet, o.device AS device, o.network AS network, o.channel AS channel, o.action AS action,
       o.outcome AS outcome, o.fields AS fields, o.records AS records, o.waybill AS waybill, o.serial AS serial,
       o.subject AS subject, o.ticket AS ticket, o.provisional AS provisional, o.settled AS settled,
       COALESCE(n.near, -1) AS near
  FROM open_row o
  LEFT JOIN near_row n ON n.place = o.place
 ORDER BY o.day, o.received, o.id;
