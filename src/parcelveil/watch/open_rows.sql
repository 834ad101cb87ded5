-- The rows that want a reason, in the order in which they are given out.
--
-- Gives   the columns of watch/daily.py's OPEN_ROWS, with day; ordered by (day, received, id).
-- Inputs  open_row: see explain.sql.
SELECT day, id, time, received, actor, role, outlet, device, network, channel, action, outcome, fields, records, waybill,
       serial, subject, ticket, provisional, settled
  FROM open_row
 ORDER BY day, place;
