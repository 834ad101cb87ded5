-- Every reason there may be: one row a work event and rule that may explain looks by it. For naming reasons of some looks;
-- explain.sql has the same conditions in a form that is faster for all of them.
--
-- Gives   view reason(work, step, time, number, level, whom, who, waybill, since, until, received, ended, opener): a look at
--         `waybill` from `since` to `until` is explained to `who` (whom 1: account, 2: outlet, 3: ticket, 4: role) by what
--         is known from `received` on and until before `ended`, but never to the account `opener` (-3: nobody).
-- Inputs  work: coded work events.  rule: see watch/explaining.py.  held: see routes.sql.
-- Codes   whom 5 region (near_region.sql); steps 5 out_for_delivery, 12 ticket_opened; account -1 nobody.  9223372036854775807: never.
DROP VIEW IF EXISTS reason;
CREATE TEMPORARY VIEW reason AS
SELECT w.id AS work, w.step AS step, w.time AS time, r.number AS number, r.level AS level, r.whom AS whom,
       CASE r.whom WHEN 1 THEN w.actor
                   WHEN 2 THEN CASE r.onward WHEN 1 THEN w.to_outlet ELSE w.outlet END
                   WHEN 3 THEN w.ticket
                   ELSE r.role END AS who,
       w.waybill AS waybill, w.time - r.before_us AS since, w.time + r.after_us AS until, w.received AS received,
       9223372036854775807 AS ended,
       CASE w.step WHEN 12 THEN w.actor ELSE -3 END AS opener
  FROM work w
  JOIN rule r ON r.step = w.step AND r.whom <> 5
 WHERE w.waybill <> 0 AND r.level > 0
   AND (w.step <> 12 OR w.actor <> -1)
UNION ALL
SELECT h.work, 5, h.time, r.number, r.level, 1, h.holder, h.waybill, h.time - r.before_us, h.time + r.after_us, h.received,
       h.ended, -3
  FROM held h
  JOIN rule r ON r.step = 5 AND r.whom = 1;
