-- Who makes reasons: looks that nothing explains but a ticket which the viewer opened.
--
-- Gives   one row a day and account: looks, tickets (different ones); in the order of (day, actor).
-- Inputs  open_row: see explain.sql.  reason: see work_by_rule.sql.
-- Codes   whom 3 ticket, 4 role; step 12 ticket_opened; outcome 0 ok.
SELECT l.day AS day, l.actor AS actor, COUNT(DISTINCT l.place) AS looks, COUNT(DISTINCT r.work) AS tickets
  FROM open_row l
  JOIN reason r ON r.waybill = l.waybill AND r.opener = l.actor
 WHERE l.outcome = 0 AND l.settled = 0 AND r.step = 12 AND r.who >= 0
   AND r.who = CASE r.whom WHEN 3 THEN l.ticket WHEN 4 THEN l.role ELSE -1 END
   AND r.since <= l.time AND r.until >= l.time
 GROUP BY l.day, l.actor
 ORDER BY l.day, l.actor;
